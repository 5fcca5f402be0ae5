//! A board in a few lines: a processor, one GPIO pin, and one function that the host offers to the application.
//!
//! The application toggles the pin and sleeps in between. The pin is a register on the user's [`Bus`]; sleeping is a
//! call of an address in [`Config::trap`], which the host answers. Run with `cargo run -p armv8m --example blink`.

use std::io::Write;

use armv8m::{Bus, BusFault, Config, Cpu, Cycles, Exit, Register, Signals, Width};

/// The register of the pin: bit 0 is its level.
const PIN: u32 = 0x4202_0000;
/// The function that sleeps for R0 milliseconds. There is no memory here.
const SLEEP: u32 = 0x0BFE_0000;
const CYCLES_PER_MILLISECOND: Cycles = 160_000;

/// The application's flash from 0x08000000 on, in halfwords.
#[rustfmt::skip]
const FLASH: [u16; 18] = [
    0x1000, 0x2000, // 00: .word 0x20001000      the vector table: initial stack pointer,
    0x0009, 0x0800, // 04: .word 0x08000009      reset handler, with bit 0 set for Thumb code
    0x4C04,         // 08: ldr  r4, [pc, #16]    =PIN
    0x4D05,         // 0a: ldr  r5, [pc, #20]    =SLEEP + 1
    0x2600,         // 0c: movs r6, #0
    0x2701,         // 0e: movs r7, #1
    0x407E,         // 10: eors r6, r7           loop:
    0x6026,         // 12: str  r6, [r4]
    0x20C8,         // 14: movs r0, #200
    0x47A8,         // 16: blx  r5
    0xE7FA,         // 18: b    loop
    0xBF00,         // 1a: nop                   aligns the literals
    0x0000, 0x4202, // 1c: .word PIN
    0x0001, 0x0BFE, // 20: .word SLEEP + 1
];

/// Everything outside the processor: the pin. It records each change with the cycle at which it happened.
#[derive(Default)]
struct Board {
    level: bool,
    changes: Vec<(Cycles, bool)>,
}

impl Bus for Board {
    fn read(&mut self, address: u32, _: Width, _: &mut Signals<'_>) -> Result<u32, BusFault> {
        if address == PIN { Ok(u32::from(self.level)) } else { Err(BusFault) }
    }

    fn write(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        signals: &mut Signals<'_>,
    ) -> Result<(), BusFault> {
        if (address, width) != (PIN, Width::Word) {
            return Err(BusFault);
        }
        let level = value & 1 != 0;
        if level != self.level {
            self.level = level;
            self.changes.push((signals.cycles(), level));
        }
        Ok(())
    }
}

/// Runs the application for one second of its time and prints what the pin does.
fn blink(output: &mut dyn Write) -> std::io::Result<()> {
    let flash: Vec<u8> = FLASH.iter().flat_map(|halfword| halfword.to_le_bytes()).collect();
    let mut cpu = Cpu::new(Config { trap: SLEEP..SLEEP + 2, ..Config::default() }, flash.into());
    cpu.reset().expect("flash begins with a vector table");
    let mut board = Board::default();
    let end = 1000 * CYCLES_PER_MILLISECOND;
    while cpu.cycles() < end {
        match cpu.run(&mut board, end - cpu.cycles()) {
            Exit::Trap { address: SLEEP } => {
                let milliseconds = Cycles::from(cpu.register(Register::R(0)));
                cpu.skip_cycles(milliseconds * CYCLES_PER_MILLISECOND);
                cpu.return_from_trap(0);
            }
            Exit::Budget => {}
            exit => panic!("{exit:?}, {:x?}", cpu.fault_status()),
        }
    }
    for (cycle, level) in board.changes {
        let level = if level { "high" } else { "low" };
        writeln!(output, "{:4} ms: the pin is {level}", cycle / CYCLES_PER_MILLISECOND)?;
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    blink(&mut std::io::stdout())
}

#[test]
fn the_pin_changes_every_200_milliseconds() {
    let mut output = Vec::new();
    blink(&mut output).expect("writing to memory succeeds");
    let expected = "   0 ms: the pin is high\n 200 ms: the pin is low\n 400 ms: the pin is high\n \
                    600 ms: the pin is low\n 800 ms: the pin is high\n";
    assert_eq!(String::from_utf8_lossy(&output), expected);
}
