//! Single-precision arithmetic as the Arm ARM's pseudocode defines it (FPAdd, FPMul, FPRound, …), on integers: the
//! host's floating point gives no access to the exception flags, and Rust none to its rounding modes.

mod convert;

/// Cumulative exception flags, as in FPSCR.
pub(crate) mod flag {
    pub(crate) const INVALID: u32 = 1 << 0;
    pub(crate) const DIVIDE_BY_ZERO: u32 = 1 << 1;
    pub(crate) const OVERFLOW: u32 = 1 << 2;
    pub(crate) const UNDERFLOW: u32 = 1 << 3;
    pub(crate) const INEXACT: u32 = 1 << 4;
    pub(crate) const INPUT_DENORMAL: u32 = 1 << 7;
}

/// How a result that does not fit is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    Nearest,
    Up,
    Down,
    Zero,
    /// To nearest, ties away from zero; only conversions use it.
    Away,
}

/// FPSCR.RMode and the `rm` field of directed conversions.
const MODES: [Rounding; 4] = [Rounding::Nearest, Rounding::Up, Rounding::Down, Rounding::Zero];
const DIRECTED: [Rounding; 4] = [Rounding::Away, Rounding::Nearest, Rounding::Up, Rounding::Down];

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0x7F80_0000;
const FRACTION: u32 = 0x007F_FFFF;
/// The top bit of the fraction distinguishes quiet NaNs from signalling ones.
const QUIET: u32 = 0x0040_0000;
/// The NaN of invalid operations, and of all with FPSCR.DN (Arm ARM: FPDefaultNaN).
const DEFAULT_NAN: u32 = 0x7FC0_0000;

/// A binary floating-point format.
struct Format {
    fraction: u32,
    bias: i32,
}

const SINGLE: Format = Format { fraction: 23, bias: 127 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Zero,
    Finite,
    Infinity,
    QuietNan,
    SignalingNan,
}

/// An unpacked operand; a finite value is `mantissa * 2^exponent`.
#[derive(Clone, Copy)]
struct Number {
    bits: u32,
    sign: bool,
    class: Class,
    exponent: i32,
    mantissa: u64,
}

impl Number {
    fn is_nan(self) -> bool {
        matches!(self.class, Class::QuietNan | Class::SignalingNan)
    }
    fn is(self, class: Class) -> bool {
        self.class == class
    }
    fn negated(self) -> Self {
        Self { sign: !self.sign, ..self }
    }
}

/// The floating-point environment of an operation: FPSCR's modes, and the flags it raises.
pub(crate) struct FpEnv {
    pub rounding: Rounding,
    flush: bool,
    default_nan: bool,
    alternative_half: bool,
    pub flags: u32,
}

/// The rounding of VCVTA, VCVTN, VCVTP, VCVTM and the VRINTs, by their `rm` field.
pub(crate) fn directed(rm: u8) -> Rounding {
    DIRECTED[(rm & 3) as usize]
}

fn signed(sign: bool, magnitude: u32) -> u32 {
    if sign { magnitude | SIGN } else { magnitude }
}

/// Shifts right and ORs the bits shifted out into the lowest bit, so that rounding sees that the value is inexact.
fn shift_jam(value: u128, by: u32) -> u128 {
    if by >= 128 {
        return u128::from(value != 0);
    }
    value >> by | u128::from(value & ((1 << by) - 1) != 0)
}

/// Whether the exponent is far from both ends of its range, so that the value is normal and an operation that gives it
/// raised no flag except, possibly, inexact.
fn is_mid_range(bits: u32) -> bool {
    matches!(bits >> 23 & 0xFF, 2..=253)
}

impl FpEnv {
    /// The environment with FPSCR's modes and the flags that are already set.
    pub(crate) fn new(fpscr: u32) -> Self {
        Self {
            rounding: MODES[(fpscr >> 22 & 3) as usize],
            flush: fpscr & 1 << 24 != 0,
            default_nan: fpscr & 1 << 25 != 0,
            alternative_half: fpscr & 1 << 26 != 0,
            flags: fpscr & 0x9F,
        }
    }

    /// FPUnpack.
    fn unpack(&mut self, bits: u32) -> Number {
        let (sign, exponent, fraction) = (bits & SIGN != 0, bits >> 23 & 0xFF, bits & FRACTION);
        let number = |class, exponent, mantissa| Number { bits, sign, class, exponent, mantissa };
        match (exponent, fraction) {
            (0, 0) => number(Class::Zero, 0, 0),
            (0, _) if self.flush => {
                self.flags |= flag::INPUT_DENORMAL;
                number(Class::Zero, 0, 0)
            }
            (0, _) => {
                let shift = fraction.leading_zeros() - 8;
                number(Class::Finite, -149 - shift as i32, u64::from(fraction) << shift)
            }
            (0xFF, 0) => number(Class::Infinity, 0, 0),
            (0xFF, _) if fraction & QUIET != 0 => number(Class::QuietNan, 0, 0),
            (0xFF, _) => number(Class::SignalingNan, 0, 0),
            // The bias and the 23 fraction bits: the mantissa is an integer.
            _ => number(Class::Finite, exponent as i32 - 150, u64::from(fraction | 1 << 23)),
        }
    }

    fn invalid(&mut self) -> u32 {
        self.flags |= flag::INVALID;
        DEFAULT_NAN
    }

    /// FPProcessNaN.
    fn process_nan(&mut self, nan: Number) -> u32 {
        if nan.is(Class::SignalingNan) {
            self.flags |= flag::INVALID;
        }
        if self.default_nan { DEFAULT_NAN } else { nan.bits | QUIET }
    }

    /// FPProcessNaNs: the first signalling NaN, else the first quiet one.
    fn process_nans(&mut self, operands: &[Number]) -> Option<u32> {
        let signaling = operands.iter().find(|o| o.is(Class::SignalingNan));
        let chosen = *signaling.or_else(|| operands.iter().find(|o| o.is_nan()))?;
        Some(self.process_nan(chosen))
    }

    /// Whether a magnitude with the remainder `rest`, in units of `1 / (1 << bits)`, is rounded up.
    fn rounds_up(rounding: Rounding, sign: bool, odd: bool, rest: u128, bits: u32) -> bool {
        let half = if bits == 0 { 0 } else { 1u128 << (bits - 1) };
        match rounding {
            Rounding::Nearest => rest > half || (rest == half && rest != 0 && odd),
            Rounding::Away => rest >= half && rest != 0,
            Rounding::Up => rest != 0 && !sign,
            Rounding::Down => rest != 0 && sign,
            Rounding::Zero => false,
        }
    }

    /// FPRound: packs `mantissa * 2^exponent`; the lowest bit of `mantissa` may be sticky ([`shift_jam`]).
    fn round(&mut self, sign: bool, exponent: i32, mantissa: u128) -> u32 {
        let top = exponent + 127 - mantissa.leading_zeros() as i32;
        // Flushing looks at the exponent before rounding, and raises Underflow without Inexact (Arm ARM: FPRound).
        if self.flush && top < 1 - SINGLE.bias {
            self.flags |= flag::UNDERFLOW;
            return signed(sign, 0);
        }
        let (magnitude, inexact) = self.pack(&SINGLE, sign, exponent, mantissa);
        if magnitude >= INFINITY {
            self.flags |= flag::OVERFLOW | flag::INEXACT;
            return signed(sign, self.overflowed(sign, INFINITY));
        }
        if inexact {
            self.flags |= flag::INEXACT;
        }
        signed(sign, magnitude)
    }

    /// The result of an overflow: infinity or the largest finite value, depending on the rounding mode.
    fn overflowed(&self, sign: bool, infinity: u32) -> u32 {
        let to_infinity = match self.rounding {
            Rounding::Nearest | Rounding::Away => true,
            Rounding::Up => !sign,
            Rounding::Down => sign,
            Rounding::Zero => false,
        };
        if to_infinity { infinity } else { infinity - 1 }
    }

    /// The biased exponent and fraction of a magnitude, and whether it is inexact. The exponent may be that of infinity
    /// or greater. Raises underflow.
    fn pack(&mut self, format: &Format, sign: bool, exponent: i32, mantissa: u128) -> (u32, bool) {
        let top = exponent + 127 - mantissa.leading_zeros() as i32;
        let lowest = top.max(1 - format.bias) - format.fraction as i32;
        let shift = lowest - exponent;
        let (kept, rest, bits) = if shift <= 0 {
            (mantissa << shift.unsigned_abs(), 0, 0)
        } else {
            // A shift by 128 would overflow; by 127 only the sticky information is left.
            let bits = shift.unsigned_abs().min(127);
            (mantissa >> bits, mantissa & ((1 << bits) - 1), bits)
        };
        // Before rounding, which is how Arm detects tininess.
        let tiny = top < 1 - format.bias;
        if tiny && rest != 0 {
            self.flags |= flag::UNDERFLOW;
        }
        let up = Self::rounds_up(self.rounding, sign, kept & 1 != 0, rest, bits);
        // One less than the exponent, because adding the mantissa with its leading one increases it; so does the carry
        // of rounding up to a power of two.
        let biased = if tiny { 0 } else { (top + format.bias - 1).min(0xFF) as u32 };
        ((biased << format.fraction) + (kept as u32) + u32::from(up), rest != 0)
    }

    /// The sum of two finite, non-zero values.
    fn sum(&mut self, a: (bool, i32, u128), b: (bool, i32, u128)) -> u32 {
        let align = |(sign, exponent, mantissa): (bool, i32, u128)| {
            // As far left as leaves room for the carry of a sum, so that the smaller operand loses only sticky bits.
            let shift = mantissa.leading_zeros() - 2;
            (sign, exponent - shift as i32, mantissa << shift)
        };
        let (a, b) = (align(a), align(b));
        let (big, small) = if (a.1, a.2) >= (b.1, b.2) { (a, b) } else { (b, a) };
        let lowered = shift_jam(small.2, (big.1 - small.1).unsigned_abs());
        if big.0 == small.0 {
            return self.round(big.0, big.1, big.2 + lowered);
        }
        match big.2 - lowered {
            // An exact zero is positive, except when rounding down (IEEE 754, 6.3).
            0 => signed(self.rounding == Rounding::Down, 0),
            difference => self.round(big.0, big.1, difference),
        }
    }

    /// The host's result, where it is known to be right: rounding to nearest is the host's mode too, the operation
    /// raises nothing but inexact, and FPSCR has that flag already. Most code never clears it, so this is the common
    /// case.
    fn host_result(&self, a: u32, b: u32, operation: impl Fn(f32, f32) -> f32) -> Option<u32> {
        if self.flags & flag::INEXACT == 0 || self.rounding != Rounding::Nearest {
            return None;
        }
        let result = operation(f32::from_bits(a), f32::from_bits(b)).to_bits();
        (is_mid_range(a) && is_mid_range(b) && is_mid_range(result)).then_some(result)
    }

    /// FPAdd.
    pub(crate) fn add(&mut self, a: u32, b: u32) -> u32 {
        if let Some(result) = self.host_result(a, b, |a, b| a + b) {
            return result;
        }
        let (a, b) = (self.unpack(a), self.unpack(b));
        self.process_nans(&[a, b]).unwrap_or_else(|| self.add_numbers(a, b))
    }

    /// FPSub.
    pub(crate) fn sub(&mut self, a: u32, b: u32) -> u32 {
        if let Some(result) = self.host_result(a, b, |a, b| a - b) {
            return result;
        }
        let (a, b) = (self.unpack(a), self.unpack(b));
        self.process_nans(&[a, b]).unwrap_or_else(|| self.add_numbers(a, b.negated()))
    }

    fn add_numbers(&mut self, a: Number, b: Number) -> u32 {
        match (a.class, b.class) {
            (Class::Infinity, Class::Infinity) if a.sign != b.sign => self.invalid(),
            (Class::Infinity, _) => signed(a.sign, INFINITY),
            (_, Class::Infinity) => signed(b.sign, INFINITY),
            (Class::Zero, Class::Zero) if a.sign == b.sign => signed(a.sign, 0),
            (Class::Zero, Class::Zero) => signed(self.rounding == Rounding::Down, 0),
            (Class::Zero, _) => self.round(b.sign, b.exponent, b.mantissa.into()),
            (_, Class::Zero) => self.round(a.sign, a.exponent, a.mantissa.into()),
            _ => self.sum((a.sign, a.exponent, a.mantissa.into()), (b.sign, b.exponent, b.mantissa.into())),
        }
    }

    /// FPMul.
    pub(crate) fn mul(&mut self, a: u32, b: u32) -> u32 {
        if let Some(result) = self.host_result(a, b, |a, b| a * b) {
            return result;
        }
        let (a, b) = (self.unpack(a), self.unpack(b));
        if let Some(nan) = self.process_nans(&[a, b]) {
            return nan;
        }
        let sign = a.sign != b.sign;
        match (a.class, b.class) {
            (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity) => self.invalid(),
            (Class::Infinity, _) | (_, Class::Infinity) => signed(sign, INFINITY),
            (Class::Zero, _) | (_, Class::Zero) => signed(sign, 0),
            _ => self.round(sign, a.exponent + b.exponent, u128::from(a.mantissa * b.mantissa)),
        }
    }

    /// FPDiv.
    pub(crate) fn div(&mut self, a: u32, b: u32) -> u32 {
        if let Some(result) = self.host_result(a, b, |a, b| a / b) {
            return result;
        }
        let (a, b) = (self.unpack(a), self.unpack(b));
        if let Some(nan) = self.process_nans(&[a, b]) {
            return nan;
        }
        let sign = a.sign != b.sign;
        match (a.class, b.class) {
            (Class::Infinity, Class::Infinity) | (Class::Zero, Class::Zero) => self.invalid(),
            (Class::Infinity, _) => signed(sign, INFINITY),
            (_, Class::Zero) => {
                self.flags |= flag::DIVIDE_BY_ZERO;
                signed(sign, INFINITY)
            }
            (Class::Zero, _) | (_, Class::Infinity) => signed(sign, 0),
            _ => {
                // A quotient of at least 40 bits, with a sticky bit for the remainder.
                let dividend = a.mantissa << 40;
                let quotient = dividend / b.mantissa | u64::from(dividend % b.mantissa != 0);
                self.round(sign, a.exponent - b.exponent - 40, quotient.into())
            }
        }
    }

    /// FPSqrt.
    pub(crate) fn sqrt(&mut self, bits: u32) -> u32 {
        let a = self.unpack(bits);
        match a.class {
            Class::QuietNan | Class::SignalingNan => self.process_nan(a),
            Class::Zero => signed(a.sign, 0),
            _ if a.sign => self.invalid(),
            Class::Infinity => INFINITY,
            Class::Finite => {
                // Makes the exponent even, and gives the root more bits than the result.
                let shift = 38 + (a.exponent & 1);
                let square = a.mantissa << shift;
                let root = square.isqrt();
                let root = root << 1 | u64::from(root * root != square);
                self.round(false, (a.exponent - shift) / 2 - 1, root.into())
            }
        }
    }

    /// FPMulAdd: `addend + a * b`, rounded once.
    pub(crate) fn mul_add(&mut self, addend: u32, a: u32, b: u32) -> u32 {
        let (addend, a, b) = (self.unpack(addend), self.unpack(a), self.unpack(b));
        let impossible =
            matches!((a.class, b.class), (Class::Infinity, Class::Zero) | (Class::Zero, Class::Infinity));
        // Infinity times zero is invalid even where a quiet NaN is added (Arm ARM: FPMulAdd).
        if addend.is(Class::QuietNan) && impossible {
            return self.invalid();
        }
        if let Some(nan) = self.process_nans(&[addend, a, b]) {
            return nan;
        }
        let sign = a.sign != b.sign;
        let infinite = a.is(Class::Infinity) || b.is(Class::Infinity);
        if impossible || (infinite && addend.is(Class::Infinity) && addend.sign != sign) {
            return self.invalid();
        }
        if infinite {
            return signed(sign, INFINITY);
        }
        if addend.is(Class::Infinity) {
            return signed(addend.sign, INFINITY);
        }
        self.mul_add_finite(addend, a, b, sign)
    }

    fn mul_add_finite(&mut self, addend: Number, a: Number, b: Number, sign: bool) -> u32 {
        let product = (sign, a.exponent + b.exponent, u128::from(a.mantissa * b.mantissa));
        match (product.2 == 0, addend.is(Class::Zero)) {
            (true, true) if addend.sign == sign => signed(sign, 0),
            (true, true) => signed(self.rounding == Rounding::Down, 0),
            (true, false) => self.round(addend.sign, addend.exponent, addend.mantissa.into()),
            (false, true) => self.round(sign, product.1, product.2),
            (false, false) => self.sum((addend.sign, addend.exponent, addend.mantissa.into()), product),
        }
    }

    /// FPCompare: NZCV, in bits 31..28.
    pub(crate) fn compare(&mut self, a: u32, b: u32, quiet_nans_signal: bool) -> u32 {
        let (a, b) = (self.unpack(a), self.unpack(b));
        if a.is_nan() || b.is_nan() {
            if quiet_nans_signal || a.is(Class::SignalingNan) || b.is(Class::SignalingNan) {
                self.flags |= flag::INVALID;
            }
            // C and V: unordered.
            return 0x3000_0000;
        }
        match order(a).cmp(&order(b)) {
            std::cmp::Ordering::Equal => 0x6000_0000,
            std::cmp::Ordering::Less => 0x8000_0000,
            std::cmp::Ordering::Greater => 0x2000_0000,
        }
    }

    /// FPMinNum and FPMaxNum: of a quiet NaN and a number, the result is the number.
    pub(crate) fn min_max(&mut self, a: u32, b: u32, max: bool) -> u32 {
        let (x, y) = (self.unpack(a), self.unpack(b));
        match (x.class, y.class) {
            (Class::QuietNan, Class::QuietNan) | (Class::SignalingNan, _) | (_, Class::SignalingNan) => {
                return self.process_nans(&[x, y]).unwrap_or(DEFAULT_NAN);
            }
            (Class::QuietNan, _) => return flushed(y),
            (_, Class::QuietNan) => return flushed(x),
            _ => {}
        }
        let both_zero = x.is(Class::Zero) && y.is(Class::Zero);
        let first = if both_zero { x.sign != max } else { (order(x) < order(y)) != max };
        flushed(if first { x } else { y })
    }
}

/// A key for comparing numbers; both zeros have the same.
fn order(a: Number) -> i64 {
    let magnitude = if a.is(Class::Zero) { 0 } else { i64::from(a.bits & !SIGN) };
    if a.sign { -magnitude } else { magnitude }
}

/// The number's bits, or a zero for a denormal that was flushed.
fn flushed(a: Number) -> u32 {
    if a.is(Class::Zero) { signed(a.sign, 0) } else { a.bits }
}

/// VFPExpandImm for single precision.
pub(crate) fn expand_immediate(imm8: u32) -> u32 {
    let exponent = if imm8 & 0x40 == 0 { 0x80 | imm8 >> 4 & 3 } else { 0x7C | imm8 >> 4 & 3 };
    (imm8 & 0x80) << 24 | exponent << 23 | (imm8 & 0xF) << 19
}

/// FPNeg: inverts the sign, also of a NaN.
pub(crate) fn negate(bits: u32) -> u32 {
    bits ^ SIGN
}
