//! Special registers and hints without an effect a case can see (Arm ARM C2.3.4, B3.5).

use crate::form::Form;
use crate::plan::Plan;

/// SYSm of the registers that are the same in every state of the processor.
const APSR_VIEWS: [u32; 7] = [0, 1, 2, 3, 5, 6, 7];

fn read_status(p: &mut Plan) {
    let view = p.rng.pick(&APSR_VIEWS);
    p.fields.set('v', view);
}

/// Writes a special register, then reads it with the instruction.
fn write_first(p: &mut Plan, register: u32) {
    let n = p.rng.below(13);
    p.before.extend([0xF380 | n as u16, 0x8800 | register as u16]);
}

fn change_first(p: &mut Plan, change: u16) {
    p.before.push(change);
}

pub(super) const FORMS: &[Form] = &[
    Form::new("mrs_status", "1111001111101111 1000 dddd vvvvvvvv")
        .filter_fields(|f| f.of('v') < 8)
        .plan(read_status),
    Form::new("mrs_msp", "1111001111101111 1000 dddd 00001000"),
    Form::new("msr_apsr_nzcvq", "111100111000 nnnn 1000 1000 00000000"),
    Form::new("msr_apsr_g", "111100111000 nnnn 1000 0100 00000000"),
    Form::new("msr_apsr_nzcvqg", "111100111000 nnnn 1000 1100 00000000"),
    Form::new("msr_msp", "111100111000 nnnn 1000 1000 00001000"),
    Form::new("psp", "1111001111101111 1000 dddd 00001001").plan(|p| write_first(p, 9)),
    Form::new("primask", "1111001111101111 1000 dddd 00010000").plan(|p| write_first(p, 16)),
    Form::new("basepri", "1111001111101111 1000 dddd 00010001").plan(|p| write_first(p, 17)),
    Form::new("basepri_max", "1111001111101111 1000 dddd 00010010").plan(|p| {
        write_first(p, 17);
        write_first(p, 18);
    }),
    Form::new("faultmask", "1111001111101111 1000 dddd 00010011").plan(|p| write_first(p, 19)),
    Form::new("cpsid_i", "1111001111101111 1000 dddd 00010000").plan(|p| change_first(p, 0xB672)),
    Form::new("cpsie_i", "1111001111101111 1000 dddd 00010000").plan(|p| {
        change_first(p, 0xB672);
        change_first(p, 0xB662);
    }),
    Form::new("cpsid_f", "1111001111101111 1000 dddd 00010011").plan(|p| change_first(p, 0xB671)),
    Form::new("cpsie_f", "1111001111101111 1000 dddd 00010011").plan(|p| {
        change_first(p, 0xB671);
        change_first(p, 0xB661);
    }),
    Form::new("dsb", "1111001110111111 10001111 0100 1111"),
    Form::new("dmb", "1111001110111111 10001111 0101 oooo"),
    Form::new("isb", "1111001110111111 10001111 0110 1111"),
    Form::new("clrex", "1111001110111111 10001111 0010 1111"),
    Form::new("nop_wide", "1111001110101111 10000000 00000000"),
    Form::new("yield_wide", "1111001110101111 10000000 00000001"),
    Form::new("csdb", "1111001110101111 10000000 00010100"),
    Form::new("dbg", "1111001110101111 10000000 1111 oooo"),
    Form::new("sev", "10111111 01000000"),
    Form::new("sev_wide", "1111001110101111 10000000 00000100"),
];
