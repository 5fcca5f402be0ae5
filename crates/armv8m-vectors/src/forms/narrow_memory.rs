//! 16-bit loads and stores of one register (Arm ARM C2.2.6).

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

/// Base and index are different registers, so that each can be set.
fn apart(f: &Fields) -> bool {
    f.of('n') != f.of('m')
}

/// The index is the random value of its register.
fn indexed<const SIZE: u32>(p: &mut Plan) {
    let index = p.r(p.field('m'));
    p.base(p.field('n'), index, SIZE, 1);
}

/// The offset counts in units of the size.
fn scaled<const SIZE: u32>(p: &mut Plan) {
    p.base(p.field('n'), p.field('i') * SIZE, SIZE, 1);
}

fn from_stack(p: &mut Plan) {
    p.base(13, p.field('i') * 4, 4, 4);
}

fn literal(p: &mut Plan) {
    p.shift_start();
    p.fields.set('i', p.field('i').max(4));
    p.data((p.pc() & !3) + p.field('i') * 4, 4);
}

pub(super) const FORMS: &[Form] = &[
    Form::new("str_reg", "0101000 mmm nnn ttt").filter_fields(apart).plan(indexed::<4>),
    Form::new("strh_reg", "0101001 mmm nnn ttt").filter_fields(apart).plan(indexed::<2>),
    Form::new("strb_reg", "0101010 mmm nnn ttt").filter_fields(apart).plan(indexed::<1>),
    Form::new("ldrsb_reg", "0101011 mmm nnn ttt").filter_fields(apart).plan(indexed::<1>),
    Form::new("ldr_reg", "0101100 mmm nnn ttt").filter_fields(apart).plan(indexed::<4>),
    Form::new("ldrh_reg", "0101101 mmm nnn ttt").filter_fields(apart).plan(indexed::<2>),
    Form::new("ldrb_reg", "0101110 mmm nnn ttt").filter_fields(apart).plan(indexed::<1>),
    Form::new("ldrsh_reg", "0101111 mmm nnn ttt").filter_fields(apart).plan(indexed::<2>),
    Form::new("str_imm5", "01100 iiiii nnn ttt").plan(scaled::<4>),
    Form::new("ldr_imm5", "01101 iiiii nnn ttt").plan(scaled::<4>),
    Form::new("strb_imm5", "01110 iiiii nnn ttt").plan(scaled::<1>),
    Form::new("ldrb_imm5", "01111 iiiii nnn ttt").plan(scaled::<1>),
    Form::new("strh_imm5", "10000 iiiii nnn ttt").plan(scaled::<2>),
    Form::new("ldrh_imm5", "10001 iiiii nnn ttt").plan(scaled::<2>),
    Form::new("str_sp_imm8", "10010 ttt iiiiiiii").plan(from_stack),
    Form::new("ldr_sp_imm8", "10011 ttt iiiiiiii").plan(from_stack),
    Form::new("ldr_literal_narrow", "01001 ttt iiiiiiii").plan(literal),
];
