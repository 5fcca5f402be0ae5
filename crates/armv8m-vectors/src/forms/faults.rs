//! Cases that fault: unaligned accesses by instructions that need alignment, branches to even addresses, and UNDEFINED
//! encodings. Only the reason (CFSR) is recorded.

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;
use crate::state::DATA;

/// The base is not a multiple of four; the offsets of these forms are.
fn off_by_some(p: &mut Plan) {
    let off = 1 + p.rng.below(3);
    p.set_r(p.field('n'), DATA + 0x80 + off);
}

/// The base is odd.
fn off_by_one(p: &mut Plan) {
    p.set_r(p.field('n'), DATA + 0x81);
}

/// Only multiples of four: at other even addresses QEMU checks alignment as for A32 code, which does not exist in this
/// profile.
fn to_even_address(p: &mut Plan) {
    let target = p.landing_near() & !3;
    p.set_r(p.field('m'), target);
}

fn several_apart(f: &Fields) -> bool {
    f.of('r').count_ones() > 1 && f.of('r') >> f.of('n') & 1 == 0
}

fn transfer_apart(f: &Fields) -> bool {
    f.of('t') != f.of('u') && f.of('t') != f.of('n') && f.of('u') != f.of('n')
}

pub(super) const ALIGNMENT: &[Form] = &[
    Form::new("unaligned_ldrd", "11101001 U1 0 1 nnnn tttt uuuu 0000iiii")
        .filter_fields(transfer_apart)
        .plan(off_by_some),
    Form::new("unaligned_strd", "11101001 U1 0 0 nnnn tttt uuuu 0000iiii").plan(off_by_some),
    Form::new("unaligned_ldm_narrow", "11001 nnn rrrrrrrr")
        .filter_fields(|f| f.of('r') != 0)
        .plan(off_by_some),
    Form::new("unaligned_stm_narrow", "11000 nnn rrrrrrrr").filter_fields(several_apart).plan(off_by_some),
    Form::new("unaligned_ldm", "1110100010W1 nnnn 000 rrrrrrrrrrrrr")
        .filter_fields(several_apart)
        .plan(off_by_some),
    Form::new("unaligned_stmdb", "1110100100W0 nnnn 000 rrrrrrrrrrrrr")
        .filter_fields(several_apart)
        .plan(off_by_some),
    Form::new("unaligned_ldrex", "111010000101 nnnn tttt 1111 0000iiii").plan(off_by_some),
    Form::new("unaligned_ldrexh", "111010001101 nnnn tttt 1111 0101 1111").plan(off_by_one),
    Form::new("unaligned_lda", "111010001101 nnnn tttt 1111 1010 1111").plan(off_by_some),
    Form::new("unaligned_ldah", "111010001101 nnnn tttt 1111 1001 1111").plan(off_by_one),
    Form::new("unaligned_stl", "111010001100 nnnn tttt 1111 1010 1111").plan(off_by_some),
    Form::new("unaligned_stlh", "111010001100 nnnn tttt 1111 1001 1111").plan(off_by_one),
    Form::new("unaligned_vldr", "11101101 U x 01 nnnn xxxx 1010 0000iiii").plan(off_by_some),
    Form::new("unaligned_vstr", "11101101 U x 00 nnnn xxxx 1010 0000iiii").plan(off_by_some),
    Form::new("unaligned_vldm", "11101100 1 0 W1 nnnn 0xxx 1010 00000011").plan(off_by_some),
    Form::new("unaligned_vstm", "11101100 1 0 W0 nnnn 0xxx 1010 00000011").plan(off_by_some),
];

pub(super) const STATE: &[Form] = &[
    Form::new("bx_even", "010001110 mmmm 000").plan(to_even_address),
    Form::new("blx_even", "010001111 mmmm 000").plan(to_even_address),
];

pub(super) const UNDEFINED: &[Form] = &[
    Form::new("udf", "11011110 iiiiiiii"),
    Form::new("udf_wide", "111101111111 iiii 1010 iiii iiiiiiii"),
    Form::new("undefined_parallel", "11111010 1o11 nnnn 1111 dddd 0ppp mmmm")
        .filter_fields(|f| f.of('p') & 3 != 3),
    Form::new("undefined_parallel_prefix", "11111010 1ooo nnnn 1111 dddd 0p11 mmmm"),
    Form::new("undefined_long_multiply", "111110111000 nnnn llll hhhh 0001 mmmm"),
    Form::new("undefined_load_size", "11111000 1111 nnnn tttt iiiiiiiiiiii"),
    Form::new("undefined_store_size", "11111000 1110 nnnn tttt iiiiiiiiiiii"),
    Form::new("undefined_store_literal", "11111000 1100 1111 tttt iiiiiiiiiiii"),
    Form::new("undefined_double_vadd", "11101110 0011 yyyy xxxx 1011 0000 zzzz"),
    Form::new("undefined_double_vmul", "11101110 0010 yyyy xxxx 1011 0000 zzzz"),
    Form::new("undefined_double_vcvt", "11101110 1011 0111 xxxx 1010 1100 zzzz"),
    Form::new("undefined_double_vsqrt", "11101110 1011 0001 xxxx 1011 1100 zzzz"),
    Form::new("no_coprocessor", "11101110 aaaa bbbb cccc 00pp eee0 ffff"),
];
