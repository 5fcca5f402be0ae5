//! The extended interrupt controller: edges on pins become interrupts, one line for each pin number.

use armv8m::Cycles;

use super::{BoardSignal, Context, Lines, Peripheral, RegisterWrite};

/// First register.
pub const BASE: u32 = 0x4602_2000;

const RTSR1: u32 = 0x00;
const FTSR1: u32 = 0x04;
const SWIER1: u32 = 0x08;
const RPR1: u32 = 0x0C;
const FPR1: u32 = 0x10;
const EXTICR1: u32 = 0x60;
const EXTICR4: u32 = 0x6C;
const IMR1: u32 = 0x80;
const EMR1: u32 = 0x84;

/// Lines with an edge detector: pins 0 to 15, and four internal ones.
const EDGE_LINES: u32 = 0x03FF_FFFF;
/// Pins of a port.
const PINS: u32 = 0xFFFF;
/// Interrupt line of pin 0; the others follow.
const FIRST_LINE: u16 = 11;

/// The controller.
#[derive(Debug, Default)]
pub struct Exti {
    rising_enabled: u32,
    falling_enabled: u32,
    rising_pending: u32,
    falling_pending: u32,
    interrupts_unmasked: u32,
    events_unmasked: u32,
    /// For each pin number the port it is taken from, four to a register, a byte each.
    ports: [u32; 4],
}

impl Exti {
    fn port_of(&self, pin: u8) -> u8 {
        self.ports[usize::from(pin / 4)].to_le_bytes()[usize::from(pin % 4)]
    }

    fn edge(&mut self, port: u8, pin: u8, rising: bool) -> bool {
        if pin > 15 || self.port_of(pin) != port {
            return false;
        }
        // A direction that is not enabled leaves no trace: enabling it later raises nothing.
        let bit = 1 << pin;
        if rising {
            self.rising_pending |= self.rising_enabled & bit;
        } else {
            self.falling_pending |= self.falling_enabled & bit;
        }
        true
    }
}

impl Peripheral for Exti {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            RTSR1 => self.rising_enabled,
            FTSR1 => self.falling_enabled,
            RPR1 => self.rising_pending,
            FPR1 => self.falling_pending,
            EXTICR1..=EXTICR4 => self.ports[(offset - EXTICR1) as usize / 4],
            IMR1 => self.interrupts_unmasked,
            EMR1 => self.events_unmasked,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, _context: &mut Context<'_>) {
        match offset {
            RTSR1 => self.rising_enabled = write.apply_to(self.rising_enabled, EDGE_LINES),
            FTSR1 => self.falling_enabled = write.apply_to(self.falling_enabled, EDGE_LINES),
            // A software event counts as a rising edge, whatever is enabled (RM0456, EXTI_SWIER1).
            SWIER1 => self.rising_pending |= write.ones() & EDGE_LINES,
            // Pending bits are cleared by writing ones.
            RPR1 => self.rising_pending &= !write.ones(),
            FPR1 => self.falling_pending &= !write.ones(),
            EXTICR1..=EXTICR4 => {
                let word = &mut self.ports[(offset - EXTICR1) as usize / 4];
                *word = write.apply_to(*word, u32::MAX);
            }
            IMR1 => self.interrupts_unmasked = write.apply_to(self.interrupts_unmasked, u32::MAX),
            EMR1 => self.events_unmasked = write.apply_to(self.events_unmasked, u32::MAX),
            _ => {}
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        // Edges stay pending while a line is masked, and raise it when it is unmasked.
        let high = (self.rising_pending | self.falling_pending) & self.interrupts_unmasked & PINS;
        for pin in 0..16 {
            lines.set(FIRST_LINE + pin, high >> pin & 1 == 1);
        }
    }

    fn signal(&mut self, signal: &BoardSignal<'_>, _now: Cycles) -> bool {
        match *signal {
            BoardSignal::Edge { port, pin, rising } => self.edge(port, pin, rising),
            _ => false,
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

    /// Pin 3 of port F, as applications use it: rising edges, unmasked.
    fn bench() -> Bench {
        let mut bench = Bench::new(BASE, Box::new(Exti::default()));
        bench.write(0x4602_2060, 5 << 24);
        bench.write(0x4602_2000, 1 << 3);
        bench.write(0x4602_2080, 1 << 3);
        bench
    }

    #[test]
    fn an_edge_of_the_chosen_port_raises_the_line_until_it_is_cleared() {
        let mut bench = bench();
        bench.signal(&BoardSignal::Edge { port: 5, pin: 3, rising: true });
        assert!(bench.level(14));
        assert_eq!(bench.read(0x4602_200C), 1 << 3);
        bench.write(0x4602_200C, 1 << 3);
        assert!(!bench.level(14));
    }

    #[test]
    fn other_ports_other_pins_and_other_edges_do_nothing() {
        let mut bench = bench();
        for (port, pin, rising) in [(4, 3, true), (5, 2, true), (5, 3, false), (5, 16, true)] {
            bench.signal(&BoardSignal::Edge { port, pin, rising });
        }
        assert_eq!((bench.read(0x4602_200C), bench.read(0x4602_2010)), (0, 0));
    }

    #[test]
    fn a_masked_edge_waits_for_its_mask() {
        let mut bench = bench();
        bench.write(0x4602_2080, 0);
        bench.signal(&BoardSignal::Edge { port: 5, pin: 3, rising: true });
        assert!(!bench.level(14));
        bench.write(0x4602_2080, 1 << 3);
        assert!(bench.level(14));
    }

    #[test]
    fn software_can_raise_a_line() {
        let mut bench = bench();
        bench.write(0x4602_2008, 1 << 3);
        assert!(bench.level(14));
    }
}
