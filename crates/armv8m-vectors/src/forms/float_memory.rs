//! The floating-point unit's loads and stores (Arm ARM C2.3.16). They need word alignment.

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

/// The form's words per register.
const SINGLE: u32 = 1;
const DOUBLE: u32 = 2;

fn offset(p: &Plan) -> u32 {
    let offset = p.field('i') * 4;
    if p.field('U') == 1 { offset } else { offset.wrapping_neg() }
}

fn one<const WORDS: u32>(p: &mut Plan) {
    p.base(p.field('N'), offset(p), 4 * WORDS, 4);
}

fn literal<const WORDS: u32>(p: &mut Plan) {
    p.shift_start();
    p.fields.set('i', p.field('i').max(5));
    p.data((p.pc() & !3).wrapping_add(offset(p)), 4 * WORDS);
}

/// Field `x` is D:Vd; the register's number is Vd:D.
fn fits_single(f: &Fields) -> bool {
    let first = f.of('x') >> 4 | (f.of('x') & 15) << 1;
    f.of('i') > 0 && first + f.of('i') <= 32
}

/// Field `i` counts D registers, of which there are sixteen.
fn fits_double(f: &Fields) -> bool {
    f.of('i') > 0 && f.of('x') + f.of('i') <= 16
}

fn ascending<const WORDS: u32>(p: &mut Plan) {
    p.base(p.field('N'), 0, 4 * WORDS * p.field('i'), 4);
}

fn descending<const WORDS: u32>(p: &mut Plan) {
    let size = 4 * WORDS * p.field('i');
    p.base(p.field('N'), size.wrapping_neg(), size, 4);
}

pub(super) const FORMS: &[Form] = &[
    Form::new("vstr", "11101101 U x 00 NNNN xxxx 1010 iiiiiiii").plan(one::<SINGLE>),
    Form::new("vldr", "11101101 U x 01 NNNN xxxx 1010 iiiiiiii").plan(one::<SINGLE>),
    Form::new("vldr_literal", "11101101 U x 01 1111 xxxx 1010 iiiiiiii").plan(literal::<SINGLE>),
    Form::new("vstr_double", "11101101 U 0 00 NNNN xxxx 1011 iiiiiiii").plan(one::<DOUBLE>),
    Form::new("vldr_double", "11101101 U 0 01 NNNN xxxx 1011 iiiiiiii").plan(one::<DOUBLE>),
    Form::new("vldr_double_literal", "11101101 U 0 01 1111 xxxx 1011 iiiiiiii").plan(literal::<DOUBLE>),
    Form::new("vstm", "11101100 1 x W0 NNNN xxxx 1010 00iiiiii")
        .filter_fields(fits_single)
        .plan(ascending::<SINGLE>),
    Form::new("vldm", "11101100 1 x W1 NNNN xxxx 1010 00iiiiii")
        .filter_fields(fits_single)
        .plan(ascending::<SINGLE>),
    Form::new("vstmdb", "11101101 0 x 10 NNNN xxxx 1010 00iiiiii")
        .filter_fields(fits_single)
        .plan(descending::<SINGLE>),
    Form::new("vldmdb", "11101101 0 x 11 NNNN xxxx 1010 00iiiiii")
        .filter_fields(fits_single)
        .plan(descending::<SINGLE>),
    Form::new("vstm_double", "11101100 1 0 W0 NNNN xxxx 1011 000iiii0")
        .filter_fields(fits_double)
        .plan(ascending::<DOUBLE>),
    Form::new("vldm_double", "11101100 1 0 W1 NNNN xxxx 1011 000iiii0")
        .filter_fields(fits_double)
        .plan(ascending::<DOUBLE>),
    Form::new("vstmdb_double", "11101101 0 0 10 NNNN xxxx 1011 000iiii0")
        .filter_fields(fits_double)
        .plan(descending::<DOUBLE>),
    Form::new("vldmdb_double", "11101101 0 0 11 NNNN xxxx 1011 000iiii0")
        .filter_fields(fits_double)
        .plan(descending::<DOUBLE>),
];
