//! Branches to an address from a register or from memory.

use crate::bus::Bus;
use crate::fault::Event;
use crate::op::{Inst, Op};
use crate::state::Core;

/// In handler mode, a BX or a load of PC with a target from here on is an exception return. In thread mode it is a
/// branch like any other, which then faults because nothing there is executable.
const EXC_RETURN_MIN: u32 = 0xFF00_0000;

impl Core {
    /// BXWritePC and LoadWritePC: in handler mode possibly an exception return, else an interworking branch.
    #[inline(always)]
    pub(crate) fn branch_exchange(&mut self, target: u32) -> Result<(), Event> {
        if target >= EXC_RETURN_MIN && self.in_handler_mode() {
            return Err(Event::ExceptionReturn(target));
        }
        self.branch_state(target);
        Ok(())
    }

    /// BLXWritePC: bit 0 becomes EPSR.T. If it is zero, the next instruction is an INVSTATE UsageFault.
    #[inline(always)]
    pub(crate) fn branch_state(&mut self, target: u32) {
        self.pc = target & !1;
        if target & 1 == 0 {
            self.thumb = false;
            self.request_service();
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
