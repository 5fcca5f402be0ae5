//! `monitor`: what the debugger passes on without knowing it. Development environments send some of these unasked, in the
//! words of the probes they are made for.

use crate::machine::{DebuggerInput, Machine};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::recording::RecordedMachine;

const HELP: &str = "\
monitor reset [halt]   start the application again; it stands at its first instruction until continued
monitor halt           stop the application
monitor fault          the last fault of the application, its registers and backtrace
monitor status         the device's time, power and link
monitor help           this
";

/// What `command` is answered.
pub(super) fn answer(machine: &mut RecordedMachine, command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        [] | ["help"] => HELP.to_owned(),
        ["reset", ..] | ["system_reset"] => {
            machine.control(DebuggerInput::Reset);
            "The application stands at its first instruction.\n".to_owned()
        }
        ["halt" | "stop"] => {
            machine.control(DebuggerInput::Halt);
            "The application stands.\n".to_owned()
        }
        ["go" | "resume" | "cont" | "continue"] => {
            "The application goes on when the debugger says `continue`.\n".to_owned()
        }
        ["status" | "info" | "version"] => status(machine.machine()),
        ["fault"] => fault(machine.machine()),
        ["arm", "semihosting", ..] | ["semihosting", ..] => {
            "There is no semihosting: an application logs by mvServerLog.\n".to_owned()
        }
        // Settings of probes and of the wire to them, which are not there.
        [
            "speed" | "adapter" | "swd" | "tpiu" | "itm" | "swo" | "SWO" | "exitonclose" | "gdb" | "rtos",
            ..,
        ] => String::new(),
        _ => format!("unknown: {}\n{HELP}", text::escape(command)),
    }
}

fn status(machine: &Machine) -> String {
    let power = if machine.is_off() { "sleeps deeply" } else { "has power" };
    let link = if machine.wants_link() { "is wanted" } else { "is not wanted" };
    let micros = machine.now() / CYCLES_PER_MICRO;
    format!(
        "openvisor {}: the device {power}, its link {link}, its application is {}.{:06} s old\n",
        env!("CARGO_PKG_VERSION"),
        micros / 1_000_000,
        micros % 1_000_000
    )
}

fn fault(machine: &Machine) -> String {
    match machine.last_crash() {
        Some(crash) => crash.to_string(),
        None => "The application has not faulted.\n".to_owned(),
    }
}
