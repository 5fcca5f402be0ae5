//! What outlives the device's power: the application's part of the external flash, and the Wi-Fi settings.
//!
//! Either in memory, and then only as long as the device exists, or in files of the identity's folder:
//!
//! | file | content |
//! |---|---|
//! | `external-flash` | the bytes from the start; what lies beyond the file's end is erased |
//! | `wifi` | name and password, a line of hexadecimal digits each; readable by the owner only |
//!
//! Neither file exists before the application stores something.

mod flash;
mod wifi;

use std::path::Path;

pub use flash::{CHIP_ID, Flash, SIZE};
use kernel::Wifi;
pub use wifi::Settings;

const FLASH_FILE: &str = "external-flash";
const WIFI_FILE: &str = "wifi";

/// Everything that outlives power.
#[derive(Debug, Default)]
pub struct Storage {
    /// The external flash.
    pub flash: Flash,
    /// The Wi-Fi settings.
    pub wifi: Settings,
}

impl Storage {
    /// Storage in files of `folder`, which exists. What cannot be read there counts as erased, and fails when it is
    /// used.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            flash: Flash::in_file(folder.join(FLASH_FILE)),
            wifi: Settings::in_file(folder.join(WIFI_FILE)),
        }
    }

    /// Storage in memory: an external flash that begins with `flash`, and the Wi-Fi settings, if there are any, by name
    /// and whether there is a password. The password itself has no effect.
    pub fn with_content(flash: Vec<u8>, wifi: Option<(Vec<u8>, bool)>) -> Self {
        let mut settings = Settings::default();
        if let Some((ssid, has_password)) = wifi {
            settings.store(&ssid, if has_password { b"?" } else { b"" });
        }
        Self { flash: Flash::with_content(flash), wifi: settings }
    }

    /// What is stored: the external flash without the erased bytes at its end, and the Wi-Fi settings as
    /// [`Storage::with_content`] takes them. A flash that cannot be read counts as erased.
    pub fn content(&mut self) -> (Vec<u8>, Option<(Vec<u8>, bool)>) {
        let wifi = self.wifi.stored().map(|network| (network.ssid.to_vec(), network.has_password));
        (self.flash.content(), wifi)
    }
}

#[cfg(test)]
mod tests;
