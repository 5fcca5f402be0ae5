//! Flash and RAM as plain slices, and the way from an address to what answers there.

use std::sync::Arc;

use crate::bus::{Bus, Signals, Width};
use crate::fault::Event;
use crate::spin::Journal;
use crate::state::Core;
use crate::trial::UndoLog;

/// Private peripherals: inside the processor.
const PRIVATE: std::ops::Range<u32> = 0xE000_0000..0xE010_0000;

pub(crate) struct Memory {
    pub flash_base: u32,
    pub flash: Arc<[u8]>,
    pub ram_base: u32,
    pub ram: Box<[u8]>,
    /// Accesses need no checks beyond their range: the MPU is off and unaligned accesses are allowed.
    pub direct: bool,
    /// The MPU was never enabled since reset: nothing can forbid reading a literal.
    pub fold_literals: bool,
    /// RAM offsets that hold decoded code lie in `code_start .. code_start + code_len`.
    pub code_start: usize,
    pub code_len: usize,
    /// What is written, while someone wants to know; then no access is direct.
    pub journal: Option<Box<Journal>>,
    /// What was written, while a trial run may have to be taken back; then no access is direct.
    pub undo: Option<Box<UndoLog>>,
}

/// `N` bytes at `offset`, if they lie within `bytes`.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], offset: u32) -> Option<[u8; N]> {
    let offset = offset as usize;
    bytes.get(offset..offset + N)?.try_into().ok()
}

impl Memory {
    /// No memory at all; only ever a placeholder.
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
        part(&self.ram, address.wrapping_sub(self.ram_base))
            .or_else(|| part(&self.flash, address.wrapping_sub(self.flash_base)))
    }

    /// Writes RAM unless the place holds decoded code.
    #[inline(always)]
    fn write_data<const N: usize>(&mut self, address: u32, value: [u8; N]) -> bool {
        let offset = address.wrapping_sub(self.ram_base) as usize;
        if (offset + N - 1).wrapping_sub(self.code_start) < self.code_len {
            return false;
        }
        let Some(place) = self.ram.get_mut(offset..offset + N) else { return false };
        place.copy_from_slice(&value);
        true
    }

    /// The bytes of RAM or flash from `address` on, `length` of them.
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

    /// The bytes of RAM from `address` on, `length` of them, to be written.
    pub(crate) fn ram_slice(&mut self, address: u32, length: usize) -> Option<&mut [u8]> {
        let start = address.wrapping_sub(self.ram_base) as usize;
        let end = start.checked_add(length)?;
        self.note_write(start, end);
        self.ram.get_mut(start..end)
    }

    /// Whether `start .. start + length` (RAM offsets) touches decoded code.
    pub(crate) fn touches_code(&self, start: usize, length: usize) -> bool {
        start < self.code_start + self.code_len && self.code_start < start + length
    }
}

macro_rules! accessors {
    ($read:ident, $write:ident, $type:ty, $width:expr) => {
        /// Reads as running code does.
        #[inline(always)]
        pub(crate) fn $read(&mut self, bus: &mut dyn Bus, address: u32) -> Result<u32, Event> {
            if self.memory.direct
                && let Some(bytes) = self.memory.read(address)
            {
                return Ok(u32::from(<$type>::from_le_bytes(bytes)));
            }
            self.read_slow(bus, address, $width, self.privileged())
        }

        /// Writes as running code does.
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

    /// Every read that is not a plain one: checks alignment and permission, then finds who answers.
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
        if PRIVATE.contains(&address) {
            self.note_access();
            if self.on_trial {
                return Err(Event::precise(address));
            }
            return self.read_private(address, width, privileged);
        }
        match self.with_signals(|signals| bus.read(address, width, signals)) {
            Some(value) => Ok(width.cut(value)),
            None if self.ignores_bus_faults() => Ok(0),
            None => Err(Event::precise(address)),
        }
    }

    /// Every write that is not a plain one.
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
        if let Some(place) = self.memory.ram_slice(address, length) {
            place.copy_from_slice(&value.to_le_bytes()[..length]);
            self.note_code_write(address, length);
            return Ok(());
        }
        self.note_access();
        if PRIVATE.contains(&address) {
            if self.on_trial {
                return Err(Event::precise(address));
            }
            return self.write_private(address, width, value, privileged);
        }
        if self.plain_memory(address, width) {
            return self.flash_is_read_only(address);
        }
        match self.with_signals(|signals| bus.write(address, width, width.cut(value), signals)) {
            None if !self.ignores_bus_faults() => Err(Event::precise(address)),
            _ => Ok(()),
        }
    }

    fn check_access(&self, address: u32, width: Width, privileged: bool, write: bool) -> Result<(), Event> {
        let misaligned = address & (width.bytes() - 1) != 0;
        if misaligned && (self.scb.traps_unaligned() || !self.plain_memory(address, width)) {
            return Err(Event::UNALIGNED);
        }
        self.mpu_check(address, width.bytes(), privileged, write)
    }

    /// Whether an access stays in flash or in RAM, where it may be unaligned.
    fn plain_memory(&self, address: u32, width: Width) -> bool {
        self.memory.slice(address, width.bytes() as usize).is_some()
    }

    fn flash_is_read_only(&self, address: u32) -> Result<(), Event> {
        if self.ignores_bus_faults() { Ok(()) } else { Err(Event::precise(address)) }
    }

    /// CCR.BFHFNMIGN: handlers at negative priority may probe addresses.
    fn ignores_bus_faults(&self) -> bool {
        self.scb.ignores_bus_faults() && self.execution_priority < 0
    }

    /// Marks decoded code at `address` as stale if there is any.
    pub(crate) fn note_code_write(&mut self, address: u32, length: usize) {
        let start = address.wrapping_sub(self.memory.ram_base) as usize;
        if !self.memory.touches_code(start, length) {
            return;
        }
        let end = address.saturating_add(length as u32);
        self.stale = Some(match self.stale.take() {
            Some(old) => old.start.min(address)..old.end.max(end),
            None => address..end,
        });
        self.attention();
    }

    /// Lends the interrupt lines to a peripheral for one access and takes note of what it did with them.
    fn with_signals<T, E>(&mut self, access: impl FnOnce(&mut Signals<'_>) -> Result<T, E>) -> Option<T> {
        let mut signals = Signals {
            nvic: &mut self.nvic,
            cycles: self.cycles,
            attention: false,
            stop: false,
            steady: false,
        };
        let result = access(&mut signals);
        let (attention, stop, steady) = (signals.attention, signals.stop, signals.steady);
        if !steady {
            self.note_access();
        }
        self.yield_requested |= stop;
        if attention {
            self.attention();
        }
        result.ok()
    }

    /// Running code accesses something outside registers and memory.
    fn note_access(&mut self) {
        self.disturbed = true;
        self.accessed |= !self.in_handler_mode();
    }

    /// Recomputes whether accesses may go straight to the slices.
    pub(crate) fn update_direct(&mut self) {
        let logged = self.memory.journal.is_some() || self.memory.undo.is_some();
        let watched = logged || !self.debug.watchpoints.is_empty();
        self.memory.direct = !self.mpu.enabled() && !self.scb.traps_unaligned() && !watched;
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}
