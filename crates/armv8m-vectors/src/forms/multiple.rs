//! Loads and stores of several registers (Arm ARM C2.2.6, C2.3.5).

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

fn some(f: &Fields) -> bool {
    f.of('r') != 0
}

/// A list of two registers at least.
fn several(f: &Fields) -> bool {
    list(f).count_ones() >= 2
}

/// The whole list of a 32-bit encoding, without PC and SP.
fn list(f: &Fields) -> u32 {
    f.of('M') << 14 | f.of('r')
}

/// Writing back to a base in the list is UNPREDICTABLE.
fn written_base_apart(f: &Fields) -> bool {
    several(f) && (f.of('W') == 0 || list(f) >> f.of('N') & 1 == 0)
}

/// Storing a base that is not the lowest of the list, with writeback, stores an UNKNOWN value.
fn base_lowest(f: &Fields) -> bool {
    let base = 1 << f.of('n');
    some(f) && (f.of('r') & base == 0 || f.of('r') & (base - 1) == 0)
}

fn count(p: &Plan) -> u32 {
    (p.field('M') << 14 | p.field('r')).count_ones()
}

fn ascending_narrow(p: &mut Plan) {
    p.base(p.field('n'), 0, 4 * count(p), 4);
}

fn ascending(p: &mut Plan) {
    p.base(p.field('N'), 0, 4 * count(p), 4);
}

fn descending(p: &mut Plan) {
    let size = 4 * count(p);
    p.base(p.field('N'), size.wrapping_neg(), size, 4);
}

fn push(p: &mut Plan) {
    let size = 4 * count(p);
    p.base(13, size.wrapping_neg(), size, 4);
}

fn pop(p: &mut Plan) {
    p.base(13, 0, 4 * count(p), 4);
}

/// The last value is loaded into PC: a landing's address.
fn load_pc(p: &mut Plan, first: u32) {
    let value = p.landing_near() | 1;
    p.window_word(first + 4 * count(p), value);
    p.mark_after();
}

fn pop_pc(p: &mut Plan) {
    let first = p.base(13, 0, 4 * count(p) + 4, 4);
    load_pc(p, first);
}

fn ascending_pc(p: &mut Plan) {
    let first = p.base(p.field('N'), 0, 4 * count(p) + 4, 4);
    load_pc(p, first);
}

fn descending_pc(p: &mut Plan) {
    let size = 4 * count(p) + 4;
    let first = p.base(p.field('N'), size.wrapping_neg(), size, 4);
    load_pc(p, first);
}

/// As for [`written_base_apart`]; PC counts as one of the several.
fn with_pc(f: &Fields) -> bool {
    some(f) && (f.of('W') == 0 || f.of('r') >> f.of('N') & 1 == 0)
}

pub(super) const FORMS: &[Form] = &[
    Form::new("push", "1011010 M rrrrrrrr").filter_fields(|f| f.of('M') + f.of('r') != 0).plan(push),
    Form::new("pop", "10111100 rrrrrrrr").filter_fields(some).plan(pop),
    Form::new("pop_pc", "10111101 rrrrrrrr").plan(pop_pc),
    Form::new("stm_narrow", "11000 nnn rrrrrrrr").filter_fields(base_lowest).plan(ascending_narrow),
    Form::new("ldm_narrow", "11001 nnn rrrrrrrr").filter_fields(some).plan(ascending_narrow),
    Form::new("stm", "1110100010W0 NNNN 0M0 rrrrrrrrrrrrr").filter_fields(written_base_apart).plan(ascending),
    Form::new("ldm", "1110100010W1 NNNN 0M0 rrrrrrrrrrrrr").filter_fields(written_base_apart).plan(ascending),
    Form::new("stmdb", "1110100100W0 NNNN 0M0 rrrrrrrrrrrrr")
        .filter_fields(written_base_apart)
        .plan(descending),
    Form::new("ldmdb", "1110100100W1 NNNN 0M0 rrrrrrrrrrrrr")
        .filter_fields(written_base_apart)
        .plan(descending),
    Form::new("ldm_pc", "1110100010W1 NNNN 100 rrrrrrrrrrrrr").filter_fields(with_pc).plan(ascending_pc),
    Form::new("ldmdb_pc", "1110100100W1 NNNN 100 rrrrrrrrrrrrr").filter_fields(with_pc).plan(descending_pc),
    Form::new("push_one", "111110000100 1101 tttt 1101 00000100").plan(|p| {
        p.base(13, 4u32.wrapping_neg(), 4, 4);
    }),
    Form::new("pop_one", "111110000101 1101 tttt 1011 00000100").plan(|p| {
        p.base(13, 0, 4, 4);
    }),
];
