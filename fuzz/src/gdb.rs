//! A hostile debugger.

use device::debug::gdb;
use device::machine::{DebuggerInput, Input};
use device::recording::RecordedMachine;

use crate::board::machine;

/// Memory of a process that holds a device stays far below this; an input that allocates by a number in it does not.
pub(crate) fn run(bytes: &[u8]) {
    let mut machine = RecordedMachine::new(machine(), None);
    machine.handle(&Input::Debugger(DebuggerInput::HaltAtReset)).expect("a halt is always accepted");
    gdb::converse(&mut machine, &packets(bytes)).expect("loopback");
}

/// Lines of the input as packets with their checksums; a line that begins with `!` unchanged.
fn packets(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(raw) = line.strip_prefix(b"!") {
            out.extend_from_slice(raw);
            continue;
        }
        let sum = line.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        out.push(b'$');
        out.extend_from_slice(line);
        out.extend_from_slice(format!("#{sum:02x}+").as_bytes());
    }
    out
}
