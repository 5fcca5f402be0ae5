//! The LIS3DH, an accelerometer (data sheet of ST): three axes at a chosen rate and range, data ready, two interrupt
//! generators, clicks, and the high-pass filter before them; both interrupt outputs can be wired to pins. Its FIFO,
//! activity detection, ADC and self-test are not modelled; their registers can be written and read.
//!
//! A tap is a pulse on one axis, set as the quantity [`TAP`].

mod click;
mod generator;

use click::Clicks;
use generator::Generator;

use armv8m::Cycles;

use super::{Parts, Quantities, Source, steps};
use crate::memory_map::CLOCK_HZ;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;
use crate::pin::Pin;

const WHO_AM_I: u8 = 0x0F;
const IDENTITY: u8 = 0x33;
const CTRL_REG1: u8 = 0x20;
const CTRL_REG2: u8 = 0x21;
const CTRL_REG3: u8 = 0x22;
const CTRL_REG4: u8 = 0x23;
const CTRL_REG5: u8 = 0x24;
const CTRL_REG6: u8 = 0x25;
const STATUS: u8 = 0x27;
const OUT_X_L: u8 = 0x28;
const OUT_Z_H: u8 = 0x2D;
const INT1_CFG: u8 = 0x30;
const INT1_SRC: u8 = 0x31;
const INT2_CFG: u8 = 0x34;
const INT2_SRC: u8 = 0x35;
/// A generator's threshold and duration, from its first register.
const THS: u8 = 2;
const DURATION: u8 = 3;
const CLICK_CFG: u8 = 0x38;
const CLICK_SRC: u8 = 0x39;
const CLICK_THS: u8 = 0x3A;
const TIME_LIMIT: u8 = 0x3B;
const TIME_LATENCY: u8 = 0x3C;
const TIME_WINDOW: u8 = 0x3D;
/// The sub-address moves on after each byte if its topmost bit is set.
const AUTO_INCREMENT: u8 = 0x80;

const LOW_POWER: u8 = 1 << 3;
const HIGH_RESOLUTION: u8 = 1 << 3;
const BIG_ENDIAN: u8 = 1 << 6;
const BOOT: u8 = 1 << 7;
/// CTRL_REG2: what the high-pass filter goes before.
const FILTERS_INT1: u8 = 1 << 0;
const FILTERS_INT2: u8 = 1 << 1;
const FILTERS_CLICK: u8 = 1 << 2;
const FILTERS_DATA: u8 = 1 << 3;
/// CTRL_REG3, and CTRL_REG6 but for data ready: what raises an interrupt output.
const RAISED_BY_CLICK: u8 = 1 << 7;
const RAISED_BY_INT1: u8 = 1 << 6;
const RAISED_BY_INT2: u8 = 1 << 5;
const RAISED_BY_DATA: u8 = 1 << 4;
/// CTRL_REG5: the interrupt stays until its source is read.
const LATCHES_INT1: u8 = 1 << 3;
const LATCHES_INT2: u8 = 1 << 1;
/// CLICK_THS: the same.
const LATCHES_CLICK: u8 = 1 << 7;
const ACTIVE_LOW: u8 = 1 << 1;
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

/// Samples per time constant of the high-pass filter, by CTRL_REG2's field (AN3308, table of cut-off frequencies).
const CUT_OFFS: [f64; 4] = [50.0, 100.0, 200.0, 500.0];

/// Name of the quantity that taps the sensor: 1, 2 or 3 for x, y or z, negative against the axis.
pub const TAP: &str = "tap";
/// Acceleration of a tap in g, and how long it lasts; one sample at least sees it.
const TAP_G: f64 = 3.0;
const TAP_CYCLES: u64 = CLOCK_HZ as u64 / 200;

/// Most samples in a row that are evaluated one by one; after a longer pause the earlier ones are skipped.
const MAX_SAMPLES: u64 = 4096;

/// A pulse on one axis.
#[derive(Debug, Clone, Copy)]
struct Tap {
    axis: usize,
    g: f64,
    from: Cycles,
    to: Cycles,
}

/// The sensor.
#[derive(Debug)]
pub struct Lis3dh {
    address: u8,
    quantities: Quantities,
    /// Where its interrupt outputs are wired to, and their levels as last driven.
    pins: [Option<Pin>; 2],
    levels: [bool; 2],
    registers: [u8; 0x40],
    pointer: u8,
    pointed: bool,
    /// Since when it measures at the present rate, and how many samples were taken by then.
    since: Cycles,
    samples: u64,
    sample: [i16; 3],
    new: u8,
    generators: [Generator; 2],
    clicks: Clicks,
    tap: Option<Tap>,
    /// The high-pass filter's input and output at the last sample.
    filter: Option<[(f64, f64); 3]>,
}

impl Lis3dh {
    /// A sensor after power-on: it measures nothing.
    pub fn new(parts: Parts) -> Self {
        let mut registers = [0; 0x40];
        // All axes enabled, rate 0: power-down (data sheet, default values).
        registers[usize::from(CTRL_REG1)] = 0x07;
        registers[usize::from(WHO_AM_I)] = IDENTITY;
        Self {
            address: parts.address,
            quantities: parts.quantities,
            pins: parts.pins,
            levels: [false; 2],
            registers,
            pointer: 0,
            pointed: false,
            since: 0,
            samples: 0,
            sample: [0; 3],
            new: 0,
            generators: Default::default(),
            clicks: Clicks::default(),
            tap: None,
            filter: None,
        }
    }

    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register)]
    }

    fn is_low_power(&self) -> bool {
        self.register(CTRL_REG1) & LOW_POWER != 0
    }

    /// Cycles from one sample to the next; `None` in power-down.
    fn period(&self) -> Option<Cycles> {
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

    /// Takes the samples that are due by `now`; of several only the last can be read.
    fn update(&mut self, now: Cycles) {
        let Some(period) = self.period() else { return };
        let samples = now.saturating_sub(self.since) / period;
        let missed = samples - self.samples;
        if missed == 0 {
            return;
        }
        // A sample that is not read before the next is overrun.
        self.new = if self.new != 0 || missed > 1 { NEW_DATA | OVERRUN } else { NEW_DATA };
        // Each sample is evaluated at its own cycle, because generators and clicks count samples.
        for number in samples - missed.min(MAX_SAMPLES) + 1..=samples {
            self.take_one(number, self.since + number * period, period);
        }
        self.samples = samples;
    }

    /// Takes sample `number`, which is due at cycle `at`.
    fn take_one(&mut self, number: u64, at: Cycles, period: Cycles) {
        let mut measured = AXES.map(|axis| self.quantities.value(axis, at));
        if let Some(Tap { axis, g, from, to }) = self.tap
            && from < at
        {
            // A tap ends, but not before it was seen.
            let shows = at <= to.max(from + period);
            measured[axis] += if shows { g } else { 0.0 };
            self.tap = self.tap.filter(|_| shows);
        }
        let filtered = self.filter(measured);
        let (plain, high) = (measured.map(|g| self.convert(g)), filtered.map(|g| self.convert(g)));
        let filters = self.register(CTRL_REG2);
        let choose = |bit: u8| if filters & bit != 0 { high } else { plain };
        self.sample = choose(FILTERS_DATA);
        let milli_g =
            |sample: [i16; 3]| sample.map(|value| f64::from(value >> 4) * SENSITIVITY[self.range()]);
        let [first, second, click] =
            [FILTERS_INT1, FILTERS_INT2, FILTERS_CLICK].map(|bit| milli_g(choose(bit)));
        let [one, two] = [self.generator(INT1_CFG, LATCHES_INT1), self.generator(INT2_CFG, LATCHES_INT2)];
        self.generators[0].sample(first, &one);
        self.generators[1].sample(second, &two);
        let settings = self.click();
        self.clicks.sample(number, click, &settings);
    }

    /// The high-pass filter, of first order; accelerations in g.
    fn filter(&mut self, measured: [f64; 3]) -> [f64; 3] {
        let samples = CUT_OFFS[usize::from(self.register(CTRL_REG2) >> 4 & 3)];
        let retained = 1.0 / (1.0 + std::f64::consts::TAU / samples);
        // The first sample is the reference, so that the filter starts settled.
        let before = self.filter.unwrap_or(measured.map(|value| (value, 0.0)));
        let now: [(f64, f64); 3] = std::array::from_fn(|axis| {
            let (input, output) = before[axis];
            (measured[axis], retained * (output + measured[axis] - input))
        });
        self.filter = Some(now);
        now.map(|(_, output)| output)
    }

    /// A threshold of seven bits in milli-g.
    fn threshold(&self, register: u8) -> f64 {
        f64::from(self.register(register) & 0x7F) * THRESHOLD[self.range()]
    }

    /// The settings of the generator whose first register is `first`.
    fn generator(&self, first: u8, latches: u8) -> generator::Settings {
        generator::Settings {
            config: self.register(first),
            threshold: self.threshold(first + THS),
            duration: self.register(first + DURATION) & 0x7F,
            latched: self.register(CTRL_REG5) & latches != 0,
        }
    }

    fn click(&self) -> click::Settings {
        click::Settings {
            config: self.register(CLICK_CFG),
            threshold: self.threshold(CLICK_THS),
            limit: Cycles::from(self.register(TIME_LIMIT) & 0x7F),
            latency: self.register(TIME_LATENCY).into(),
            window: self.register(TIME_WINDOW).into(),
            latched: self.register(CLICK_THS) & LATCHES_CLICK != 0,
        }
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

    /// What raises an interrupt output, and the output's register.
    fn raises(&self, output: usize) -> u8 {
        match output {
            0 => {
                self.register(CTRL_REG3)
                    & (RAISED_BY_CLICK | RAISED_BY_INT1 | RAISED_BY_INT2 | RAISED_BY_DATA)
            }
            _ => self.register(CTRL_REG6) & (RAISED_BY_CLICK | RAISED_BY_INT1 | RAISED_BY_INT2),
        }
    }

    /// Drives the pins the interrupt outputs are wired to.
    fn drive(&mut self, context: &mut Context<'_>) {
        let reasons = [
            (RAISED_BY_CLICK, self.clicks.is_active()),
            (RAISED_BY_INT1, self.generators[0].is_active()),
            (RAISED_BY_INT2, self.generators[1].is_active()),
            (RAISED_BY_DATA, self.new & NEW_DATA != 0),
        ];
        for (output, pin) in self.pins.into_iter().enumerate() {
            let Some(pin) = pin else { continue };
            let raises = self.raises(output);
            let active = reasons.iter().any(|(bit, is_active)| *is_active && raises & bit != 0);
            // Exclusive or: ACTIVE_LOW inverts the output.
            let level = active != (self.register(CTRL_REG6) & ACTIVE_LOW != 0);
            if level != self.levels[output] {
                self.levels[output] = level;
                context.driven.push((pin, level));
            }
        }
    }

    fn take(&mut self) -> u8 {
        let register = self.pointer & !AUTO_INCREMENT & 0x3F;
        match register {
            STATUS => self.new,
            OUT_X_L..=OUT_Z_H => self.take_sample(register - OUT_X_L),
            // Reading says that the event was seen.
            INT1_SRC => self.generators[0].take(),
            INT2_SRC => self.generators[1].take(),
            CLICK_SRC => self.clicks.take(),
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

    fn give(&mut self, byte: u8, now: Cycles) {
        let register = self.pointer & !AUTO_INCREMENT & 0x3F;
        if !matches!(register, 0x1F..=0x26 | 0x2E | 0x30 | 0x32..=0x34 | 0x36..=0x38 | 0x3A..=0x3F) {
            return;
        }
        let byte = if register == CTRL_REG5 { byte & !BOOT } else { byte };
        let was = std::mem::replace(&mut self.registers[usize::from(register)], byte);
        if register == CTRL_REG1 && (was ^ byte) & (0xF0 | LOW_POWER) != 0 {
            (self.since, self.samples, self.new) = (now, 0, 0);
            (self.clicks, self.filter) = (Clicks::default(), None);
        }
    }

    fn move_on(&mut self) {
        if self.pointer & AUTO_INCREMENT != 0 {
            self.pointer = AUTO_INCREMENT | (self.pointer + 1) & 0x3F;
        }
    }
}

impl Target for Lis3dh {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _read: bool, context: &mut Context<'_>) {
        self.pointed = false;
        self.update(context.now);
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

    /// Samples have a time of their own only if an interrupt pin is wired; otherwise they are computed when they are
    /// read.
    fn next_event(&self) -> Option<Cycles> {
        let is_wired = |output: &usize| self.pins[*output].is_some() && self.raises(*output) != 0;
        (0..2).find(is_wired)?;
        Some(self.since + (self.samples + 1) * self.period()?)
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        self.update(context.now);
        self.drive(context);
    }

    fn set(&mut self, quantity: &str, value: f64, now: Cycles) -> bool {
        if quantity != TAP {
            return self.quantities.set(quantity, Source::Constant(value));
        }
        let axis = [1.0, 2.0, 3.0].iter().position(|number| (value.abs() - number).abs() < 0.5);
        self.tap = axis.map(|axis| Tap { axis, g: TAP_G.copysign(value), from: now, to: now + TAP_CYCLES });
        axis.is_some()
    }
}

#[cfg(test)]
mod tests;
