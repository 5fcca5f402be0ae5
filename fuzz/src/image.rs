//! An application image: an ELF file or a raw one, of hostile bytes.

use device::image::Image;

/// Flash of an application, bytes.
const FLASH: usize = abi::memory::APPLICATION_FLASH_LENGTH as usize;

pub(crate) fn run(bytes: &[u8]) {
    if let Ok(image) = Image::parse(bytes) {
        let flash = image.flash();
        assert!(flash.len() <= FLASH, "an image of {} bytes", flash.len());
        assert!(flash.len() >= 8, "an image without vectors");
    }
}
