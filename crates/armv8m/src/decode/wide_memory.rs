//! 32-bit loads and stores (Arm ARM C2.3.5, C2.3.6).

use super::{DecodeContext, bit, bits};
use crate::op::{Inst, Op, kind, mode};

/// SG, a NOP without the Security Extension.
const SECURE_GATEWAY: (u32, u32) = (0xE97F, 0xE97F);

/// LDM, STM and their descending forms.
pub(super) fn multiple(h: u32, l: u32) -> Inst {
    let (n, list, writeback, load) = (bits(h, 3, 0), l & 0xFFFF, bit(h, 5), bit(h, 4));
    let descending = match bits(h, 8, 7) {
        1 => 0,
        2 => 1,
        _ => return Inst::of(Op::Undefined),
    };
    // SP in the list, PC in a store's, PC and LR in a load's, and a loaded base with writeback are UNPREDICTABLE.
    let forbidden = if load { 1 << 13 } else { 1 << 13 | 1 << 15 };
    let clash = writeback && bit(list, n) && load;
    if n == 15 || list == 0 || list & forbidden != 0 || list >> 14 == 3 || clash {
        return Inst::of(Op::Undefined);
    }
    match (load, n, writeback, descending) {
        (true, 13, true, 0) => Inst::of(Op::Pop).imm(list),
        (false, 13, true, 1) => Inst::of(Op::Push).imm(list),
        _ => Inst::of(if load { Op::Ldm } else { Op::Stm })
            .n(n)
            .imm(list)
            .s(u32::from(writeback))
            .a(descending),
    }
}

/// LDRD, STRD, exclusives, acquire and release, table branches, TT.
pub(super) fn dual_or_exclusive(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (p, w) = (bit(h, 8), bit(h, 5));
    if (h, l) == SECURE_GATEWAY {
        return Inst::of(Op::Nop);
    }
    match (p, w) {
        (false, false) if !bit(h, 7) => exclusive(h, l),
        (false, false) => exclusive_or_table(context, h, l),
        _ => dual(context, h, l),
    }
}

fn dual(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (n, t, t2) = (bits(h, 3, 0), bits(l, 15, 12), bits(l, 11, 8));
    let (p, w, load) = (bit(h, 8), bit(h, 5), bit(h, 4));
    let offset = bits(l, 7, 0) * 4;
    let offset = if bit(h, 7) { offset } else { offset.wrapping_neg() };
    // UNPREDICTABLE: SP and PC as data, equal targets, and writeback to a transferred register or PC.
    let bad = |r| r == 13 || r == 15;
    if bad(t) || bad(t2) || (load && t == t2) || (w && (n == 15 || n == t || n == t2)) {
        return Inst::of(Op::Undefined);
    }
    if n == 15 {
        let address = context.literal_base().wrapping_add(offset);
        let literal = Inst::of(Op::LoadDual).d(t).a(t2).s(u32::from(mode::LITERAL)).imm(address);
        return if load { literal } else { Inst::of(Op::Undefined) };
    }
    let inst = Inst::of(if load { Op::LoadDual } else { Op::StoreDual });
    inst.d(t).n(n).a(t2).s(indexing(p, w)).imm(offset)
}

fn indexing(pre: bool, writeback: bool) -> u32 {
    u32::from(match (pre, writeback) {
        (true, false) => mode::OFFSET,
        (true, true) => mode::PRE,
        _ => mode::POST,
    })
}

/// LDREX and STREX of a word. TT is encoded as a STREX with Rt = 15.
fn exclusive(h: u32, l: u32) -> Inst {
    let (n, t, d) = (bits(h, 3, 0), bits(l, 15, 12), bits(l, 11, 8));
    let word = u32::from(kind::WORD);
    if bit(h, 4) {
        return Inst::of(Op::LoadExclusive).d(t).n(n).a(word).imm(bits(l, 7, 0) * 4);
    }
    if t == 15 {
        return Inst::of(Op::TestTarget).d(d).n(n).a(bits(l, 7, 6));
    }
    Inst::of(Op::StoreExclusive).d(d).m(t).n(n).a(word).imm(bits(l, 7, 0) * 4)
}

/// The group with op3 in the second halfword's bits 7..4.
fn exclusive_or_table(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (n, t, d) = (bits(h, 3, 0), bits(l, 15, 12), bits(l, 3, 0));
    let op3 = bits(l, 7, 4);
    let size = u32::from([kind::BYTE, kind::HALF, kind::WORD, kind::WORD][(op3 & 3) as usize]);
    match (bit(h, 4), op3) {
        (true, 0 | 1) => table(context, n, d, op3),
        // With and without acquire, which is the same where every access is in program order.
        (true, 4 | 5 | 12..=14) => Inst::of(Op::LoadExclusive).d(t).n(n).a(size),
        (true, 8..=10) => Inst::of(Op::LoadOrdered).d(t).n(n).a(size),
        (false, 4 | 5 | 12..=14) => Inst::of(Op::StoreExclusive).d(d).m(t).n(n).a(size),
        (false, 8..=10) => Inst::of(Op::StoreOrdered).d(t).n(n).a(size),
        _ => Inst::of(Op::Undefined),
    }
}

/// TBB and TBH; `imm` is the PC the offsets count from, `s` says that it is the table's base too.
fn table(context: DecodeContext, n: u32, m: u32, half: u32) -> Inst {
    let op = if half == 1 { Op::TableHalf } else { Op::TableByte };
    if m == 13 || m == 15 {
        return Inst::of(Op::Undefined);
    }
    Inst::of(op).n(n).m(m).s(u32::from(n == 15)).imm(context.pc())
}

/// Loads and stores of one register.
pub(super) fn single(context: DecodeContext, h: u32, l: u32) -> Inst {
    let (n, t, load) = (bits(h, 3, 0), bits(l, 15, 12), bit(h, 4));
    let what = bits(h, 6, 5) | bits(h, 8, 8) << 2;
    let known = matches!(what, 0..=2) || (load && matches!(what, 4 | 5));
    if !known || (!load && (n == 15 || t == 15)) {
        return Inst::of(Op::Undefined);
    }
    // Loads of bytes and halfwords to PC are preload hints (PLD, PLI).
    if load && t == 15 && what != 2 {
        return Inst::of(Op::Nop);
    }
    if n == 15 {
        return literal(context, t, what, bit(h, 7), bits(l, 11, 0));
    }
    let inst = if bit(h, 7) {
        offset(what, t, n, load, bits(l, 11, 0))
    } else if bit(l, 11) {
        indexed(what, t, n, load, l)
    } else if bits(l, 10, 6) == 0 {
        register(what, t, n, load, l)
    } else {
        Inst::of(Op::Undefined)
    };
    inst.d(t).n(n)
}

fn literal(context: DecodeContext, t: u32, what: u32, up: bool, offset: u32) -> Inst {
    let offset = if up { offset } else { offset.wrapping_neg() };
    let address = context.literal_base().wrapping_add(offset);
    if what == u32::from(kind::WORD) && t != 15 && t != 13 {
        return Inst::of(Op::LdrLit).d(t).imm(address);
    }
    Inst::of(Op::Load).d(t).a(what).s(u32::from(mode::LITERAL)).imm(address)
}

/// The operation for the common forms.
fn common_op(what: u32, load: bool, by_register: bool) -> Op {
    match (load, what, by_register) {
        (true, 0, false) => Op::LdrbImm,
        (true, 1, false) => Op::LdrhImm,
        (true, 2, false) => Op::LdrImm,
        (true, 4, false) => Op::LdrsbImm,
        (true, _, false) => Op::LdrshImm,
        (false, 0, false) => Op::StrbImm,
        (false, 1, false) => Op::StrhImm,
        (false, _, false) => Op::StrImm,
        (true, 0, true) => Op::LdrbReg,
        (true, 1, true) => Op::LdrhReg,
        (true, 2, true) => Op::LdrReg,
        (true, 4, true) => Op::LdrsbReg,
        (true, _, true) => Op::LdrshReg,
        (false, 0, true) => Op::StrbReg,
        (false, 1, true) => Op::StrhReg,
        (false, _, true) => Op::StrReg,
    }
}

/// The general operation: for SP and PC as targets, for writeback, and for unprivileged accesses.
fn general_form(what: u32, load: bool, how: u8) -> Inst {
    Inst::of(if load { Op::Load } else { Op::Store }).a(what).s(u32::from(how))
}

fn offset(what: u32, t: u32, _n: u32, load: bool, imm: u32) -> Inst {
    if load && (t == 13 || t == 15) {
        return general_form(what, load, mode::OFFSET).imm(imm);
    }
    Inst::of(common_op(what, load, false)).imm(imm)
}

fn indexed(what: u32, t: u32, n: u32, load: bool, l: u32) -> Inst {
    let (p, u, w) = (bit(l, 10), bit(l, 9), bit(l, 8));
    let imm = if u { bits(l, 7, 0) } else { bits(l, 7, 0).wrapping_neg() };
    match (p, u, w) {
        // LDRT, STRT and variants: unprivileged, which `k` says.
        (true, true, false) => general_form(what, load, mode::OFFSET).k(1).imm(imm),
        (true, false, false) => offset(what, t, n, load, imm),
        (false, _, false) => Inst::of(Op::Undefined),
        // Writeback to the register that is transferred is UNPREDICTABLE.
        _ if n == t => Inst::of(Op::Undefined),
        _ => general_form(what, load, if p { mode::PRE } else { mode::POST }).imm(imm),
    }
}

fn register(what: u32, t: u32, _n: u32, load: bool, l: u32) -> Inst {
    let (m, k) = (bits(l, 3, 0), bits(l, 5, 4));
    if m == 13 || m == 15 {
        return Inst::of(Op::Undefined);
    }
    let inst = if load && (t == 13 || t == 15) {
        general_form(what, load, mode::REGISTER)
    } else {
        Inst::of(common_op(what, load, true))
    };
    inst.m(m).k(k)
}
