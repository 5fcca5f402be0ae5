//! 32-bit data processing except multiplies and DSP (Arm ARM C2.3.1, C2.3.2, C2.3.7, C2.3.8).

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

/// A modified immediate that repeats a zero byte is UNPREDICTABLE.
fn modified(f: &Fields) -> bool {
    let imm = f.of('i');
    !(imm >> 10 == 0 && imm >> 8 & 3 != 0 && imm.trailing_zeros() >= 8)
}

/// A bit field that lies within the word.
fn field(f: &Fields) -> bool {
    f.of('i') + f.of('w') < 32
}

/// A bit field from bit `i` to bit `w`.
fn span(f: &Fields) -> bool {
    f.of('w') >= f.of('i')
}

/// Shifting right by zero is saturation of halfwords.
fn one_word(f: &Fields) -> bool {
    !(f.of('S') == 1 && f.of('i') == 0)
}

/// Both source fields are the same register.
fn twice(f: &Fields) -> bool {
    f.of('n') == f.of('m')
}

pub(super) const IMMEDIATE: &[Form] = &[
    Form::new("and_imm", "11110 i 00000 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("tst_imm", "11110 i 00000 1 nnnn 0 iii 1111 iiiiiiii").filter_fields(modified),
    Form::new("bic_imm", "11110 i 00001 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("orr_imm", "11110 i 00010 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("mov_imm", "11110 i 00010 S 1111 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("orn_imm", "11110 i 00011 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("mvn_imm", "11110 i 00011 S 1111 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("eor_imm", "11110 i 00100 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("teq_imm", "11110 i 00100 1 nnnn 0 iii 1111 iiiiiiii").filter_fields(modified),
    Form::new("add_imm", "11110 i 01000 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("cmn_imm", "11110 i 01000 1 nnnn 0 iii 1111 iiiiiiii").filter_fields(modified),
    Form::new("adc_imm", "11110 i 01010 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("sbc_imm", "11110 i 01011 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("sub_imm", "11110 i 01101 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("cmp_imm", "11110 i 01101 1 nnnn 0 iii 1111 iiiiiiii").filter_fields(modified),
    Form::new("rsb_imm", "11110 i 01110 S nnnn 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("addw", "11110 i 100000 nnnn 0 iii dddd iiiiiiii"),
    Form::new("subw", "11110 i 101010 nnnn 0 iii dddd iiiiiiii"),
    Form::new("movw", "11110 i 100100 iiii 0 iii dddd iiiiiiii"),
    Form::new("movt", "11110 i 101100 iiii 0 iii dddd iiiiiiii"),
    Form::new("ssat", "11110 0 1100S0 nnnn 0 iii dddd ii0 wwwww").filter_fields(one_word),
    Form::new("usat", "11110 0 1110S0 nnnn 0 iii dddd ii0 wwwww").filter_fields(one_word),
    Form::new("ssat16", "11110 0 110010 nnnn 0 000 dddd 0000 wwww"),
    Form::new("usat16", "11110 0 111010 nnnn 0 000 dddd 0000 wwww"),
    Form::new("sbfx", "11110 0 110100 nnnn 0 iii dddd ii0 wwwww").filter_fields(field),
    Form::new("ubfx", "11110 0 111100 nnnn 0 iii dddd ii0 wwwww").filter_fields(field),
    Form::new("bfi", "11110 0 110110 nnnn 0 iii dddd ii0 wwwww").filter_fields(span),
    Form::new("bfc", "11110 0 110110 1111 0 iii dddd ii0 wwwww").filter_fields(span),
    Form::new("add_imm_from_sp", "11110 i 01000 S 1101 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("sub_imm_from_sp", "11110 i 01101 S 1101 0 iii dddd iiiiiiii").filter_fields(modified),
    Form::new("addw_from_sp", "11110 i 100000 1101 0 iii dddd iiiiiiii"),
    Form::new("subw_from_sp", "11110 i 101010 1101 0 iii dddd iiiiiiii"),
    Form::new("cmp_imm_sp", "11110 i 01101 1 1101 0 iii 1111 iiiiiiii").filter_fields(modified),
    Form::new("cmn_imm_sp", "11110 i 01000 1 1101 0 iii 1111 iiiiiiii").filter_fields(modified),
];

pub(super) const SHIFTED: &[Form] = &[
    Form::new("and_shift", "11101010000 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("tst_shift", "11101010000 1 nnnn 0 iii 1111 iitt mmmm"),
    Form::new("bic_shift", "11101010001 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("orr_shift", "11101010010 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("mov_shift", "11101010010 S 1111 0 iii dddd iitt mmmm"),
    Form::new("mov_rrx", "11101010010 S 1111 0 000 dddd 0011 mmmm"),
    Form::new("orn_shift", "11101010011 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("mvn_shift", "11101010011 S 1111 0 iii dddd iitt mmmm"),
    Form::new("eor_shift", "11101010100 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("teq_shift", "11101010100 1 nnnn 0 iii 1111 iitt mmmm"),
    Form::new("pkhbt", "11101010110 0 nnnn 0 iii dddd ii00 mmmm"),
    Form::new("pkhtb", "11101010110 0 nnnn 0 iii dddd ii10 mmmm"),
    Form::new("add_shift", "11101011000 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("cmn_shift", "11101011000 1 nnnn 0 iii 1111 iitt mmmm"),
    Form::new("adc_shift", "11101011010 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("sbc_shift", "11101011011 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("sub_shift", "11101011101 S nnnn 0 iii dddd iitt mmmm"),
    Form::new("cmp_shift", "11101011101 1 nnnn 0 iii 1111 iitt mmmm"),
    Form::new("rsb_shift", "11101011110 S nnnn 0 iii dddd iitt mmmm"),
    // Without a shift, the form that compilers use most.
    Form::new("and_plain", "11101010000 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("bic_plain", "11101010001 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("orr_plain", "11101010010 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("mov_plain", "11101010010 S 1111 0 000 dddd 0000 mmmm"),
    Form::new("orn_plain", "11101010011 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("mvn_plain", "11101010011 S 1111 0 000 dddd 0000 mmmm"),
    Form::new("eor_plain", "11101010100 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("add_plain", "11101011000 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("adc_plain", "11101011010 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("sbc_plain", "11101011011 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("sub_plain", "11101011101 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("rsb_plain", "11101011110 S nnnn 0 000 dddd 0000 mmmm"),
    Form::new("add_shift_from_sp", "11101011000 S 1101 0 iii dddd iitt mmmm"),
    Form::new("sub_shift_from_sp", "11101011101 S 1101 0 iii dddd iitt mmmm"),
    Form::new("cmp_shift_sp", "11101011101 1 1101 0 iii 1111 iitt mmmm"),
];

pub(super) const REGISTER: &[Form] = &[
    Form::new("lsl_wide", "11111010000 S nnnn 1111 dddd 0000 mmmm"),
    Form::new("lsr_wide", "11111010001 S nnnn 1111 dddd 0000 mmmm"),
    Form::new("asr_wide", "11111010010 S nnnn 1111 dddd 0000 mmmm"),
    Form::new("ror_wide", "11111010011 S nnnn 1111 dddd 0000 mmmm"),
    Form::new("sxtah", "111110100000 nnnn 1111 dddd 10rr mmmm"),
    Form::new("sxth_wide", "111110100000 1111 1111 dddd 10rr mmmm"),
    Form::new("uxtah", "111110100001 nnnn 1111 dddd 10rr mmmm"),
    Form::new("uxth_wide", "111110100001 1111 1111 dddd 10rr mmmm"),
    Form::new("sxtab16", "111110100010 nnnn 1111 dddd 10rr mmmm"),
    Form::new("sxtb16", "111110100010 1111 1111 dddd 10rr mmmm"),
    Form::new("uxtab16", "111110100011 nnnn 1111 dddd 10rr mmmm"),
    Form::new("uxtb16", "111110100011 1111 1111 dddd 10rr mmmm"),
    Form::new("sxtab", "111110100100 nnnn 1111 dddd 10rr mmmm"),
    Form::new("sxtb_wide", "111110100100 1111 1111 dddd 10rr mmmm"),
    Form::new("uxtab", "111110100101 nnnn 1111 dddd 10rr mmmm"),
    Form::new("uxtb_wide", "111110100101 1111 1111 dddd 10rr mmmm"),
    Form::new("rev_wide", "111110101001 nnnn 1111 dddd 1000 mmmm").filter_fields(twice),
    Form::new("rev16_wide", "111110101001 nnnn 1111 dddd 1001 mmmm").filter_fields(twice),
    Form::new("rbit", "111110101001 nnnn 1111 dddd 1010 mmmm").filter_fields(twice),
    Form::new("revsh_wide", "111110101001 nnnn 1111 dddd 1011 mmmm").filter_fields(twice),
    Form::new("clz", "111110101011 nnnn 1111 dddd 1000 mmmm").filter_fields(twice),
];

/// Instructions that write SP or read PC.
pub(super) const STACK: &[Form] = &[
    Form::new("add_imm_sp", "11110 i 01000 S 1101 0 iii 1101 iiiiiiii").filter_fields(modified),
    Form::new("sub_imm_sp", "11110 i 01101 S 1101 0 iii 1101 iiiiiiii").filter_fields(modified),
    Form::new("addw_sp", "11110 i 100000 1101 0 iii 1101 iiiiiiii"),
    Form::new("subw_sp", "11110 i 101010 1101 0 iii 1101 iiiiiiii"),
    // Only LSL by up to 3 is defined when SP is the destination.
    Form::new("add_shift_sp", "11101011000 S 1101 0 000 1101 ii00 mmmm"),
    Form::new("sub_shift_sp", "11101011101 S 1101 0 000 1101 ii00 mmmm"),
    Form::new("mov_sp_wide", "11101010010 0 1111 0 000 1101 0000 mmmm"),
    Form::new("adr_add", "11110 i 100000 1111 0 iii dddd iiiiiiii").plan(Plan::shift_start),
    Form::new("adr_sub", "11110 i 101010 1111 0 iii dddd iiiiiiii").plan(Plan::shift_start),
];
