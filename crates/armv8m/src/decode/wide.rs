//! 32-bit encodings: the top-level groups, and data processing with immediates (Arm ARM C2.3.1, C2.3.2). `h` and `l`
//! are the first and the second halfword.

use super::{DecodeContext, bit, bits, branch, fp, wide_memory, wide_register};
use crate::op::{Inst, Op, alu, carry};

/// Decodes a 32-bit instruction.
pub(super) fn decode(context: DecodeContext, h: u32, l: u32) -> Inst {
    if bits(h, 15, 13) == 7 && bits(h, 11, 10) == 3 && bits(h, 12, 11) != 2 {
        return coprocessor(context, h, l);
    }
    match (bits(h, 12, 11), bits(h, 10, 9)) {
        (1, 0) if !bit(h, 6) => wide_memory::multiple(h, l),
        (1, 0) => wide_memory::dual_or_exclusive(context, h, l),
        (1, _) => wide_register::shifted(h, l),
        (2, _) if bit(l, 15) => branch::wide(context, h, l),
        (2, _) if bit(h, 9) => plain_immediate(context, h, l),
        (2, _) => modified_immediate(h, l),
        (_, 0) => wide_memory::single(context, h, l),
        _ => wide_register::decode(h, l),
    }
}

/// Coprocessors 10 and 11 are the floating-point unit; others do not exist (NOCP UsageFault).
fn coprocessor(context: DecodeContext, h: u32, l: u32) -> Inst {
    match bits(l, 11, 8) {
        10 | 11 => fp::decode(context, h, l),
        _ => Inst::of(Op::NoCoprocessor),
    }
}

/// T32ExpandImm_C: the constant and its effect on the carry.
fn expand(h: u32, l: u32) -> (u32, u8) {
    let packed = bits(h, 10, 10) << 11 | bits(l, 14, 12) << 8 | bits(l, 7, 0);
    let byte = packed & 0xFF;
    match packed >> 8 {
        0 => (byte, carry::KEEP),
        // The replicated forms of a zero byte are UNPREDICTABLE; here they are zero.
        1 => (byte << 16 | byte, carry::KEEP),
        2 => (byte << 24 | byte << 8, carry::KEEP),
        3 => (byte << 24 | byte << 16 | byte << 8 | byte, carry::KEEP),
        _ => {
            // The top bit is not encoded: it is always one.
            let value = (packed & 0x7F | 0x80).rotate_right(packed >> 7);
            (value, if bit(value, 31) { carry::SET } else { carry::CLEAR })
        }
    }
}

fn modified_immediate(h: u32, l: u32) -> Inst {
    let (n, d, set) = (bits(h, 3, 0), bits(l, 11, 8), bit(h, 4));
    let (value, c) = expand(h, l);
    let code = bits(h, 8, 5) as u8;
    // Rd = 15 with S is TST, TEQ, CMN or CMP; Rn = 15 is MOV or MVN.
    let discards = d == 15 && set && matches!(code, alu::AND | alu::EOR | alu::ADD | alu::SUB);
    let moves = n == 15 && matches!(code, alu::ORR | alu::ORN);
    if !is_allocated(code) || (d == 15 && !discards) || (n == 15 && !moves) {
        return Inst::of(Op::Undefined);
    }
    if d == 13 {
        return stack_immediate(code, n, set, value);
    }
    let inst = if set { immediate_flags(code, n, value) } else { immediate(code, n, value) };
    inst.d(d).n(n).s(u32::from(c))
}

/// Whether a data-processing opcode is allocated. Opcode 6 is PKH, in the register form only.
pub(super) fn is_allocated(code: u8) -> bool {
    matches!(code, 0..=4 | 8 | 10 | 11 | 13 | 14)
}

/// Only additions to SP itself may have SP as destination.
fn stack_immediate(code: u8, n: u32, set: bool, value: u32) -> Inst {
    if n != 13 || !matches!(code, alu::ADD | alu::SUB) {
        return Inst::of(Op::Undefined);
    }
    Inst::of(Op::SpAluImm).d(13).n(13).a(u32::from(code)).k(u32::from(set)).imm(value)
}

fn immediate(code: u8, n: u32, value: u32) -> Inst {
    match code {
        // BIC, ORN and SUB become AND, ORR and ADD of the complement, which the hot loop executes with fewer
        // operations.
        alu::AND => Inst::of(Op::AndImm).imm(value),
        alu::BIC => Inst::of(Op::AndImm).imm(!value),
        alu::ORR if n == 15 => Inst::of(Op::MovImm).imm(value),
        alu::ORR => Inst::of(Op::OrrImm).imm(value),
        alu::ORN if n == 15 => Inst::of(Op::MovImm).imm(!value),
        alu::ORN => Inst::of(Op::OrrImm).imm(!value),
        alu::EOR => Inst::of(Op::EorImm).imm(value),
        alu::ADD => Inst::of(Op::AddImm).imm(value),
        alu::SUB => Inst::of(Op::AddImm).imm(value.wrapping_neg()),
        alu::RSB => Inst::of(Op::RsbImm).imm(value),
        _ => Inst::of(Op::AluImm).a(u32::from(code)).imm(value),
    }
}

fn immediate_flags(code: u8, n: u32, value: u32) -> Inst {
    match code {
        alu::ORR if n == 15 => Inst::of(Op::MovImmS).imm(value),
        alu::ORN if n == 15 => Inst::of(Op::MovImmS).imm(!value),
        // SUB stays SUB here: an addition of the complement would have another carry for zero.
        alu::ADD => Inst::of(Op::AddImmS).imm(value),
        alu::SUB => Inst::of(Op::SubImmS).imm(value),
        alu::RSB => Inst::of(Op::RsbImmS).imm(value),
        _ => Inst::of(Op::AluImmS).a(u32::from(code)).imm(value),
    }
}

/// Plain binary immediates: wide ADD and SUB, MOVW, MOVT, bit fields, saturation.
fn plain_immediate(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (n, d) = (bits(h, 3, 0), bits(l, 11, 8));
    let imm12 = bits(h, 10, 10) << 11 | bits(l, 14, 12) << 8 | bits(l, 7, 0);
    let imm16 = n << 12 | imm12;
    if d == 15 {
        return Inst::of(Op::Undefined);
    }
    match bits(h, 8, 4) {
        0x00 => add_wide(context, d, n, alu::ADD, imm12),
        0x0A => add_wide(context, d, n, alu::SUB, imm12),
        _ if d == 13 => Inst::of(Op::Undefined),
        0x04 => Inst::of(Op::MovImm).d(d).imm(imm16),
        0x0C => Inst::of(Op::MovTop).d(d).imm(imm16 << 16),
        0x10 | 0x12 | 0x18 | 0x1A => saturate(h, l),
        0x14 | 0x16 | 0x1C => bit_field(h, l),
        _ => Inst::of(Op::Undefined),
    }
}

fn add_wide(context: DecodeContext, d: u32, n: u32, code: u8, imm: u32) -> Inst {
    let signed = if code == alu::SUB { imm.wrapping_neg() } else { imm };
    match (d, n) {
        (13, 13) => Inst::of(Op::SpAluImm).d(13).n(13).a(u32::from(code)).imm(imm),
        (13, _) => Inst::of(Op::Undefined),
        // ADR: PC is known when decoding, so this is a constant.
        (_, 15) => Inst::of(Op::MovImm).d(d).imm(context.literal_base().wrapping_add(signed)),
        _ => Inst::of(Op::AddImm).d(d).n(n).imm(signed),
    }
}

/// SSAT, USAT; with an ASR by zero the halfword forms.
fn saturate(h: u32, l: u32) -> Inst {
    let (n, d) = (bits(h, 3, 0), bits(l, 11, 8));
    let amount = bits(l, 14, 12) << 2 | bits(l, 7, 6);
    let unsigned = bit(h, 7);
    // SSAT encodes its width less one, USAT its width.
    let width = bits(l, 4, 0) + u32::from(!unsigned);
    if n == 13 || n == 15 {
        return Inst::of(Op::Undefined);
    }
    if bit(h, 5) && amount == 0 {
        return Inst::of(Op::Saturate16).d(d).n(n).a(u32::from(unsigned)).k(width);
    }
    // `sh` is bit 1 of the shift type: LSL or ASR.
    let op = if unsigned { Op::Usat } else { Op::Ssat };
    Inst::of(op).d(d).n(n).s(bits(h, 5, 5) << 1).a(amount).k(width)
}

/// SBFX, UBFX, BFI, BFC.
fn bit_field(h: u32, l: u32) -> Inst {
    let (n, d) = (bits(h, 3, 0), bits(l, 11, 8));
    let (low, last) = (bits(l, 14, 12) << 2 | bits(l, 7, 6), bits(l, 4, 0));
    let op = bits(h, 8, 4);
    if op == 0x16 {
        if last < low || n == 13 {
            return Inst::of(Op::Undefined);
        }
        // 64 bits, since a field may be the whole word.
        let mask = ((2u64 << (last - low)) - 1) as u32;
        let op = if n == 15 { Op::Bfc } else { Op::Bfi };
        return Inst::of(op).d(d).n(n).k(low).imm(mask);
    }
    if low + last > 31 || n == 13 || n == 15 {
        return Inst::of(Op::Undefined);
    }
    let mask = ((2u64 << last) - 1) as u32;
    Inst::of(if op == 0x14 { Op::Sbfx } else { Op::Ubfx }).d(d).n(n).k(low).a(last + 1).imm(mask)
}
