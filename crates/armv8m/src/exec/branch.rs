//! Branches that depend on a value.

use crate::bus::Bus;
use crate::fault::Event;
use crate::op::{Inst, Op};
use crate::state::Core;

/// In handler mode, branching from here up by BX or a load is an exception return.
const EXC_RETURN_MIN: u32 = 0xFF00_0000;

impl Core {
    /// BXWritePC and LoadWritePC: an exception return in handler mode, else a branch with state.
    #[inline(always)]
    pub(crate) fn branch_exchange(&mut self, target: u32) -> Result<(), Event> {
        if target >= EXC_RETURN_MIN && self.in_handler_mode() {
            return Err(Event::ExceptionReturn(target));
        }
        self.branch_state(target);
        Ok(())
    }

    /// BLXWritePC: bit 0 becomes the T bit, which must be one by the next instruction.
    #[inline(always)]
    pub(crate) fn branch_state(&mut self, target: u32) {
        self.pc = target & !1;
        if target & 1 == 0 {
            self.thumb = false;
            self.attention();
        }
    }

    /// TBB and TBH.
    #[inline(never)]
    pub(super) fn table_branch(&mut self, bus: &mut dyn Bus, i: &Inst) -> Result<(), Event> {
        let base = if i.s != 0 { i.imm } else { self.reg(i.n) };
        let index = self.reg(i.m);
        let halfwords = if i.op == Op::TableByte {
            self.read_byte(bus, base.wrapping_add(index))?
        } else {
            self.read_half(bus, base.wrapping_add(index << 1))?
        };
        self.pc = i.imm.wrapping_add(halfwords * 2);
        Ok(())
    }
}
