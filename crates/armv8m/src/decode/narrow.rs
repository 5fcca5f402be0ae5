//! 16-bit encodings except loads and stores (Arm ARM C2.2). `h` is the halfword.

use super::{DecodeContext, bit, bits, branch, narrow_memory};
use crate::op::{Inst, Op, alu, shift};

/// Decodes a 16-bit instruction.
pub(super) fn decode(context: DecodeContext, h: u32) -> Inst {
    match h >> 10 {
        0x00..=0x0F => shift_add_move(context, h),
        0x10 => data_processing(context, h),
        0x11 => special(context, h),
        0x12..=0x27 => narrow_memory::decode(context, h),
        // ADR: PC is known when decoding, so this is a constant.
        0x28..=0x29 => Inst::of(Op::MovImm).d(bits(h, 10, 8)).imm(context.literal_base() + bits(h, 7, 0) * 4),
        0x2A..=0x2B => Inst::of(Op::AddImm).d(bits(h, 10, 8)).n(13).imm(bits(h, 7, 0) * 4),
        0x2C..=0x2F => miscellaneous(context, h),
        0x30..=0x33 => narrow_memory::multiple(h),
        0x34..=0x37 => branch::narrow_conditional(context, h),
        _ => branch::narrow(context, h),
    }
}

/// `setflags = !InITBlock()`: `flags` outside an IT block, `plain` inside.
fn setflags(context: DecodeContext, flags: Op, plain: Op) -> Inst {
    Inst::of(if context.in_it { plain } else { flags })
}

fn shift_add_move(context: DecodeContext, h: u32) -> Inst {
    let (d, m, amount) = (bits(h, 2, 0), bits(h, 5, 3), bits(h, 10, 6));
    let (wide_d, imm8) = (bits(h, 10, 8), bits(h, 7, 0));
    // DecodeImmShift: zero encodes 32 for LSR and ASR.
    let or_32 = if amount == 0 { 32 } else { amount };
    match h >> 11 {
        0 if amount == 0 => setflags(context, Op::MovRegS, Op::MovReg).d(d).m(m),
        0 => setflags(context, Op::LslImmS, Op::LslImm).d(d).m(m).k(amount),
        1 => setflags(context, Op::LsrImmS, Op::LsrImm).d(d).m(m).k(or_32),
        2 => setflags(context, Op::AsrImmS, Op::AsrImm).d(d).m(m).k(or_32),
        3 => add_subtract(context, h),
        4 => setflags(context, Op::MovImmS, Op::MovImm).d(wide_d).imm(imm8),
        5 => Inst::of(Op::CmpImm).n(wide_d).imm(imm8),
        6 => setflags(context, Op::AddImmS, Op::AddImm).d(wide_d).n(wide_d).imm(imm8),
        _ => subtract_imm(context, wide_d, wide_d, imm8),
    }
}

fn add_subtract(context: DecodeContext, h: u32) -> Inst {
    let (d, n, third) = (bits(h, 2, 0), bits(h, 5, 3), bits(h, 8, 6));
    match bits(h, 10, 9) {
        0 => setflags(context, Op::AddRegS, Op::AddReg).d(d).n(n).m(third),
        1 => setflags(context, Op::SubRegS, Op::SubReg).d(d).n(n).m(third),
        2 => setflags(context, Op::AddImmS, Op::AddImm).d(d).n(n).imm(third),
        _ => subtract_imm(context, d, n, third),
    }
}

/// Without flags, a subtraction is decoded as an addition of the negative, which saves an operation.
fn subtract_imm(context: DecodeContext, d: u32, n: u32, imm: u32) -> Inst {
    let inst = setflags(context, Op::SubImmS, Op::AddImm).d(d).n(n);
    inst.imm(if context.in_it { imm.wrapping_neg() } else { imm })
}

fn data_processing(context: DecodeContext, h: u32) -> Inst {
    let (d, m) = (bits(h, 2, 0), bits(h, 5, 3));
    let both = |flags, plain| setflags(context, flags, plain).d(d).n(d).m(m);
    let carry = |code| both(Op::AluShiftS, Op::AluShift).a(u32::from(code));
    let shifted = |kind| both(Op::ShiftRegS, Op::ShiftReg).s(u32::from(kind));
    match bits(h, 9, 6) {
        0x0 => both(Op::AndRegS, Op::AndReg),
        0x1 => both(Op::EorRegS, Op::EorReg),
        0x2 => shifted(shift::LSL),
        0x3 => shifted(shift::LSR),
        0x4 => shifted(shift::ASR),
        0x5 => carry(alu::ADC),
        0x6 => carry(alu::SBC),
        0x7 => shifted(shift::ROR),
        // TST and CMN are ANDS and ADDS that discard the result; both set the flags in IT blocks too.
        0x8 => Inst::of(Op::AndRegS).d(15).n(d).m(m),
        0x9 => setflags(context, Op::RsbImmS, Op::RsbImm).d(d).n(m),
        0xA => Inst::of(Op::CmpReg).n(d).m(m),
        0xB => Inst::of(Op::AddRegS).d(15).n(d).m(m),
        0xC => both(Op::OrrRegS, Op::OrrReg),
        0xD => both(Op::MulS, Op::Mul),
        0xE => both(Op::BicRegS, Op::BicReg),
        _ => setflags(context, Op::MvnRegS, Op::MvnReg).d(d).m(m),
    }
}

/// ADD, CMP, MOV on any register; BX and BLX.
fn special(context: DecodeContext, h: u32) -> Inst {
    let (d, m) = (bits(h, 7, 7) << 3 | bits(h, 2, 0), bits(h, 6, 3));
    match bits(h, 9, 8) {
        0 => add_any(context, d, m),
        // UNPREDICTABLE, like the other cases of PC and SP below that are undefined here.
        1 if d == 15 || m == 15 => Inst::of(Op::Undefined),
        1 => Inst::of(Op::CmpReg).n(d).m(m),
        2 => move_any(context, d, m),
        _ => exchange(h, m),
    }
}

fn add_any(context: DecodeContext, d: u32, m: u32) -> Inst {
    match (d, m) {
        (15, 15) => Inst::of(Op::Undefined),
        (15, _) => Inst::of(Op::AddPc).m(m).imm(context.pc()),
        (13, 15) => Inst::of(Op::SpAluImm).d(13).n(13).a(u32::from(alu::ADD)).imm(context.pc()),
        (13, _) => Inst::of(Op::SpAluShift).d(13).n(13).m(m).a(u32::from(alu::ADD)),
        (_, 15) => Inst::of(Op::AddImm).d(d).n(d).imm(context.pc()),
        _ => Inst::of(Op::AddReg).d(d).n(d).m(m),
    }
}

fn move_any(context: DecodeContext, d: u32, m: u32) -> Inst {
    match (d, m) {
        (15, 15) => Inst::of(Op::B).imm(context.pc()),
        (15, _) => Inst::of(Op::MovPc).m(m),
        (13, 15) => Inst::of(Op::Undefined),
        (13, _) => Inst::of(Op::MovSp).m(m),
        (_, 15) => Inst::of(Op::MovImm).d(d).imm(context.pc()),
        _ => Inst::of(Op::MovReg).d(d).m(m),
    }
}

/// BX and BLX. Bit 2 selects BXNS and BLXNS, which are undefined without the Security Extension.
fn exchange(h: u32, m: u32) -> Inst {
    if bit(h, 2) || m == 15 {
        return Inst::of(Op::Undefined);
    }
    Inst::of(if bit(h, 7) { Op::Blx } else { Op::Bx }).m(m)
}

/// Miscellaneous 16-bit instructions: those that start with 1011.
fn miscellaneous(context: DecodeContext, h: u32) -> Inst {
    let (d, m) = (bits(h, 2, 0), bits(h, 5, 3));
    match bits(h, 11, 8) {
        0x0 => adjust_sp(h),
        0x1 | 0x3 | 0x9 | 0xB => branch::compare_zero(context, h),
        0x2 => Inst::of([Op::Sxth, Op::Sxtb, Op::Uxth, Op::Uxtb][bits(h, 7, 6) as usize]).d(d).m(m),
        0x4 | 0x5 => Inst::of(Op::Push).imm(bits(h, 8, 8) << 14 | bits(h, 7, 0)),
        0x6 if bits(h, 7, 5) == 3 => Inst::of(Op::Cps).a(bits(h, 4, 4)).imm(bits(h, 1, 0)),
        0xA => Inst::of([Op::Rev, Op::Rev16, Op::Undefined, Op::Revsh][bits(h, 7, 6) as usize]).d(d).m(m),
        0xC | 0xD => Inst::of(Op::Pop).imm(bits(h, 8, 8) << 15 | bits(h, 7, 0)),
        0xE => Inst::of(Op::Bkpt).imm(bits(h, 7, 0)),
        0xF => hint_or_it(h),
        _ => Inst::of(Op::Undefined),
    }
}

fn adjust_sp(h: u32) -> Inst {
    let code = if bit(h, 7) { alu::SUB } else { alu::ADD };
    Inst::of(Op::SpAluImm).d(13).n(13).a(u32::from(code)).imm(bits(h, 6, 0) * 4)
}

fn hint_or_it(h: u32) -> Inst {
    if bits(h, 3, 0) != 0 {
        return Inst::of(Op::It).imm(bits(h, 7, 0));
    }
    hint(bits(h, 7, 4))
}

/// Hints; those that are not allocated are NOPs.
pub(super) fn hint(number: u32) -> Inst {
    Inst::of(match number {
        2 => Op::Wfe,
        3 => Op::Wfi,
        4 => Op::Sev,
        _ => Op::Nop,
    })
}
