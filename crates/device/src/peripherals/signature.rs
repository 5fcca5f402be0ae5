//! The microcontroller's electronic signature: a number of its own, and the size of its flash.

use super::{Context, Peripheral, RegisterWrite};

/// First register.
pub const BASE: u32 = 0x0BFA_0700;

const UID_END: u32 = 0x0C;
const FLASHSIZE: u32 = 0xA0;

/// Kilobytes of flash in the whole microcontroller; half of it is the application's.
const FLASH_KILOBYTES: u32 = 2048;

/// The signature.
pub struct Signature {
    unique: [u8; 12],
}

impl Signature {
    /// The signature of the microcontroller with the number `unique`.
    pub fn new(unique: [u8; 12]) -> Self {
        Self { unique }
    }
}

impl Peripheral for Signature {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            0..UID_END => {
                let at = offset as usize;
                u32::from_le_bytes([0, 1, 2, 3].map(|byte| self.unique[at + byte]))
            }
            FLASHSIZE => FLASH_KILOBYTES,
            _ => 0,
        }
    }

    fn write(&mut self, _offset: u32, _store: RegisterWrite, _context: &mut Context<'_>) {}

    fn reset(&mut self, _context: &mut Context<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[test]
    fn it_reports_its_number_and_the_flash_size() {
        let mut bench = Bench::new(BASE, Box::new(Signature::new([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])));
        let words = [0x0BFA_0700, 0x0BFA_0704, 0x0BFA_0708, 0x0BFA_07A0].map(|address| bench.read(address));
        assert_eq!(words, [0x0403_0201, 0x0807_0605, 0x0C0B_0A09, 2048]);
    }
}
