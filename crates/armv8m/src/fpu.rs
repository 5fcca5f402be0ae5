//! The floating-point unit's registers and its part of exception frames.
//!
//! Exception entry only reserves space for S0 to S15 and FPSCR (FPCCR.LSPACT). They are saved when the handler first
//! uses the unit, so that handlers that do not use it are entered quickly (lazy state preservation).

use crate::fault::{Event, Fault, cfsr};
use crate::nvic::number;
use crate::state::Core;

/// Bits of FPCCR.
pub(crate) mod fpccr {
    pub(crate) const ASPEN: u32 = 1 << 31;
    pub(crate) const LSPEN: u32 = 1 << 30;
    pub(crate) const CLRONRET: u32 = 1 << 28;
    pub(crate) const UFRDY: u32 = 1 << 10;
    pub(crate) const MONRDY: u32 = 1 << 8;
    pub(crate) const BFRDY: u32 = 1 << 6;
    pub(crate) const MMRDY: u32 = 1 << 5;
    pub(crate) const HFRDY: u32 = 1 << 4;
    pub(crate) const THREAD: u32 = 1 << 3;
    pub(crate) const USER: u32 = 1 << 1;
    pub(crate) const LSPACT: u32 = 1 << 0;
    /// The mode of the context that owns a reserved frame, and the faults it could have taken.
    pub(crate) const CONTEXT: u32 = UFRDY | MONRDY | BFRDY | MMRDY | HFRDY | THREAD | USER;
    /// The bits that software may write.
    pub(crate) const WRITABLE: u32 = 0xD000_057B;
}

/// FPSCR bits that a new context takes from FPDSCR: AHP, DN, FZ, RMode.
const DEFAULTS: u32 = 0x07C0_0000;
/// FPSCR bits that exist.
const FPSCR_MASK: u32 = 0xF7C0_009F;

/// Registers of the unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fpu {
    pub s: [u32; 32],
    pub fpscr: u32,
    pub fpccr: u32,
    pub fpcar: u32,
    pub fpdscr: u32,
    /// CONTROL.FPCA: the current context uses the unit.
    pub active: bool,
}

impl Default for Fpu {
    fn default() -> Self {
        Self { s: [0; 32], fpscr: 0, fpccr: fpccr::ASPEN | fpccr::LSPEN, fpcar: 0, fpdscr: 0, active: false }
    }
}

impl Fpu {
    pub(crate) fn set_fpscr(&mut self, value: u32) {
        self.fpscr = value & FPSCR_MASK;
    }
    pub(crate) fn set_fpdscr(&mut self, value: u32) {
        self.fpdscr = value & DEFAULTS;
    }
    pub(crate) fn set_fpccr(&mut self, value: u32) {
        self.fpccr = value & fpccr::WRITABLE;
    }
    /// S0 to S15 and FPSCR, in the order of an extended frame.
    fn frame_words(&self) -> [u32; 17] {
        let mut words = [0; 17];
        words[..16].copy_from_slice(&self.s[..16]);
        words[16] = self.fpscr;
        words
    }
}

impl Core {
    /// ExecuteFPCheck: checks permission, saves the interrupted context if that is pending, and gives a new context its
    /// FPSCR. In this order, because the frame has to get the interrupted context's FPSCR.
    pub(crate) fn execute_fp_check(&mut self) -> Result<(), Event> {
        if !self.scb.fp_allowed(self.privileged()) {
            return Err(Event::usage(cfsr::NOCP));
        }
        if self.fpu.fpccr & fpccr::LSPACT != 0 {
            self.preserve_fp_state()?;
        }
        if !self.fpu.active && self.fpu.fpccr & fpccr::ASPEN != 0 {
            self.fpu.fpscr = self.fpu.fpdscr;
            self.fpu.active = true;
        }
        Ok(())
    }

    /// PreserveFPState: with the privilege of the interrupted context, whose stack it is.
    fn preserve_fp_state(&mut self) -> Result<(), Event> {
        let privileged = self.fpu.fpccr & fpccr::USER == 0;
        let words = self.fpu.frame_words();
        self.stack_words(self.fpu.fpcar, &words, privileged, cfsr::MLSPERR, cfsr::LSPERR)
            .map_err(Event::Fault)?;
        self.fpu.fpccr &= !fpccr::LSPACT;
        Ok(())
    }

    /// FPCCR.CLRONRET: clears what a handler leaves in the unit, so that the code it returns to cannot read it.
    pub(crate) fn clear_fp_on_return(&mut self) {
        let lazy = self.fpu.fpccr & fpccr::LSPACT != 0;
        if self.fpu.active && !lazy && self.fpu.fpccr & fpccr::CLRONRET != 0 {
            self.fpu.s[..16].fill(0);
            self.fpu.fpscr = 0;
        }
    }

    /// UpdateFPCCR: the interrupted context's mode, and the faults it could have taken.
    fn fp_context_bits(&self) -> u32 {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        bit(!self.privileged(), fpccr::USER)
            | bit(!self.in_handler_mode(), fpccr::THREAD)
            | bit(self.execution_priority > -1, fpccr::HFRDY)
            | bit(self.may_preempt(number::MEM_MANAGE), fpccr::MMRDY)
            | bit(self.may_preempt(number::BUS_FAULT), fpccr::BFRDY)
            | bit(self.may_preempt(number::USAGE_FAULT), fpccr::UFRDY)
            | bit(self.scb.monitor_enabled() && self.may_preempt(number::DEBUG_MONITOR), fpccr::MONRDY)
    }

    /// Stacks the floating-point part of a frame at `address`, or only reserves it with FPCCR.LSPEN.
    pub(crate) fn push_fp(&mut self, address: u32) -> Result<(), Fault> {
        if !self.scb.fp_allowed(self.privileged()) {
            return Err(Fault::usage(cfsr::NOCP));
        }
        if self.fpu.fpccr & fpccr::LSPEN != 0 {
            self.fpu.fpcar = address & !7;
            self.fpu.fpccr = self.fpu.fpccr & !fpccr::CONTEXT | self.fp_context_bits() | fpccr::LSPACT;
            return Ok(());
        }
        let words = self.fpu.frame_words();
        self.stack_words(address, &words, self.privileged(), cfsr::MSTKERR, cfsr::STKERR)
    }

    /// Restores the floating-point part of a frame at `address`. If LSPACT is still set, it was never saved, and the
    /// unit still has its values.
    pub(crate) fn pop_fp(&mut self, address: u32, privileged: bool) -> Result<(), Fault> {
        if self.fpu.fpccr & fpccr::LSPACT != 0 {
            self.fpu.fpccr &= !fpccr::LSPACT;
            return Ok(());
        }
        if !self.scb.fp_allowed(privileged) {
            return Err(Fault::usage(cfsr::NOCP));
        }
        let words: [u32; 17] = self.unstack_words(address, privileged)?;
        self.fpu.s[..16].copy_from_slice(&words[..16]);
        self.fpu.set_fpscr(words[16]);
        Ok(())
    }
}
