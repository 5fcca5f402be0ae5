//! The MCP9808, a thermometer (data sheet DS25095): a pointer register, then 16 bits, the higher byte first.
//! Its alert output is not modelled; the limits are kept and compared in the register of the temperature.

use super::{Parts, Quantities, Source, steps};
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;

const CONFIG: u8 = 1;
const UPPER: u8 = 2;
const CRITICAL: u8 = 4;
const AMBIENT: u8 = 5;
const MANUFACTURER: u8 = 6;
const DEVICE: u8 = 7;
const RESOLUTION: u8 = 8;

const SHUTDOWN: u16 = 1 << 8;
/// A temperature in sixteenths of a degree, with its sign in the topmost bit.
const TEMPERATURE: u16 = 0x1FFF;
/// The lowest two bits of a limit do not exist.
const LIMIT: u16 = 0x1FFC;
const MANUFACTURER_ID: u16 = 0x0054;
const DEVICE_ID: u16 = 0x0400;

/// The thermometer.
#[derive(Debug)]
pub struct Mcp9808 {
    address: u8,
    quantities: Quantities,
    pointer: u8,
    config: u16,
    /// Upper, lower, critical.
    limits: [u16; 3],
    resolution: u8,
    /// The last temperature, kept while it is shut down.
    ambient: u16,
    /// Byte of the transfer: the pointer is the first that is written.
    at: usize,
    high: u8,
}

impl Mcp9808 {
    /// A thermometer after power-on.
    pub fn new(parts: Parts) -> Mcp9808 {
        Mcp9808 {
            address: parts.address,
            quantities: parts.quantities,
            pointer: 0,
            config: 0,
            limits: [0; 3],
            resolution: 3,
            ambient: 0,
            at: 0,
            high: 0,
        }
    }

    fn measure(&mut self, now: u64) {
        if self.config & SHUTDOWN == 0 {
            // Coarser resolutions leave the lowest bits zero.
            let coarse = 3 - u16::from(self.resolution & 3);
            let sixteenths = steps(self.quantities.value("temperature", now), 0.0625, 13);
            self.ambient = sixteenths.cast_unsigned() as u16 & TEMPERATURE & !((1 << coarse) - 1);
        }
    }

    /// The temperature with its three comparisons above it.
    fn ambient(&self) -> u16 {
        let signed = |value: u16| (value << 3).cast_signed();
        let [upper, lower, critical] = self.limits.map(signed);
        let is = signed(self.ambient);
        let flag = |set: bool, bit: u16| u16::from(set) << bit;
        self.ambient | flag(is >= critical, 15) | flag(is > upper, 14) | flag(is < lower, 13)
    }

    fn register(&self) -> u16 {
        match self.pointer {
            CONFIG => self.config,
            UPPER..=CRITICAL => self.limits[usize::from(self.pointer - UPPER)],
            AMBIENT => self.ambient(),
            MANUFACTURER => MANUFACTURER_ID,
            DEVICE => DEVICE_ID,
            // Eight bits wide: the same byte in both places.
            RESOLUTION => u16::from(self.resolution) * 0x0101,
            _ => 0,
        }
    }

    fn set_register(&mut self, value: u16) {
        match self.pointer {
            CONFIG => self.config = value & 0x07FF,
            UPPER..=CRITICAL => self.limits[usize::from(self.pointer - UPPER)] = value & LIMIT,
            _ => {}
        }
    }
}

impl Target for Mcp9808 {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, read: bool, context: &mut Context<'_>) {
        self.at = 0;
        if read {
            self.measure(context.now);
        }
    }

    fn write(&mut self, byte: u8, _context: &mut Context<'_>) -> bool {
        match self.at {
            0 => self.pointer = byte & 0xF,
            1 if self.pointer == RESOLUTION => self.resolution = byte & 3,
            1 => self.high = byte,
            2 => self.set_register(u16::from_be_bytes([self.high, byte])),
            _ => {}
        }
        self.at += 1;
        true
    }

    fn read(&mut self, _context: &mut Context<'_>) -> u8 {
        let byte = self.register().to_be_bytes()[self.at % 2];
        self.at += 1;
        byte
    }

    fn set(&mut self, quantity: &str, value: f64, _now: u64) -> bool {
        self.quantities.set(quantity, Source::Constant(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Wired;

    #[test]
    fn it_says_who_it_is() {
        let mut wired = Wired::new("mcp9808@0x1a");
        assert_eq!(wired.read(&[6], 2), [0x00, 0x54]);
        assert_eq!(wired.read(&[7], 2), [0x04, 0x00]);
    }

    #[test]
    fn temperatures_are_sixteenths_with_a_sign() {
        for (value, bytes) in [
            ("25.25", [0x01, 0x94]),
            ("0", [0x00, 0x00]),
            ("-0.0625", [0x1F, 0xFF]),
            ("-40", [0x1D, 0x80]),
            ("125", [0x07, 0xD0]),
        ] {
            let mut wired = Wired::new(&format!("mcp9808,temperature={value}"));
            // Limits that no temperature is beyond.
            wired.write(&[2, 0x07, 0xFC]);
            wired.write(&[3, 0x18, 0x00]);
            wired.write(&[4, 0x07, 0xFC]);
            assert_eq!(wired.read(&[5], 2), bytes, "{value}");
        }
    }

    #[test]
    fn limits_are_compared() {
        let mut wired = Wired::new("mcp9808,temperature=30");
        wired.write(&[2, 0x01, 0x90]); // 25
        wired.write(&[3, 0x02, 0x00]); // 32
        wired.write(&[4, 0x01, 0xE0]); // 30
        assert_eq!(wired.read(&[5], 2), [0xE1, 0xE0]);
        assert_eq!(wired.read(&[4], 2), [0x01, 0xE0]);
    }

    #[test]
    fn shut_down_it_keeps_its_last_temperature() {
        let mut wired = Wired::new("mcp9808,temperature=20..30/10s");
        wired.write(&[4, 0x07, 0xFC]);
        wired.write(&[2, 0x07, 0xFC]);
        assert_eq!(wired.read(&[5], 2), [0x01, 0x40]);
        wired.write(&[1, 0x01, 0x00]);
        wired.pass_seconds(5);
        assert_eq!(wired.read(&[5], 2), [0x01, 0x40]);
        wired.write(&[1, 0x00, 0x00]);
        assert_eq!(wired.read(&[5], 2), [0x01, 0x90]);
    }

    #[test]
    fn a_coarse_resolution_leaves_bits_out() {
        let mut wired = Wired::new("mcp9808,temperature=20.4375");
        wired.write(&[4, 0x07, 0xFC]);
        wired.write(&[2, 0x07, 0xFC]);
        assert_eq!(wired.read(&[5], 2), [0x01, 0x47]);
        wired.write(&[8, 0]);
        assert_eq!((wired.read(&[8], 1), wired.read(&[5], 2)), (vec![0], vec![0x01, 0x40]));
    }

    #[test]
    fn its_temperature_can_be_set_from_outside() {
        let mut wired = Wired::new("mcp9808");
        assert!(wired.set("temperature", 100.0));
        assert!(!wired.set("humidity", 1.0));
        wired.write(&[2, 0x07, 0xFC]);
        wired.write(&[4, 0x07, 0xFC]);
        assert_eq!(wired.read(&[5], 2), [0x06, 0x40]);
    }
}
