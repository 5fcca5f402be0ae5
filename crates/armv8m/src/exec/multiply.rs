//! Long multiplies and division.

use crate::fault::{Event, cfsr};
use crate::op::{Inst, Op};
use crate::state::Core;

impl Core {
    /// The 64-bit value in RdHi:RdLo.
    pub(super) fn long(&self, i: &Inst) -> u64 {
        u64::from(self.reg(i.a)) << 32 | u64::from(self.reg(i.d))
    }

    pub(super) fn set_long(&mut self, i: &Inst, value: u64) {
        self.set_reg(i.d, value as u32);
        self.set_reg(i.a, (value >> 32) as u32);
    }

    #[inline(never)]
    pub(super) fn long_multiply(&mut self, i: &Inst) {
        let (n, m) = (self.reg(i.n), self.reg(i.m));
        let unsigned = u64::from(n) * u64::from(m);
        let signed = (i64::from(n as i32) * i64::from(m as i32)) as u64;
        // UMAAL adds both halves separately: the sum never overflows 64 bits.
        let value = match i.op {
            Op::Umull => unsigned,
            Op::Smull => signed,
            Op::Umlal => self.long(i).wrapping_add(unsigned),
            Op::Smlal => self.long(i).wrapping_add(signed),
            _ => unsigned + u64::from(self.reg(i.d)) + u64::from(self.reg(i.a)),
        };
        self.set_long(i, value);
    }

    /// CCR.DIV_0_TRP: a UsageFault, or else a quotient of zero.
    fn division_by_zero(&mut self, d: u8) -> Result<(), Event> {
        if self.scb.traps_division_by_zero() {
            return Err(Event::usage(cfsr::DIVBYZERO));
        }
        self.set_reg(d, 0);
        Ok(())
    }

    pub(super) fn divide_signed(&mut self, i: &Inst) -> Result<(), Event> {
        let (n, m) = (self.reg(i.n) as i32, self.reg(i.m) as i32);
        if m == 0 {
            return self.division_by_zero(i.d);
        }
        // -2^31 / -1 wraps to -2^31, without a fault.
        self.set_reg(i.d, n.wrapping_div(m) as u32);
        Ok(())
    }

    pub(super) fn divide_unsigned(&mut self, i: &Inst) -> Result<(), Event> {
        let Some(quotient) = self.reg(i.n).checked_div(self.reg(i.m)) else {
            return self.division_by_zero(i.d);
        };
        self.set_reg(i.d, quotient);
        Ok(())
    }
}
