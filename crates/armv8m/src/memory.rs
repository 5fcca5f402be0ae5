//! Flash and RAM as plain slices, and the routing of data accesses to memory, the private peripheral bus or the host's
//! bus.
//!
//! The fast path is inlined into the interpreter's loop: as long as `Memory::direct` is set, a load or store of flash
//! or RAM needs only a range check. Everything else takes `read_slow` and `write_slow`.

use std::sync::Arc;

use crate::bus::{Bus, Signals, Width};
use crate::fault::Event;
use crate::spin::Journal;
use crate::state::Core;
use crate::trial::UndoLog;

/// The private peripheral bus.
const PPB: std::ops::Range<u32> = 0xE000_0000..0xE010_0000;

pub(crate) struct Memory {
    pub flash_base: u32,
    pub flash: Arc<[u8]>,
    pub ram_base: u32,
    pub ram: Box<[u8]>,
    /// Accesses need no checks except their range: the MPU is off, unaligned accesses are allowed, nothing is watched
    /// or recorded.
    pub direct: bool,
    /// The MPU has not been enabled since reset, so nothing can forbid reading a literal.
    pub fold_literals: bool,
    /// Decoded code in RAM lies at offsets `code_start .. code_start + code_len`.
    pub code_start: usize,
    pub code_len: usize,
    /// Records writes during an observation ([`crate::spin`]); then no access is direct.
    pub journal: Option<Box<Journal>>,
    /// Records writes of a trial run ([`crate::trial`]), which is rolled back; then no access is direct.
    pub undo: Option<Box<UndoLog>>,
}

/// `N` bytes at `offset`, if they lie within `bytes`.
#[inline(always)]
fn read_array<const N: usize>(bytes: &[u8], offset: u32) -> Option<[u8; N]> {
    let offset = offset as usize;
    bytes.get(offset..offset + N)?.try_into().ok()
}

impl Memory {
    /// A placeholder without memory, while a reset moves the real one.
    pub(crate) fn empty() -> Self {
        Self {
            flash_base: 0,
            flash: Arc::from([]),
            ram_base: 0,
            ram: Box::from([]),
            direct: false,
            fold_literals: false,
            code_start: 0,
            code_len: 0,
            journal: None,
            undo: None,
        }
    }

    /// `N` bytes of RAM or flash at `address`.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, address: u32) -> Option<[u8; N]> {
        read_array(&self.ram, address.wrapping_sub(self.ram_base))
            .or_else(|| read_array(&self.flash, address.wrapping_sub(self.flash_base)))
    }

    /// Writes RAM, unless decoded code may be there.
    #[inline(always)]
    fn write_data<const N: usize>(&mut self, address: u32, value: [u8; N]) -> bool {
        let offset = address.wrapping_sub(self.ram_base) as usize;
        // The range extends past the last instruction, so that one comparison of the last byte is enough.
        if (offset + N - 1).wrapping_sub(self.code_start) < self.code_len {
            return false;
        }
        let Some(ram) = self.ram.get_mut(offset..offset + N) else { return false };
        ram.copy_from_slice(&value);
        true
    }

    /// `length` bytes of RAM or flash from `address` on.
    pub(crate) fn slice(&self, address: u32, length: usize) -> Option<&[u8]> {
        let within = |base: u32, bytes: &'_ [u8]| {
            let start = address.wrapping_sub(base) as usize;
            (start.checked_add(length)? <= bytes.len()).then_some(start)
        };
        match within(self.ram_base, &self.ram) {
            Some(start) => Some(&self.ram[start..start + length]),
            None => within(self.flash_base, &self.flash).map(|start| &self.flash[start..start + length]),
        }
    }

    /// `length` bytes of RAM from `address` on, which the caller overwrites.
    pub(crate) fn ram_slice(&mut self, address: u32, length: usize) -> Option<&mut [u8]> {
        let start = address.wrapping_sub(self.ram_base) as usize;
        let end = start.checked_add(length)?;
        self.journal_write(start, end);
        self.ram.get_mut(start..end)
    }

    /// Whether decoded code may be at RAM offsets `start .. start + length`.
    pub(crate) fn touches_code(&self, start: usize, length: usize) -> bool {
        start < self.code_start + self.code_len && self.code_start < start + length
    }
}

macro_rules! accessors {
    ($read:ident, $write:ident, $type:ty, $width:expr) => {
        /// Reads with the privilege of running code.
        #[inline(always)]
        pub(crate) fn $read(&mut self, bus: &mut dyn Bus, address: u32) -> Result<u32, Event> {
            if self.memory.direct
                && let Some(bytes) = self.memory.read(address)
            {
                return Ok(u32::from(<$type>::from_le_bytes(bytes)));
            }
            self.read_slow(bus, address, $width, self.privileged())
        }

        /// Writes with the privilege of running code.
        #[inline(always)]
        pub(crate) fn $write(&mut self, bus: &mut dyn Bus, address: u32, value: u32) -> Result<(), Event> {
            if self.memory.direct && self.memory.write_data(address, (value as $type).to_le_bytes()) {
                return Ok(());
            }
            self.write_slow(bus, address, $width, value, self.privileged())
        }
    };
}

impl Core {
    accessors!(read_word, write_word, u32, Width::Word);
    accessors!(read_half, write_half, u16, Width::Half);
    accessors!(read_byte, write_byte, u8, Width::Byte);

    /// Reads that are not direct: checks alignment, permission and watchpoints, then routes the access.
    #[inline(never)]
    pub(crate) fn read_slow(
        &mut self,
        bus: &mut dyn Bus,
        address: u32,
        width: Width,
        privileged: bool,
    ) -> Result<u32, Event> {
        self.check_access(address, width, privileged, false)?;
        self.check_watchpoints(address, width.bytes(), false)?;
        if let Some(bytes) = self.memory.slice(address, width.bytes() as usize) {
            return Ok(little_endian(bytes));
        }
        if PPB.contains(&address) {
            self.record_external_access();
            if self.on_trial {
                return Err(Event::precise_bus_fault(address));
            }
            return self.read_ppb_register(address, width, privileged);
        }
        match self.with_signals(|signals| bus.read(address, width, signals)) {
            Some(value) => Ok(width.truncate(value)),
            None if self.ignores_bus_faults() => Ok(0),
            None => Err(Event::precise_bus_fault(address)),
        }
    }

    /// Writes that are not direct.
    #[inline(never)]
    pub(crate) fn write_slow(
        &mut self,
        bus: &mut dyn Bus,
        address: u32,
        width: Width,
        value: u32,
        privileged: bool,
    ) -> Result<(), Event> {
        self.check_access(address, width, privileged, true)?;
        self.check_watchpoints(address, width.bytes(), true)?;
        let length = width.bytes() as usize;
        if let Some(ram) = self.memory.ram_slice(address, length) {
            ram.copy_from_slice(&value.to_le_bytes()[..length]);
            self.invalidate_written_code(address, length);
            return Ok(());
        }
        self.record_external_access();
        if PPB.contains(&address) {
            if self.on_trial {
                return Err(Event::precise_bus_fault(address));
            }
            return self.write_ppb_register(address, width, value, privileged);
        }
        if self.is_in_memory(address, width) {
            return self.flash_is_read_only(address);
        }
        match self.with_signals(|signals| bus.write(address, width, width.truncate(value), signals)) {
            None if !self.ignores_bus_faults() => Err(Event::precise_bus_fault(address)),
            _ => Ok(()),
        }
    }

    fn check_access(&self, address: u32, width: Width, privileged: bool, write: bool) -> Result<(), Event> {
        let misaligned = address & (width.bytes() - 1) != 0;
        if misaligned && (self.scb.traps_unaligned() || !self.is_in_memory(address, width)) {
            return Err(Event::UNALIGNED);
        }
        self.mpu_check(address, width.bytes(), privileged, write)
    }

    /// Whether an access lies wholly in flash or RAM, which is Normal memory and may be accessed unaligned.
    fn is_in_memory(&self, address: u32, width: Width) -> bool {
        self.memory.slice(address, width.bytes() as usize).is_some()
    }

    fn flash_is_read_only(&self, address: u32) -> Result<(), Event> {
        if self.ignores_bus_faults() { Ok(()) } else { Err(Event::precise_bus_fault(address)) }
    }

    /// CCR.BFHFNMIGN: handlers at negative priority may probe addresses without a fault; a refused read gives zero.
    fn ignores_bus_faults(&self) -> bool {
        self.scb.ignores_bus_faults() && self.execution_priority < 0
    }

    /// Has decoded code at `address` invalidated before the next instruction, if there is any.
    pub(crate) fn invalidate_written_code(&mut self, address: u32, length: usize) {
        let start = address.wrapping_sub(self.memory.ram_base) as usize;
        if !self.memory.touches_code(start, length) {
            return;
        }
        let end = address.saturating_add(length as u32);
        self.stale_code = Some(match self.stale_code.take() {
            Some(old) => old.start.min(address)..old.end.max(end),
            None => address..end,
        });
        self.request_service();
    }

    /// Makes an access to the host's bus and applies the signals it raises.
    fn with_signals<T, E>(&mut self, access: impl FnOnce(&mut Signals<'_>) -> Result<T, E>) -> Option<T> {
        let mut signals = Signals {
            nvic: &mut self.nvic,
            cycles: self.cycles,
            needs_service: false,
            yields: false,
            steady: false,
        };
        let result = access(&mut signals);
        let (needs_service, yields, steady) = (signals.needs_service, signals.yields, signals.steady);
        if !steady {
            self.record_external_access();
        }
        self.yield_requested |= yields;
        if needs_service {
            self.request_service();
        }
        result.ok()
    }

    /// Records that running code accesses something outside registers and memory.
    fn record_external_access(&mut self) {
        self.external_activity = true;
        self.accessed |= !self.in_handler_mode();
    }

    /// Recomputes [`Memory::direct`].
    pub(crate) fn update_direct(&mut self) {
        let recorded = self.memory.journal.is_some() || self.memory.undo.is_some();
        let watched = recorded || !self.debug.watchpoints.is_empty();
        self.memory.direct = !self.mpu.enabled() && !self.scb.traps_unaligned() && !watched;
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}
