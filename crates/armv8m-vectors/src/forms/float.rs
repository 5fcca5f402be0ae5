//! The floating-point unit's data processing and register moves (Arm ARM C2.3.12 to C2.3.15). `x`, `y` and `z` are S
//! registers without restrictions.

use crate::form::Form;
use crate::pattern::Fields;

/// A fixed-point number has no more fraction bits than bits.
fn fraction(f: &Fields) -> bool {
    let position = f.of('i') << 1 | f.of('k');
    f.of('s') == 1 || position <= 16
}

pub(super) const ARITHMETIC: &[Form] = &[
    Form::new("vmla", "11101110 0x00 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vmls", "11101110 0x00 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vnmls", "11101110 0x01 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vnmla", "11101110 0x01 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vmul", "11101110 0x10 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vnmul", "11101110 0x10 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vadd", "11101110 0x11 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vsub", "11101110 0x11 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vdiv", "11101110 1x00 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vfnms", "11101110 1x01 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vfnma", "11101110 1x01 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vfma", "11101110 1x10 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vfms", "11101110 1x10 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vabs", "11101110 1x11 0000 xxxx 1010 11z0 zzzz"),
    Form::new("vneg", "11101110 1x11 0001 xxxx 1010 01z0 zzzz"),
    Form::new("vsqrt", "11101110 1x11 0001 xxxx 1010 11z0 zzzz"),
    Form::new("vcmp", "11101110 1x11 0100 xxxx 1010 01z0 zzzz"),
    Form::new("vcmpe", "11101110 1x11 0100 xxxx 1010 11z0 zzzz"),
    Form::new("vcmp_zero", "11101110 1x11 0101 xxxx 1010 0100 0000"),
    Form::new("vcmpe_zero", "11101110 1x11 0101 xxxx 1010 1100 0000"),
];

/// Instructions that are UNPREDICTABLE in an IT block.
pub(super) const MINMAX: &[Form] = &[
    Form::new("vsel", "11111110 0xcc yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vmaxnm", "11111110 1x00 yyyy xxxx 1010 y0z0 zzzz"),
    Form::new("vminnm", "11111110 1x00 yyyy xxxx 1010 y1z0 zzzz"),
    Form::new("vrint_directed", "11111110 1x11 10rr xxxx 1010 01z0 zzzz"),
    Form::new("vcvt_directed", "11111110 1x11 11rr xxxx 1010 s1z0 zzzz"),
];

pub(super) const CONVERT: &[Form] = &[
    Form::new("vcvtb_from_half", "11101110 1x11 0010 xxxx 1010 01z0 zzzz"),
    Form::new("vcvtt_from_half", "11101110 1x11 0010 xxxx 1010 11z0 zzzz"),
    Form::new("vcvtb_to_half", "11101110 1x11 0011 xxxx 1010 01z0 zzzz"),
    Form::new("vcvtt_to_half", "11101110 1x11 0011 xxxx 1010 11z0 zzzz"),
    Form::new("vrintr", "11101110 1x11 0110 xxxx 1010 01z0 zzzz"),
    Form::new("vrintz", "11101110 1x11 0110 xxxx 1010 11z0 zzzz"),
    Form::new("vrintx", "11101110 1x11 0111 xxxx 1010 01z0 zzzz"),
    Form::new("vcvt_from_unsigned", "11101110 1x11 1000 xxxx 1010 01z0 zzzz"),
    Form::new("vcvt_from_signed", "11101110 1x11 1000 xxxx 1010 11z0 zzzz"),
    Form::new("vcvtr_to_unsigned", "11101110 1x11 1100 xxxx 1010 01z0 zzzz"),
    Form::new("vcvt_to_unsigned", "11101110 1x11 1100 xxxx 1010 11z0 zzzz"),
    Form::new("vcvtr_to_signed", "11101110 1x11 1101 xxxx 1010 01z0 zzzz"),
    Form::new("vcvt_to_signed", "11101110 1x11 1101 xxxx 1010 11z0 zzzz"),
    Form::new("vcvt_from_fixed", "11101110 1x11 101u xxxx 1010 s1k0 iiii").filter_fields(fraction),
    Form::new("vcvt_to_fixed", "11101110 1x11 111u xxxx 1010 s1k0 iiii").filter_fields(fraction),
];

pub(super) const MOVE: &[Form] = &[
    Form::new("vmov_imm", "11101110 1x11 iiii xxxx 1010 0000 iiii"),
    Form::new("vmov", "11101110 1x11 0000 xxxx 1010 01z0 zzzz"),
    Form::new("vmov_to_single", "11101110 0000 yyyy tttt 1010 y001 0000"),
    Form::new("vmov_from_single", "11101110 0001 yyyy tttt 1010 y001 0000"),
    Form::new("vmov_to_pair", "11101100 0100 uuuu tttt 1010 00z1 zzzz").filter_fields(|f| !last(f)),
    Form::new("vmov_from_pair", "11101100 0101 uuuu tttt 1010 00z1 zzzz")
        .filter_fields(|f| !last(f) && f.of('t') != f.of('u')),
    Form::new("vmov_to_double", "11101100 0100 uuuu tttt 1011 0001 zzzz"),
    Form::new("vmov_from_double", "11101100 0101 uuuu tttt 1011 0001 zzzz")
        .filter_fields(|f| f.of('t') != f.of('u')),
    Form::new("vmov_to_half_of_double", "11101110 00o0 yyyy tttt 1011 0001 0000"),
    Form::new("vmov_from_half_of_double", "11101110 00o1 yyyy tttt 1011 0001 0000"),
    Form::new("vmrs", "11101110 1111 0001 tttt 1010 0001 0000"),
    Form::new("vmrs_apsr", "11101110 1111 0001 1111 1010 0001 0000"),
    Form::new("vmsr", "11101110 1110 0001 tttt 1010 0001 0000"),
];

/// S31 has no following register for a pair.
fn last(f: &Fields) -> bool {
    f.of('z') == 31
}
