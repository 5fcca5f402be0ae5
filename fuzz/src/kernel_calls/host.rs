//! The kernel in its hostile environment: memory that changes, interrupts, a board, all as one core.

use std::cell::{Cell, RefCell};

use abi::memory::{
    APPLICATION_FLASH_LENGTH, APPLICATION_FLASH_START, APPLICATION_RAM_LENGTH, APPLICATION_RAM_START,
};
use abi::power::WakeReason;
use kernel::limits::{FLASH_PAGE, FLASH_SECTOR};
use kernel::{
    Boot, Clock, ExternalFlash, FastLines, FlashFault, Hardware, Interrupts, Kernel, LinkInput, Memory,
    MemoryFault, Policy, Port, Violation, Wifi, WifiNetwork,
};
use sansio::{Instant, StateMachine};

use super::kit::RAM;

/// RAM that may change whenever the kernel has looked at it.
pub(super) struct Ram {
    pub bytes: RefCell<Vec<u8>>,
    /// Every read of this number is followed by a change; 0 for never.
    pub disturb_every: Cell<u32>,
    reads: Cell<u32>,
}

impl Ram {
    fn range(address: u32, length: usize) -> Result<std::ops::Range<usize>, MemoryFault> {
        let inside = |start: u32, size: u32| {
            address >= start && u64::from(address) + length as u64 <= u64::from(start) + u64::from(size)
        };
        let in_ram = inside(APPLICATION_RAM_START, APPLICATION_RAM_LENGTH);
        let in_flash = inside(APPLICATION_FLASH_START, APPLICATION_FLASH_LENGTH);
        assert!(in_ram || in_flash || length == 0, "the kernel asks for {length} bytes at {address:#x}");
        let start = address.checked_sub(APPLICATION_RAM_START).ok_or(MemoryFault)? as usize;
        let end = start.checked_add(length).filter(|end| *end <= RAM).ok_or(MemoryFault)?;
        Ok(start..end)
    }

    fn disturb(&self, range: std::ops::Range<usize>) {
        let reads = self.reads.get().wrapping_add(1);
        self.reads.set(reads);
        if self.disturb_every.get() != 0
            && reads.is_multiple_of(self.disturb_every.get())
            && !range.is_empty()
        {
            let at = range.start + reads as usize % range.len();
            let value = [0, 0xff, reads as u8, 0x20][reads as usize / 7 % 4];
            self.bytes.borrow_mut()[at] = value;
        }
    }
}

impl Memory for Ram {
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let range = Self::range(address, into.len())?;
        into.copy_from_slice(&self.bytes.borrow()[range.clone()]);
        self.disturb(range);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let range = Self::range(address, bytes.len())?;
        self.bytes.borrow_mut()[range].copy_from_slice(bytes);
        Ok(())
    }
}

pub(super) struct Lines {
    pub pending: u128,
    pub enabled: u128,
    pub in_handler: bool,
}

impl Interrupts for Lines {
    fn pend(&mut self, irq: u16) {
        self.pending |= 1 << irq;
    }
    fn is_enabled(&self, irq: u16) -> bool {
        self.enabled >> irq & 1 != 0
    }
    fn is_pending(&self, irq: u16) -> bool {
        self.pending >> irq & 1 != 0
    }
    fn in_handler(&self) -> bool {
        self.in_handler
    }
    fn fast_lines(&mut self) -> Option<&mut dyn FastLines> {
        Some(self)
    }
}

/// A flash and Wi-Fi settings, each there or not.
pub(super) struct Board {
    flash: Option<Flash>,
    wifi: Option<Settings>,
}

/// Two sectors.
struct Flash(Vec<u8>);

impl Flash {
    fn range(&self, address: u32, length: usize) -> std::ops::Range<usize> {
        let start = address as usize;
        assert!(start + length <= self.0.len(), "{length} bytes at {address:#x} of the flash");
        start..start + length
    }
}

impl ExternalFlash for Flash {
    fn chip_id(&self) -> u32 {
        0xc2_2539
    }
    fn size(&self) -> u32 {
        self.0.len() as u32
    }
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), FlashFault> {
        let range = self.range(address, into.len());
        into.copy_from_slice(&self.0[range]);
        Ok(())
    }
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        let within = address % FLASH_PAGE + bytes.len() as u32;
        assert!(within <= FLASH_PAGE, "programmed across a page");
        let range = self.range(address, bytes.len());
        for (old, new) in self.0[range].iter_mut().zip(bytes) {
            *old &= new;
        }
        if address.is_multiple_of(1024) && bytes.first() == Some(&0) { Err(FlashFault) } else { Ok(()) }
    }
    fn erase_sector(&mut self, address: u32) -> Result<(), FlashFault> {
        assert!(address.is_multiple_of(FLASH_SECTOR), "erased at {address:#x}");
        let range = self.range(address, FLASH_SECTOR as usize);
        self.0[range].fill(0xff);
        Ok(())
    }
}

/// The network's name; empty for no settings.
struct Settings(Vec<u8>);

impl Wifi for Settings {
    fn store(&mut self, ssid: &[u8], password: &[u8]) -> bool {
        assert!((1..=32).contains(&ssid.len()) && password.len() <= 63, "settings too long");
        self.0 = ssid.to_vec();
        true
    }
    fn clear(&mut self) -> bool {
        self.0.clear();
        true
    }
    fn stored(&self) -> Option<WifiNetwork<'_>> {
        (!self.0.is_empty()).then_some(WifiNetwork { ssid: &self.0, has_password: true })
    }
}

impl FastLines for Lines {
    fn vector_table(&self) -> u32 {
        APPLICATION_FLASH_START
    }
    fn set_fast(&mut self, irq: u16, _fast: bool) {
        assert!(irq < 126);
    }
    fn set_enabled(&mut self, irq: u16, enabled: bool) {
        self.enabled = self.enabled & !(1 << irq) | u128::from(enabled) << irq;
    }
}

impl Hardware for Board {
    fn external_flash(&mut self) -> Option<&mut dyn ExternalFlash> {
        self.flash.as_mut().map(|flash| flash as &mut dyn ExternalFlash)
    }
    fn wifi(&mut self) -> Option<&mut dyn Wifi> {
        self.wifi.as_mut().map(|wifi| wifi as &mut dyn Wifi)
    }
    fn set_system_led(&mut self, _enabled: bool) -> bool {
        true
    }
    fn clock_hz(&self, _clock: Clock) -> u32 {
        160_000_000
    }
    fn peek(&mut self, register: u32) -> Option<u32> {
        assert!(register.is_multiple_of(4));
        (register < 0x100).then_some(register)
    }
    fn poke(&mut self, register: u32, _mask: u32, _xor: u32) -> bool {
        assert!(register.is_multiple_of(4));
        register < 0x100
    }
}

/// A kernel and the port around it.
///
/// As a [`StateMachine`] it is the link side of a device: an output is what the port writes to the transport at once.
pub(super) struct Host {
    pub kernel: Kernel,
    pub ram: Ram,
    pub lines: Lines,
    board: Board,
    pub now: Instant,
}

impl Host {
    pub(super) fn new(seed: u8) -> Self {
        let boot = Boot {
            device_id: [b'U'; 34],
            seed: [seed; 16],
            wake_reason: WakeReason::ColdBoot,
            image: [0; 32],
            policy: Policy::default(),
            application_test: seed & 1 != 0,
        };
        let ram = Ram { bytes: RefCell::new(vec![0; RAM]), disturb_every: Cell::new(0), reads: Cell::new(0) };
        let lines = Lines { pending: 0, enabled: u128::MAX, in_handler: false };
        let board = Board {
            flash: (seed & 2 == 0).then(|| Flash(vec![0xff; 2 * FLASH_SECTOR as usize])),
            wifi: (seed & 4 != 0).then(|| Settings(Vec::new())),
        };
        Self { kernel: Kernel::new(&boot), ram, lines, board, now: Instant::from_millis(1) }
    }

    /// Runs `f` with the kernel and a port.
    pub(super) fn with_kernel<R>(&mut self, f: impl FnOnce(&mut Kernel, &mut Port<'_>) -> R) -> R {
        let mut port = Port {
            now: self.now,
            memory: &mut self.ram,
            interrupts: &mut self.lines,
            hardware: &mut self.board,
        };
        f(&mut self.kernel, &mut port)
    }
}

impl StateMachine for Host {
    type Time = Instant;
    type Input<'a> = LinkInput<'a>;
    type Output = Vec<u8>;
    type Error = Violation;

    const TIMEOUT: LinkInput<'static> = LinkInput::Timeout;

    fn handle(&mut self, now: Instant, input: LinkInput<'_>) -> Result<(), Violation> {
        self.now = now;
        self.with_kernel(|kernel, port| kernel.handle(port, input))
    }

    fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.now = now;
        let mut out = vec![0; 1500];
        let count = self.with_kernel(|kernel, port| kernel.transmit(port, &mut out));
        out.truncate(count);
        (count > 0).then_some(out)
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.kernel.next_timeout()
    }
}
