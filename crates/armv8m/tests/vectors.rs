//! Every data-processing, DSP and floating-point instruction on operands that probe its edges.
//!
//! A line of a vector file is `opcode | status after | registers that changed | mnemonic`. Status is APSR, for floating
//! point FPSCR and APSR. The registers' initial values are a function of the line number, defined below, so that
//! registers which an instruction must not change are checked as well. The expected values were checked against a
//! second, independent implementation of the architecture.

mod common;

use armv8m::{Cpu, Register};
use common::{CODE, Image, run_to_breakpoint};

const INTEGER: &str = include_str!("vectors/integer.txt");
const FLOAT: &str = include_str!("vectors/float.txt");

/// Enables the unit, then stops; the instruction under test follows.
const PRELUDE: &[u16] = &[
    0xF64E, 0x5088, // movw r0, #0xed88
    0xF2CE, 0x0000, // movt r0, #0xe000
    0xF44F, 0x0170, // mov.w r1, #0xf00000
    0x6001, // str r1, [r0]
    0xBE01, // bkpt #1
];

/// The generator of operands. It is not crate `test-rng`'s, because the expected values in the vector files depend on
/// it.
struct Operands(u32);

impl Operands {
    fn of(line: usize, salt: u32) -> Self {
        Self((line as u32 + 1).wrapping_mul(2_654_435_761) ^ salt)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn integer(&mut self) -> u32 {
        const SPECIAL: [u32; 16] = [
            0,
            1,
            0xFFFF_FFFF,
            0x8000_0000,
            0x7FFF_FFFF,
            0x8000,
            0x7FFF,
            0x8000_8000,
            0x7FFF_7FFF,
            0xFF,
            0x1F,
            0x20,
            0x21,
            0x8080_8080,
            0x7F7F_7F7F,
            0x1_0000,
        ];
        let x = self.next();
        match x >> 29 {
            0 => SPECIAL[(x >> 8) as usize % 16],
            1 => x & 0xFF,
            2 => i32::from((x as u8).cast_signed()).cast_unsigned(),
            _ => self.next(),
        }
    }

    fn float(&mut self) -> u32 {
        const SPECIAL: [u32; 16] = [
            0,
            1,
            0x007F_FFFF,
            0x0080_0000,
            0x7F7F_FFFF,
            0x7F80_0000,
            0x7FC0_0000,
            0x7F80_0001,
            0x7FC1_2345,
            0x3F80_0000,
            0x3F00_0000,
            0x4F00_0000,
            0x4EFF_FFFF,
            0x477F_E000,
            0x3300_0000,
            0x3880_0000,
        ];
        let x = self.next();
        match x >> 28 {
            0..3 => SPECIAL[(x >> 8) as usize % 16] | x << 31,
            3 => x & 0x807F_FFFF,
            4..11 => x & 0x807F_F000 | (120 + (x >> 4) % 16) << 23,
            _ => self.next(),
        }
    }
}

/// One line of a vector file.
struct Vector<'a> {
    opcode: Vec<u16>,
    status: Vec<u32>,
    changes: Vec<(Register, u32)>,
    mnemonic: &'a str,
}

fn parse(line: &str) -> Vector<'_> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
    Vector {
        opcode: fields[0].split(' ').map(|half| hex(half) as u16).collect(),
        status: fields[1].split(' ').map(hex).collect(),
        changes: fields[2].split_whitespace().map(|change| parse_change(change, hex)).collect(),
        mnemonic: fields[3],
    }
}

fn parse_change(change: &str, hex: impl Fn(&str) -> u32) -> (Register, u32) {
    let (name, value) = change.split_once('=').unwrap();
    let number = name[1..].parse().unwrap();
    (if name.starts_with('r') { Register::R(number) } else { Register::S(number) }, hex(value))
}

/// A processor about to execute the vector's instruction.
fn prepared(vector: &Vector<'_>, line: usize) -> Cpu {
    let program = [PRELUDE, &vector.opcode, &[0xBE02]].concat();
    let mut cpu = Image::new(&program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    cpu.set_register(Register::PC, CODE + 16);
    let mut operands = Operands::of(line, 0x5EED);
    cpu.set_register(Register::Xpsr, operands.next() & 0xF80F_0000);
    (0..13).for_each(|n| cpu.set_register(Register::R(n), operands.integer()));
    cpu
}

/// Gives the unit its operands, and FPSCR modes on every second line.
fn prepare_floats(cpu: &mut Cpu, line: usize) {
    let mut operands = Operands::of(line, 0xF10A7);
    let modes = if line % 2 == 1 { operands.next() & 0x07C0_0000 } else { 0 };
    cpu.set_register(Register::Control, 4);
    cpu.set_register(Register::Fpscr, modes);
    (0..32).for_each(|n| cpu.set_register(Register::S(n), operands.float()));
}

/// The registers that vectors cover.
fn registers() -> impl Iterator<Item = Register> {
    (0..13).map(Register::R).chain((0..32).map(Register::S))
}

fn check(text: &str, float: bool) {
    for (number, line) in text.lines().enumerate() {
        let vector = parse(line);
        let mut cpu = prepared(&vector, number);
        if float {
            prepare_floats(&mut cpu, number);
        }
        let before: Vec<u32> = registers().map(|name| cpu.register(name)).collect();
        assert_eq!(run_to_breakpoint(&mut cpu), 2, "{line}");
        for (name, before) in registers().zip(before) {
            let expected =
                vector.changes.iter().find(|change| change.0 == name).map_or(before, |change| change.1);
            assert_eq!(
                cpu.register(name),
                expected,
                "{name:?} after {} (was {before:08x}): {line}",
                vector.mnemonic
            );
        }
        let apsr = cpu.register(Register::Xpsr) & 0xF80F_0000;
        let status = if float { vec![cpu.register(Register::Fpscr), apsr] } else { vec![apsr] };
        assert_eq!(status, vector.status, "status after {}: {line}", vector.mnemonic);
    }
}

#[test]
fn integer_and_dsp_instructions_give_the_architected_results() {
    check(INTEGER, false);
}

#[test]
fn floating_point_instructions_give_the_architected_results() {
    check(FLOAT, true);
}
