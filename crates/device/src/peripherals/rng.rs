//! The random number generator. It is ready whenever it is on.

use super::{Context, Lines, Peripheral, RegisterWrite};

/// First register.
pub const BASE: u32 = 0x420C_0800;

/// Where random words come from: the model draws none itself, so that a replay can repeat them.
pub type EntropySource = Box<dyn FnMut() -> u32 + Send>;

const CR: u32 = 0x00;
const SR: u32 = 0x04;
const DR: u32 = 0x08;

const CR_RNGEN: u32 = 1 << 2;
const CR_IE: u32 = 1 << 3;
const CR_WRITABLE: u32 = 0xFFFF_FFEC;
/// Reset value (RM0456).
const CR_RESET: u32 = 0x0080_0D00;
const SR_DRDY: u32 = 1;
const LINE: u16 = 94;

/// The generator.
pub struct Rng {
    control: u32,
    entropy: EntropySource,
}

impl Rng {
    /// A generator that draws from `entropy`.
    pub fn new(entropy: EntropySource) -> Self {
        Self { control: CR_RESET, entropy }
    }

    fn on(&self) -> bool {
        self.control & CR_RNGEN != 0
    }
}

impl Peripheral for Rng {
    fn read(&mut self, offset: u32, _context: &mut Context<'_>) -> u32 {
        match offset {
            CR => self.control,
            // Always ready: the model draws at once what takes the chip some microseconds.
            SR if self.on() => SR_DRDY,
            DR if self.on() => (self.entropy)(),
            _ => 0,
        }
    }

    fn has_read_effect(&self, offset: u32) -> bool {
        offset == DR
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, _context: &mut Context<'_>) {
        if offset == CR {
            self.control = write.apply_to(self.control, CR_WRITABLE);
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(LINE, self.on() && self.control & CR_IE != 0);
    }

    fn reset(&mut self, _context: &mut Context<'_>) {
        self.control = CR_RESET;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    fn bench() -> Bench {
        Bench::new(BASE, Box::new(Rng::new(Box::new(|| 0x1234_5678))))
    }

    #[test]
    fn it_is_ready_when_it_is_on() {
        let mut bench = bench();
        assert_eq!((bench.read(0x420C_0804), bench.read(0x420C_0808)), (0, 0));
        bench.write(0x420C_0800, 4);
        assert_eq!((bench.read(0x420C_0804), bench.read(0x420C_0808)), (1, 0x1234_5678));
    }

    #[test]
    fn its_interrupt_follows_readiness() {
        let mut bench = bench();
        bench.write(0x420C_0800, 8);
        assert!(!bench.level(94));
        bench.write(0x420C_0800, 12);
        assert!(bench.level(94));
    }
}
