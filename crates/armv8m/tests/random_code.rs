//! Random code in random states never makes the processor panic.

mod common;

use armv8m::{Bus, BusFault, Config, Cpu, Exit, Register, Signals, Width};
use common::{FLASH, Image, RAM};
use test_rng::Rng;

/// Random operands, addresses and code.
struct Random(Rng);

impl Random {
    fn next(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// An address that is often in memory or near its end, or that of a system register.
    fn address(&mut self) -> u32 {
        let x = self.next();
        match x >> 29 {
            0 | 1 => RAM + (x & 0xFFFF),
            2 => RAM + 0xFFF0 + (x & 0x1F),
            3 => FLASH + (x & 0x7FFF),
            4 => 0xE000_E000 + (x & 0xFFF),
            5 => 0xE000_1000 + (x & 0xF),
            _ => self.next(),
        }
    }

    /// A halfword that is often half of a 32-bit instruction or of an IT block.
    fn halfword(&mut self) -> u16 {
        let x = self.next();
        let half = x as u16;
        match x >> 29 {
            0..3 => half,
            3 => half & 0x07FF | 0xE800,
            4 => half & 0x0FFF | 0xF000,
            5 => half & 0x07FF | 0xF800,
            6 => half & 0x00FF | 0xBF00,
            _ => half & 0x11FF | 0xEC00,
        }
    }
}

/// Gives random answers and drives the interrupt lines at random.
struct Chaos(Random);

impl Bus for Chaos {
    fn read(&mut self, address: u32, width: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault> {
        assert_eq!(address % width.bytes(), 0);
        let x = self.0.next();
        if x.is_multiple_of(4) {
            signals.pend((x >> 8) as u16);
        }
        if x % 16 > 11 { Err(BusFault) } else { Ok(x) }
    }
    fn write(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        signals: &mut Signals<'_>,
    ) -> Result<(), BusFault> {
        assert_eq!(address % width.bytes(), 0);
        signals.set_level(value as u16 & 0xFF, value & 0x100 != 0);
        if value & 0x600 == 0 {
            signals.request_yield();
        }
        Ok(())
    }
}

fn random_machine(random: &mut Random) -> Cpu {
    let mut image = Image::new(&[]);
    let code: Vec<u16> = (0..0x3E00).map(|_| random.halfword()).collect();
    image.code(FLASH + 0x400, &code);
    for number in 1..80 {
        image.word(FLASH + number * 4, FLASH + 0x401 + (random.next() & 0x3FFE));
    }
    let mut cpu =
        image.boot_with(Config { ram_size: 0x10000, trap: 0x0BF0_0000..0x0BF0_1000, ..Config::default() });
    let ram: Vec<u8> = (0..0x8000).flat_map(|_| random.halfword().to_le_bytes()).collect();
    assert!(cpu.write_memory(RAM, &ram));
    cpu
}

fn scramble(cpu: &mut Cpu, random: &mut Random) {
    (0..13).for_each(|n| cpu.set_register(Register::R(n), random.address()));
    cpu.set_register(Register::Msp, RAM + (random.next() & 0xFFFF));
    cpu.set_register(Register::Psp, random.address());
    cpu.set_register(Register::Xpsr, random.next() & 0xF80F_0000);
    if random.next().is_multiple_of(8) {
        cpu.set_register(Register::Control, random.next());
    }
    let start = if random.next() & 1 == 0 {
        RAM + (random.next() & 0xFFFF)
    } else {
        FLASH + (random.next() & 0x7FFF)
    };
    cpu.set_register(Register::PC, start);
}

#[test]
fn random_code_on_random_state_never_panics() {
    let mut random = Random(Rng::new(0x1357_9BDF));
    let mut executed = 0;
    for _ in 0..80 {
        let mut cpu = random_machine(&mut random);
        let mut bus = Chaos(Random(Rng::new(random.0.next_u64())));
        for _ in 0..60 {
            scramble(&mut cpu, &mut random);
            match cpu.run(&mut bus, 200) {
                Exit::Lockup { .. } | Exit::Reset => cpu.reset().unwrap(),
                Exit::Trap { .. } => cpu.return_from_trap(0),
                Exit::WaitForInterrupt | Exit::WaitForEvent => {
                    cpu.pend_interrupt(random.next() as u16 & 0x7F);
                }
                _ => {}
            }
            cpu.skip_cycles(u64::from(random.next() & 0xFF));
        }
        executed += cpu.cycles();
    }
    assert!(executed > 100_000, "only {executed}");
}

#[test]
fn every_first_halfword_decodes() {
    let mut random = Random(Rng::new(99));
    for first in 0..=u16::MAX {
        let mut cpu = Image::new(&[first, random.halfword(), 0xBF00, 0xBE00]).boot();
        (0..13).for_each(|n| cpu.set_register(Register::R(n), random.address()));
        cpu.run(&mut Chaos(Random(Rng::new(5))), 3);
    }
}
