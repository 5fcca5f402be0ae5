//! The hardware: clocks, a register, the LED, the external flash, the Wi-Fi settings.

use kernel::limits::{FLASH_PAGE, FLASH_SECTOR};
use kernel::{Clock, ExternalFlash, FlashFault, Hardware, Wifi, WifiNetwork};

/// The one register that can be reached by call.
pub const REGISTER: u32 = 0x4602_0c1c;
/// Sectors of the external flash.
pub const SECTORS: u32 = 8;

/// The hardware of a device.
pub struct TestBoard {
    /// The value of [`REGISTER`].
    pub register: u32,
    /// Whether the LED may show the connection; `None` if there is no LED.
    pub led: Option<bool>,
    /// The external flash, if there is one.
    pub flash: Option<NorFlash>,
    /// The Wi-Fi settings, if there is Wi-Fi.
    pub wifi: Option<WifiSettings>,
}

impl Default for TestBoard {
    fn default() -> Self {
        Self::new()
    }
}

impl TestBoard {
    /// Hardware with everything.
    pub fn new() -> Self {
        Self {
            register: 0x0f,
            led: Some(true),
            flash: Some(NorFlash::new()),
            wifi: Some(WifiSettings::default()),
        }
    }

    /// Hardware without anything optional.
    pub fn bare() -> Self {
        Self { register: 0x0f, led: None, flash: None, wifi: None }
    }

    /// The external flash.
    pub fn nor(&mut self) -> &mut NorFlash {
        self.flash.as_mut().expect("a board with flash")
    }
}

impl Hardware for TestBoard {
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

/// A NOR flash: programming clears bits within a page, erasing sets those of a sector. It records every access.
pub struct NorFlash {
    /// The contents.
    pub bytes: Vec<u8>,
    /// What was programmed: address and length.
    pub programmed: Vec<(u32, usize)>,
    /// Sectors that were erased.
    pub erased: Vec<u32>,
    /// Whether every access fails.
    pub broken: bool,
}

impl NorFlash {
    fn new() -> Self {
        let bytes = vec![0xff; (SECTORS * FLASH_SECTOR) as usize];
        Self { bytes, programmed: Vec::new(), erased: Vec::new(), broken: false }
    }

    fn works(&self) -> Result<(), FlashFault> {
        if self.broken { Err(FlashFault) } else { Ok(()) }
    }
}

impl ExternalFlash for NorFlash {
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

/// Stored Wi-Fi settings.
#[derive(Default)]
pub struct WifiSettings {
    /// SSID and password.
    pub stored: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether settings cannot be stored.
    pub broken: bool,
}

impl Wifi for WifiSettings {
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
