//! The platform under the kernel: what a port provides for the duration of one call.

use abi::Status;
use sansio::Instant;

use crate::memory::Memory;

/// Everything a port provides. The kernel keeps none of the references when a call returns.
pub struct Port<'a> {
    /// Time since the device started; never goes back.
    pub now: Instant,
    /// The application's memory.
    pub memory: &'a mut dyn Memory,
    /// The interrupt controller as the application sees it.
    pub interrupts: &'a mut dyn Interrupts,
    /// Clocks and registers.
    pub hardware: &'a mut dyn Hardware,
}

impl Port<'_> {
    /// `UNAVAILABLE` in a handler, for the calls whose documentation says so; all others work there (D05).
    pub(crate) fn require_thread_mode(&self) -> Result<(), Status> {
        if self.interrupts.in_handler() { Err(Status::Unavailable) } else { Ok(()) }
    }
}

/// The interrupt controller. `irq` is an external interrupt, 0 to 125.
pub trait Interrupts {
    /// Makes the line pending.
    fn pend(&mut self, irq: u16);
    /// Whether the application has enabled the line.
    fn is_enabled(&self, irq: u16) -> bool;
    /// Whether the line is pending: pended, and its handler not entered since.
    fn is_pending(&self, irq: u16) -> bool;
    /// Whether the application is in a handler (of any exception) as it makes this call.
    fn in_handler(&self) -> bool;
    /// The part of the controller that makes lines fast. `None` (the default) if there is none, or while the
    /// application is being stopped because a handler hung or interrupts flooded; after its restart they are available
    /// again.
    fn fast_lines(&mut self) -> Option<&mut dyn FastLines> {
        None
    }
}

/// Lines whose handlers may pre-empt the hypervisor's own threads. A fast line still belongs to the application; only
/// its priority changes, and only the kernel sets its enable bit: what the application writes there itself has no
/// effect.
pub trait FastLines {
    /// Where the application's vector table is (VTOR).
    fn vector_table(&self) -> u32;
    /// Puts the line's priority above the hypervisor's threads, or back among the application's own.
    fn set_fast(&mut self, irq: u16, fast: bool);
    /// Enables or disables the line in the controller. A pend that is there stays.
    fn set_enabled(&mut self, irq: u16, enabled: bool);
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
    /// Sets whether the system LED may show the connection's state; false (the default) if the device has no such LED.
    fn set_system_led(&mut self, _enabled: bool) -> bool {
        false
    }
    /// The application's part of the external flash; `None` (the default) if the device has none.
    fn external_flash(&mut self) -> Option<&mut dyn ExternalFlash> {
        None
    }
    /// The storage of Wi-Fi settings; `None` (the default) if the device has no Wi-Fi.
    fn wifi(&mut self) -> Option<&mut dyn Wifi> {
        None
    }
}

/// The application's part of the external NOR flash; addresses count from its start. The kernel keeps every access
/// within [`ExternalFlash::size`].
pub trait ExternalFlash {
    /// The chip's JEDEC identification.
    fn chip_id(&self) -> u32;
    /// Bytes of the application's part, a multiple of [`FLASH_SECTOR`](crate::limits::FLASH_SECTOR).
    fn size(&self) -> u32;
    /// Fills `into` from `address` on.
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), FlashFault>;
    /// Programs bytes, all within one page of [`FLASH_PAGE`](crate::limits::FLASH_PAGE): each byte becomes (old AND
    /// new), because programming turns ones to zeros and never back.
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault>;
    /// Turns every bit of the sector that begins at `address` to one.
    fn erase_sector(&mut self, address: u32) -> Result<(), FlashFault>;
}

/// The chip failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashFault;

/// The stored Wi-Fi settings. They survive a loss of power.
pub trait Wifi {
    /// Stores settings in place of the old ones, for connections from now on; false if they could not be stored. The
    /// name has 1 to 32 bytes, the password 0 (an open network) to 63.
    fn store(&mut self, ssid: &[u8], password: &[u8]) -> bool;
    /// Forgets the stored settings; the present connection stays. False if they could not be forgotten.
    fn clear(&mut self) -> bool;
    /// The stored settings, without the password; `None` if there are none.
    fn stored(&self) -> Option<WifiNetwork<'_>>;
}

/// The part of stored Wi-Fi settings that an application may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WifiNetwork<'a> {
    /// The network's name, at most 32 bytes.
    pub ssid: &'a [u8],
    /// Whether a password is stored with it.
    pub has_password: bool,
}

/// Why a connection ended or could not be made, as far as the port knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLoss {
    /// The device has no network under it: no carrier, no address.
    NoCarrier,
    /// The network is there, the cloud is not: no route, no name, refused, timed out, broken, or the peer was turned
    /// away.
    Unreachable,
    /// The kernel requested the end: it returned a violation, or [`Kernel::wants_link`](crate::Kernel::wants_link)
    /// became false.
    Requested,
}
