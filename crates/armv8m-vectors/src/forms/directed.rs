//! Cases that are not random: every pair of edge values, every condition with every flag, every misalignment.
//!
//! A case's number selects the combination.

use crate::form::Form;
use crate::plan::Plan;
use crate::state::{DATA, DATA_WORDS, END, END_WORDS, StateWord};

const SHIFTS: [u32; 14] = [0, 1, 2, 8, 16, 30, 31, 32, 33, 64, 128, 255, 256, 0x8000_0001];
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    0x7F,
    0x7FFF,
    0x8000,
    0x3FFF_FFFF,
    0x4000_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
];

/// Splits the case's number: a digit for each list's length.
struct Digits(u32);

impl Digits {
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
    fn below(&mut self, limit: u32) -> u32 {
        let digit = self.0 % limit;
        self.0 /= limit;
        digit
    }
}

/// R1 is shifted by R2.
fn shift(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let amount = digits.of(&SHIFTS);
    let value = digits.of(&[0x8000_0001, 0x7FFF_FFFE, 0xFFFF_FFFF, 0x1234_5678, 0]);
    p.set_r(1, value);
    p.set_r(2, amount);
}

/// R1 and R2 are a pair of edges.
fn edges(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.set_r(1, digits.of(&EDGES));
    p.set_r(2, digits.of(&EDGES));
}

/// Every width, with values next to the limits of that width.
fn saturate(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let width = digits.below(32);
    let limit = 1u32 << width;
    let value = digits.of(&[
        limit,
        limit - 1,
        limit.wrapping_add(1),
        limit.wrapping_neg(),
        limit.wrapping_neg() - 1,
        0,
        u32::MAX,
    ]);
    p.fields.set('w', width);
    p.set_r(1, value);
    p.set(StateWord::Apsr, 0);
}

/// As [`saturate`], both halves.
fn saturate_halves(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let width = digits.below(16);
    let limit = 1u32 << width;
    let values = [limit, limit - 1, limit + 1, limit.wrapping_neg(), limit.wrapping_neg() - 1];
    let (high, low) = (digits.of(&values), digits.of(&values));
    p.fields.set('w', width);
    p.set_r(1, high << 16 | low & 0xFFFF);
    p.set(StateWord::Apsr, 0);
}

/// Every condition with every combination of flags: "then" and "else" leave different numbers in R0.
fn condition_in_it(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let condition = digits.below(14);
    p.set(StateWord::Apsr, digits.below(16) << 28);
    let opposite = (condition & 1 ^ 1) << 3 | 4;
    p.before.extend([0xBF00 | (condition << 4 | opposite) as u16, 0x2001, 0x2002]);
}

fn condition_of_branch(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.fields.set('c', digits.below(14));
    p.set(StateWord::Apsr, digits.below(16) << 28);
    p.mark_after();
    p.landing(p.pc() + 0x20);
}

fn condition_of_select(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.fields.set('c', digits.below(4));
    p.set(StateWord::Apsr, digits.below(16) << 28);
    p.set(StateWord::S(1), 1);
    p.set(StateWord::S(2), 2);
}

/// The last addresses of RAM at which an access of `SIZE` bytes fits, and every misalignment in the middle.
fn misaligned<const SIZE: u32>(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let (window, words) = digits.of(&[(END, END_WORDS), (DATA, DATA_WORDS)]);
    let last = window + 4 * words as u32 - SIZE;
    let back = digits.below(8);
    p.set_r(1, last - back);
    p.set_r(2, 0);
}

/// The base is in the list, as each of its registers in turn.
fn base_in_list(p: &mut Plan) {
    let n = p.index() % 8;
    p.fields.set('n', n);
    p.fields.set('r', p.field('r') | 1 << n | 1 << (n + 1) % 8);
    p.base(n, 0, 4 * p.field('r').count_ones(), 4);
}

/// A store of a base that is the lowest of the list stores what it was.
fn base_first(p: &mut Plan) {
    let n = p.index() % 8;
    p.fields.set('n', n);
    p.fields.set('r', (p.field('r') | 1) << n & 0xFF);
    p.base(n, 0, 4 * p.field('r').count_ones(), 4);
}

const FLOATS: [u32; 24] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x807F_FFFF,
    0x0080_0000,
    0x8080_0001,
    0x1FFF_FFFF,
    0x2000_0000,
    0x3F00_0000,
    0x3F7F_FFFF,
    0x3F80_0000,
    0xBF80_0000,
    0x3F80_0001,
    0x4040_0000,
    0x4B80_0001,
    0xCF00_0000,
    0x5F80_0000,
    0x7F7F_FFFF,
    0xFF7F_FFFF,
    0x7F80_0000,
    0xFF80_0000,
    0x7F80_0001,
    0xFFC1_2345,
    0x7FC0_0000,
];

/// S1 and S2 are a pair of special values; the modes are random.
fn floats(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.set(StateWord::S(1), digits.of(&FLOATS));
    p.set(StateWord::S(2), digits.of(&FLOATS));
}

/// S1 is one of the numbers around which rounding to an integer changes, in each rounding mode.
fn near_integer(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.set(StateWord::Fpscr, digits.below(4) << 22);
    let sign = digits.below(2) << 31;
    let beside = digits.of(&[0, 1, u32::MAX]);
    let whole: u32 = digits.of(&[
        0x3F00_0000, // 0.5
        0x3F80_0000,
        0x3FC0_0000, // 1.5
        0x4020_0000, // 2.5
        0x42FF_0000, // 127.5
        0x46FF_FF00, // 32767.5
        0x4700_0000,
        0x477F_FF80, // 65535.5
        0x4780_0000,
        0x4AFF_FFFF, // 8388607.5
        0x4B7F_FFFF,
        0x4F00_0000, // 2^31
        0x4F80_0000, // 2^32
    ]);
    p.set(StateWord::S(1), sign | whole.wrapping_add(beside));
}

/// S1 is an integer that has to be rounded, in each rounding mode.
fn fixed(p: &mut Plan) {
    let mut digits = Digits(p.index());
    p.set(StateWord::Fpscr, digits.below(4) << 22);
    let sign = digits.below(2);
    let beside = digits.of(&[0, 1, u32::MAX]);
    let whole: u32 = digits.of(&[
        0,
        0x7FFF,
        0x00FF_FFFF,
        0x0100_0000,
        0x0100_0002,
        0x0180_0002,
        0x0200_0002,
        0x0200_0006,
        0x4000_0020,
        0x4000_0060,
        0x7FFF_FFC0,
        0x8000_0080,
        0xFFFF_FF80,
    ]);
    let value = whole.wrapping_add(beside);
    p.set(StateWord::S(1), if sign == 1 { value.wrapping_neg() } else { value });
}

/// S1 has an exponent near the limits of half precision, and a fraction near its ties.
fn near_half(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let exponent = 127 - 27 + digits.below(46);
    let fraction = digits.of(&[0, 1, 0x0FFF, 0x1000, 0x1001, 0x3000, 0x7F_EFFF, 0x7F_F000, 0x7F_FFFF]);
    let sign = p.rng.below(2) << 31;
    p.set(StateWord::S(1), sign | exponent << 23 | fraction);
}

/// Half precision's exponents and the ends of its fractions, in both halves of S1.
fn every_half(p: &mut Plan) {
    let mut digits = Digits(p.index());
    let exponent = digits.below(32) << 10;
    let fraction = digits.of(&[0, 1, 2, 0x155, 0x1FF, 0x200, 0x201, 0x3FF]);
    let half = p.rng.below(2) << 15 | exponent | fraction;
    p.set(StateWord::S(1), half << 16 | half);
}

pub(super) const INTEGER: &[Form] = &[
    Form::new("directed_lsls", "0100000010 010 001").plan(shift).cases(70),
    Form::new("directed_lsrs", "0100000011 010 001").plan(shift).cases(70),
    Form::new("directed_asrs", "0100000100 010 001").plan(shift).cases(70),
    Form::new("directed_rors", "0100000111 010 001").plan(shift).cases(70),
    Form::new("directed_lsl_wide", "11111010000 1 0001 1111 0000 0000 0010").plan(shift).cases(70),
    Form::new("directed_lsr_wide", "11111010001 1 0001 1111 0000 0000 0010").plan(shift).cases(70),
    Form::new("directed_asr_wide", "11111010010 1 0001 1111 0000 0000 0010").plan(shift).cases(70),
    Form::new("directed_ror_wide", "11111010011 1 0001 1111 0000 0000 0010").plan(shift).cases(70),
    Form::new("directed_adds", "0001100 010 001 000").plan(edges).cases(144),
    Form::new("directed_subs", "0001101 010 001 000").plan(edges).cases(144),
    Form::new("directed_adcs", "0100000101 010 001").plan(edges).cases(144),
    Form::new("directed_sbcs", "0100000110 010 001").plan(edges).cases(144),
    Form::new("directed_rsbs", "11101011110 1 0001 0000 0000 0000 0010").plan(edges).cases(144),
    Form::new("directed_qadd", "111110101000 0001 1111 0000 1000 0010").plan(edges).cases(144),
    Form::new("directed_qdadd", "111110101000 0001 1111 0000 1001 0010").plan(edges).cases(144),
    Form::new("directed_qsub", "111110101000 0001 1111 0000 1010 0010").plan(edges).cases(144),
    Form::new("directed_qdsub", "111110101000 0001 1111 0000 1011 0010").plan(edges).cases(144),
    Form::new("directed_sdiv", "111110111001 0001 1111 0000 1111 0010").plan(edges).cases(144),
    Form::new("directed_udiv", "111110111011 0001 1111 0000 1111 0010").plan(edges).cases(144),
    Form::new("directed_smull", "111110111000 0001 0000 0011 0000 0010").plan(edges).cases(144),
    Form::new("directed_umull", "111110111010 0001 0000 0011 0000 0010").plan(edges).cases(144),
    Form::new("directed_smmulr", "111110110101 0001 1111 0000 0001 0010").plan(edges).cases(144),
    Form::new("directed_ssat", "11110 0 110000 0001 0 000 0000 000 wwwww").plan(saturate).cases(224),
    Form::new("directed_usat", "11110 0 111000 0001 0 000 0000 000 wwwww").plan(saturate).cases(224),
    Form::new("directed_ssat16", "11110 0 110010 0001 0 000 0000 0000 wwww").plan(saturate_halves).cases(400),
    Form::new("directed_usat16", "11110 0 111010 0001 0 000 0000 0000 wwww").plan(saturate_halves).cases(400),
    Form::sequence("directed_it", condition_in_it).cases(224),
    Form::new("directed_b_conditional", "1101 cccc 00010000").plan(condition_of_branch).cases(224),
    Form::new("directed_ldr", "0101100 010 001 000").plan(misaligned::<4>).cases(16),
    Form::new("directed_ldrh", "0101101 010 001 000").plan(misaligned::<2>).cases(16),
    Form::new("directed_ldrsh", "0101111 010 001 000").plan(misaligned::<2>).cases(16),
    Form::new("directed_ldrb", "0101110 010 001 000").plan(misaligned::<1>).cases(16),
    Form::new("directed_str", "0101000 010 001 000").plan(misaligned::<4>).cases(16),
    Form::new("directed_strh", "0101001 010 001 000").plan(misaligned::<2>).cases(16),
    Form::new("directed_strb", "0101010 010 001 000").plan(misaligned::<1>).cases(16),
    Form::new("directed_ldm", "11001 nnn rrrrrrrr").plan(base_in_list).cases(48),
    Form::new("directed_ldm_wide", "111010001001 0nnn 00000 rrrrrrrrrrr")
        .filter_fields(|f| f.of('r') < 256)
        .plan(base_in_list)
        .cases(48),
    Form::new("directed_ldmdb_wide", "111010010001 0nnn 00000 rrrrrrrrrrr")
        .filter_fields(|f| f.of('r') < 256)
        .plan(|p| {
            base_in_list(p);
            let n = p.field('n');
            p.base(n, (4 * p.field('r').count_ones()).wrapping_neg(), 4 * p.field('r').count_ones(), 4);
        }),
    Form::new("directed_stm", "11000 nnn rrrrrrrr").plan(base_first).cases(48),
];

pub(super) const FLOAT: &[Form] = &[
    Form::new("directed_vadd", "11101110 0011 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vsub", "11101110 0011 0000 0000 1010 1100 0001").plan(floats).cases(576),
    Form::new("directed_vmul", "11101110 0010 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vnmul", "11101110 0010 0000 0000 1010 1100 0001").plan(floats).cases(576),
    Form::new("directed_vdiv", "11101110 1000 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vmla", "11101110 0000 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vnmls", "11101110 0001 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vfma", "11101110 1010 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vfms", "11101110 1010 0000 0000 1010 1100 0001").plan(floats).cases(576),
    Form::new("directed_vcmp", "11101110 1111 0100 0000 1010 0100 0001").plan(floats).cases(576),
    Form::new("directed_vcmpe", "11101110 1111 0100 0000 1010 1100 0001").plan(floats).cases(576),
    Form::new("directed_vmaxnm", "11111110 1000 0000 0000 1010 1000 0001").plan(floats).cases(576),
    Form::new("directed_vminnm", "11111110 1000 0000 0000 1010 1100 0001").plan(floats).cases(576),
];

pub(super) const CONVERT: &[Form] = &[
    Form::new("directed_vcvtr_to_unsigned", "11101110 1011 1100 0000 1010 0110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_to_unsigned", "11101110 1011 1100 0000 1010 1110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvtr_to_signed", "11101110 1011 1101 0000 1010 0110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_to_signed", "11101110 1011 1101 0000 1010 1110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vrintr", "11101110 1011 0110 0000 1010 0110 0000").plan(near_integer).cases(312),
    Form::new("directed_vrintz", "11101110 1011 0110 0000 1010 1110 0000").plan(near_integer).cases(312),
    Form::new("directed_vrintx", "11101110 1011 0111 0000 1010 0110 0000").plan(near_integer).cases(312),
    Form::new("directed_vrint_directed", "11111110 1011 10rr 0000 1010 0110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_directed", "11111110 1011 11rr 0000 1010 s110 0000")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_to_fixed_half", "11101110 1111 111u 0000 1010 01k0 0iii")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_to_fixed", "11101110 1111 111u 0000 1010 11k0 iiii")
        .plan(near_integer)
        .cases(312),
    Form::new("directed_vcvt_from_fixed_half", "11101110 1111 101u 0000 1010 01k0 0iii")
        .plan(fixed)
        .cases(312),
    Form::new("directed_vcvt_from_fixed", "11101110 1111 101u 0000 1010 11k0 iiii").plan(fixed).cases(312),
    Form::new("directed_vcvt_from_signed", "11101110 1011 1000 0000 1010 1110 0000").plan(fixed).cases(312),
    Form::new("directed_vcvt_from_unsigned", "11101110 1011 1000 0000 1010 0110 0000").plan(fixed).cases(312),
    Form::new("directed_vcvtb_to_half", "11101110 1011 0011 0000 1010 0110 0000").plan(near_half).cases(414),
    Form::new("directed_vcvtt_to_half", "11101110 1011 0011 0000 1010 1110 0000").plan(near_half).cases(414),
    Form::new("directed_vcvtb_from_half", "11101110 1011 0010 0000 1010 0110 0000")
        .plan(every_half)
        .cases(256),
    Form::new("directed_vcvtt_from_half", "11101110 1011 0010 0000 1010 1110 0000")
        .plan(every_half)
        .cases(256),
    Form::new("directed_vsel", "11111110 00cc 0000 0000 1010 1000 0001").plan(condition_of_select).cases(64),
];
