//! Branches and the miscellaneous control group (Arm ARM C2.2.7, C2.3.4).

use super::{DecodeContext, bit, bits, narrow, sign_extend};
use crate::op::{Inst, Op};

const CONDITIONAL: [Op; 14] = [
    Op::Beq,
    Op::Bne,
    Op::Bcs,
    Op::Bcc,
    Op::Bmi,
    Op::Bpl,
    Op::Bvs,
    Op::Bvc,
    Op::Bhi,
    Op::Bls,
    Op::Bge,
    Op::Blt,
    Op::Bgt,
    Op::Ble,
];

/// Conditional branch, UDF and SVC.
pub(super) fn narrow_conditional(context: DecodeContext, h: u32) -> Inst {
    match bits(h, 11, 8) {
        14 => Inst::of(Op::Undefined), // UDF
        15 => Inst::of(Op::Svc).imm(bits(h, 7, 0)),
        condition => {
            let offset = sign_extend(bits(h, 7, 0) << 1, 9);
            Inst::of(CONDITIONAL[condition as usize]).imm(context.pc().wrapping_add(offset))
        }
    }
}

/// Unconditional branch, 16 bits.
pub(super) fn narrow(context: DecodeContext, h: u32) -> Inst {
    Inst::of(Op::B).imm(context.pc().wrapping_add(sign_extend(bits(h, 10, 0) << 1, 12)))
}

/// CBZ and CBNZ.
pub(super) fn compare_zero(context: DecodeContext, h: u32) -> Inst {
    // Not signed: CBZ and CBNZ branch forwards only.
    let offset = bits(h, 9, 9) << 6 | bits(h, 7, 3) << 1;
    Inst::of(if bit(h, 11) { Op::Cbnz } else { Op::Cbz })
        .n(bits(h, 2, 0))
        .imm(context.pc().wrapping_add(offset))
}

/// Branches and miscellaneous control, 32 bits.
pub(super) fn wide(context: DecodeContext, h: u32, l: u32) -> Inst {
    match bits(l, 14, 12) {
        // Conditions 14 and 15 do not exist here: their encodings are the control instructions.
        0 | 2 if bits(h, 9, 7) != 7 => conditional(context, h, l),
        0 => control(h, l),
        // UDF.W.
        2 if bits(h, 10, 4) == 0x7F => Inst::of(Op::Undefined),
        1 | 3 => Inst::of(Op::B).imm(long_target(context, h, l)),
        5 | 7 => Inst::of(Op::Bl).imm(long_target(context, h, l)),
        _ => Inst::of(Op::Undefined),
    }
}

fn conditional(context: DecodeContext, h: u32, l: u32) -> Inst {
    let offset = bits(h, 10, 10) << 20
        | bits(l, 11, 11) << 19
        | bits(l, 13, 13) << 18
        | bits(h, 5, 0) << 12
        | bits(l, 10, 0) << 1;
    let target = context.pc().wrapping_add(sign_extend(offset, 21));
    Inst::of(CONDITIONAL[bits(h, 9, 6) as usize]).imm(target)
}

fn long_target(context: DecodeContext, h: u32, l: u32) -> u32 {
    let sign = bits(h, 10, 10);
    // I1 = NOT(J1 EOR S), I2 = NOT(J2 EOR S): for short branches J1 and J2 are ones, as in the older encoding.
    let i1 = (bits(l, 13, 13) ^ sign) ^ 1;
    let i2 = (bits(l, 11, 11) ^ sign) ^ 1;
    let offset = sign << 24 | i1 << 23 | i2 << 22 | bits(h, 9, 0) << 12 | bits(l, 10, 0) << 1;
    context.pc().wrapping_add(sign_extend(offset, 25))
}

fn control(h: u32, l: u32) -> Inst {
    match bits(h, 10, 4) {
        0x38 | 0x39 => Inst::of(Op::Msr).n(bits(h, 3, 0)).a(bits(l, 11, 10)).imm(bits(l, 7, 0)),
        0x3A if bits(l, 10, 8) == 0 => narrow::hint(bits(l, 7, 0)),
        0x3A => Inst::of(Op::Undefined),
        0x3B => barrier(l),
        0x3E | 0x3F => Inst::of(Op::Mrs).d(bits(l, 11, 8)).imm(bits(l, 7, 0)),
        _ => Inst::of(Op::Undefined),
    }
}

fn barrier(l: u32) -> Inst {
    match bits(l, 7, 4) {
        2 => Inst::of(Op::Clrex),
        // DSB, DMB, ISB: memory is in program order and decoded code is always current, so there is nothing to do.
        4..=6 => Inst::of(Op::Barrier),
        _ => Inst::of(Op::Undefined),
    }
}
