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
    /// Storage in files of `folder`, which exists. What cannot be read there counts as erased, and fails when it is used.
    pub fn in_folder(folder: &Path) -> Storage {
        Storage {
            flash: Flash::in_file(folder.join(FLASH_FILE)),
            wifi: Settings::in_file(folder.join(WIFI_FILE)),
        }
    }
}

#[cfg(test)]
mod tests;
