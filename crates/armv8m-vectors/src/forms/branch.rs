//! Branches (Arm ARM C2.2.3, C2.2.7, C2.3.4, C2.3.6). Landings and what follows the branch leave different marks.

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;
use crate::state::{DATA, EXIT};

/// Start and target of branches with a long range.
const LOWEST: u32 = EXIT + 0x1_0000;
const HIGHEST: u32 = EXIT + 0x7F_0000;
/// Bytes from the branch's address that its own code takes.
const OWN: u32 = 16;

fn sign_extend(value: u32, width: u32) -> u32 {
    let sign = 1 << (width - 1);
    (value ^ sign).wrapping_sub(sign)
}

/// A short branch must not land on its own code.
fn clear_of_itself(from_start: u32) -> bool {
    from_start.wrapping_add(8) >= OWN + 8
}

fn short(p: &mut Plan, from_start: u32) {
    p.shift_start();
    p.mark_after();
    p.landing(p.start.wrapping_add(from_start));
}

fn conditional_offset(f: &Fields) -> u32 {
    sign_extend(f.of('i') << 1, 9).wrapping_add(4)
}

fn plain_offset(f: &Fields) -> u32 {
    sign_extend(f.of('i') << 1, 12).wrapping_add(4)
}

fn forward_offset(f: &Fields) -> u32 {
    (f.of('i') << 1) + 4
}

/// Half of the time the register is zero.
fn compared(p: &mut Plan) {
    let value = if p.rng.one_in(2) { 0 } else { p.r(p.field('n')) };
    p.set_r(p.field('n'), value);
    short(p, forward_offset(&p.fields.clone()));
}

/// A start and a landing anywhere, at most `reach` apart; returns the offset between, from PC.
fn long(p: &mut Plan, reach: u32) -> u32 {
    loop {
        let start = LOWEST + 2 * p.rng.below((HIGHEST - LOWEST) / 2);
        let span = if p.rng.one_in(4) { reach.min(512) } else { reach };
        let target = start.wrapping_sub(span).wrapping_add(2 * p.rng.below(span));
        if (LOWEST..HIGHEST).contains(&target) && clear_of_itself(target.wrapping_sub(start)) {
            p.start = start;
            p.mark_after();
            p.landing(target);
            return target.wrapping_sub(start + 4);
        }
    }
}

fn long_conditional(p: &mut Plan) {
    let offset = long(p, 0xF_FFF0);
    p.fields.set('S', offset >> 20 & 1);
    p.fields.set('K', offset >> 19 & 1);
    p.fields.set('J', offset >> 18 & 1);
    p.fields.set('i', offset >> 1 & 0x1_FFFF);
}

fn long_plain(p: &mut Plan) {
    let offset = long(p, 0x7F_0000);
    let sign = offset >> 24 & 1;
    p.fields.set('S', sign);
    p.fields.set('J', offset >> 23 & 1 ^ sign ^ 1);
    p.fields.set('K', offset >> 22 & 1 ^ sign ^ 1);
    p.fields.set('i', offset >> 1 & 0x1F_FFFF);
}

/// The register contains a landing's address.
fn to_register(p: &mut Plan, low_bit: u32) {
    p.shift_start();
    p.mark_after();
    let target = p.landing_near() | low_bit;
    p.set_r(p.field('m'), target);
}

/// The register contains the distance to a landing; bit 0 of the sum is ignored.
fn by_distance(p: &mut Plan) {
    p.shift_start();
    p.mark_after();
    let low_bit = p.rng.below(2);
    let distance = p.landing_near().wrapping_sub(p.pc()) + low_bit;
    p.set_r(p.field('m'), distance);
}

/// A table in the window.
fn table<const SIZE: u32>(p: &mut Plan) {
    p.shift_start();
    p.mark_after();
    let limit = if SIZE == 1 { 0x100 } else { 0x300 };
    let entry = OWN / 2 + p.rng.below(limit - OWN / 2);
    let index = p.rng.below(0xF0 / SIZE);
    let at = DATA + p.rng.below(0x100 - SIZE * index - SIZE + 1);
    if p.field('N') == 13 {
        return table_on_stack::<SIZE>(p, entry);
    }
    p.set_r(p.field('N'), at);
    p.set_r(p.field('m'), index);
    entry_at::<SIZE>(p, at + index * SIZE, entry);
}

fn table_on_stack<const SIZE: u32>(p: &mut Plan, entry: u32) {
    let index = p.rng.below(0x7F / SIZE);
    p.set_r(p.field('m'), index);
    entry_at::<SIZE>(p, p.r(13) + index * SIZE, entry);
}

/// Writes an entry, at any alignment, through the words of the window, and the landing it leads to.
fn entry_at<const SIZE: u32>(p: &mut Plan, at: u32, entry: u32) {
    for byte in 0..SIZE {
        p.window_byte(at + byte, (entry >> (8 * byte)) as u8);
    }
    p.landing(p.pc() + 2 * entry);
}

/// A table after the branch itself, with PC as base.
fn table_at_pc<const SIZE: u32>(p: &mut Plan) {
    p.shift_start();
    p.mark_after();
    let index = (OWN + p.rng.below(0x40)) / SIZE;
    p.set_r(p.field('m'), index);
    let entry = 0x50 + p.rng.below(0xB0);
    let at = p.pc() + index * SIZE;
    p.half(at & !1, if SIZE == 1 { (entry << 8 | entry) as u16 } else { entry as u16 });
    p.landing(p.pc() + 2 * entry);
}

fn apart(f: &Fields) -> bool {
    f.of('N') != f.of('m')
}

pub(super) const FORMS: &[Form] = &[
    Form::new("b_conditional", "1101 cccc iiiiiiii")
        .filter_fields(|f| f.of('c') < 14 && clear_of_itself(conditional_offset(f)))
        .plan(|p| short(p, conditional_offset(&p.fields.clone()))),
    Form::new("b", "11100 iiiiiiiiiii")
        .filter_fields(|f| clear_of_itself(plain_offset(f)))
        .plan(|p| short(p, plain_offset(&p.fields.clone()))),
    Form::new("cbz", "101100 i 1 iiiii nnn").filter_fields(|f| forward_offset(f) >= OWN).plan(compared),
    Form::new("cbnz", "101110 i 1 iiiii nnn").filter_fields(|f| forward_offset(f) >= OWN).plan(compared),
    Form::new("b_conditional_wide", "11110 S cccc iiiiii 10 J 0 K iiiiiiiiiii")
        .filter_fields(|f| f.of('c') < 14)
        .plan(long_conditional),
    Form::new("b_wide", "11110 S iiiiiiiiii 10 J 1 K iiiiiiiiiii").plan(long_plain),
    Form::new("bl", "11110 S iiiiiiiiii 11 J 1 K iiiiiiiiiii").plan(long_plain),
    Form::new("bx", "010001110 mmmm 000").plan(|p| to_register(p, 1)),
    Form::new("blx", "010001111 mmmm 000").plan(|p| to_register(p, 1)),
    Form::new("mov_pc", "010001101 mmmm 111").plan(|p| {
        let low_bit = p.rng.below(2);
        to_register(p, low_bit);
    }),
    Form::new("add_pc", "010001001 mmmm 111").plan(by_distance),
    Form::new("tbb", "111010001101 NNNN 11110000 0000 mmmm").filter_fields(apart).plan(table::<1>),
    Form::new("tbh", "111010001101 NNNN 11110000 0001 mmmm").filter_fields(apart).plan(table::<2>),
    Form::new("tbb_pc", "111010001101 1111 11110000 0000 mmmm").plan(table_at_pc::<1>),
    Form::new("tbh_pc", "111010001101 1111 11110000 0001 mmmm").plan(table_at_pc::<2>),
];
