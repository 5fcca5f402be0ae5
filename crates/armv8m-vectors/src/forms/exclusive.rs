//! Exclusive and ordered accesses (Arm ARM C2.3.5, B9.3). All need natural alignment.
//!
//! Pairs use one address: whether a store to another one, or after a plain store, succeeds is IMPLEMENTATION DEFINED.

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

const CLREX: [u16; 2] = [0xF3BF, 0x8F2F];

/// The status register is neither the base nor the source.
fn status_apart(f: &Fields) -> bool {
    f.of('d') != f.of('N') && f.of('d') != f.of('t')
}

fn at_offset(p: &mut Plan) {
    p.base(p.field('N'), p.field('i') * 4, 4, 4);
}

fn at<const SIZE: u32>(p: &mut Plan) {
    p.base(p.field('N'), 0, SIZE, SIZE);
}

/// Preceded by a load of the same address. Its target is not the base, but may be the source.
fn load_first(p: &mut Plan, load: u16, tail: u32) {
    let n = p.field('N');
    let choices: Vec<u32> = (0..13).filter(|&t| t != n).collect();
    let t = p.rng.pick(&choices);
    p.before.extend([load | n as u16, (t << 12 | tail) as u16]);
}

fn pair_offset(p: &mut Plan) {
    at_offset(p);
    load_first(p, 0xE850, 0xF00 | p.field('i'));
}

fn pair<const SIZE: u32, const TAIL: u32>(p: &mut Plan) {
    at::<SIZE>(p);
    load_first(p, 0xE8D0, TAIL);
}

/// A pair with a CLREX between.
fn cleared(p: &mut Plan) {
    pair_offset(p);
    p.before.extend(CLREX);
}

/// The second store finds the monitor open again: the first one closed it.
fn stored_before(p: &mut Plan) {
    pair_offset(p);
    let (n, i) = (p.field('N') as u16, p.field('i') as u16);
    let choices: Vec<u16> = (0..13).filter(|&d| d != n && u32::from(d) != p.field('t')).collect();
    let d = p.rng.pick(&choices);
    let t = p.rng.pick(&choices.iter().copied().filter(|&t| t != d).collect::<Vec<_>>());
    p.before.extend([0xE840 | n, t << 12 | d << 8 | i]);
}

pub(super) const FORMS: &[Form] = &[
    Form::new("ldrex", "111010000101 NNNN tttt 1111 iiiiiiii").plan(at_offset),
    Form::new("ldrexb", "111010001101 NNNN tttt 1111 0100 1111").plan(at::<1>),
    Form::new("ldrexh", "111010001101 NNNN tttt 1111 0101 1111").plan(at::<2>),
    Form::new("ldaex", "111010001101 NNNN tttt 1111 1110 1111").plan(at::<4>),
    Form::new("ldaexb", "111010001101 NNNN tttt 1111 1100 1111").plan(at::<1>),
    Form::new("ldaexh", "111010001101 NNNN tttt 1111 1101 1111").plan(at::<2>),
    Form::new("lda", "111010001101 NNNN tttt 1111 1010 1111").plan(at::<4>),
    Form::new("ldab", "111010001101 NNNN tttt 1111 1000 1111").plan(at::<1>),
    Form::new("ldah", "111010001101 NNNN tttt 1111 1001 1111").plan(at::<2>),
    Form::new("stl", "111010001100 NNNN tttt 1111 1010 1111").plan(at::<4>),
    Form::new("stlb", "111010001100 NNNN tttt 1111 1000 1111").plan(at::<1>),
    Form::new("stlh", "111010001100 NNNN tttt 1111 1001 1111").plan(at::<2>),
    Form::new("strex_open", "111010000100 NNNN tttt dddd iiiiiiii").filter_fields(status_apart).plan(|p| {
        at_offset(p);
        p.before.extend(CLREX);
    }),
    Form::new("strex_after_clrex", "111010000100 NNNN tttt dddd iiiiiiii")
        .filter_fields(status_apart)
        .plan(cleared),
    Form::new("strex_twice", "111010000100 NNNN tttt dddd iiiiiiii")
        .filter_fields(status_apart)
        .plan(stored_before),
    Form::new("strex", "111010000100 NNNN tttt dddd iiiiiiii").filter_fields(status_apart).plan(pair_offset),
    Form::new("strexb", "111010001100 NNNN tttt 1111 0100 dddd")
        .filter_fields(status_apart)
        .plan(pair::<1, 0xF4F>),
    Form::new("strexh", "111010001100 NNNN tttt 1111 0101 dddd")
        .filter_fields(status_apart)
        .plan(pair::<2, 0xF5F>),
    Form::new("stlex", "111010001100 NNNN tttt 1111 1110 dddd")
        .filter_fields(status_apart)
        .plan(pair::<4, 0xFEF>),
    Form::new("stlexb", "111010001100 NNNN tttt 1111 1100 dddd")
        .filter_fields(status_apart)
        .plan(pair::<1, 0xFCF>),
    Form::new("stlexh", "111010001100 NNNN tttt 1111 1101 dddd")
        .filter_fields(status_apart)
        .plan(pair::<2, 0xFDF>),
];
