//! The bytes of what a debugger does.

use std::io::Read;

use armv8m::{Register, Watchpoint};

use super::{RecordingError, array, put, put_bytes, take_bytes, take_u32};
use crate::machine::{DebuggerInput, registers};

/// Most bytes of memory that a debugger reads or writes at once: far more than one packet holds.
const MAX_MEMORY: usize = 1 << 16;

/// Part of the format: another numbering is another version of it.
mod tag {
    pub(super) const ATTACH: u8 = 0;
    pub(super) const DETACH: u8 = 1;
    pub(super) const HALT_AT_RESET: u8 = 2;
    pub(super) const HALT: u8 = 3;
    pub(super) const RESUME: u8 = 4;
    pub(super) const STEP: u8 = 5;
    pub(super) const RESET: u8 = 6;
    pub(super) const WRITE_REGISTER: u8 = 7;
    pub(super) const READ_PERIPHERALS: u8 = 8;
    pub(super) const WRITE_MEMORY: u8 = 9;
    pub(super) const ERASE_FLASH: u8 = 10;
    pub(super) const WRITE_FLASH: u8 = 11;
    pub(super) const INSERT_BREAKPOINT: u8 = 12;
    pub(super) const REMOVE_BREAKPOINT: u8 = 13;
    pub(super) const INSERT_WATCHPOINT: u8 = 14;
    pub(super) const REMOVE_WATCHPOINT: u8 = 15;
}

/// What a watchpoint watches for.
const READS: u8 = 1 << 0;
const WRITES: u8 = 1 << 1;

/// Writes what follows the tag of a debugger's entry.
pub(super) fn write(input: &DebuggerInput<'_>, out: &mut Vec<u8>) {
    use DebuggerInput as D;
    out.push(tag_of(input));
    match input {
        D::Attach | D::Detach | D::HaltAtReset | D::Halt | D::Resume | D::Reset => {}
        D::Step(range) => put_both(out, range.start, range.end),
        D::WriteRegister { register, value } => put_both(out, register_number(*register), *value),
        D::ReadPeripherals { address, length } | D::EraseFlash { address, length } => {
            put_both(out, *address, *length);
        }
        D::WriteMemory { address, bytes } | D::WriteFlash { address, bytes } => {
            put(out, (*address).into());
            put_bytes(out, bytes);
        }
        D::InsertBreakpoint(address) | D::RemoveBreakpoint(address) => put(out, (*address).into()),
        D::InsertWatchpoint(watchpoint) | D::RemoveWatchpoint(watchpoint) => {
            put_both(out, watchpoint.range.start, watchpoint.range.end);
            out.push((u8::from(watchpoint.reads) * READS) | (u8::from(watchpoint.writes) * WRITES));
        }
    }
}

fn tag_of(input: &DebuggerInput<'_>) -> u8 {
    use DebuggerInput as D;
    match input {
        D::Attach => tag::ATTACH,
        D::Detach => tag::DETACH,
        D::HaltAtReset => tag::HALT_AT_RESET,
        D::Halt => tag::HALT,
        D::Resume => tag::RESUME,
        D::Step(_) => tag::STEP,
        D::Reset => tag::RESET,
        D::WriteRegister { .. } => tag::WRITE_REGISTER,
        D::ReadPeripherals { .. } => tag::READ_PERIPHERALS,
        D::WriteMemory { .. } => tag::WRITE_MEMORY,
        D::EraseFlash { .. } => tag::ERASE_FLASH,
        D::WriteFlash { .. } => tag::WRITE_FLASH,
        D::InsertBreakpoint(_) => tag::INSERT_BREAKPOINT,
        D::RemoveBreakpoint(_) => tag::REMOVE_BREAKPOINT,
        D::InsertWatchpoint(_) => tag::INSERT_WATCHPOINT,
        D::RemoveWatchpoint(_) => tag::REMOVE_WATCHPOINT,
    }
}

/// Reads what [`write`] has written.
pub(super) fn read(from: &mut impl Read) -> Result<DebuggerInput<'static>, RecordingError> {
    use DebuggerInput as D;
    let [tag] = array(from)?;
    Ok(match tag {
        tag::ATTACH => D::Attach,
        tag::DETACH => D::Detach,
        tag::HALT_AT_RESET => D::HaltAtReset,
        tag::HALT => D::Halt,
        tag::RESUME => D::Resume,
        tag::STEP => D::Step(take_u32(from)?..take_u32(from)?),
        tag::RESET => D::Reset,
        tag::WRITE_REGISTER => {
            D::WriteRegister { register: register(take_u32(from)?)?, value: take_u32(from)? }
        }
        tag::READ_PERIPHERALS => D::ReadPeripherals { address: take_u32(from)?, length: read_length(from)? },
        tag::WRITE_MEMORY => {
            D::WriteMemory { address: take_u32(from)?, bytes: take_bytes(from, MAX_MEMORY)?.into() }
        }
        tag::ERASE_FLASH => D::EraseFlash { address: take_u32(from)?, length: take_u32(from)? },
        tag::WRITE_FLASH => {
            D::WriteFlash { address: take_u32(from)?, bytes: take_bytes(from, MAX_MEMORY)?.into() }
        }
        tag::INSERT_BREAKPOINT => D::InsertBreakpoint(take_u32(from)?),
        tag::REMOVE_BREAKPOINT => D::RemoveBreakpoint(take_u32(from)?),
        tag::INSERT_WATCHPOINT => D::InsertWatchpoint(read_watchpoint(from)?),
        tag::REMOVE_WATCHPOINT => D::RemoveWatchpoint(read_watchpoint(from)?),
        _ => return Err(RecordingError::Damaged("an unknown action of a debugger")),
    })
}

fn put_both(out: &mut Vec<u8>, first: u32, second: u32) {
    put(out, first.into());
    put(out, second.into());
}

fn read_length(from: &mut impl Read) -> Result<u32, RecordingError> {
    let length = take_u32(from)?;
    // Checked before a replay allocates this much: the file may be damaged.
    let possible = length as usize <= MAX_MEMORY;
    possible.then_some(length).ok_or(RecordingError::Damaged("more bytes than there can be"))
}

fn read_watchpoint(from: &mut impl Read) -> Result<Watchpoint, RecordingError> {
    let range = take_u32(from)?..take_u32(from)?;
    let [accesses] = array(from)?;
    Ok(Watchpoint { range, reads: accesses & READS != 0, writes: accesses & WRITES != 0 })
}

/// Registers by their place in a digest.
fn register_number(register: Register) -> u32 {
    registers().position(|known| known == register).expect("a debugger names no other") as u32
}

fn register(number: u32) -> Result<Register, RecordingError> {
    registers().nth(number as usize).ok_or(RecordingError::Damaged("an unknown register"))
}
