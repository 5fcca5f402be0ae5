//! Conversions to integral values, to and from integers and fixed point, to and from half precision.

use super::{
    Class, DEFAULT_NAN, Format, FpEnv, INFINITY, Number, QUIET, Rounding, SINGLE, flag, flushed, signed,
};

const HALF: Format = Format { fraction: 10, bias: 15 };

impl FpEnv {
    /// FPRoundInt.
    pub(crate) fn round_to_integral(&mut self, bits: u32, rounding: Rounding, exact: bool) -> u32 {
        let a = self.unpack(bits);
        match a.class {
            Class::QuietNan | Class::SignalingNan => self.process_nan(a),
            Class::Infinity | Class::Zero => flushed(a),
            // It has no fraction bits.
            Class::Finite if a.exponent >= 0 => bits,
            Class::Finite => {
                let (magnitude, inexact) = integral(a, 0, rounding);
                if inexact && exact {
                    self.flags |= flag::INEXACT;
                }
                if magnitude == 0 {
                    return signed(a.sign, 0);
                }
                self.pack(&SINGLE, a.sign, 0, magnitude).0 | signed(a.sign, 0)
            }
        }
    }

    /// FPToFixed: to an integer of `width` bits, scaled by `2^fraction`. Values out of range saturate, and NaN becomes
    /// zero.
    pub(crate) fn float_to_fixed(
        &mut self,
        bits: u32,
        width: u32,
        fraction: u32,
        unsigned: bool,
        rounding: Rounding,
    ) -> u32 {
        let a = self.unpack(bits);
        let (low, high) = if unsigned {
            (0, (1i128 << width) - 1)
        } else {
            (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1)
        };
        let (magnitude, inexact) = match a.class {
            Class::QuietNan | Class::SignalingNan => {
                self.flags |= flag::INVALID;
                return 0;
            }
            // Beyond every range, so that it saturates.
            Class::Infinity => (1 << 100, false),
            Class::Zero => (0, false),
            Class::Finite => integral(a, fraction as i32, rounding),
        };
        let value = if a.sign { -(magnitude as i128) } else { magnitude as i128 };
        let clamped = value.clamp(low, high);
        // A value that saturates is Invalid, and not Inexact as well (Arm ARM: FPToFixed).
        if clamped != value {
            self.flags |= flag::INVALID;
        } else if inexact {
            self.flags |= flag::INEXACT;
        }
        clamped as u32
    }

    /// FixedToFP: `value / 2^fraction`.
    pub(crate) fn fixed_to_float(&mut self, value: i64, fraction: u32) -> u32 {
        if value == 0 {
            return 0;
        }
        self.round(value < 0, -(fraction as i32), u128::from(value.unsigned_abs()))
    }

    /// FPHalfToSingle.
    pub(crate) fn half_to_single(&mut self, half: u32) -> u32 {
        let (sign, exponent, fraction) = (half & 0x8000 != 0, half >> 10 & 0x1F, half & 0x3FF);
        match (exponent, fraction) {
            (0, 0) => signed(sign, 0),
            // A denormal, which FPSCR.FZ does not flush in this format; -24 is the exponent of its last place.
            (0, _) => self.widened(sign, -24, fraction),
            // With FPSCR.AHP there are neither infinities nor NaNs, and exponent 31 is like any other.
            (0x1F, 0) if !self.alternative_half => signed(sign, INFINITY),
            (0x1F, _) if !self.alternative_half => {
                if fraction & 0x200 == 0 {
                    self.flags |= flag::INVALID;
                }
                if self.default_nan { DEFAULT_NAN } else { signed(sign, INFINITY | QUIET | fraction << 13) }
            }
            _ => self.widened(sign, exponent as i32 - 25, fraction | 0x400),
        }
    }

    /// Every half-precision number has an exact single-precision representation, so this raises no flag.
    fn widened(&mut self, sign: bool, exponent: i32, mantissa: u32) -> u32 {
        signed(sign, self.pack(&SINGLE, sign, exponent, mantissa.into()).0)
    }

    /// FPSingleToHalf.
    pub(crate) fn single_to_half(&mut self, bits: u32) -> u32 {
        let a = self.unpack(bits);
        let sign = u32::from(a.sign) << 15;
        match a.class {
            Class::Zero => sign,
            Class::QuietNan | Class::SignalingNan if self.alternative_half => {
                self.flags |= flag::INVALID;
                sign
            }
            Class::QuietNan | Class::SignalingNan => {
                let nan = self.process_nan(a);
                nan >> 16 & 0x8000 | 0x7C00 | nan >> 13 & 0x3FF
            }
            Class::Infinity if self.alternative_half => {
                self.flags |= flag::INVALID;
                sign | 0x7FFF
            }
            Class::Infinity => sign | 0x7C00,
            Class::Finite => sign | self.narrowed(a),
        }
    }

    fn narrowed(&mut self, a: Number) -> u32 {
        let (magnitude, inexact) = self.pack(&HALF, a.sign, a.exponent, a.mantissa.into());
        let limit = if self.alternative_half { 0x8000 } else { 0x7C00 };
        // The alternative format has no infinity to overflow to: the result saturates and is Invalid.
        if magnitude >= limit && self.alternative_half {
            self.flags |= flag::INVALID;
            return 0x7FFF;
        }
        if magnitude >= limit {
            self.flags |= flag::OVERFLOW | flag::INEXACT;
            return self.overflowed(a.sign, limit);
        }
        if inexact {
            self.flags |= flag::INEXACT;
        }
        magnitude
    }
}

/// The magnitude of `a * 2^fraction` rounded to an integer, and whether it is inexact.
fn integral(a: Number, fraction: i32, rounding: Rounding) -> (u128, bool) {
    let exponent = a.exponent + fraction;
    let mantissa = u128::from(a.mantissa);
    if exponent >= 0 {
        // Beyond 96 the shift would lose bits; the value is out of every range already.
        return (mantissa << exponent.min(96), false);
    }
    // After 100 places nothing of the mantissa is left, so that a longer shift changes nothing.
    let bits = exponent.unsigned_abs().min(100);
    let (whole, rest) = (mantissa >> bits, mantissa & ((1 << bits) - 1));
    let up = FpEnv::rounds_up(rounding, a.sign, whole & 1 != 0, rest, bits);
    (whole + u128::from(up), rest != 0)
}
