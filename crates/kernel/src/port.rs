//! What a port lends the kernel for the length of one entry.

use crate::memory::Memory;

/// Everything a port lends. The kernel keeps none of it: when an entry returns, it has forgotten the references.
pub struct Port<'a> {
    /// Microseconds since the device started; never goes back.
    pub now: u64,
    /// The application's memory.
    pub memory: &'a mut dyn Memory,
    /// The interrupt controller as the application sees it.
    pub interrupts: &'a mut dyn Interrupts,
    /// Clocks and registers.
    pub hardware: &'a mut dyn Hardware,
}

/// The interrupt controller. Lines are external interrupts, 0 to 125.
pub trait Interrupts {
    /// Makes the line pending.
    fn pend(&mut self, irq: u16);
    /// Whether the application has enabled the line.
    fn is_enabled(&self, irq: u16) -> bool;
    /// Whether the line is pending: pended, and its handler not entered since.
    fn is_pending(&self, irq: u16) -> bool;
    /// Whether the application is in a handler (of any exception) as it makes this call.
    fn in_handler(&self) -> bool;
}

/// A clock of the application's half of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// SYSCLK.
    System,
    /// HCLK, of the processor and the AHB.
    Ahb,
    /// PCLK1, of APB1.
    Apb1,
    /// PCLK2, of APB2.
    Apb2,
}

/// Clocks and the registers the application reaches by call only.
pub trait Hardware {
    /// The clock's frequency, hertz.
    fn clock_hz(&self, clock: Clock) -> u32;
    /// Reads a register; `None` if the application may not reach it. The address is a multiple of 4.
    fn peek(&mut self, register: u32) -> Option<u32>;
    /// Sets the register to (old AND NOT mask) XOR `xor` as far as the application may change it; false if it may not
    /// reach the register at all. The address is a multiple of 4.
    fn poke(&mut self, register: u32, mask: u32, xor: u32) -> bool;
}

/// Why a connection ended or did not come to be, as far as the port can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLoss {
    /// The device has no network under it: no carrier, no address.
    NoCarrier,
    /// The network is there, the cloud is not: no route, no name, refused, timed out, broken, or the peer was turned
    /// away.
    Unreachable,
    /// The kernel no longer wanted it, or asked for its end ([`Kernel::receive`](crate::Kernel::receive) refused, or
    /// [`Kernel::wants_link`](crate::Kernel::wants_link) turned false).
    Asked,
}
