//! What a debugger accesses: registers, memory, breakpoints and watchpoints.

use std::ops::Range;

use armv8m::{Register, Watchpoint};

use crate::machine::{Machine, Power};
use crate::memory_map::{ENTRY_PAGE, FLASH, PERIPHERALS, RAM};

/// The processor's private peripheral bus, which a debugger may access.
const SYSTEM: Range<u32> = 0xE000_0000..0xE010_0000;

/// The Debug Halting Control and Status Register; a debugger reads C_HALT and S_HALT as set while the application is
/// halted.
const DHCSR: u32 = 0xE000_EDF0;
const HALTED: u32 = 1 << 17 | 1 << 1;

/// What erased flash reads as.
const ERASED: u8 = 0xFF;

/// Most breakpoints and watchpoints at a time: far more than anybody sets by hand, and few enough for a linear search.
pub const MAX_BREAKPOINTS: u32 = 4096;

/// See [`MAX_BREAKPOINTS`].
pub const MAX_WATCHPOINTS: u32 = 256;

/// What a debugger reads at an entry of the call page: `bx lr; nop; bx lr; nop`, a function without a stack frame, so
/// that a backtrace from inside a call finds its caller.
const VENEER: [u8; 8] = [0x70, 0x47, 0x00, 0xBF, 0x70, 0x47, 0x00, 0xBF];

/// Registers, memory and breakpoints.
impl Machine {
    /// Reads a register.
    pub fn register(&self, register: Register) -> u32 {
        self.cpu.register(register)
    }

    /// Writes a register, if that changes it. A new program counter wakes an application that sleeps.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        if self.cpu.register(register) == value {
            return;
        }
        self.cpu.set_register(register, value);
        if register == Register::PC && self.power == Power::Saving {
            self.leave_power_save();
        }
    }

    /// Reads memory for a debugger, as far as there is memory from `address` on, and returns the length. Registers of
    /// peripherals are read with all effects that a read of the application would have; by a passive debugger only
    /// those that can be read without any.
    pub(crate) fn read_memory(&mut self, address: u32, into: &mut [u8]) -> usize {
        let space = |region: &Range<u32>| region.contains(&address).then(|| (region.end - address) as usize);
        let memory = space(&FLASH).or_else(|| space(&RAM));
        if let Some(space) = memory {
            let length = into.len().min(space);
            return if self.cpu.read_memory(address, &mut into[..length]) { length } else { 0 };
        }
        if let Some(space) = space(&ENTRY_PAGE) {
            let length = into.len().min(space);
            let from = (address - ENTRY_PAGE.start) as usize;
            (0..length).for_each(|at| into[at] = VENEER[(from + at) % VENEER.len()]);
            return length;
        }
        self.read_peripherals(address, into)
    }

    fn read_peripherals(&mut self, address: u32, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            let at = address.wrapping_add(done as u32);
            let width = width(at, into.len() - done);
            let Some(value) = self.register_part(at, width) else { break };
            into[done..done + width].copy_from_slice(&value.to_le_bytes()[..width]);
            done += width;
        }
        if !self.debugger.is_passive {
            self.sync_lines();
            self.debugger_changed();
        }
        done
    }

    /// Reads a register, or a part of one, as an instruction of this width would.
    fn register_part(&mut self, address: u32, width: usize) -> Option<u32> {
        if SYSTEM.contains(&address) {
            let is_passive = self.debugger.is_passive;
            let mut word = if is_passive { self.cpu.peek_ppb(address) } else { self.cpu.read_ppb(address) };
            if address & !3 == DHCSR && self.is_stopped() {
                word |= HALTED;
            }
            return Some(word >> (8 * (address % 4)));
        }
        if !PERIPHERALS.contains(&address) {
            return None;
        }
        if self.debugger.is_passive {
            return self.board.inspect(address, width as u32, self.cpu.cycles());
        }
        self.board.read(address, width as u32, self.now()).ok()
    }

    /// Writes memory as a debugger does: RAM, and registers by words, halfwords and bytes, as an application would
    /// write them. Flash is not written like this ([`Machine::write_flash`]). Returns whether all of it was written.
    pub(crate) fn write_memory(&mut self, address: u32, bytes: &[u8]) -> bool {
        if bytes.is_empty() || RAM.contains(&address) {
            return bytes.is_empty() || self.cpu.write_memory(address, bytes);
        }
        let (mut at, mut rest) = (address, bytes);
        let mut written = true;
        while written && !rest.is_empty() {
            let (part, following) = rest.split_at(width(at, rest.len()));
            written = self.write_part(at, part);
            (at, rest) = (at.wrapping_add(part.len() as u32), following);
        }
        self.sync_lines();
        written
    }

    fn write_part(&mut self, address: u32, part: &[u8]) -> bool {
        let mut word = [0; 4];
        word[..part.len()].copy_from_slice(part);
        let (value, width) = (u32::from_le_bytes(word), part.len() as u32);
        if SYSTEM.contains(&address) {
            self.cpu.write_ppb(address, width, value);
            return true;
        }
        if !PERIPHERALS.contains(&address) {
            return false;
        }
        self.cpu.input_changed();
        self.board.write(address, width, value, self.now()).is_ok()
    }

    /// Writes application flash, until the process ends: the image's file does not change.
    pub(crate) fn write_flash(&mut self, address: u32, bytes: &[u8]) -> bool {
        FLASH.contains(&address) && self.cpu.write_memory(address, bytes)
    }

    /// Erases application flash.
    pub(crate) fn erase_flash(&mut self, address: u32, length: u32) -> bool {
        // Nothing is allocated for what is not there.
        let end = u64::from(address) + u64::from(length);
        FLASH.contains(&address)
            && end <= u64::from(FLASH.end)
            && self.write_flash(address, &vec![ERASED; length as usize])
    }

    /// Whether there is memory at `address` that can be read without any effect.
    pub(crate) fn is_memory(address: u32) -> bool {
        [FLASH, RAM, ENTRY_PAGE].iter().any(|region| region.contains(&address))
    }

    /// Sets a breakpoint at an instruction or at a system call's entry. False where neither can be, and beyond
    /// [`MAX_BREAKPOINTS`].
    pub(crate) fn insert_breakpoint(&mut self, address: u32) -> bool {
        let possible = FLASH.contains(&address) || RAM.contains(&address) || ENTRY_PAGE.contains(&address);
        if !possible || self.debugger.breakpoints >= MAX_BREAKPOINTS && !self.cpu.has_breakpoint(address) {
            return false;
        }
        self.debugger.breakpoints += u32::from(self.cpu.insert_breakpoint(address));
        true
    }

    /// Removes a breakpoint; false if there is none.
    pub(crate) fn remove_breakpoint(&mut self, address: u32) -> bool {
        let removed = self.cpu.remove_breakpoint(address);
        self.debugger.breakpoints -= u32::from(removed).min(self.debugger.breakpoints);
        removed
    }

    /// Whether any breakpoint or watchpoint is set.
    pub fn may_stop(&self) -> bool {
        self.debugger.breakpoints + self.debugger.watchpoints > 0
    }

    /// Watches memory. False beyond [`MAX_WATCHPOINTS`].
    pub(crate) fn insert_watchpoint(&mut self, watchpoint: Watchpoint) -> bool {
        if self.debugger.watchpoints >= MAX_WATCHPOINTS {
            return false;
        }
        self.debugger.watchpoints += 1;
        self.cpu.insert_watchpoint(watchpoint);
        true
    }

    /// Stops watching; false if this was not watched.
    pub(crate) fn remove_watchpoint(&mut self, watchpoint: &Watchpoint) -> bool {
        let removed = self.cpu.remove_watchpoint(watchpoint);
        self.debugger.watchpoints -= u32::from(removed).min(self.debugger.watchpoints);
        removed
    }
}

/// Bytes of the widest access at `address`, aligned, that takes no more than `left`.
fn width(address: u32, left: usize) -> usize {
    match left {
        4.. if address.is_multiple_of(4) => 4,
        2.. if address.is_multiple_of(2) => 2,
        _ => 1,
    }
}
