//! The DSP extension: parallel and saturating arithmetic, packing, halfword multiplies.

use crate::op::{Inst, Op};
use crate::state::Core;

/// `Inst::a` of a parallel operation, as encoded.
mod parallel {
    pub(super) const ADD8: u8 = 0;
    pub(super) const ADD16: u8 = 1;
    pub(super) const ASX: u8 = 2;
    pub(super) const SUB8: u8 = 4;
    pub(super) const SUB16: u8 = 5;
}

/// `Inst::s` of a parallel operation, as encoded: bit 2 is unsigned, the others say how a lane's result is narrowed.
mod prefix {
    pub(super) const UNSIGNED: u8 = 4;
    pub(super) const SATURATE: u8 = 1;
    pub(super) const HALVE: u8 = 2;
}

#[inline(never)]
pub(super) fn execute(core: &mut Core, i: &Inst) {
    match i.op {
        Op::ExtendAdd => core.extend_add(i),
        Op::Parallel => core.parallel(i),
        Op::SaturatingAdd => core.saturating_add(i),
        Op::Sel => core.select(i),
        Op::Pkhbt => {
            let top = core.reg(i.m) << (i.k & 31);
            core.set_reg(i.d, core.reg(i.n) & 0xFFFF | top & 0xFFFF_0000);
        }
        Op::Pkhtb => {
            let bottom = (i64::from(core.reg(i.m) as i32) >> i.k) as u32;
            core.set_reg(i.d, core.reg(i.n) & 0xFFFF_0000 | bottom & 0xFFFF);
        }
        Op::Usad8 => core.absolute_differences(i),
        Op::SmulHalf => core.multiply_halves(i),
        Op::SmulWide => core.multiply_wide(i),
        Op::SmulDual => core.multiply_dual(i),
        Op::SmlalHalf => core.multiply_long_halves(i),
        Op::SmlalDual => core.multiply_long_dual(i),
        Op::SmulMost => core.multiply_most(i),
        _ => core.saturate_halves(i),
    }
}

/// The signed halfword of `word` at the bottom or the top.
fn half(word: u32, top: bool) -> i64 {
    i64::from((if top { word >> 16 } else { word }) as i16)
}

/// Lane `index` of `word` in lanes of `bits`.
fn lane(word: u32, index: u32, bits: u32, unsigned: bool) -> i32 {
    let raw = word << (32 - bits - index * bits);
    if unsigned { (raw >> (32 - bits)) as i32 } else { raw as i32 >> (32 - bits) }
}

/// Applies a prefix to a lane's exact result, which is truncated afterwards.
fn finish(exact: i32, bits: u32, how: u8) -> i32 {
    let (low, high) = match how & prefix::UNSIGNED {
        0 => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        _ => (0, (1 << bits) - 1),
    };
    match how & 3 {
        prefix::SATURATE => exact.clamp(low, high),
        prefix::HALVE => exact >> 1,
        _ => exact,
    }
}

impl Core {
    fn extend_add(&mut self, i: &Inst) {
        let rotated = self.reg(i.m).rotate_right(u32::from(i.k));
        let base = if i.s != 0 { 0 } else { self.reg(i.n) };
        let halves =
            |low: u32, high: u32| base.wrapping_add(low) & 0xFFFF | (base >> 16).wrapping_add(high) << 16;
        // In the order of the encoding: SXTAH, UXTAH, SXTAB16, UXTAB16, SXTAB, UXTAB.
        let value = match i.a {
            0 => base.wrapping_add(rotated as i16 as u32),
            1 => base.wrapping_add(rotated & 0xFFFF),
            2 => halves(rotated as i8 as u32, (rotated >> 16) as i8 as u32),
            3 => halves(rotated & 0xFF, rotated >> 16 & 0xFF),
            4 => base.wrapping_add(rotated as i8 as u32),
            _ => base.wrapping_add(rotated & 0xFF),
        };
        self.set_reg(i.d, value);
    }

    fn parallel(&mut self, i: &Inst) {
        let (n, m) = (self.reg(i.n), self.reg(i.m));
        let unsigned = i.s & prefix::UNSIGNED != 0;
        let bits = if matches!(i.a, parallel::ADD8 | parallel::SUB8) { 8 } else { 16 };
        // ASX and SAX combine each half with the other half of Rm.
        let exchanged = !matches!(i.a, parallel::ADD8 | parallel::ADD16 | parallel::SUB8 | parallel::SUB16);
        let (mut value, mut ge) = (0, 0);
        for index in 0..32 / bits {
            let adds = match i.a {
                parallel::ADD8 | parallel::ADD16 => true,
                parallel::SUB8 | parallel::SUB16 => false,
                parallel::ASX => index == 1,
                _ => index == 0,
            };
            let x = lane(n, index, bits, unsigned);
            let y = lane(m, if exchanged { 1 - index } else { index }, bits, unsigned);
            let exact = if adds { x + y } else { x - y };
            // GE: the carry of an unsigned addition, otherwise a result that is not negative.
            let greater = if unsigned && adds { exact >> bits != 0 } else { exact >= 0 };
            if greater {
                ge |= (if bits == 8 { 1 } else { 3 }) << (index * bits / 8);
            }
            value |= (finish(exact, bits, i.s) as u32 & ((1 << bits) - 1)) << (index * bits);
        }
        // The saturating and halving forms leave GE as it is.
        if i.s & (prefix::SATURATE | prefix::HALVE) == 0 {
            self.ge = ge;
        }
        self.set_reg(i.d, value);
    }

    /// Saturates to 32 bits, setting Q.
    fn saturate(&mut self, exact: i64) -> i64 {
        let value = exact.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        self.q |= value != exact;
        value
    }

    fn saturating_add(&mut self, i: &Inst) {
        let (m, n) = (i64::from(self.reg(i.m) as i32), i64::from(self.reg(i.n) as i32));
        // QDADD and QDSUB double Rn first, which may saturate, too, and then sets Q.
        let n = if i.a & 1 != 0 { self.saturate(2 * n) } else { n };
        let value = self.saturate(if i.a & 2 != 0 { m - n } else { m + n });
        self.set_reg(i.d, value as u32);
    }

    fn select(&mut self, i: &Inst) {
        let mask = (0..4).filter(|at| self.ge >> at & 1 != 0).fold(0, |mask, at| mask | 0xFF << (at * 8));
        self.set_reg(i.d, self.reg(i.n) & mask | self.reg(i.m) & !mask);
    }

    fn absolute_differences(&mut self, i: &Inst) {
        let (n, m) = (self.reg(i.n).to_le_bytes(), self.reg(i.m).to_le_bytes());
        let sum: u32 = n.iter().zip(m).map(|(&x, y)| u32::from(x.abs_diff(y))).sum();
        let base = if i.a == 15 { 0 } else { self.reg(i.a) };
        self.set_reg(i.d, base.wrapping_add(sum));
    }

    /// Adds `Ra` unless it is 15, wrapping, and sets Q on overflow.
    fn accumulate(&mut self, i: &Inst, product: i64) {
        let base = if i.a == 15 { 0 } else { i64::from(self.reg(i.a) as i32) };
        let exact = base + product;
        // An overflow of the accumulation sets Q, but the result wraps (Arm ARM: SMLABB and similar).
        self.q |= i32::try_from(exact).is_err();
        self.set_reg(i.d, exact as u32);
    }

    fn multiply_halves(&mut self, i: &Inst) {
        let product = half(self.reg(i.n), i.k & 2 != 0) * half(self.reg(i.m), i.k & 1 != 0);
        self.accumulate(i, product);
    }

    fn multiply_wide(&mut self, i: &Inst) {
        let product = i64::from(self.reg(i.n) as i32) * half(self.reg(i.m), i.k & 1 != 0);
        self.accumulate(i, product >> 16);
    }

    /// The bottom and top halfword products of Rn and Rm; with `k`, Rm's halfwords are exchanged.
    fn halfword_products(&self, i: &Inst) -> (i64, i64) {
        let m = if i.k & 1 != 0 { self.reg(i.m).rotate_right(16) } else { self.reg(i.m) };
        let n = self.reg(i.n);
        (half(n, false) * half(m, false), half(n, true) * half(m, true))
    }

    fn multiply_dual(&mut self, i: &Inst) {
        let (bottom, top) = self.halfword_products(i);
        self.accumulate(i, if i.s == 4 { bottom - top } else { bottom + top });
    }

    fn multiply_long_halves(&mut self, i: &Inst) {
        let product = half(self.reg(i.n), i.k & 2 != 0) * half(self.reg(i.m), i.k & 1 != 0);
        self.set_long(i, self.long(i).wrapping_add(product as u64));
    }

    fn multiply_long_dual(&mut self, i: &Inst) {
        let (bottom, top) = self.halfword_products(i);
        let sum = if i.s == 5 { bottom - top } else { bottom + top };
        self.set_long(i, self.long(i).wrapping_add(sum as u64));
    }

    /// SMMLA, SMMLS, SMMUL: the high word of the product; with `k`, rounded.
    fn multiply_most(&mut self, i: &Inst) {
        let product = i64::from(self.reg(i.n) as i32) * i64::from(self.reg(i.m) as i32);
        let base = if i.a == 15 { 0 } else { i64::from(self.reg(i.a) as i32) << 32 };
        let sum = if i.s == 6 { base.wrapping_sub(product) } else { base.wrapping_add(product) };
        // Half of the word that is discarded.
        let rounded = if i.k & 1 != 0 { sum.wrapping_add(0x8000_0000) } else { sum };
        self.set_reg(i.d, (rounded >> 32) as u32);
    }

    /// SSAT16 and USAT16.
    fn saturate_halves(&mut self, i: &Inst) {
        let (low, high) =
            if i.a != 0 { (0, (1i64 << i.k) - 1) } else { (-(1i64 << (i.k - 1)), (1i64 << (i.k - 1)) - 1) };
        let mut value = 0;
        for top in [false, true] {
            let exact = half(self.reg(i.n), top);
            let lane = exact.clamp(low, high);
            self.q |= lane != exact;
            value |= (lane as u32 & 0xFFFF) << (u32::from(top) * 16);
        }
        self.set_reg(i.d, value);
    }
}
