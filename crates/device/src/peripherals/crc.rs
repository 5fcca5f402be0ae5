//! The CRC unit: 7, 8, 16 or 32 bits by any polynomial, from any initial value, with bits reversed on either side.

use super::{Context, Peripheral, RegisterWrite};

/// First register.
pub const BASE: u32 = 0x4002_3000;

const DR: u32 = 0x00;
const IDR: u32 = 0x04;
const CR: u32 = 0x08;
const INIT: u32 = 0x10;
const POL: u32 = 0x14;

const RESET: u32 = 1;
/// CR: polynomial size, reversal of input and of output bits.
const CR_WRITABLE: u32 = 0xF8;
const POLYSIZE_AT: u32 = 3;
const REV_IN_AT: u32 = 5;
const REV_OUT: u32 = 1 << 7;

const USUAL_INIT: u32 = u32::MAX;
const USUAL_POLYNOMIAL: u32 = 0x04C1_1DB7;

/// The unit.
#[derive(Debug)]
pub struct Crc {
    control: u32,
    initial: u32,
    polynomial: u32,
    independent: u32,
    /// The register that is shifted; its lowest `width` bits count.
    value: u32,
}

impl Default for Crc {
    fn default() -> Self {
        Self {
            control: 0,
            initial: USUAL_INIT,
            polynomial: USUAL_POLYNOMIAL,
            independent: 0,
            value: USUAL_INIT,
        }
    }
}

impl Crc {
    /// Bits of the polynomial.
    fn width(&self) -> u32 {
        [32, 16, 8, 7][(self.control >> POLYSIZE_AT & 3) as usize]
    }

    fn mask(&self) -> u32 {
        u32::MAX >> (32 - self.width())
    }

    /// Takes the lowest `bits` of `data`, the highest of them first.
    fn feed(&mut self, data: u32, bits: u32) {
        let (width, mask) = (self.width(), self.mask());
        for bit in (0..bits).rev() {
            let top = self.value >> (width - 1) & 1 ^ data >> bit & 1;
            self.value = (self.value << 1 ^ if top == 1 { self.polynomial } else { 0 }) & mask;
        }
    }

    /// What is written, with its bits reversed as REV_IN says: in bytes, in half-words, in the word.
    fn turned(&self, data: u32, bits: u32) -> u32 {
        let reversal = (self.control >> REV_IN_AT & 3) as usize;
        if reversal == 0 {
            return data;
        }
        // A narrow write is reversed as a whole where the unit of reversal is wider.
        let unit = [0, 8, 16, 32][reversal].min(bits);
        let ones = u32::MAX >> (32 - unit);
        (0..bits).step_by(unit as usize).fold(0, |turned, at| {
            let part = data >> at & ones;
            turned | part.reverse_bits() >> (32 - unit) << at
        })
    }

    fn result(&self) -> u32 {
        let value = self.value & self.mask();
        if self.control & REV_OUT == 0 { value } else { value.reverse_bits() >> (32 - self.width()) }
    }

    fn control(&mut self, write: RegisterWrite) {
        self.control = write.apply_to(self.control, CR_WRITABLE);
        if write.ones() & RESET != 0 {
            self.value = self.initial & self.mask();
        }
    }
}

impl Peripheral for Crc {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            DR => self.result(),
            IDR => self.independent,
            CR => self.control,
            INIT => self.initial,
            POL => self.polynomial,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, _context: &mut Context<'_>) {
        match offset {
            DR => {
                // The width of the access decides how many bits are fed (RM0456, CRC_DR).
                let bits = write.mask.count_ones();
                let data = write.ones() >> write.mask.trailing_zeros();
                self.feed(self.turned(data, bits), bits);
            }
            IDR => self.independent = write.apply_to(self.independent, u32::MAX),
            CR => self.control(write),
            INIT => {
                self.initial = write.apply_to(self.initial, u32::MAX);
                self.value = self.initial & self.mask();
            }
            POL => self.polynomial = write.apply_to(self.polynomial, u32::MAX),
            _ => {}
        }
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    fn bench(control: u32, polynomial: u32, initial: u32) -> Bench {
        let mut bench = Bench::new(BASE, Box::<Crc>::default());
        bench.write(BASE + 0x14, polynomial);
        bench.write(BASE + 0x10, initial);
        bench.write(BASE + 0x08, control | 1);
        bench
    }

    /// The catalogue's check value of each: the CRC of "123456789".
    #[test]
    fn the_catalogues_check_values_come_out() {
        for (name, control, polynomial, initial, end, check) in [
            ("CRC-32", 0xA0, 0x04C1_1DB7, u32::MAX, u32::MAX, 0xCBF4_3926),
            ("CRC-32/MPEG-2", 0x00, 0x04C1_1DB7, u32::MAX, 0, 0x0376_E6E7),
            ("CRC-16/IBM-3740", 0x08, 0x1021, 0xFFFF, 0, 0x29B1),
            ("CRC-16/MODBUS", 0xA8, 0x8005, 0xFFFF, 0, 0x4B37),
            ("CRC-8/SMBUS", 0x10, 0x07, 0, 0, 0xF4),
            ("CRC-7/MMC", 0x18, 0x09, 0, 0, 0x75),
        ] {
            let mut bench = bench(control, polynomial, initial);
            for byte in b"123456789" {
                bench.write_bytes(BASE, 1, u32::from(*byte));
            }
            assert_eq!(bench.read(BASE) ^ end, check, "{name}");
        }
    }

    #[test]
    fn a_word_is_as_good_as_its_bytes_from_the_highest() {
        let mut word = bench(0, USUAL_POLYNOMIAL, USUAL_INIT);
        word.write(BASE, 0x3132_3334);
        let mut bytes = bench(0, USUAL_POLYNOMIAL, USUAL_INIT);
        for byte in b"1234" {
            bytes.write_bytes(BASE, 1, u32::from(*byte));
        }
        let mut halves = bench(0, USUAL_POLYNOMIAL, USUAL_INIT);
        halves.write_bytes(BASE, 2, 0x3132);
        halves.write_bytes(BASE, 2, 0x3334);
        let expected = bytes.read(BASE);
        assert_eq!((word.read(BASE), halves.read(BASE)), (expected, expected));
    }

    #[test]
    fn input_is_reversed_in_the_selected_units() {
        for (control, turned) in
            [(0x00, 0x1234_5678), (0x20, 0x482C_6A1E), (0x40, 0x2C48_1E6A), (0x60, 0x1E6A_2C48)]
        {
            let mut reversed = bench(control, USUAL_POLYNOMIAL, USUAL_INIT);
            reversed.write(BASE, 0x1234_5678);
            let mut plain = bench(0, USUAL_POLYNOMIAL, USUAL_INIT);
            plain.write(BASE, turned);
            assert_eq!(reversed.read(BASE), plain.read(BASE), "CR {control:#x}");
        }
    }

    #[test]
    fn its_other_register_is_only_kept() {
        let mut bench = bench(0, USUAL_POLYNOMIAL, USUAL_INIT);
        bench.write(BASE + 4, 0xDEAD_BEEF);
        bench.write(BASE + 8, 1);
        assert_eq!((bench.read(BASE + 4), bench.read(BASE)), (0xDEAD_BEEF, USUAL_INIT));
    }
}
