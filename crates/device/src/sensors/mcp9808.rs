//! The MCP9808, a thermometer (data sheet DS25095): a pointer register, then 16 bits, the higher byte first. Its alert
//! output can be wired to a pin, with the pull-up resistor it needs on a board.

use armv8m::Cycles;

use super::{Parts, Quantities, Source, steps};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;
use crate::pin::Pin;

const CONFIG: u8 = 1;
const UPPER: u8 = 2;
const CRITICAL: u8 = 4;
const AMBIENT: u8 = 5;
const MANUFACTURER: u8 = 6;
const DEVICE: u8 = 7;
const RESOLUTION: u8 = 8;

/// The configuration: hysteresis, shutdown, locks, and the alert output: interrupt cleared, asserted, enabled, for the
/// critical limit only, active high, as an interrupt.
const HYSTERESIS_AT: u16 = 9;
const SHUTDOWN: u16 = 1 << 8;
const CRITICAL_LOCK: u16 = 1 << 7;
const WINDOW_LOCK: u16 = 1 << 6;
const CLEAR: u16 = 1 << 5;
const ASSERTED: u16 = 1 << 4;
const ENABLED: u16 = 1 << 3;
const CRITICAL_ONLY: u16 = 1 << 2;
const ACTIVE_HIGH: u16 = 1 << 1;
const INTERRUPT: u16 = 1 << 0;
/// Sixteenths of a degree by which the temperature must fall back, by the field.
const HYSTERESES: [i16; 4] = [0, 24, 48, 96];
/// Milliseconds of a conversion, by resolution.
const CONVERSIONS: [u64; 4] = [30, 65, 130, 250];
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
    /// The last temperature, which remains readable while it is shut down.
    ambient: u16,
    /// Byte of the transfer: the pointer is the first that is written.
    at: usize,
    high: u8,
    /// The pin its alert output is wired to, and its level as last driven.
    pin: Option<Pin>,
    level: bool,
    /// Beyond the upper, the lower and the critical limit, with hysteresis, at the last conversion.
    beyond: [bool; 3],
    /// An alert in interrupt mode is active.
    interrupt: bool,
    /// Cycle of the last conversion.
    converted_at: Cycles,
}

impl Mcp9808 {
    /// A thermometer after power-on.
    pub fn new(parts: Parts) -> Self {
        Self {
            address: parts.address,
            quantities: parts.quantities,
            pointer: 0,
            config: 0,
            limits: [0; 3],
            resolution: 3,
            ambient: 0,
            at: 0,
            high: 0,
            pin: parts.pins[0],
            level: false,
            beyond: [false; 3],
            interrupt: false,
            converted_at: 0,
        }
    }

    fn measure(&mut self, now: Cycles) {
        if self.config & SHUTDOWN == 0 {
            // Coarser resolutions leave the lowest bits zero.
            let coarse = 3 - u16::from(self.resolution & 3);
            let sixteenths = steps(self.quantities.value("temperature", now), 0.0625, 13);
            self.ambient = sixteenths.cast_unsigned() as u16 & TEMPERATURE & !((1 << coarse) - 1);
        }
    }

    /// Cycles of a conversion.
    fn conversion(&self) -> Cycles {
        CONVERSIONS[usize::from(self.resolution & 3)] * 1000 * CYCLES_PER_MICRO
    }

    /// A conversion ends: the limits are compared for the alert output. The hysteresis counts for falling temperatures.
    fn compare(&mut self, now: Cycles) {
        self.converted_at = now;
        self.measure(now);
        let signed = |value: u16| (value << 3).cast_signed() >> 3;
        let [upper, lower, critical] = self.limits.map(signed);
        let (is, less) = (signed(self.ambient), HYSTERESES[usize::from(self.config >> HYSTERESIS_AT & 3)]);
        let [over, under, hot] = self.beyond;
        let beyond = [
            is > upper || over && is > upper - less,
            is < lower - less || under && is < lower,
            is >= critical || hot && is >= critical - less,
        ];
        if beyond[..2] != self.beyond[..2] {
            self.interrupt = true;
        }
        self.beyond = beyond;
    }

    fn is_alert(&self) -> bool {
        let [over, under, hot] = self.beyond;
        // In interrupt mode the critical limit still works as a comparator.
        let window = if self.config & INTERRUPT != 0 { self.interrupt } else { over || under };
        self.config & ENABLED != 0 && (hot || window && self.config & CRITICAL_ONLY == 0)
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        let Some(pin) = self.pin else { return };
        // Inactive is high where it is active low: the output is open-drain with a pull-up.
        let level = self.is_alert() == (self.config & ACTIVE_HIGH != 0);
        if level != self.level {
            self.level = level;
            context.driven.push((pin, level));
        }
    }

    fn configure(&mut self, value: u16) {
        if value & CLEAR != 0 {
            self.interrupt = false;
        }
        // Locked until power-on, as on the chip: only clearing the interrupt still works.
        let locked = self.config & (CRITICAL_LOCK | WINDOW_LOCK) != 0;
        if !locked {
            self.config = value & 0x07FF & !(CLEAR | ASSERTED);
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
            CONFIG => self.config | if self.is_alert() { ASSERTED } else { 0 },
            UPPER..=CRITICAL => self.limits[usize::from(self.pointer - UPPER)],
            AMBIENT => self.ambient(),
            MANUFACTURER => MANUFACTURER_ID,
            DEVICE => DEVICE_ID,
            // Eight bits wide: the same byte twice.
            RESOLUTION => u16::from(self.resolution) * 0x0101,
            _ => 0,
        }
    }

    fn set_register(&mut self, value: u16) {
        match self.pointer {
            CONFIG => self.configure(value),
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

    fn stop(&mut self, context: &mut Context<'_>) {
        self.drive(context);
    }

    /// A conversion has a time of its own only because of the alert output; otherwise it is computed when it is read.
    fn next_event(&self) -> Option<Cycles> {
        let alerts = self.config & (ENABLED | SHUTDOWN) == ENABLED;
        (alerts && self.pin.is_some()).then(|| self.converted_at + self.conversion())
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if let Some(due) = self.next_event()
            && due <= context.now
        {
            // After a pause only the last conversion counts.
            let late = (context.now - due) / self.conversion();
            self.compare(due + late * self.conversion());
        }
        self.drive(context);
    }

    fn write(&mut self, byte: u8, context: &mut Context<'_>) -> bool {
        match self.at {
            0 => self.pointer = byte & 0xF,
            1 if self.pointer == RESOLUTION => self.resolution = byte & 3,
            1 => self.high = byte,
            2 => {
                self.set_register(u16::from_be_bytes([self.high, byte]));
                // What was converted before the output was set up is no alert.
                self.converted_at = context.now;
            }
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

    fn set(&mut self, quantity: &str, value: f64, _now: Cycles) -> bool {
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

    /// 30 degrees as the upper limit, 10 as the lower, 50 as the critical one.
    fn alerting(config: u16) -> Wired {
        let mut wired = Wired::new("mcp9808,temperature=20,alert=PB11");
        wired.write(&[2, 0x01, 0xE0]);
        wired.write(&[3, 0x00, 0xA0]);
        wired.write(&[4, 0x03, 0x20]);
        let [high, low] = config.to_be_bytes();
        wired.write(&[1, high, low]);
        wired.pass_seconds(1);
        wired.take_driven();
        wired
    }

    fn warmed(wired: &mut Wired, temperature: f64) -> Vec<bool> {
        wired.set("temperature", temperature);
        wired.pass_seconds(1).into_iter().map(|(_, level)| level).collect()
    }

    /// Shows D216.
    #[test]
    fn the_alert_output_is_low_while_a_limit_is_passed() {
        // With a hysteresis of 1.5 degrees.
        let mut wired = alerting(0x0208);
        for (temperature, driven) in [
            (30.0, vec![]),
            (30.5, vec![false]),
            (29.0, vec![]),
            (28.5, vec![true]),
            (9.0, vec![]),
            (8.0, vec![false]),
            (9.5, vec![]),
            (10.0, vec![true]),
            (60.0, vec![false]),
        ] {
            assert_eq!(warmed(&mut wired, temperature), driven, "{temperature}");
        }
        assert_eq!(wired.read(&[1], 2), [0x02, 0x18], "it says so");
    }

    #[test]
    fn an_alert_can_be_an_interrupt_that_is_cleared() {
        let mut wired = alerting(0x000B);
        assert_eq!(warmed(&mut wired, 31.0), [true], "active high");
        wired.write(&[1, 0x00, 0x2B]);
        assert_eq!(wired.take_driven(), [("PB11".to_owned(), false)]);
        assert!(warmed(&mut wired, 32.0).is_empty());
        assert_eq!(warmed(&mut wired, 25.0), [true], "coming back is one too");
    }

    #[test]
    fn an_alert_can_be_for_the_critical_limit_alone() {
        let mut wired = alerting(0x000C);
        assert!(warmed(&mut wired, 40.0).is_empty());
        assert_eq!(warmed(&mut wired, 50.0), [false]);
    }

    #[test]
    fn a_locked_configuration_keeps_its_bits() {
        let mut wired = Wired::new("mcp9808");
        wired.write(&[1, 0x00, 0x88]);
        wired.write(&[1, 0x01, 0x00]);
        assert_eq!(wired.read(&[1], 2), [0x00, 0x88]);
    }
}
