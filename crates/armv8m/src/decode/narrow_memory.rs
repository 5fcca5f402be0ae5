//! 16-bit loads and stores (Arm ARM C2.2.6).

use super::{DecodeContext, bit, bits};
use crate::op::{Inst, Op};

const REGISTER_FORMS: [Op; 8] =
    [Op::StrReg, Op::StrhReg, Op::StrbReg, Op::LdrsbReg, Op::LdrReg, Op::LdrhReg, Op::LdrbReg, Op::LdrshReg];

/// Decodes LDR (literal) and the load/store single group.
pub(super) fn decode(context: DecodeContext, h: u32) -> Inst {
    let (t, n, imm5) = (bits(h, 2, 0), bits(h, 5, 3), bits(h, 10, 6));
    let load = bit(h, 11);
    let offset = |load_op, store_op, scale| {
        Inst::of(if load { load_op } else { store_op }).d(t).n(n).imm(imm5 * scale)
    };
    match h >> 12 {
        0x4 => Inst::of(Op::LdrLit).d(bits(h, 10, 8)).imm(context.literal_base() + bits(h, 7, 0) * 4),
        0x5 => Inst::of(REGISTER_FORMS[bits(h, 11, 9) as usize]).d(t).n(n).m(bits(h, 8, 6)),
        0x6 => offset(Op::LdrImm, Op::StrImm, 4),
        0x7 => offset(Op::LdrbImm, Op::StrbImm, 1),
        0x8 => offset(Op::LdrhImm, Op::StrhImm, 2),
        _ => Inst::of(if load { Op::LdrImm } else { Op::StrImm })
            .d(bits(h, 10, 8))
            .n(13)
            .imm(bits(h, 7, 0) * 4),
    }
}

/// LDM and STM, always ascending; LDM writes back unless the base is in the list.
pub(super) fn multiple(h: u32) -> Inst {
    let (n, list) = (bits(h, 10, 8), bits(h, 7, 0));
    if list == 0 {
        return Inst::of(Op::Undefined);
    }
    if !bit(h, 11) {
        return Inst::of(Op::Stm).n(n).imm(list).s(1);
    }
    Inst::of(Op::Ldm).n(n).imm(list).s(u32::from(!bit(list, n)))
}
