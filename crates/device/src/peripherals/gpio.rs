//! General-purpose pins. Outputs read back as they are driven; inputs read what the outside drives, else their pull.

use armv8m::Cycles;

use super::{BoardSignal, Context, Peripheral, RegisterWrite};
use crate::events::BoardEvent;
use crate::pin::PORTS;

/// Names of the ports.
pub const NAMES: [&str; PORTS as usize] =
    ["GPIOA", "GPIOB", "GPIOC", "GPIOD", "GPIOE", "GPIOF", "GPIOG", "GPIOH", "GPIOI"];

/// First register of `port`, 0 for A.
pub const fn base(port: u8) -> u32 {
    0x4202_0000 + 0x400 * port as u32
}

const MODER: u32 = 0x00;
const OTYPER: u32 = 0x04;
const OSPEEDR: u32 = 0x08;
const PUPDR: u32 = 0x0C;
/// Offset of the input data register.
pub const IDR: u32 = 0x10;
const ODR: u32 = 0x14;
const BSRR: u32 = 0x18;
const LCKR: u32 = 0x1C;
const AFRL: u32 = 0x20;
const AFRH: u32 = 0x24;
const BRR: u32 = 0x28;
const HSLVR: u32 = 0x2C;

const PINS: u32 = 0xFFFF;
/// Pin modes, two bits a pin in MODER.
const OUTPUT: u32 = 0b01;
/// Pull modes, two bits a pin in PUPDR.
const PULL_UP: u32 = 0b01;

/// One port.
#[derive(Debug)]
pub struct Gpio {
    port: u8,
    mode: u32,
    open_drain: u32,
    speed: u32,
    pull: u32,
    output: u32,
    lock: u32,
    alternate: [u32; 2],
    high_speed: u32,
    /// Pins driven from outside, and their levels.
    driven: u32,
    outside: u32,
    /// Levels of output pins as last reported.
    reported: u32,
}

impl Gpio {
    /// Port number `port`, 0 for A.
    pub fn new(port: u8) -> Self {
        // The debugger's pins come up in their alternate function with their pulls.
        let (mode, speed, pull) = match port {
            0 => (0xABFF_FFFF, 0x0800_0000, 0x6400_0000),
            1 => (0xFFFF_FEBF, 0x0000_00C0, 0x0000_0100),
            _ => (0xFFFF_FFFF, 0, 0),
        };
        Self {
            port,
            mode,
            open_drain: 0,
            speed,
            pull,
            output: 0,
            lock: 0,
            alternate: [0; 2],
            high_speed: 0,
            driven: 0,
            outside: 0,
            reported: 0,
        }
    }

    /// Pins that are general-purpose outputs.
    fn outputs(&self) -> u32 {
        with_mode(self.mode, OUTPUT)
    }

    /// What the pins are at: driven by the port, by the outside, or pulled.
    fn levels(&self) -> u32 {
        // An open-drain output only drives low; what it leaves open is as an input.
        let driving = self.outputs() & !(self.open_drain & self.output);
        let idle = self.outside & self.driven | with_mode(self.pull, PULL_UP) & !self.driven;
        self.output & driving | idle & !driving
    }

    fn report_changes(&mut self, outputs: &mut Vec<BoardEvent>) {
        // What software drives, not what the pin is at: an open-drain output that is pulled low has not changed.
        let levels = self.output & self.outputs();
        let changed = levels ^ self.reported;
        self.reported = levels;
        for pin in (0..16).filter(|pin| changed >> pin & 1 == 1) {
            outputs.push(BoardEvent::Pin { port: self.port, pin, level: levels >> pin & 1 == 1 });
        }
    }
}

impl Peripheral for Gpio {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            MODER => self.mode,
            OTYPER => self.open_drain,
            OSPEEDR => self.speed,
            PUPDR => self.pull,
            IDR => self.levels(),
            ODR => self.output,
            LCKR => self.lock,
            AFRL => self.alternate[0],
            AFRH => self.alternate[1],
            HSLVR => self.high_speed,
            _ => 0,
        }
    }

    fn is_steady(&self, _offset: u32) -> bool {
        true
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>) {
        match offset {
            MODER => self.mode = write.apply_to(self.mode, u32::MAX),
            OTYPER => self.open_drain = write.apply_to(self.open_drain, PINS),
            OSPEEDR => self.speed = write.apply_to(self.speed, u32::MAX),
            PUPDR => self.pull = write.apply_to(self.pull, u32::MAX),
            ODR => self.output = write.apply_to(self.output, PINS),
            // Where a pin is set and reset at once, it is set.
            BSRR => self.output = self.output & !(write.ones() >> 16) | write.ones() & PINS,
            LCKR => self.lock = write.apply_to(self.lock, 0x1_FFFF),
            AFRL => self.alternate[0] = write.apply_to(self.alternate[0], u32::MAX),
            AFRH => self.alternate[1] = write.apply_to(self.alternate[1], u32::MAX),
            BRR => self.output &= !write.ones(),
            HSLVR => self.high_speed = write.apply_to(self.high_speed, PINS),
            _ => {}
        }
        self.report_changes(context.events);
    }

    fn signal(&mut self, signal: &BoardSignal<'_>, _now: Cycles) -> bool {
        match *signal {
            BoardSignal::Pin { pin, level } if pin < 16 => {
                self.driven |= 1 << pin;
                self.outside = self.outside & !(1 << pin) | u32::from(level) << pin;
                true
            }
            _ => false,
        }
    }

    fn reset(&mut self, context: &mut Context<'_>) {
        let Self { port, driven, outside, reported, .. } = *self;
        *self = Self { driven, outside, reported, ..Self::new(port) };
        self.report_changes(context.events);
    }
}

/// The pins whose two bits in `register` are `mode`.
fn with_mode(register: u32, mode: u32) -> u32 {
    (0..16).filter(|pin| register >> (2 * pin) & 3 == mode).map(|pin| 1 << pin).sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    /// Port A with pin 5, the user LED, as an output.
    fn bench() -> Bench {
        let mut bench = Bench::new(base(0), Box::new(Gpio::new(0)));
        bench.write(0x4202_0000, 0xABFF_F7FF);
        bench
    }

    fn pin(level: bool) -> BoardEvent {
        BoardEvent::Pin { port: 0, pin: 5, level }
    }

    #[test]
    fn reset_values_are_the_manuals() {
        for (port, mode, speed, pull) in [
            (0, 0xABFF_FFFF, 0x0800_0000, 0x6400_0000),
            (1, 0xFFFF_FEBF, 0x0000_00C0, 0x0000_0100),
            (3, 0xFFFF_FFFF, 0, 0),
        ] {
            let mut bench = Bench::new(base(port), Box::new(Gpio::new(port)));
            let at = base(port);
            assert_eq!([bench.read(at), bench.read(at + 8), bench.read(at + 12)], [mode, speed, pull]);
        }
    }

    #[test]
    fn an_output_is_reported_when_it_changes_and_only_then() {
        let mut bench = bench();
        bench.write(0x4202_0018, 1 << 5);
        bench.write(0x4202_0018, 1 << 5);
        bench.write(0x4202_0028, 1 << 5);
        bench.write(0x4202_0014, 1 << 5);
        bench.write(0x4202_0018, 1 << 21);
        assert_eq!(bench.outputs(), [pin(true), pin(false), pin(true), pin(false)]);
    }

    #[test]
    fn setting_wins_over_resetting() {
        let mut bench = bench();
        bench.write(0x4202_0018, 1 << 5 | 1 << 21);
        assert_eq!(bench.read(0x4202_0014), 1 << 5);
    }

    #[test]
    fn only_an_output_is_reported() {
        let mut bench = Bench::new(base(0), Box::new(Gpio::new(0)));
        bench.write(0x4202_0014, 1 << 5);
        assert_eq!(bench.outputs(), []);
        bench.write(0x4202_0000, 0xABFF_F7FF);
        assert_eq!(bench.outputs(), [pin(true)]);
    }

    #[test]
    fn inputs_read_what_drives_them() {
        let mut bench = Bench::new(base(0), Box::new(Gpio::new(0)));
        assert_eq!(bench.read(0x4202_0010), 0b1010 << 12, "pulled up: pins 13 and 15");
        bench.signal(&BoardSignal::Pin { pin: 13, level: false });
        bench.signal(&BoardSignal::Pin { pin: 0, level: true });
        assert_eq!(bench.read(0x4202_0010), 0b1000 << 12 | 1);
    }

    #[test]
    fn outputs_read_back_as_driven_and_open_drain_leaves_high_to_others() {
        let mut bench = bench();
        bench.write(0x4202_0014, 1 << 5);
        assert_eq!(bench.read(0x4202_0010) & 1 << 5, 1 << 5);
        bench.write(0x4202_0004, 1 << 5);
        assert_eq!(bench.read(0x4202_0010) & 1 << 5, 0);
    }

    #[test]
    fn alternate_functions_are_stored() {
        let mut bench = bench();
        bench.write(0x4202_0020, 0x7654_3210);
        bench.write(0x4202_0024, 0xFEDC_BA98);
        assert_eq!((bench.read(0x4202_0020), bench.read(0x4202_0024)), (0x7654_3210, 0xFEDC_BA98));
    }
}
