//! 32-bit loads and stores of one register, and of two (Arm ARM C2.3.5, C2.3.6).

use crate::form::Form;
use crate::pattern::Fields;
use crate::plan::Plan;

/// Writing back to a base that is loaded or stored is UNPREDICTABLE.
fn not_base(f: &Fields) -> bool {
    f.of('N') != f.of('t')
}

/// Base and index are different registers, so that each can be set.
fn apart(f: &Fields) -> bool {
    f.of('N') != f.of('m')
}

/// Two different targets, as loads need.
fn two(f: &Fields) -> bool {
    f.of('t') != f.of('u')
}

/// Neither target is the base.
fn neither_base(f: &Fields) -> bool {
    f.of('N') != f.of('t') && f.of('N') != f.of('u')
}

/// A stack pointer is a multiple of four, before and after.
fn aligned_step(p: &mut Plan) {
    if p.field('N') == 13 {
        p.fields.set('i', p.field('i') & !3);
    }
}

fn up<const SIZE: u32>(p: &mut Plan) {
    p.base(p.field('N'), p.field('i'), SIZE, 1);
}

fn down<const SIZE: u32>(p: &mut Plan) {
    p.base(p.field('N'), p.field('i').wrapping_neg(), SIZE, 1);
}

/// The offset in units of `scale` bytes, with the sign that U encodes.
fn offset(p: &Plan, scale: u32) -> u32 {
    let offset = p.field('i') * scale;
    if p.field('U') == 1 { offset } else { offset.wrapping_neg() }
}

fn signed<const SIZE: u32>(p: &mut Plan) {
    aligned_step(p);
    p.base(p.field('N'), offset(p, 1), SIZE, 1);
}

fn post<const SIZE: u32>(p: &mut Plan) {
    aligned_step(p);
    p.base(p.field('N'), 0, SIZE, 1);
}

fn indexed<const SIZE: u32>(p: &mut Plan) {
    let index = p.r(p.field('m')) << p.field('k');
    p.base(p.field('N'), index, SIZE, 1);
}

fn literal<const SIZE: u32>(p: &mut Plan) {
    p.shift_start();
    p.fields.set('i', p.field('i').max(20));
    p.data((p.pc() & !3).wrapping_add(offset(p, 1)), SIZE);
}

/// The base for a doubleword: these need word alignment.
fn dual(p: &mut Plan) {
    p.base(p.field('N'), offset(p, 4), 8, 4);
}

fn dual_post(p: &mut Plan) {
    p.base(p.field('N'), 0, 8, 4);
}

fn dual_literal(p: &mut Plan) {
    p.shift_start();
    p.fields.set('i', p.field('i').max(5));
    p.data((p.pc() & !3).wrapping_add(offset(p, 4)), 8);
}

/// The address of a landing, which is loaded into PC; returns it with bit 0 set.
fn target(p: &mut Plan) -> u32 {
    p.mark_after();
    p.landing_near() | 1
}

fn pc_up(p: &mut Plan) {
    aligned_step(p);
    let at = p.base(p.field('N'), p.field('i'), 4, 4);
    load_target(p, at);
}

fn pc_signed(p: &mut Plan) {
    aligned_step(p);
    let at = p.base(p.field('N'), offset(p, 1), 4, 4);
    load_target(p, at);
}

fn pc_post(p: &mut Plan) {
    aligned_step(p);
    let at = p.base(p.field('N'), 0, 4, 4);
    load_target(p, at);
}

fn pc_index(p: &mut Plan) {
    let index = p.r(p.field('m')) << p.field('k') & !3;
    p.set_r(p.field('m'), index >> p.field('k'));
    let at = p.base(p.field('N'), index, 4, 4);
    load_target(p, at);
}

fn load_target(p: &mut Plan, at: u32) {
    let value = target(p);
    p.window_word(at, value);
}

fn pc_literal(p: &mut Plan) {
    p.shift_start();
    p.fields.set('i', p.field('i').max(24) & !3);
    // With a positive offset, the literal is behind the landings.
    p.fields.set('i', if p.field('U') == 1 { p.field('i') | 0x400 } else { p.field('i') });
    let at = (p.pc() & !3).wrapping_add(offset(p, 1));
    let value = target(p);
    p.word(at, value);
}

pub(super) const FORMS: &[Form] = &[
    Form::new("strb_imm12", "111110001000 NNNN tttt iiiiiiiiiiii").plan(up::<1>),
    Form::new("strb_negative", "111110000000 NNNN tttt 1100 iiiiiiii").plan(down::<1>),
    Form::new("strb_pre", "111110000000 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<1>),
    Form::new("strb_post", "111110000000 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<1>),
    Form::new("strb_unprivileged", "111110000000 NNNN tttt 1110 iiiiiiii").plan(up::<1>),
    Form::new("strb_index", "111110000000 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<1>),
    Form::new("strh_imm12", "111110001010 NNNN tttt iiiiiiiiiiii").plan(up::<2>),
    Form::new("strh_negative", "111110000010 NNNN tttt 1100 iiiiiiii").plan(down::<2>),
    Form::new("strh_pre", "111110000010 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<2>),
    Form::new("strh_post", "111110000010 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<2>),
    Form::new("strh_unprivileged", "111110000010 NNNN tttt 1110 iiiiiiii").plan(up::<2>),
    Form::new("strh_index", "111110000010 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<2>),
    Form::new("str_imm12", "111110001100 NNNN tttt iiiiiiiiiiii").plan(up::<4>),
    Form::new("str_negative", "111110000100 NNNN tttt 1100 iiiiiiii").plan(down::<4>),
    Form::new("str_pre", "111110000100 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<4>),
    Form::new("str_post", "111110000100 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<4>),
    Form::new("str_unprivileged", "111110000100 NNNN tttt 1110 iiiiiiii").plan(up::<4>),
    Form::new("str_index", "111110000100 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<4>),
    Form::new("ldrb_imm12", "111110001001 NNNN tttt iiiiiiiiiiii").plan(up::<1>),
    Form::new("ldrb_negative", "111110000001 NNNN tttt 1100 iiiiiiii").plan(down::<1>),
    Form::new("ldrb_pre", "111110000001 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<1>),
    Form::new("ldrb_post", "111110000001 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<1>),
    Form::new("ldrb_unprivileged", "111110000001 NNNN tttt 1110 iiiiiiii").plan(up::<1>),
    Form::new("ldrb_index", "111110000001 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<1>),
    Form::new("ldrh_imm12", "111110001011 NNNN tttt iiiiiiiiiiii").plan(up::<2>),
    Form::new("ldrh_negative", "111110000011 NNNN tttt 1100 iiiiiiii").plan(down::<2>),
    Form::new("ldrh_pre", "111110000011 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<2>),
    Form::new("ldrh_post", "111110000011 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<2>),
    Form::new("ldrh_unprivileged", "111110000011 NNNN tttt 1110 iiiiiiii").plan(up::<2>),
    Form::new("ldrh_index", "111110000011 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<2>),
    Form::new("ldr_imm12", "111110001101 NNNN tttt iiiiiiiiiiii").plan(up::<4>),
    Form::new("ldr_negative", "111110000101 NNNN tttt 1100 iiiiiiii").plan(down::<4>),
    Form::new("ldr_pre", "111110000101 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<4>),
    Form::new("ldr_post", "111110000101 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<4>),
    Form::new("ldr_unprivileged", "111110000101 NNNN tttt 1110 iiiiiiii").plan(up::<4>),
    Form::new("ldr_index", "111110000101 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<4>),
    Form::new("ldrsb_imm12", "111110011001 NNNN tttt iiiiiiiiiiii").plan(up::<1>),
    Form::new("ldrsb_negative", "111110010001 NNNN tttt 1100 iiiiiiii").plan(down::<1>),
    Form::new("ldrsb_pre", "111110010001 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<1>),
    Form::new("ldrsb_post", "111110010001 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<1>),
    Form::new("ldrsb_unprivileged", "111110010001 NNNN tttt 1110 iiiiiiii").plan(up::<1>),
    Form::new("ldrsb_index", "111110010001 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<1>),
    Form::new("ldrsh_imm12", "111110011011 NNNN tttt iiiiiiiiiiii").plan(up::<2>),
    Form::new("ldrsh_negative", "111110010011 NNNN tttt 1100 iiiiiiii").plan(down::<2>),
    Form::new("ldrsh_pre", "111110010011 NNNN tttt 11U1 iiiiiiii").filter_fields(not_base).plan(signed::<2>),
    Form::new("ldrsh_post", "111110010011 NNNN tttt 10U1 iiiiiiii").filter_fields(not_base).plan(post::<2>),
    Form::new("ldrsh_unprivileged", "111110010011 NNNN tttt 1110 iiiiiiii").plan(up::<2>),
    Form::new("ldrsh_index", "111110010011 NNNN tttt 000000kk mmmm").filter_fields(apart).plan(indexed::<2>),
    Form::new("strd", "11101001 U1 0 0 NNNN tttt uuuu iiiiiiii").plan(dual),
    Form::new("strd_pre", "11101001 U1 1 0 NNNN tttt uuuu iiiiiiii").filter_fields(neither_base).plan(dual),
    Form::new("strd_post", "11101000 U1 1 0 NNNN tttt uuuu iiiiiiii")
        .filter_fields(neither_base)
        .plan(dual_post),
    Form::new("ldrd", "11101001 U1 0 1 NNNN tttt uuuu iiiiiiii").filter_fields(two).plan(dual),
    Form::new("ldrd_pre", "11101001 U1 1 1 NNNN tttt uuuu iiiiiiii")
        .filter_fields(|f| two(f) && neither_base(f))
        .plan(dual),
    Form::new("ldrd_post", "11101000 U1 1 1 NNNN tttt uuuu iiiiiiii")
        .filter_fields(|f| two(f) && neither_base(f))
        .plan(dual_post),
];

/// PC as base, and memory hints.
pub(super) const LITERALS: &[Form] = &[
    Form::new("ldrb_literal", "11111000U001 1111 tttt iiiiiiiiiiii").plan(literal::<1>),
    Form::new("ldrh_literal", "11111000U011 1111 tttt iiiiiiiiiiii").plan(literal::<2>),
    Form::new("ldr_literal", "11111000U101 1111 tttt iiiiiiiiiiii").plan(literal::<4>),
    Form::new("ldrsb_literal", "11111001U001 1111 tttt iiiiiiiiiiii").plan(literal::<1>),
    Form::new("ldrsh_literal", "11111001U011 1111 tttt iiiiiiiiiiii").plan(literal::<2>),
    Form::new("pld_imm12", "111110001001 NNNN 1111 iiiiiiiiiiii"),
    Form::new("pld_negative", "111110000001 NNNN 1111 1100 iiiiiiii"),
    Form::new("pld_index", "111110000001 NNNN 1111 000000kk mmmm"),
    Form::new("pldw_imm12", "111110001011 NNNN 1111 iiiiiiiiiiii"),
    Form::new("pldw_negative", "111110000011 NNNN 1111 1100 iiiiiiii"),
    Form::new("pldw_index", "111110000011 NNNN 1111 000000kk mmmm"),
    Form::new("pli_imm12", "111110011001 NNNN 1111 iiiiiiiiiiii"),
    Form::new("pli_negative", "111110010001 NNNN 1111 1100 iiiiiiii"),
    Form::new("pli_index", "111110010001 NNNN 1111 000000kk mmmm"),
    Form::new("pld_literal", "11111000U001 1111 1111 iiiiiiiiiiii"),
    Form::new("pli_literal", "11111001U001 1111 1111 iiiiiiiiiiii"),
    Form::new("ldrd_literal", "11101001 U1 0 1 1111 tttt uuuu iiiiiiii")
        .filter_fields(two)
        .plan(dual_literal),
];

/// PC as target.
pub(super) const PC: &[Form] = &[
    Form::new("ldr_pc_imm12", "111110001101 NNNN 1111 iiiiiiiiiiii").plan(pc_up),
    Form::new("ldr_pc_pre", "111110000101 NNNN 1111 11U1 iiiiiiii").plan(pc_signed),
    Form::new("ldr_pc_post", "111110000101 NNNN 1111 10U1 iiiiiiii").plan(pc_post),
    Form::new("ldr_pc_index", "111110000101 NNNN 1111 000000kk mmmm").filter_fields(apart).plan(pc_index),
    Form::new("ldr_pc_literal", "11111000U101 1111 1111 iiiiiiiiiiii").plan(pc_literal),
];
