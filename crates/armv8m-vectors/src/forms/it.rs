//! IT blocks (Arm ARM C1.3): instructions that are skipped or run, leave flags alone, or change the flags the rest of
//! the block depends on. One more instruction follows the block and shows that it has ended.

use super::{INTEGER, float, narrow, sequences};
use crate::form::Form;
use crate::plan::Plan;
use crate::rng::Rng;

/// The IT instruction for `length` instructions, 1 to 4.
pub(super) fn block(rng: &mut Rng, length: u32) -> u16 {
    let condition = rng.below(15);
    0xBF00 | (condition << 4 | mask(rng, condition, length)) as u16
}

/// The mask: for each instruction after the first, the condition's low bit or its opposite, then a one.
fn mask(rng: &mut Rng, condition: u32, length: u32) -> u32 {
    let mut bits = 0;
    for _ in 1..length {
        let opposite = if condition == 14 { 0 } else { rng.below(2) };
        bits = bits << 1 | (condition & 1 ^ opposite);
    }
    (bits << 1 | 1) << (4 - length)
}

fn fill(p: &mut Plan, tables: &[&[Form]]) {
    let length = 1 + p.rng.below(4);
    let it = block(&mut p.rng, length);
    p.before.push(it);
    for _ in 0..length {
        let instruction = sequences::any(&mut p.rng, tables);
        p.before.extend(instruction);
    }
    let behind = sequences::any(&mut p.rng, &[narrow::FORMS]);
    p.before.extend(behind);
}

/// A branch ends the block.
fn branch(p: &mut Plan, code: &[u16], distance: u32) {
    let length = 1 + p.rng.below(4);
    let it = block(&mut p.rng, length);
    p.before.push(it);
    for _ in 1..length {
        let instruction = sequences::any(&mut p.rng, &[narrow::FORMS]);
        p.before.extend(instruction);
    }
    let target = p.pc() + distance;
    p.before.extend(code);
    p.mark_after();
    p.landing(target);
}

pub(super) const FORMS: &[Form] = &[
    Form::sequence("it_narrow", |p| fill(p, &[narrow::FORMS])),
    Form::sequence("it_integer", |p| fill(p, INTEGER)),
    Form::sequence("it_memory", |p| fill(p, &[narrow::FORMS, sequences::STACK])),
    Form::sequence("it_float", |p| fill(p, &[float::ARITHMETIC, float::CONVERT, narrow::FORMS])),
    Form::sequence("it_branch", |p| branch(p, &[0xE010], 0x20)),
    Form::sequence("it_branch_wide", |p| branch(p, &[0xF000, 0xB810], 0x20)),
];
