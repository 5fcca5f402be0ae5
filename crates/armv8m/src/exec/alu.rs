//! Arithmetic, logic and shifts (Arm ARM: AddWithCarry, Shift_C).

use crate::fault::Event;
use crate::op::{Inst, Op, alu, carry, shift};
use crate::state::Core;

/// AddWithCarry: the sum, the carry, and the overflow in bit 31.
fn add_with_carry(x: u32, y: u32, carry_in: bool) -> (u32, bool, u32) {
    let wide = u64::from(x) + u64::from(y) + u64::from(carry_in);
    let sum = wide as u32;
    // Overflow: the sum has another sign than both operands.
    (sum, wide >> 32 != 0, (x ^ sum) & (y ^ sum))
}

/// Shift_C: the shifted value and the carry out.
fn shift_c(value: u32, kind: u8, amount: u32, carry_in: bool) -> (u32, bool) {
    if kind == shift::RRX {
        return (value >> 1 | u32::from(carry_in) << 31, value & 1 != 0);
    }
    if amount == 0 {
        return (value, carry_in);
    }
    // An amount from a register is up to 255. From 33 on, all bits including the carry have been shifted out.
    match kind {
        shift::LSL => {
            let wide = u64::from(value) << amount.min(33);
            (wide as u32, wide >> 32 & 1 != 0)
        }
        shift::LSR => {
            let wide = u64::from(value) << 1 >> amount.min(33);
            ((wide >> 1) as u32, wide & 1 != 0)
        }
        shift::ASR => {
            let wide = i64::from(value as i32) << 1 >> amount.min(33);
            ((wide >> 1) as u32, wide & 1 != 0)
        }
        _ => {
            // A multiple of 32 leaves the value as it is, but still copies bit 31 to the carry.
            let rotated = value.rotate_right(amount & 31);
            (rotated, rotated >> 31 != 0)
        }
    }
}

impl Core {
    /// Sets N and Z from `value` and writes it.
    #[inline(always)]
    pub(super) fn set_logical(&mut self, d: u8, value: u32) {
        self.flags.n = value;
        self.flags.z = value;
        self.set_reg(d, value);
    }

    /// Sets the carry as the immediate's expansion requires (Arm ARM: T32ExpandImm_C).
    #[inline(always)]
    pub(super) fn set_carry(&mut self, how: u8) {
        if how != carry::KEEP {
            self.flags.c = how == carry::SET;
        }
    }

    /// `x + y`, setting the flags.
    #[inline(always)]
    pub(super) fn add_flags(&mut self, x: u32, y: u32) -> u32 {
        let (sum, carry) = x.overflowing_add(y);
        self.flags.n = sum;
        self.flags.z = sum;
        self.flags.c = carry;
        self.flags.v = (x ^ sum) & (y ^ sum);
        sum
    }

    /// `x - y`, setting the flags.
    #[inline(always)]
    pub(super) fn subtract_flags(&mut self, x: u32, y: u32) -> u32 {
        let difference = x.wrapping_sub(y);
        self.flags.n = difference;
        self.flags.z = difference;
        // C is "no borrow": the carry of x + NOT y + 1.
        self.flags.c = x >= y;
        self.flags.v = (x ^ y) & (x ^ difference);
        difference
    }

    /// The result of a data-processing opcode. Logical ones leave V unchanged and set C to `carry`.
    fn alu(&mut self, code: u8, x: u32, y: u32, carry: bool, set: bool) -> u32 {
        let old = self.flags;
        let (value, c, v) = match code {
            alu::AND => (x & y, carry, old.v),
            alu::BIC => (x & !y, carry, old.v),
            alu::ORR => (x | y, carry, old.v),
            alu::ORN => (x | !y, carry, old.v),
            alu::EOR => (x ^ y, carry, old.v),
            alu::ADD => add_with_carry(x, y, false),
            alu::ADC => add_with_carry(x, y, old.c),
            // Subtractions are additions of the complement, so that C means "no borrow".
            alu::SBC => add_with_carry(x, !y, old.c),
            alu::SUB => add_with_carry(x, !y, true),
            // RSB: the operands are exchanged.
            _ => add_with_carry(!x, y, true),
        };
        if set {
            (self.flags.n, self.flags.z, self.flags.c, self.flags.v) = (value, value, c, v);
        }
        value
    }

    #[inline(never)]
    pub(super) fn alu_immediate(&mut self, i: &Inst) {
        let value = self.alu(i.a, self.reg(i.n), i.imm, false, false);
        self.set_reg(i.d, value);
    }

    #[inline(never)]
    pub(super) fn alu_immediate_flags(&mut self, i: &Inst) {
        let carry = if i.s == carry::KEEP { self.flags.c } else { i.s == carry::SET };
        let value = self.alu(i.a, self.reg(i.n), i.imm, carry, true);
        self.set_reg(i.d, value);
    }

    /// The second operand; a move (ORR or ORN with Rn = 15) has zero as its first.
    fn shifted_operands(&self, i: &Inst) -> (u32, u32, bool) {
        let (y, carry) = shift_c(self.reg(i.m), i.s, u32::from(i.k), self.flags.c);
        (if i.n == 15 { 0 } else { self.reg(i.n) }, y, carry)
    }

    #[inline(never)]
    pub(super) fn alu_shifted(&mut self, i: &Inst) {
        let (x, y, carry) = self.shifted_operands(i);
        let value = self.alu(i.a, x, y, carry, false);
        self.set_reg(i.d, value);
    }

    #[inline(never)]
    pub(super) fn alu_shifted_flags(&mut self, i: &Inst) {
        let (x, y, carry) = self.shifted_operands(i);
        let value = self.alu(i.a, x, y, carry, true);
        self.set_reg(i.d, value);
    }

    /// ADD, SUB and MOV with SP as destination: checked against the stack limit.
    #[inline(never)]
    pub(super) fn stack_arithmetic(&mut self, i: &Inst) -> Result<(), Event> {
        let (operand, set) = match i.op {
            Op::MovSp => return self.move_sp(self.reg(i.m)),
            Op::SpAluImm => (i.imm, i.k != 0),
            _ => (shift_c(self.reg(i.m), i.s, u32::from(i.k), self.flags.c).0, i.imm != 0),
        };
        // If SP would pass its limit, the instruction has not completed and its flags do not count.
        let old = self.flags;
        let value = self.alu(i.a, self.r[13], operand, false, set);
        self.move_sp(value).inspect_err(|_| self.flags = old)
    }

    #[inline(never)]
    pub(super) fn shift_register(&mut self, i: &Inst) {
        let (value, _) = shift_c(self.reg(i.n), i.s, self.reg(i.m) & 0xFF, self.flags.c);
        self.set_reg(i.d, value);
    }

    #[inline(never)]
    pub(super) fn shift_register_flags(&mut self, i: &Inst) {
        let (value, carry) = shift_c(self.reg(i.n), i.s, self.reg(i.m) & 0xFF, self.flags.c);
        self.flags.c = carry;
        self.set_logical(i.d, value);
    }

    fn saturation_operand(&self, i: &Inst) -> i64 {
        i64::from(shift_c(self.reg(i.n), i.s, u32::from(i.a), false).0 as i32)
    }

    pub(super) fn saturate_signed(&mut self, i: &Inst) {
        let operand = self.saturation_operand(i);
        let limit = 1i64 << (i.k - 1);
        let value = operand.clamp(-limit, limit - 1);
        self.q |= value != operand;
        self.set_reg(i.d, value as u32);
    }

    pub(super) fn saturate_unsigned(&mut self, i: &Inst) {
        let operand = self.saturation_operand(i);
        let value = operand.clamp(0, (1i64 << i.k) - 1);
        self.q |= value != operand;
        self.set_reg(i.d, value as u32);
    }
}
