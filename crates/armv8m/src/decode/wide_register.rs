//! 32-bit data processing on registers (Arm ARM C2.3.7, C2.3.8), the DSP extension (C2.3.9) and multiplies (C2.3.10,
//! C2.3.11).

use super::wide::is_allocated;
use super::{bit, bits};
use crate::op::{Inst, Op, alu, shift};

/// Data processing with a shifted register.
pub(super) fn shifted(h: u32, l: u32) -> Inst {
    let (n, d, m, set) = (bits(h, 3, 0), bits(l, 11, 8), bits(l, 3, 0), bit(h, 4));
    let code = bits(h, 8, 5) as u8;
    let (kind, amount) = immediate_shift(bits(l, 5, 4), bits(l, 14, 12) << 2 | bits(l, 7, 6));
    if code == 6 {
        return pack(h, l, n, d, m, amount);
    }
    let discards = d == 15 && set && matches!(code, alu::AND | alu::EOR | alu::ADD | alu::SUB);
    let moves = n == 15 && matches!(code, alu::ORR | alu::ORN);
    if !is_allocated(code) || (d == 15 && !discards) || (n == 15 && !moves) || m == 15 {
        return Inst::of(Op::Undefined);
    }
    if d == 13 {
        return stack(code, n, m, set, kind, amount);
    }
    let inst = if set { flags(code, n, kind, amount) } else { plain(code, n, kind, amount) };
    inst.d(d).n(n).m(m)
}

/// DecodeImmShift: zero means 32 for LSR and ASR, and RRX for ROR.
fn immediate_shift(kind: u32, amount: u32) -> (u8, u32) {
    match (kind as u8, amount) {
        (shift::LSR | shift::ASR, 0) => (kind as u8, 32),
        (shift::ROR, 0) => (shift::RRX, 1),
        (kind, amount) => (kind, amount),
    }
}

fn pack(h: u32, l: u32, n: u32, d: u32, m: u32, amount: u32) -> Inst {
    if bit(h, 4) || bit(l, 4) {
        return Inst::of(Op::Undefined);
    }
    let inst = Inst::of(if bit(l, 5) { Op::Pkhtb } else { Op::Pkhbt });
    inst.d(d).n(n).m(m).k(amount)
}

fn stack(code: u8, n: u32, m: u32, set: bool, kind: u8, amount: u32) -> Inst {
    let unshifted = kind == shift::LSL && amount == 0 && !set;
    match code {
        alu::ORR if n == 15 && unshifted => Inst::of(Op::MovSp).m(m),
        alu::ADD | alu::SUB if n == 13 => Inst::of(Op::SpAluShift)
            .d(13)
            .n(13)
            .m(m)
            .a(u32::from(code))
            .s(u32::from(kind))
            .k(amount)
            .imm(u32::from(set)),
        _ => Inst::of(Op::Undefined),
    }
}

fn general_form(op: Op, code: u8, kind: u8, amount: u32) -> Inst {
    Inst::of(op).a(u32::from(code)).s(u32::from(kind)).k(amount)
}

fn plain(code: u8, n: u32, kind: u8, amount: u32) -> Inst {
    let lsl = kind == shift::LSL;
    match (code, lsl && amount == 0) {
        (alu::ORR, true) if n == 15 => Inst::of(Op::MovReg),
        (alu::ORN, true) if n == 15 => Inst::of(Op::MvnReg),
        (alu::ORR, false) if n == 15 => move_shifted(kind, amount, [Op::LslImm, Op::LsrImm, Op::AsrImm]),
        (alu::AND, true) => Inst::of(Op::AndReg),
        (alu::BIC, true) => Inst::of(Op::BicReg),
        (alu::ORR, true) => Inst::of(Op::OrrReg),
        (alu::EOR, true) => Inst::of(Op::EorReg),
        (alu::ADD, true) => Inst::of(Op::AddReg),
        (alu::SUB, true) => Inst::of(Op::SubReg),
        (alu::ORR, false) if lsl => Inst::of(Op::OrrLsl).k(amount),
        (alu::EOR, false) if lsl => Inst::of(Op::EorLsl).k(amount),
        (alu::ADD, false) if lsl => Inst::of(Op::AddLsl).k(amount),
        (alu::SUB, false) if lsl => Inst::of(Op::SubLsl).k(amount),
        _ => general_form(Op::AluShift, code, kind, amount),
    }
}

fn flags(code: u8, n: u32, kind: u8, amount: u32) -> Inst {
    match (code, kind == shift::LSL && amount == 0) {
        (alu::ORR, true) if n == 15 => Inst::of(Op::MovRegS),
        (alu::ORN, true) if n == 15 => Inst::of(Op::MvnRegS),
        (alu::ORR, false) if n == 15 => move_shifted(kind, amount, [Op::LslImmS, Op::LsrImmS, Op::AsrImmS]),
        (alu::AND, true) => Inst::of(Op::AndRegS),
        (alu::BIC, true) => Inst::of(Op::BicRegS),
        (alu::ORR, true) => Inst::of(Op::OrrRegS),
        (alu::EOR, true) => Inst::of(Op::EorRegS),
        (alu::ADD, true) => Inst::of(Op::AddRegS),
        (alu::SUB, true) => Inst::of(Op::SubRegS),
        _ => general_form(Op::AluShiftS, code, kind, amount),
    }
}

/// LSL, LSR and ASR by a constant. Rotations are rare and take the general form.
fn move_shifted(kind: u8, amount: u32, ops: [Op; 3]) -> Inst {
    match ops.get(kind as usize) {
        Some(&op) => Inst::of(op).k(amount),
        None if ops[0] == Op::LslImm => general_form(Op::AluShift, alu::ORR, kind, amount),
        None => general_form(Op::AluShiftS, alu::ORR, kind, amount),
    }
}

/// Data processing on registers, multiply, long multiply.
pub(super) fn decode(h: u32, l: u32) -> Inst {
    match bits(h, 8, 7) {
        0 | 1 => register(h, l),
        2 => multiply(h, l),
        _ => long_multiply(h, l),
    }
}

fn register(h: u32, l: u32) -> Inst {
    let (n, d, m) = (bits(h, 3, 0), bits(l, 11, 8), bits(l, 3, 0));
    if bits(l, 15, 12) != 15 || d == 15 || m == 15 {
        return Inst::of(Op::Undefined);
    }
    let op2 = bits(l, 7, 4);
    let inst = match (bit(h, 7), bit(l, 7), bit(l, 6)) {
        (false, false, _) if op2 == 0 => shift_by_register(h).m(m),
        (false, true, _) => extend(h, l, n).m(m),
        (true, false, _) => parallel(h, l).m(m),
        (true, true, false) => three_source(h, l, n).m(m),
        _ => Inst::of(Op::Undefined),
    };
    inst.d(d).n(n)
}

fn shift_by_register(h: u32) -> Inst {
    Inst::of(if bit(h, 4) { Op::ShiftRegS } else { Op::ShiftReg }).s(bits(h, 6, 5))
}

/// SXTAH, UXTAH, SXTAB16, UXTAB16, SXTAB, UXTAB; with Rn = 15 without the addition.
fn extend(h: u32, l: u32, n: u32) -> Inst {
    let (what, rotate) = (bits(h, 6, 4), bits(l, 5, 4) * 8);
    if what > 5 || bit(l, 6) {
        return Inst::of(Op::Undefined);
    }
    let quick = match what {
        0 => Op::Sxth,
        1 => Op::Uxth,
        4 => Op::Sxtb,
        5 => Op::Uxtb,
        _ => Op::ExtendAdd,
    };
    if n == 15 && rotate == 0 && quick != Op::ExtendAdd {
        return Inst::of(quick);
    }
    Inst::of(Op::ExtendAdd).a(what).k(rotate).s(u32::from(n == 15))
}

/// The 36 parallel additions and subtractions: `a` is the operation, `s` the prefix.
fn parallel(h: u32, l: u32) -> Inst {
    let (what, prefix) = (bits(h, 6, 4), bits(l, 6, 4));
    if matches!(what, 3 | 7) || matches!(prefix, 3 | 7) {
        return Inst::of(Op::Undefined);
    }
    Inst::of(Op::Parallel).a(what).s(prefix)
}

/// Saturating arithmetic, reversals, SEL and CLZ.
fn three_source(h: u32, l: u32, n: u32) -> Inst {
    let m = bits(l, 3, 0);
    match (bits(h, 6, 4), bits(l, 5, 4)) {
        (0, how) => Inst::of(Op::SaturatingAdd).a(how),
        (2, 0) => Inst::of(Op::Sel),
        // Reversals and CLZ encode Rm twice; different registers are UNPREDICTABLE.
        (1 | 3, _) if n != m => Inst::of(Op::Undefined),
        (1, 0) => Inst::of(Op::Rev),
        (1, 1) => Inst::of(Op::Rev16),
        (1, 2) => Inst::of(Op::Rbit),
        (1, 3) => Inst::of(Op::Revsh),
        (3, 0) => Inst::of(Op::Clz),
        _ => Inst::of(Op::Undefined),
    }
}

/// 32-bit results: MUL, MLA, MLS and the signed DSP multiplies.
fn multiply(h: u32, l: u32) -> Inst {
    let (n, a, d, m) = (bits(h, 3, 0), bits(l, 15, 12), bits(l, 11, 8), bits(l, 3, 0));
    let (what, low) = (bits(h, 6, 4), bits(l, 5, 4));
    if bits(l, 7, 6) != 0 || d == 15 || n == 15 || m == 15 {
        return Inst::of(Op::Undefined);
    }
    let op = match (what, low) {
        (0, 0) if a == 15 => Op::Mul,
        (0, 0) => Op::Mla,
        (0, 1) => Op::Mls,
        (1, _) => Op::SmulHalf,
        (2 | 4, 0 | 1) => Op::SmulDual,
        (3, 0 | 1) => Op::SmulWide,
        (5, 0 | 1) => Op::SmulMost,
        (6, 0 | 1) if a != 15 => Op::SmulMost,
        (7, 0) => Op::Usad8,
        _ => Op::Undefined,
    };
    Inst::of(op).d(d).n(n).m(m).a(a).k(low).s(what)
}

/// 64-bit results and division: `d` is the low half, `a` the high one.
fn long_multiply(h: u32, l: u32) -> Inst {
    let (n, low, high, m) = (bits(h, 3, 0), bits(l, 15, 12), bits(l, 11, 8), bits(l, 3, 0));
    let (what, how) = (bits(h, 6, 4), bits(l, 7, 4));
    // Divisions have no second destination: the field is 15.
    let divides = how == 15 && matches!(what, 1 | 3);
    if n == 15 || m == 15 || high == 15 || (low == 15) != divides || (low == high && !divides) {
        return Inst::of(Op::Undefined);
    }
    let op = match (what, how) {
        (0, 0) => Op::Smull,
        (1, 15) => return Inst::of(Op::Sdiv).d(high).n(n).m(m),
        (2, 0) => Op::Umull,
        (3, 15) => return Inst::of(Op::Udiv).d(high).n(n).m(m),
        (4, 0) => Op::Smlal,
        (4, 8..=11) => Op::SmlalHalf,
        (4 | 5, 12 | 13) => Op::SmlalDual,
        (6, 0) => Op::Umlal,
        (6, 6) => Op::Umaal,
        _ => Op::Undefined,
    };
    Inst::of(op).d(low).a(high).n(n).m(m).k(how & 3).s(what)
}
