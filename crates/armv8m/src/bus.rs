//! The interface to the peripherals outside the processor.

use crate::Cycles;
use crate::nvic::Nvic;

/// The width of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
}

impl Width {
    /// Bytes the access covers: 1, 2 or 4.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
        }
    }

    /// The low bits of `value` that an access of this width transfers.
    pub(crate) const fn truncate(self, value: u32) -> u32 {
        match self {
            Self::Byte => value & 0xFF,
            Self::Half => value & 0xFFFF,
            Self::Word => value,
        }
    }
}

/// There is nothing at this address, or it refuses the access: a precise BusFault for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusFault;

/// The peripherals: everything that is neither flash, nor RAM, nor inside the processor (0xE0000000 to 0xE00FFFFF).
///
/// Accesses are aligned to their width. A narrow value is in the low bits; of what `read` returns for a narrow access,
/// the high bits are ignored. Writes to flash do not arrive here: they are bus faults.
pub trait Bus {
    /// Reads from a peripheral.
    fn read(&mut self, address: u32, width: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault>;
    /// Writes to a peripheral.
    fn write(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        signals: &mut Signals<'_>,
    ) -> Result<(), BusFault>;
}

/// A bus without peripherals: every access is a bus fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyBus;

impl Bus for EmptyBus {
    fn read(&mut self, _: u32, _: Width, _: &mut Signals<'_>) -> Result<u32, BusFault> {
        Err(BusFault)
    }
    fn write(&mut self, _: u32, _: Width, _: u32, _: &mut Signals<'_>) -> Result<(), BusFault> {
        Err(BusFault)
    }
}

/// The signals from a peripheral to the processor, passed with each access. They take effect before the next
/// instruction.
pub struct Signals<'a> {
    pub(crate) nvic: &'a mut Nvic,
    pub(crate) cycles: Cycles,
    pub(crate) needs_service: bool,
    pub(crate) yields: bool,
    pub(crate) steady: bool,
}

impl Signals<'_> {
    /// The processor's cycle count at this access.
    pub fn cycles(&self) -> Cycles {
        self.cycles
    }
    /// Whether external interrupt `irq` is pending.
    pub fn is_pending(&self, irq: u16) -> bool {
        self.nvic.external(irq).is_some_and(|number| self.nvic.pending.contains(number))
    }
    /// Whether external interrupt `irq` is enabled.
    pub fn is_enabled(&self, irq: u16) -> bool {
        self.nvic.external(irq).is_some_and(|number| self.nvic.enabled.contains(number))
    }
    /// Pends external interrupt `irq` as a pulse does. An `irq` that is not configured is ignored.
    pub fn pend(&mut self, irq: u16) {
        self.nvic.pend_irq(irq);
        self.needs_service = true;
    }
    /// Sets the level of interrupt line `irq`. A line that is still high when its handler returns pends again.
    pub fn set_level(&mut self, irq: u16, high: bool) {
        self.nvic.set_level(irq, high);
        self.needs_service = true;
    }
    /// Marks the read in progress as steady: it has no side effect, and it returns the same value until the application
    /// writes to a peripheral or the host calls [`Cpu::input_changed`](crate::Cpu::input_changed). A loop that polls a
    /// steady register can be recognised as idle ([`Exit::Spin`](crate::Exit::Spin)).
    pub fn mark_steady(&mut self) {
        self.steady = true;
    }
    /// Makes the run return [`Exit::Yield`](crate::Exit::Yield) after this instruction, for example because the access
    /// started something that the host has to finish sooner than the end of its budget.
    pub fn request_yield(&mut self) {
        self.needs_service = true;
        self.yields = true;
    }
}
