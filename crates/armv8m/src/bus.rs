//! What lies outside the processor: the peripherals, seen through one trait.

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

    /// The low bits of `value` that an access of this width moves.
    pub(crate) const fn cut(self, value: u32) -> u32 {
        match self {
            Self::Byte => value & 0xFF,
            Self::Half => value & 0xFFFF,
            Self::Word => value,
        }
    }
}

/// Nothing answers at this address, or it refuses the access: the application sees a precise bus fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusFault;

/// Everything that is neither flash, RAM nor inside the processor (0xE0000000 to 0xE00FFFFF).
///
/// Writes to flash never get here: they are bus faults. Accesses are aligned to their width. A narrow value sits in the low bits; the high bits of what `read` returns
/// for a narrow access are ignored.
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

/// No peripherals at all: every access is a bus fault.
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

/// The lines from a peripheral back to the processor, lent for the length of one access. What a peripheral changes
/// here takes effect before the next instruction.
pub struct Signals<'a> {
    pub(crate) nvic: &'a mut Nvic,
    pub(crate) cycles: Cycles,
    pub(crate) attention: bool,
    pub(crate) stop: bool,
    pub(crate) steady: bool,
}

impl Signals<'_> {
    /// The processor's cycle count at this access.
    pub fn cycles(&self) -> Cycles {
        self.cycles
    }
    /// Pends external interrupt `irq` as a pulse does. An `irq` that is not configured is ignored.
    pub fn pend(&mut self, irq: u16) {
        self.nvic.pend_irq(irq);
        self.attention = true;
    }
    /// Sets the level of interrupt line `irq`; a line that stays high pends again after its handler returns.
    pub fn set_level(&mut self, irq: u16, high: bool) {
        self.nvic.set_level(irq, high);
        self.attention = true;
    }
    /// Says of the read in progress that it has no effect, and that it gives the same value whenever it is made until the
    /// application writes to a peripheral or the host calls [`Cpu::input_changed`](crate::Cpu::input_changed).
    pub fn mark_steady(&mut self) {
        self.steady = true;
    }
    /// Makes the run return [`Exit::Yield`](crate::Exit::Yield) after this instruction, because a deadline changed.
    pub fn request_yield(&mut self) {
        self.attention = true;
        self.stop = true;
    }
}
