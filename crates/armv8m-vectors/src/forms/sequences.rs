//! Random programs without branches: each instruction uses the results of those before.

use super::{INTEGER, float, it, narrow};
use crate::form::Form;
use crate::plan::Plan;
use crate::rng::Rng;

/// One plain instruction of a random table, so that small tables are used as often as large ones.
pub(super) fn any(rng: &mut Rng, tables: &[&[Form]]) -> Vec<u16> {
    loop {
        let form = {
            let table = rng.pick(tables);
            &table[rng.below(table.len() as u32) as usize]
        };
        if form.is_plain() {
            return form.instruction(rng);
        }
    }
}

/// Accesses around the stack pointer, which lies in the middle of a window.
pub(super) const STACK: &[Form] = &[
    Form::new("near_str", "10010 ttt 000iiiii"),
    Form::new("near_ldr", "10011 ttt 000iiiii"),
    Form::new("near_strb_wide", "111110001000 1101 tttt 00000 iiiiiii"),
    Form::new("near_ldrsb_wide", "111110011001 1101 tttt 00000 iiiiiii"),
    Form::new("near_strh_down", "111110000010 1101 tttt 1100 01iiiiii"),
    Form::new("near_ldrsh_down", "111110010011 1101 tttt 1100 01iiiiii"),
    Form::new("near_str_down", "111110000100 1101 tttt 1100 01iiiiii"),
    Form::new("near_ldr_down", "111110000101 1101 tttt 1100 01iiiiii"),
    Form::new("near_strd", "11101001 U1 0 0 1101 tttt uuuu 0001iiii"),
    Form::new("near_ldrd", "11101001 U1 0 1 1101 tttt uuuu 0001iiii")
        .filter_fields(|f| f.of('t') != f.of('u')),
    Form::new("near_vstr", "11101101 U x 00 1101 xxxx 1010 0001iiii"),
    Form::new("near_vldr", "11101101 U x 01 1101 xxxx 1010 0001iiii"),
];

fn program(p: &mut Plan, length: u32, tables: &[&[Form]]) {
    for _ in 0..length {
        let instruction = any(&mut p.rng, tables);
        p.before.extend(instruction);
    }
}

/// As [`program`], with an IT block now and then.
fn with_blocks(p: &mut Plan, length: u32, always: &[&[Form]], conditional: &[&[Form]]) {
    for _ in 0..length {
        if p.rng.one_in(4) {
            let count = 1 + p.rng.below(4);
            let start = it::block(&mut p.rng, count);
            p.before.push(start);
            program(p, count, conditional);
        } else {
            program(p, 1, always);
        }
    }
}

const FLOAT: &[&[Form]] = &[float::ARITHMETIC, float::ARITHMETIC, float::CONVERT, float::MOVE];

pub(super) const FORMS: &[Form] = &[
    Form::sequence("program_narrow", |p| with_blocks(p, 12, &[narrow::FORMS], &[narrow::FORMS])),
    Form::sequence("program_integer", |p| with_blocks(p, 12, INTEGER, INTEGER)),
    Form::sequence("program_memory", |p| {
        let tables = [narrow::FORMS, STACK];
        with_blocks(p, 12, &tables, &tables);
    }),
    Form::sequence("program_float", |p| program(p, 8, &[float::ARITHMETIC, float::MINMAX, float::CONVERT])),
    Form::sequence("program_mixed", |p| {
        let tables = [float::ARITHMETIC, float::MOVE, float::CONVERT, narrow::FORMS, STACK];
        with_blocks(p, 12, &tables, FLOAT);
    }),
];
