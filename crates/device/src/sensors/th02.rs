//! The TH02, a hygrometer and thermometer (data sheet of Hoperf): a conversion is started, takes its time, and leaves
//! 14 or 12 bits in two registers.

use armv8m::Cycles;

use super::{Parts, Quantities, Source, steps};
use crate::memory_map::CLOCK_HZ;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;

const STATUS: u8 = 0;
const DATA_HIGH: u8 = 1;
const DATA_LOW: u8 = 2;
const CONFIG: u8 = 3;
const ID: u8 = 17;

const BUSY: u8 = 1;
const START: u8 = 1;
const TEMPERATURE: u8 = 1 << 4;
const FAST: u8 = 1 << 5;
const CONFIG_WRITABLE: u8 = START | 1 << 1 | TEMPERATURE | FAST;
const TH02_ID: u8 = 0x50;

const MILLISECOND: u64 = CLOCK_HZ as u64 / 1000;
const CONVERSION: u64 = 35 * MILLISECOND;
const FAST_CONVERSION: u64 = 18 * MILLISECOND;

/// The sensor.
#[derive(Debug)]
pub struct Th02 {
    address: u8,
    quantities: Quantities,
    pointer: u8,
    config: u8,
    data: u16,
    /// The cycle at which a conversion is over.
    ready_at: Option<Cycles>,
    pointed: bool,
}

impl Th02 {
    /// A sensor after power-on.
    pub fn new(parts: Parts) -> Self {
        Self {
            address: parts.address,
            quantities: parts.quantities,
            pointer: 0,
            config: 0,
            data: 0,
            ready_at: None,
            pointed: false,
        }
    }

    /// Ends a conversion that is over by `now`. What it measured was so at its end.
    fn update(&mut self, now: Cycles) {
        let Some(at) = self.ready_at.filter(|at| *at <= now) else { return };
        self.ready_at = None;
        self.config &= !START;
        // Data sheet: temperature = value / 32 - 50 and humidity = value / 16 - 24, left-aligned in 16 bits.
        self.data = if self.config & TEMPERATURE != 0 {
            whole((self.quantities.value("temperature", at) + 50.0) * 32.0, 14) << 2
        } else {
            whole((self.quantities.value("humidity", at) + 24.0) * 16.0, 12) << 4
        };
    }

    fn configure(&mut self, value: u8, now: Cycles) {
        self.config = value & CONFIG_WRITABLE;
        if self.config & START != 0 {
            let takes = if self.config & FAST != 0 { FAST_CONVERSION } else { CONVERSION };
            self.ready_at = Some(now + takes);
        }
    }

    fn register(&self) -> u8 {
        match self.pointer {
            STATUS => u8::from(self.ready_at.is_some()) * BUSY,
            DATA_HIGH => self.data.to_be_bytes()[0],
            DATA_LOW => self.data.to_be_bytes()[1],
            CONFIG => self.config,
            ID => TH02_ID,
            _ => 0,
        }
    }
}

/// `value` as a whole number of `bits` bits. One bit more, because `steps` has a sign and this has none.
fn whole(value: f64, bits: u32) -> u16 {
    steps(value, 1.0, bits + 1).max(0).cast_unsigned() as u16
}

impl Target for Th02 {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _read: bool, context: &mut Context<'_>) {
        self.pointed = false;
        self.update(context.now);
    }

    fn write(&mut self, byte: u8, context: &mut Context<'_>) -> bool {
        if self.pointed {
            if self.pointer == CONFIG {
                self.configure(byte, context.now);
            }
            self.pointer = self.pointer.wrapping_add(1);
        } else {
            (self.pointer, self.pointed) = (byte, true);
        }
        true
    }

    fn read(&mut self, _context: &mut Context<'_>) -> u8 {
        let byte = self.register();
        self.pointer = self.pointer.wrapping_add(1);
        byte
    }

    fn set(&mut self, quantity: &str, value: f64, _now: Cycles) -> bool {
        self.quantities.set(quantity, Source::Constant(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Wired;

    #[test]
    fn it_says_who_it_is() {
        assert_eq!(Wired::new("th02").read(&[17], 1), [0x50]);
    }

    #[test]
    fn a_temperature_takes_35_milliseconds() {
        let mut wired = Wired::new("th02,temperature=25.5");
        wired.write(&[3, 0x11]);
        wired.pass_micros(34_999);
        assert_eq!(wired.read(&[0], 1), [1]);
        wired.pass_micros(1);
        // (25.5 + 50) · 32 = 2416, in the higher 14 bits.
        assert_eq!(wired.read(&[0], 3), [0, 0x25, 0xC0]);
        assert_eq!(wired.read(&[3], 1), [0x10], "START clears itself");
    }

    #[test]
    fn a_fast_humidity_takes_18() {
        let mut wired = Wired::new("th02,humidity=60");
        wired.write(&[3, 0x21]);
        wired.pass_micros(17_999);
        assert_eq!(wired.read(&[0], 1), [1]);
        wired.pass_micros(1);
        // (60 + 24) · 16 = 1344, in the higher 12 bits.
        assert_eq!(wired.read(&[0], 3), [0, 0x54, 0x00]);
    }

    #[test]
    fn extremes_fit() {
        for (quantity, config, data) in [
            ("temperature=-40", 0x11, [0x05, 0x00]),
            ("temperature=85", 0x11, [0x43, 0x80]),
            ("humidity=0", 0x01, [0x18, 0x00]),
            ("humidity=100", 0x01, [0x7C, 0x00]),
        ] {
            let mut wired = Wired::new(&format!("th02,{quantity}"));
            wired.write(&[3, config]);
            wired.pass_micros(35_000);
            assert_eq!(wired.read(&[1], 2), data, "{quantity}");
        }
    }
}
