//! What is done with a packet before the protocol's state machine handles it, if it does.
//!
//! The state machine (the crate `gdbstub`) takes a packet it cannot parse for the end of the session and checks no
//! lengths. Here packets it does not know are answered, those it parses too strictly are rewritten, and lengths are
//! bounded.

use armv8m::Register;
use crc::{CRC_32_MPEG_2, Crc, Table};

use super::framing::{PACKET_SIZE, hex};
use crate::machine::DebuggerInput;
use crate::memory_map::{ENTRY_PAGE, FLASH, RAM};
use crate::recording::RecordedMachine;

/// Most bytes of one read: their digits fill a reply. A debugger requests the rest again.
const MAX_READ: u32 = PACKET_SIZE as u32 / 2 - 16;

/// Bytes of memory that are summed up at a time.
const CHUNK: usize = 4096;

/// CRC-32 of the polynomial 0x04C11DB7 from the highest bit on, begun with all ones, not inverted at the end.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_MPEG_2);

/// EINVAL and EFAULT as the protocol's error replies.
const INVALID: &[u8] = b"E16";
const BAD_ADDRESS: &[u8] = b"E0e";

/// What is done with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The state machine handles it, in this form.
    Pass(Vec<u8>),
    /// It has been answered.
    Reply(Vec<u8>),
    /// It is handled, and has no reply.
    Done,
}

impl Request {
    fn pass(data: &[u8]) -> Self {
        Self::Pass(data.to_vec())
    }

    fn reply(data: &[u8]) -> Self {
        Self::Reply(data.to_vec())
    }
}

/// Decides about a packet.
pub(super) fn classify(data: &[u8], machine: &mut RecordedMachine) -> Request {
    match data {
        [b'm', rest @ ..] => bounded_read(rest),
        [b'M' | b'X', ..] if !is_whole_write(data) => Request::reply(INVALID),
        [b'c' | b's' | b'C' | b'S', ..] => resume(data, machine),
        [b'H', b'g', .., b'-', b'1'] => Request::pass(b"Hg0"),
        [b'R', ..] => {
            machine.control(DebuggerInput::Reset);
            Request::Done
        }
        _ if is_run(data) => Request::pass(b"vRun;"),
        _ => query(data, machine),
    }
}

/// Whether a packet starts the application again as `run` does.
pub(super) fn is_run(data: &[u8]) -> bool {
    data == b"vRun" || data.starts_with(b"vRun;") || data.starts_with(b"R")
}

fn query(data: &[u8], machine: &mut RecordedMachine) -> Request {
    if let Some(rest) = data.strip_prefix(b"qCRC:") {
        return checksum(rest, machine);
    }
    if let Some(rest) = data.strip_prefix(b"qSupported") {
        return features(rest);
    }
    if let Some(rest) = data.strip_prefix(b"qXfer:features:read:")
        && !rest.starts_with(b"target.xml:")
    {
        // There is no other annex.
        return Request::reply(b"E00");
    }
    Request::pass(data)
}

/// `m ADDRESS,LENGTH`: a reply may be shorter than requested.
fn bounded_read(rest: &[u8]) -> Request {
    match pair(rest) {
        Some((address, length)) => {
            Request::Pass(format!("m{address:x},{:x}", length.min(MAX_READ)).into_bytes())
        }
        None => Request::reply(INVALID),
    }
}

/// Whether `M ADDRESS,LENGTH:DIGITS` or `X ADDRESS,LENGTH:BYTES` has as much as it says: a part alone is not written.
fn is_whole_write(data: &[u8]) -> bool {
    let Some(colon) = data.iter().position(|byte| *byte == b':') else { return false };
    let (head, content) = (&data[1..colon], &data[colon + 1..]);
    let Some((_, length)) = pair(head) else { return false };
    let digits_or_bytes = match data[0] {
        b'M' if content.iter().all(u8::is_ascii_hexdigit) => content.len(),
        b'M' => return false,
        // Of an escaped byte two are sent.
        _ => 2 * (content.len() - escapes(content)),
    };
    digits_or_bytes as u64 == 2 * u64::from(length)
}

/// How many bytes of `content` only say that the next one is escaped.
fn escapes(content: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some(next) = content[at..].iter().position(|byte| *byte == b'}') {
        // One that escapes nothing is no byte either.
        count += 1;
        at = (at + next + 2).min(content.len());
    }
    count
}

/// `c` and `s` with an address to continue at, and with a signal, which is ignored.
fn resume(data: &[u8], machine: &mut RecordedMachine) -> Request {
    let (action, rest) = (data[0], &data[1..]);
    let address = match action {
        b'c' | b's' => rest,
        _ => rest.iter().position(|byte| *byte == b';').map_or(&[][..], |at| &rest[at + 1..]),
    };
    if !address.is_empty() && machine.machine().is_stopped() {
        let Some(address) = hex(address) else { return Request::reply(INVALID) };
        machine.control(DebuggerInput::WriteRegister { register: Register::PC, value: address & !1 });
    }
    Request::pass(&[action.to_ascii_lowercase()])
}

/// `qSupported` with the features that are any: none, or an empty one, is an error for the state machine.
fn features(rest: &[u8]) -> Request {
    let listed = rest.strip_prefix(b":").unwrap_or_default();
    let mut features: Vec<&[u8]> = listed.split(|byte| *byte == b';').filter(|one| !one.is_empty()).collect();
    if features.is_empty() {
        features.push(b"xmlRegisters=arm");
    }
    Request::Pass([b"qSupported:", features.join(&b';').as_slice()].concat())
}

/// `qCRC:ADDRESS,LENGTH`: whether memory is what the debugger has in a file. Registers are not summed up: reading them
/// may have effects.
fn checksum(rest: &[u8], machine: &mut RecordedMachine) -> Request {
    let Some((address, length)) = pair(rest) else { return Request::reply(INVALID) };
    let end = u64::from(address) + u64::from(length);
    let is_memory = [&FLASH, &RAM, &ENTRY_PAGE]
        .into_iter()
        .any(|region| region.contains(&address) && end <= u64::from(region.end));
    if !is_memory {
        return Request::reply(BAD_ADDRESS);
    }
    let mut digest = CRC.digest();
    let mut chunk = [0; CHUNK];
    let (mut at, mut left) = (address, length as usize);
    while left > 0 {
        let part = &mut chunk[..left.min(CHUNK)];
        if machine.read_memory(at, part) != part.len() {
            return Request::reply(BAD_ADDRESS);
        }
        digest.update(part);
        (at, left) = (at.wrapping_add(part.len() as u32), left - part.len());
    }
    Request::Reply(format!("C{:x}", digest.finalize()).into_bytes())
}

/// Two numbers in hexadecimal with a comma between them.
fn pair(text: &[u8]) -> Option<(u32, u32)> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    Some((hex(&text[..comma])?, hex(&text[comma + 1..])?))
}
