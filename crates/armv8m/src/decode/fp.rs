//! Floating-point encodings (Arm ARM C2.3.12 to C2.3.16).
//!
//! `d`, `n` and `m` are S register numbers. An unallocated encoding in this space is a NOCP UsageFault if the unit is
//! disabled and only otherwise an UNDEFINSTR one, so it is [`Op::FpUndefined`], not [`Op::Undefined`].

use super::{DecodeContext, bit, bits};
use crate::float;
use crate::op::{Inst, Op, fp, mode};

const UNDEFINED: Inst = Inst::of(Op::FpUndefined);

/// Decodes an instruction of coprocessor 10 or 11.
pub(super) fn decode(context: DecodeContext, h: u32, l: u32) -> Inst {
    match (bits(h, 12, 9), bit(l, 4)) {
        (7, true) if !bit(h, 8) => transfer(h, l),
        (7, false) if !bit(h, 8) && !bit(l, 8) => data(h, l),
        (15, false) if !bit(h, 8) && !bit(l, 8) => extra(h, l),
        (6, _) if bits(h, 8, 5) == 2 => pair(h, l),
        (6, _) => memory(context, h, l),
        _ => UNDEFINED,
    }
}

/// S register numbers: their low bit is encoded separately.
fn sd(h: u32, l: u32) -> u32 {
    bits(l, 15, 12) << 1 | bits(h, 6, 6)
}
fn sn(h: u32, l: u32) -> u32 {
    bits(h, 3, 0) << 1 | bits(l, 7, 7)
}
fn sm(l: u32) -> u32 {
    bits(l, 3, 0) << 1 | bits(l, 5, 5)
}

fn data(h: u32, l: u32) -> Inst {
    let what = bits(h, 7, 7) << 3 | bits(h, 5, 4) << 1 | bits(l, 6, 6);
    let arithmetic = Inst::of(Op::FpArithmetic).a(what).n(sn(h, l)).m(sm(l));
    let inst = match what {
        9 => UNDEFINED,
        // Reserved bits of VMOV (immediate).
        14 if l & 0xA0 != 0 => UNDEFINED,
        14 => Inst::of(Op::FpMoveImm).imm(float::expand_immediate(bits(h, 3, 0) << 4 | bits(l, 3, 0))),
        15 => unary(h, l),
        _ => arithmetic,
    };
    inst.d(sd(h, l))
}

/// Operations on one register, by opc2 and the top bit of opc3.
fn unary(h: u32, l: u32) -> Inst {
    let top = bit(l, 7);
    let m = sm(l);
    let opc2 = bits(h, 3, 0);
    match (opc2, top) {
        (0, _) => Inst::of(Op::FpMove).m(m).a(u32::from(top)),
        (1, false) => Inst::of(Op::FpMove).m(m).a(2),
        (1, true) => Inst::of(Op::FpArithmetic).m(m).a(u32::from(fp::VSQRT)),
        (2 | 3, _) => Inst::of(Op::FpConvertHalf).m(m).a(opc2 & 1).k(u32::from(top) * 16),
        (4, _) => Inst::of(Op::FpCompare).m(m).a(u32::from(top)),
        (5, _) => Inst::of(Op::FpCompare).a(u32::from(top)).s(1),
        (6, _) => Inst::of(Op::FpRoundInt).m(m).s(if top { 5 } else { 4 }),
        (7, false) => Inst::of(Op::FpRoundInt).m(m).s(4).a(1),
        (8, _) => Inst::of(Op::FpConvertInt).m(m).a(u32::from(!top)).k(1),
        (10 | 11 | 14 | 15, _) => fixed(opc2, l),
        (12 | 13, _) => Inst::of(Op::FpConvertInt).m(m).a(u32::from(opc2 == 12)).s(if top { 5 } else { 4 }),
        _ => UNDEFINED,
    }
}

/// Fixed-point conversions: `a` unsigned, `s` towards fixed point, `k` the width, `imm` the fraction bits.
fn fixed(opc2: u32, l: u32) -> Inst {
    let width = if bit(l, 7) { 32 } else { 16 };
    let position = bits(l, 3, 0) << 1 | bits(l, 5, 5);
    if position > width {
        return UNDEFINED;
    }
    Inst::of(Op::FpConvertFixed).a(opc2 & 1).s(opc2 >> 2 & 1).k(width).imm(width - position)
}

/// VSEL, VMAXNM, VMINNM, and conversions and roundings with an encoded rounding mode.
fn extra(h: u32, l: u32) -> Inst {
    let (op, m) = (bit(l, 6), sm(l));
    let directed = bits(h, 1, 0);
    let inst = match (bit(h, 7), bits(h, 5, 4)) {
        (false, condition) if !op => {
            // Two bits encode EQ, VS, GE and GT; the opposites are had by exchanging the operands.
            Inst::of(Op::FpSelect).a([0, 6, 10, 12][condition as usize]).n(sn(h, l)).m(m)
        }
        (true, 0) => {
            let what = if op { fp::VMINNM } else { fp::VMAXNM };
            Inst::of(Op::FpArithmetic).a(u32::from(what)).n(sn(h, l)).m(m)
        }
        (true, 3) if bits(h, 3, 2) == 2 && bits(l, 7, 6) == 1 => Inst::of(Op::FpRoundInt).m(m).s(directed),
        (true, 3) if bits(h, 3, 2) == 3 && op => {
            Inst::of(Op::FpConvertInt).m(m).a(u32::from(!bit(l, 7))).s(directed)
        }
        _ => UNDEFINED,
    };
    inst.d(sd(h, l))
}

/// Moves between one core register and the unit (VMOV, VMRS, VMSR).
fn transfer(h: u32, l: u32) -> Inst {
    let (t, load) = (bits(l, 15, 12), bits(h, 4, 4));
    let core = Inst::of(Op::FpMoveCore).d(t).a(load);
    match (bit(l, 8), bits(h, 7, 5)) {
        (false, 7) if bits(h, 3, 0) == 1 => Inst::of(Op::FpStatus).d(t).a(load),
        _ if t == 15 => UNDEFINED,
        (false, 0) => core.n(sn(h, l)),
        (true, word @ 0..=1) if bits(l, 6, 5) == 0 && !bit(l, 7) => core.n(bits(h, 3, 0) << 1 | word),
        _ => UNDEFINED,
    }
}

/// Moves between two core registers and two S registers or a D register.
fn pair(h: u32, l: u32) -> Inst {
    let (t, t2, load) = (bits(l, 15, 12), bits(h, 3, 0), bits(h, 4, 4));
    let m = if bit(l, 8) { bits(l, 3, 0) << 1 } else { sm(l) };
    // The second of the pair would be S32 or D16.
    let beyond = m == 31 || (bit(l, 8) && bit(l, 5));
    if bits(l, 7, 6) != 0 || !bit(l, 4) || beyond || t == 15 || t2 == 15 || (load == 1 && t == t2) {
        return UNDEFINED;
    }
    Inst::of(Op::FpMoveCorePair).d(t).n(t2).m(m).a(load)
}

/// VLDR, VSTR, VLDM, VSTM: `d` the first S register, `k` how many.
fn memory(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (n, load, imm) = (bits(h, 3, 0), bit(h, 4), bits(l, 7, 0));
    let double = bit(l, 8);
    let first = if double { bits(l, 15, 12) << 1 } else { sd(h, l) };
    let (p, u, w) = (bit(h, 8), bit(h, 7), bit(h, 5));
    // D16 to D31 do not exist in this unit.
    if double && bit(h, 6) {
        return UNDEFINED;
    }
    if p && !w {
        return single(context, h, first, if double { 2 } else { 1 }, imm * 4);
    }
    // An odd number of words is FLDMX or FSTMX, deprecated: it transfers whole registers, but moves the base by the odd
    // number.
    let count = if double { imm & !1 } else { imm };
    let ascending = !p && u;
    let descending = p && !u && w;
    if !(ascending || descending) || count == 0 || first + count > 32 || (n == 15 && (w || !load)) {
        return UNDEFINED;
    }
    let op = if load { Op::FpLoadMultiple } else { Op::FpStoreMultiple };
    let inst = Inst::of(op).d(first).n(n).k(count).a(u32::from(descending)).s(u32::from(w)).imm(imm * 4);
    if n == 15 { inst.m(1).imm(context.literal_base()) } else { inst }
}

fn single(context: DecodeContext, h: u32, first: u32, count: u32, offset: u32) -> Inst {
    let (n, load) = (bits(h, 3, 0), bit(h, 4));
    let offset = if bit(h, 7) { offset } else { offset.wrapping_neg() };
    let inst = Inst::of(if load { Op::FpLoad } else { Op::FpStore }).d(first).n(n).k(count);
    match n {
        15 if load => inst.s(u32::from(mode::LITERAL)).imm(context.literal_base().wrapping_add(offset)),
        15 => UNDEFINED,
        _ => inst.imm(offset),
    }
}
