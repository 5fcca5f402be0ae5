//! What hangs on the model device's processor: clocks, a register, the LED, the external flash, the Wi-Fi settings.

use kernel::limits::{FLASH_PAGE, FLASH_SECTOR};
use kernel::{Clock, ExternalFlash, FlashFault, Hardware, Wifi, WifiNetwork};

/// One register the model has.
pub(crate) const REGISTER: u32 = 0x4602_0c1c;
/// Sectors of the model's flash.
pub(crate) const SECTORS: u32 = 8;

/// The board.
pub(crate) struct Board {
    pub register: u32,
    /// Whether the LED may show the connection; `None` if there is no LED.
    pub led: Option<bool>,
    pub flash: Option<Nor>,
    pub wifi: Option<Settings>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { register: 0x0f, led: Some(true), flash: Some(Nor::new()), wifi: Some(Settings::default()) }
    }

    /// A board with nothing on it.
    pub(crate) fn bare() -> Self {
        Self { register: 0x0f, led: None, flash: None, wifi: None }
    }

    pub(crate) fn nor(&mut self) -> &mut Nor {
        self.flash.as_mut().expect("a board with flash")
    }
}

impl Hardware for Board {
    fn clock_hz(&self, clock: Clock) -> u32 {
        match clock {
            Clock::System => 1,
            Clock::Ahb => 2,
            Clock::Apb1 => 3,
            Clock::Apb2 => 4,
        }
    }
    fn peek(&mut self, register: u32) -> Option<u32> {
        (register == REGISTER).then_some(self.register)
    }
    fn poke(&mut self, register: u32, mask: u32, xor: u32) -> bool {
        let known = register == REGISTER;
        if known {
            self.register = (self.register & !mask) ^ xor;
        }
        known
    }
    fn set_system_led(&mut self, enabled: bool) -> bool {
        self.led.replace(enabled).is_some()
    }
    fn external_flash(&mut self) -> Option<&mut dyn ExternalFlash> {
        self.flash.as_mut().map(|flash| flash as &mut dyn ExternalFlash)
    }
    fn wifi(&mut self) -> Option<&mut dyn Wifi> {
        self.wifi.as_mut().map(|wifi| wifi as &mut dyn Wifi)
    }
}

/// A NOR flash: programming clears bits, erasing sets those of a sector. It counts what it is told, and minds pages.
pub(crate) struct Nor {
    pub bytes: Vec<u8>,
    pub programmed: Vec<(u32, usize)>,
    pub erased: Vec<u32>,
    pub broken: bool,
}

impl Nor {
    fn new() -> Self {
        let bytes = vec![0xff; (SECTORS * FLASH_SECTOR) as usize];
        Self { bytes, programmed: Vec::new(), erased: Vec::new(), broken: false }
    }

    fn works(&self) -> Result<(), FlashFault> {
        if self.broken { Err(FlashFault) } else { Ok(()) }
    }
}

impl ExternalFlash for Nor {
    fn chip_id(&self) -> u32 {
        0x00c2_2539
    }
    fn size(&self) -> u32 {
        self.bytes.len() as u32
    }
    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), FlashFault> {
        let start = address as usize;
        into.copy_from_slice(&self.bytes[start..start + into.len()]);
        self.works()
    }
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        self.works()?;
        let start = address as usize;
        assert!(!bytes.is_empty(), "nothing to program");
        let last = address + bytes.len() as u32 - 1;
        assert_eq!(address / FLASH_PAGE, last / FLASH_PAGE, "a chip wraps within its page");
        for (old, new) in self.bytes[start..].iter_mut().zip(bytes) {
            *old &= new;
        }
        self.programmed.push((address, bytes.len()));
        Ok(())
    }
    fn erase_sector(&mut self, address: u32) -> Result<(), FlashFault> {
        self.works()?;
        assert!(address.is_multiple_of(FLASH_SECTOR));
        self.bytes[address as usize..][..FLASH_SECTOR as usize].fill(0xff);
        self.erased.push(address);
        Ok(())
    }
}

/// Wi-Fi settings, and whether they can be stored.
#[derive(Default)]
pub(crate) struct Settings {
    pub stored: Option<(Vec<u8>, Vec<u8>)>,
    pub broken: bool,
}

impl Wifi for Settings {
    fn store(&mut self, ssid: &[u8], password: &[u8]) -> bool {
        if !self.broken {
            self.stored = Some((ssid.to_vec(), password.to_vec()));
        }
        !self.broken
    }
    fn clear(&mut self) -> bool {
        if !self.broken {
            self.stored = None;
        }
        !self.broken
    }
    fn stored(&self) -> Option<WifiNetwork<'_>> {
        let (ssid, password) = self.stored.as_ref()?;
        Some(WifiNetwork { ssid, has_password: !password.is_empty() })
    }
}
