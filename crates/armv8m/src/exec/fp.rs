//! Floating-point instructions on the S registers.

use super::memory::require_aligned;
use crate::bus::Bus;
use crate::fault::Event;
use crate::float::{FpEnv, Rounding, directed, negate};
use crate::op::{Inst, Op, fp, mode};
use crate::state::Core;

/// FPSCR's cumulative exception flags: IOC, DZC, OFC, UFC, IXC and, apart from them, IDC in bit 7.
const FLAGS: u32 = 0x9F;
/// FPSCR's condition flags.
const CONDITIONS: u32 = 0xF000_0000;

#[inline(never)]
pub(super) fn execute(core: &mut Core, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
    // First: it may raise NOCP, and it saves a lazily preserved context, which is still in the registers (Arm ARM:
    // ExecuteFPCheck).
    core.execute_fp_check()?;
    match i.op {
        Op::FpArithmetic => core.fp_arithmetic(i),
        Op::FpMove => {
            // VMOV, VABS and VNEG, by `a`; the remainder only shows the compiler that the index is in range.
            let value = core.s(i.m);
            core.set_s(i.d, [value, value & 0x7FFF_FFFF, negate(value)][(i.a % 3) as usize]);
        }
        Op::FpMoveImm => core.set_s(i.d, i.imm),
        Op::FpCompare => core.fp_compare(i),
        Op::FpSelect => core.set_s(i.d, core.s(if core.condition_holds(i.a) { i.n } else { i.m })),
        Op::FpConvertHalf => core.fp_convert_half(i),
        Op::FpConvertInt => core.fp_convert_int(i),
        Op::FpConvertFixed => core.fp_convert_fixed(i),
        Op::FpRoundInt => core.fp_round_int(i),
        Op::FpMoveCore if i.a != 0 => core.set_reg_or_sp(i.d, core.s(i.n)),
        Op::FpMoveCore => core.set_s(i.n, core.reg(i.d)),
        Op::FpMoveCorePair => core.fp_move_pair(i),
        Op::FpStatus => core.fp_status(i),
        Op::FpLoad => return core.fp_load(bus, i),
        Op::FpStore => return core.fp_store(bus, i),
        Op::FpLoadMultiple => return core.fp_load_multiple(bus, i),
        Op::FpStoreMultiple => return core.fp_store_multiple(bus, i),
        _ => return Err(Event::UNDEFINED),
    }
    Ok(())
}

impl Core {
    fn s(&self, n: u8) -> u32 {
        self.fpu.s[(n & 31) as usize]
    }
    fn set_s(&mut self, d: u8, value: u32) {
        self.fpu.s[(d & 31) as usize] = value;
    }

    /// Computes with FPSCR's modes and stores the flags that raises.
    fn with_env(&mut self, operation: impl FnOnce(&mut FpEnv) -> u32) -> u32 {
        let mut env = FpEnv::new(self.fpu.fpscr);
        let value = operation(&mut env);
        self.fpu.fpscr = self.fpu.fpscr & !FLAGS | env.flags;
        value
    }

    fn fp_arithmetic(&mut self, i: &Inst) {
        let (d, n, m) = (self.s(i.d), self.s(i.n), self.s(i.m));
        let value = self.with_env(|env| match i.a {
            // VMLA and its variants round the product; the fused VFMA rounds once.
            fp::VMLA => {
                let product = env.mul(n, m);
                env.add(d, product)
            }
            fp::VMLS => {
                let product = env.mul(n, m);
                env.add(d, negate(product))
            }
            fp::VNMLS => {
                let product = env.mul(n, m);
                env.add(negate(d), product)
            }
            fp::VNMLA => {
                let product = env.mul(n, m);
                env.add(negate(d), negate(product))
            }
            fp::VMUL => env.mul(n, m),
            fp::VNMUL => negate(env.mul(n, m)),
            fp::VADD => env.add(n, m),
            fp::VSUB => env.sub(n, m),
            fp::VDIV => env.div(n, m),
            fp::VFMA => env.mul_add(d, n, m),
            fp::VFMS => env.mul_add(d, negate(n), m),
            fp::VFNMA => env.mul_add(negate(d), negate(n), m),
            fp::VFNMS => env.mul_add(negate(d), n, m),
            fp::VSQRT => env.sqrt(m),
            _ => env.min_max(n, m, i.a == fp::VMAXNM),
        });
        self.set_s(i.d, value);
    }

    fn fp_compare(&mut self, i: &Inst) {
        let (x, y) = (self.s(i.d), if i.s != 0 { 0 } else { self.s(i.m) });
        let conditions = self.with_env(|env| env.compare(x, y, i.a != 0));
        self.fpu.fpscr = self.fpu.fpscr & !CONDITIONS | conditions;
    }

    /// VCVTB and VCVTT: `k` is the bit position of the half-precision value.
    fn fp_convert_half(&mut self, i: &Inst) {
        let (m, at) = (self.s(i.m), i.k & 31);
        if i.a == 0 {
            let value = self.with_env(|env| env.half_to_single(m >> at & 0xFFFF));
            return self.set_s(i.d, value);
        }
        let half = self.with_env(|env| env.single_to_half(m));
        // The other half of the destination keeps its value (Arm ARM: VCVTB, VCVTT).
        self.set_s(i.d, self.s(i.d) & !(0xFFFF << at) | half << at);
    }

    /// The rounding of an instruction: encoded in it (0 to 3), FPSCR's (4), or towards zero (5).
    fn rounding(&self, how: u8) -> Rounding {
        match how {
            4 => FpEnv::new(self.fpu.fpscr).rounding,
            5 => Rounding::Zero,
            rm => directed(rm),
        }
    }

    /// VCVT between floating point and integer: with `k` to floating point, with `a` unsigned.
    fn fp_convert_int(&mut self, i: &Inst) {
        let (m, unsigned, rounding) = (self.s(i.m), i.a != 0, self.rounding(i.s));
        let value = self.with_env(|env| {
            if i.k == 0 {
                env.float_to_fixed(m, 32, 0, unsigned, rounding)
            } else {
                env.fixed_to_float(if unsigned { i64::from(m) } else { i64::from(m as i32) }, 0)
            }
        });
        self.set_s(i.d, value);
    }

    fn fp_convert_fixed(&mut self, i: &Inst) {
        let (value, width, unsigned) = (self.s(i.d), u32::from(i.k), i.a != 0);
        // Only the low `width` bits count; they are extended by their sign or by zeros.
        let spare = 64 - width;
        let integer = i64::from(value) << spare;
        let integer = if unsigned { (integer as u64 >> spare) as i64 } else { integer >> spare };
        let value = self.with_env(|env| {
            if i.s != 0 {
                return env.float_to_fixed(value, width, i.imm, unsigned, Rounding::Zero);
            }
            // VCVT from fixed point always rounds to nearest, whatever FPSCR.RMode is.
            env.rounding = Rounding::Nearest;
            env.fixed_to_float(integer, i.imm)
        });
        self.set_s(i.d, value);
    }

    fn fp_round_int(&mut self, i: &Inst) {
        let (m, rounding) = (self.s(i.m), self.rounding(i.s));
        let value = self.with_env(|env| env.round_to_integral(m, rounding, i.a != 0));
        self.set_s(i.d, value);
    }

    fn fp_move_pair(&mut self, i: &Inst) {
        if i.a != 0 {
            let (low, high) = (self.s(i.m), self.s(i.m + 1));
            self.set_reg_or_sp(i.d, low);
            self.set_reg_or_sp(i.n, high);
        } else {
            let (low, high) = (self.reg(i.d), self.reg(i.n));
            self.set_s(i.m, low);
            self.set_s(i.m + 1, high);
        }
    }

    /// VMRS and VMSR; VMRS to register 15 copies the condition flags to APSR.
    fn fp_status(&mut self, i: &Inst) {
        match (i.a != 0, i.d) {
            (true, 15) => self.flags = crate::state::Flags::from_bits(self.fpu.fpscr),
            (true, d) => self.set_reg_or_sp(d, self.fpu.fpscr),
            (false, d) => self.fpu.set_fpscr(self.reg(d)),
        }
    }

    fn fp_address(&self, i: &Inst) -> Result<u32, Event> {
        let address = if i.s == mode::LITERAL { i.imm } else { self.reg(i.n).wrapping_add(i.imm) };
        // Even with CCR.UNALIGN_TRP clear (Arm ARM: VLDR, VSTR).
        require_aligned(address, 4)?;
        Ok(address)
    }

    /// Reads `k` words into S registers from `d` on.
    fn fp_read(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<(), Event> {
        // All reads come first: a fault must leave the registers unchanged, so that the instruction can be restarted.
        let mut words = [0; 32];
        for (at, word) in (0u32..).zip(words.iter_mut()).take(i.k as usize) {
            *word = self.read_word(bus, address.wrapping_add(at * 4))?;
        }
        for (at, word) in (0..i.k).zip(words) {
            self.set_s(i.d + at, word);
        }
        Ok(())
    }

    fn fp_write(&mut self, bus: &mut dyn Bus, i: &Inst, address: u32) -> Result<(), Event> {
        (0..i.k).try_for_each(|at| {
            self.write_word(bus, address.wrapping_add(u32::from(at) * 4), self.s(i.d + at))
        })
    }

    fn fp_load(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let address = self.fp_address(i)?;
        self.fp_read(bus, i, address)
    }

    fn fp_store(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let address = self.fp_address(i)?;
        self.fp_write(bus, i, address)
    }

    /// The lowest address of a multiple transfer and the base register's new value; SP is checked against its limit.
    fn fp_span(&self, i: &Inst) -> Result<(u32, u32), Event> {
        // With PC as base `imm` is the address. There is no writeback then, so `end` does not matter.
        let base = if i.m != 0 { i.imm } else { self.reg(i.n) };
        let end = if i.a != 0 { base.wrapping_sub(i.imm) } else { base.wrapping_add(i.imm) };
        if i.n == 13 && i.s != 0 {
            self.check_limit(end)?;
        }
        let start = if i.a != 0 { end } else { base };
        require_aligned(start, 4)?;
        Ok((start, end))
    }

    fn fp_load_multiple(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        // An interrupted transfer starts again from its first register, which the manual allows (Arm ARM: EPSR.ICI).
        self.ici = 0;
        let (start, end) = self.fp_span(i)?;
        self.fp_read(bus, i, start)?;
        if i.s != 0 {
            self.set_reg_or_sp(i.n, end);
        }
        Ok(())
    }

    fn fp_store_multiple(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        // As for loads: the words written before the interruption are written again.
        self.ici = 0;
        let (start, end) = self.fp_span(i)?;
        self.fp_write(bus, i, start)?;
        if i.s != 0 {
            self.set_reg_or_sp(i.n, end);
        }
        Ok(())
    }
}
