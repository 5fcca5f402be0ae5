//! The LIS3DH, an accelerometer (data sheet of ST): three axes at a chosen rate and range, data ready, and interrupt 1
//! with its thresholds, which can be wired to a pin. Its FIFO, clicks, filters, ADC and self-test are not modelled; their registers are kept.

use super::{Parts, Quantities, Source, steps};
use crate::map::CLOCK_HZ;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;
use crate::wiring::Pin;

const WHO_AM_I: u8 = 0x0F;
const IDENTITY: u8 = 0x33;
const CTRL_REG1: u8 = 0x20;
const CTRL_REG3: u8 = 0x22;
const CTRL_REG4: u8 = 0x23;
const CTRL_REG5: u8 = 0x24;
const CTRL_REG6: u8 = 0x25;
const STATUS: u8 = 0x27;
const OUT_X_L: u8 = 0x28;
const OUT_Z_H: u8 = 0x2D;
const INT1_CFG: u8 = 0x30;
const INT1_SRC: u8 = 0x31;
const INT1_THS: u8 = 0x32;
/// The sub-address moves on after each byte if its topmost bit is set.
const GO_ON: u8 = 0x80;

const LOW_POWER: u8 = 1 << 3;
const HIGH_RESOLUTION: u8 = 1 << 3;
const BIG_ENDIAN: u8 = 1 << 6;
const BOOT: u8 = 1 << 7;
/// CTRL_REG3: what raises interrupt 1.
const INT1_AOI: u8 = 1 << 6;
const INT1_READY: u8 = 1 << 4;
const LATCH: u8 = 1 << 3;
const ACTIVE_LOW: u8 = 1 << 1;
const ALL_OF_THEM: u8 = 1 << 7;
/// INT1_CFG and INT1_SRC: a bit for each axis and direction.
const EVENTS: u8 = 0x3F;
const ACTIVE: u8 = 1 << 6;
/// STATUS: new data on all axes, and on each.
const NEW_DATA: u8 = 0x0F;
/// Those of the axes alone.
const NEW_AXES: u8 = 0x07;
const OVERRUN: u8 = 0xF0;

const AXES: [&str; 3] = ["x", "y", "z"];
/// Rates by CTRL_REG1's field, in hertz; the last in low power is another.
const RATES: [u32; 10] = [0, 1, 10, 25, 50, 100, 200, 400, 1600, 1344];
const FASTEST_LOW_POWER: u32 = 5376;
/// Milli-g a step of the 12-bit form, by range; eight bits have 16 times that.
const SENSITIVITY: [f64; 4] = [1.0, 2.0, 4.0, 12.0];
/// Milli-g a step of a threshold, by range.
const THRESHOLD: [f64; 4] = [16.0, 32.0, 62.0, 186.0];

/// The sensor.
#[derive(Debug)]
pub struct Lis3dh {
    address: u8,
    quantities: Quantities,
    pin: Option<Pin>,
    registers: [u8; 0x40],
    pointer: u8,
    pointed: bool,
    /// Since when it measures at the present rate, and how many samples were taken by then.
    since: u64,
    samples: u64,
    sample: [i16; 3],
    new: u8,
    source: u8,
    /// Level of interrupt 1's output as last told.
    told: bool,
}

impl Lis3dh {
    /// A sensor after power-on: it measures nothing.
    pub fn new(parts: Parts) -> Lis3dh {
        let mut registers = [0; 0x40];
        registers[usize::from(CTRL_REG1)] = 0x07;
        registers[usize::from(WHO_AM_I)] = IDENTITY;
        Lis3dh {
            address: parts.address,
            quantities: parts.quantities,
            pin: parts.pin,
            registers,
            pointer: 0,
            pointed: false,
            since: 0,
            samples: 0,
            sample: [0; 3],
            new: 0,
            source: 0,
            told: false,
        }
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register)]
    }

    fn is_low_power(&self) -> bool {
        self.register(CTRL_REG1) & LOW_POWER != 0
    }

    /// Cycles from one sample to the next; `None` in power-down.
    fn period(&self) -> Option<u64> {
        let field = usize::from(self.register(CTRL_REG1) >> 4);
        let rate = match *RATES.get(field)? {
            1344 if self.is_low_power() => FASTEST_LOW_POWER,
            rate => rate,
        };
        (rate != 0).then(|| u64::from(CLOCK_HZ) / u64::from(rate))
    }

    fn range(&self) -> usize {
        usize::from(self.register(CTRL_REG4) >> 4 & 3)
    }

    /// Takes the samples that are due by `now`; of several only the last is seen.
    fn settle(&mut self, now: u64) {
        let Some(period) = self.period() else { return };
        let samples = now.saturating_sub(self.since) / period;
        if samples == self.samples {
            return;
        }
        // A sample nobody read before the next came is overrun.
        self.new = if self.new != 0 || samples > self.samples + 1 { NEW_DATA | OVERRUN } else { NEW_DATA };
        self.samples = samples;
        let at = self.since + samples * period;
        self.sample = AXES.map(|axis| self.convert(self.quantities.value(axis, at)));
        self.compare();
    }

    /// An acceleration in g as the registers have it: left in 16 bits, as many bits as the mode measures.
    fn convert(&self, g: f64) -> i16 {
        let twelfth = steps(g * 1000.0, SENSITIVITY[self.range()], 12) as i16;
        let bits = match (self.is_low_power(), self.register(CTRL_REG4) & HIGH_RESOLUTION != 0) {
            (true, _) => 8,
            (false, true) => 12,
            (false, false) => 10,
        };
        twelfth << 4 & !0 << (16 - bits)
    }

    /// Interrupt 1: each axis against the threshold, from both sides.
    fn compare(&mut self) {
        let config = self.register(INT1_CFG);
        let threshold = f64::from(self.register(INT1_THS) & 0x7F) * THRESHOLD[self.range()];
        let mut events = 0;
        for (axis, value) in self.sample.into_iter().enumerate() {
            let size = f64::from(value >> 4) * SENSITIVITY[self.range()];
            let high = size.abs() > threshold;
            events |= if high { 2 } else { 1 } << (2 * axis);
        }
        let asked = config & EVENTS;
        let happened = events & asked;
        let active = asked != 0 && if config & ALL_OF_THEM != 0 { happened == asked } else { happened != 0 };
        let latched = self.register(CTRL_REG5) & LATCH != 0 && self.source & ACTIVE != 0;
        if active {
            self.source = happened | ACTIVE;
        } else if !latched {
            self.source = 0;
        }
    }

    /// Drives the pin interrupt 1 is wired to.
    fn drive(&mut self, context: &mut Context<'_>) {
        let Some(pin) = self.pin else { return };
        let asked = self.register(CTRL_REG3);
        let active = asked & INT1_AOI != 0 && self.source & ACTIVE != 0
            || asked & INT1_READY != 0 && self.new & NEW_DATA != 0;
        let level = active != (self.register(CTRL_REG6) & ACTIVE_LOW != 0);
        if level != self.told {
            self.told = level;
            context.driven.push((pin, level));
        }
    }

    fn take(&mut self) -> u8 {
        let register = self.pointer & !GO_ON & 0x3F;
        match register {
            STATUS => self.new,
            OUT_X_L..=OUT_Z_H => self.take_sample(register - OUT_X_L),
            // Reading says that the event was seen.
            INT1_SRC => std::mem::take(&mut self.source),
            _ => self.register(register),
        }
    }

    fn take_sample(&mut self, byte: u8) -> u8 {
        let axis = usize::from(byte / 2);
        self.new &= !(0x11 << axis);
        if self.new & NEW_AXES == 0 {
            self.new = 0;
        }
        let high = (byte % 2 == 1) != (self.register(CTRL_REG4) & BIG_ENDIAN != 0);
        self.sample[axis].to_le_bytes()[usize::from(high)]
    }

    fn give(&mut self, byte: u8, now: u64) {
        let register = self.pointer & !GO_ON & 0x3F;
        if !matches!(register, 0x1F..=0x26 | 0x2E | 0x30 | 0x32..=0x34 | 0x36..=0x38 | 0x3A..=0x3F) {
            return;
        }
        let byte = if register == CTRL_REG5 { byte & !BOOT } else { byte };
        let was = std::mem::replace(&mut self.registers[usize::from(register)], byte);
        if register == CTRL_REG1 && (was ^ byte) & (0xF0 | LOW_POWER) != 0 {
            (self.since, self.samples, self.new) = (now, 0, 0);
        }
    }

    fn move_on(&mut self) {
        if self.pointer & GO_ON != 0 {
            self.pointer = GO_ON | (self.pointer + 1) & 0x3F;
        }
    }
}

impl Target for Lis3dh {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _read: bool, context: &mut Context<'_>) {
        self.pointed = false;
        self.settle(context.now);
    }

    fn write(&mut self, byte: u8, context: &mut Context<'_>) -> bool {
        if self.pointed {
            self.give(byte, context.now);
            self.move_on();
        } else {
            (self.pointer, self.pointed) = (byte, true);
        }
        true
    }

    fn read(&mut self, _context: &mut Context<'_>) -> u8 {
        let byte = self.take();
        self.move_on();
        byte
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.drive(context);
    }

    /// Only a wired pin makes its samples matter to anybody who does not ask for them.
    fn next_event(&self) -> Option<u64> {
        self.pin.filter(|_| self.register(CTRL_REG3) & (INT1_AOI | INT1_READY) != 0)?;
        Some(self.since + (self.samples + 1) * self.period()?)
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        self.settle(context.now);
        self.drive(context);
    }

    fn set(&mut self, quantity: &str, value: f64, _now: u64) -> bool {
        self.quantities.set(quantity, Source::Constant(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Wired;

    fn axes(wired: &mut Wired) -> [i16; 3] {
        let bytes = wired.read(&[0x28 | 0x80], 6);
        [0, 2, 4].map(|at| i16::from_le_bytes([bytes[at], bytes[at + 1]]))
    }

    #[test]
    fn it_says_who_it_is_and_keeps_its_settings() {
        let mut wired = Wired::new("lis3dh@0x19");
        assert_eq!(wired.read(&[0x0F], 1), [0x33]);
        wired.write(&[0x20 | 0x80, 0x57, 0x00, 0x40]);
        assert_eq!(wired.read(&[0x20 | 0x80], 3), [0x57, 0x00, 0x40]);
        assert_eq!(wired.read(&[0x20], 3), [0x57; 3], "without the topmost bit it stays where it is");
    }

    #[test]
    fn accelerations_come_in_the_range_and_resolution_asked_for() {
        for (control, expected) in [
            (0x08, [8000, -16000, 16000]), // 2 g, 12 bits: 1 mg a step, left by 4
            (0x00, [8000, -16000, 16000]), // 10 bits hold these too
            (0x18, [4000, -8000, 8000]),   // 4 g
            (0x38, [672, -1328, 1328]),    // 16 g: 12 mg a step
        ] {
            let mut wired = Wired::new("lis3dh,x=0.5,y=-1,z=1");
            wired.write(&[0x23, control]);
            wired.write(&[0x20, 0x57]);
            wired.pass_micros(10_000);
            assert_eq!(axes(&mut wired), expected, "{control:#x}");
        }
    }

    #[test]
    fn a_sample_is_new_once_and_overrun_when_missed() {
        let mut wired = Wired::new("lis3dh");
        wired.write(&[0x20, 0x57]);
        assert_eq!(wired.read(&[0x27], 1), [0]);
        wired.pass_micros(10_000);
        assert_eq!(wired.read(&[0x27], 1), [0x0F]);
        axes(&mut wired);
        assert_eq!(wired.read(&[0x27], 1), [0]);
        wired.pass_micros(20_000);
        assert_eq!(wired.read(&[0x27], 1), [0xFF]);
    }

    #[test]
    fn in_power_down_nothing_is_measured() {
        let mut wired = Wired::new("lis3dh");
        wired.pass_seconds(10);
        assert_eq!((wired.read(&[0x27], 1), axes(&mut wired)), (vec![0], [0; 3]));
    }

    #[test]
    fn interrupt_1_drives_its_pin_at_the_sample_beyond_the_threshold() {
        // X goes from 0 to 2 g in two seconds; the threshold is 1008 mg.
        let mut wired = Wired::new("lis3dh,x=0..2/2s,int1=PF3");
        wired.write(&[0x20, 0x57]);
        wired.write(&[0x22, 0x40]);
        wired.write(&[0x24, 0x08]);
        wired.write(&[0x32, 63]);
        wired.write(&[0x30, 0x02]);
        assert!(wired.pass_seconds(1).is_empty());
        assert_eq!(wired.pass_micros(20_000).len(), 1);
        assert_eq!(wired.read(&[0x31], 1), [0x42]);
        assert_eq!(wired.take_driven(), [("PF3".to_owned(), false)], "reading the source clears it");
    }

    #[test]
    fn data_ready_drives_its_pin_at_each_sample_that_is_read() {
        let mut wired = Wired::new("lis3dh,int1=PB11");
        wired.write(&[0x22, 0x10]);
        wired.write(&[0x20, 0x57]);
        for _ in 0..3 {
            assert_eq!(wired.pass_micros(10_000), [("PB11".to_owned(), true)]);
            axes(&mut wired);
            assert_eq!(wired.take_driven(), [("PB11".to_owned(), false)]);
        }
    }
}
