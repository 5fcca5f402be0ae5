//! 16-bit data processing (Arm ARM C2.2.1 to C2.2.6).

use crate::form::Form;
use crate::plan::Plan;

/// Compares of two low registers have an encoding of their own.
const fn one_is_high(a: u32, b: u32) -> bool {
    a > 7 || b > 7
}

pub(super) const FORMS: &[Form] = &[
    // Zero is MOVS, which is UNPREDICTABLE in an IT block.
    Form::new("lsl_imm", "00000 iiiii mmm ddd").filter_fields(|f| f.of('i') != 0),
    Form::new("lsr_imm", "00001 iiiii mmm ddd"),
    Form::new("asr_imm", "00010 iiiii mmm ddd"),
    Form::new("add_reg", "0001100 mmm nnn ddd"),
    Form::new("sub_reg", "0001101 mmm nnn ddd"),
    Form::new("add_imm3", "0001110 iii nnn ddd"),
    Form::new("sub_imm3", "0001111 iii nnn ddd"),
    Form::new("mov_imm8", "00100 ddd iiiiiiii"),
    Form::new("cmp_imm8", "00101 nnn iiiiiiii"),
    Form::new("add_imm8", "00110 ddd iiiiiiii"),
    Form::new("sub_imm8", "00111 ddd iiiiiiii"),
    Form::new("and_reg", "0100000000 mmm ddd"),
    Form::new("eor_reg", "0100000001 mmm ddd"),
    Form::new("lsl_reg", "0100000010 mmm ddd"),
    Form::new("lsr_reg", "0100000011 mmm ddd"),
    Form::new("asr_reg", "0100000100 mmm ddd"),
    Form::new("adc_reg", "0100000101 mmm ddd"),
    Form::new("sbc_reg", "0100000110 mmm ddd"),
    Form::new("ror_reg", "0100000111 mmm ddd"),
    Form::new("tst_reg", "0100001000 mmm nnn"),
    Form::new("rsb_zero", "0100001001 nnn ddd"),
    Form::new("cmp_reg", "0100001010 mmm nnn"),
    Form::new("cmn_reg", "0100001011 mmm nnn"),
    Form::new("orr_reg", "0100001100 mmm ddd"),
    Form::new("mul_reg", "0100001101 nnn ddd"),
    Form::new("bic_reg", "0100001110 mmm ddd"),
    Form::new("mvn_reg", "0100001111 mmm ddd"),
    Form::new("add_any", "01000100 d mmmm ddd"),
    Form::new("cmp_any", "01000101 n mmmm nnn").filter_fields(|f| one_is_high(f.of('n'), f.of('m'))),
    Form::new("mov_any", "01000110 d mmmm ddd"),
    Form::new("sxth", "1011001000 mmm ddd"),
    Form::new("sxtb", "1011001001 mmm ddd"),
    Form::new("uxth", "1011001010 mmm ddd"),
    Form::new("uxtb", "1011001011 mmm ddd"),
    Form::new("rev", "1011101000 mmm ddd"),
    Form::new("rev16", "1011101001 mmm ddd"),
    Form::new("revsh", "1011101011 mmm ddd"),
    Form::new("nop", "10111111 00000000"),
    Form::new("yield", "10111111 00010000"),
    Form::new("hint_reserved", "10111111 1iii0000").filter_fields(|f| f.of('i') < 6),
    // With SP or PC as a source.
    Form::new("add_any_sp", "01000100 d 1101 ddd"),
    Form::new("mov_from_sp", "01000110 d 1101 ddd"),
    Form::new("cmp_sp", "010001011 mmmm 101"),
    Form::new("cmp_with_sp", "01000101 n 1101 nnn"),
    Form::new("add_sp_imm8", "10101 ddd iiiiiiii"),
];

/// Instructions that depend on their address, or have special rules for flags or SP.
pub(super) const STACK: &[Form] = &[
    Form::new("movs_reg", "00000 00000 mmm ddd"),
    Form::new("add_sp_sp_imm7", "101100000 iiiiiii"),
    Form::new("sub_sp_sp_imm7", "101100001 iiiiiii"),
    Form::new("adr_narrow", "10100 ddd iiiiiiii").plan(Plan::shift_start),
    Form::new("mov_from_pc", "01000110 d 1111 ddd").plan(Plan::shift_start),
    Form::new("add_any_pc", "01000100 d 1111 ddd").plan(Plan::shift_start),
    Form::new("mov_sp_reg", "010001101 mmmm 101").plan(|p| p.set_r(p.field('m'), p.r(p.field('m')) & !3)),
    Form::new("add_sp_reg", "010001001 mmmm 101").plan(|p| p.set_r(p.field('m'), p.r(p.field('m')) & !3)),
];
