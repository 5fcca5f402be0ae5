//! Special registers, interrupt masks and sleep (Arm ARM: CPS, MRS, MSR, SEV, WFE, WFI, TT).

use crate::op::{Inst, Op};
use crate::state::{Core, Sleep};

/// SYSm numbers (MRS, MSR).
mod sysm {
    pub(super) const PSRS: std::ops::RangeInclusive<u32> = 0..=7;
    pub(super) const MSP: u32 = 8;
    pub(super) const PSP: u32 = 9;
    pub(super) const MSPLIM: u32 = 10;
    pub(super) const PSPLIM: u32 = 11;
    pub(super) const PRIMASK: u32 = 16;
    pub(super) const BASEPRI: u32 = 17;
    pub(super) const BASEPRI_MAX: u32 = 18;
    pub(super) const FAULTMASK: u32 = 19;
    pub(super) const CONTROL: u32 = 20;
}

/// APSR.NZCVQ and APSR.GE.
const APSR_FLAGS: u32 = 0xF800_0000;
const APSR_GE: u32 = 0x000F_0000;

#[inline(never)]
pub(super) fn execute(core: &mut Core, i: &Inst) {
    match i.op {
        Op::Cps => core.change_masks(i.a != 0, i.imm),
        Op::Mrs => {
            let value = core.special(i.imm);
            core.set_reg(i.d, value);
        }
        Op::Msr => core.set_special(i.imm, i.a, core.reg(i.n)),
        Op::TestTarget => {
            let value = core.test_target(core.reg(i.n), i.a & 1 != 0);
            core.set_reg(i.d, value);
        }
        Op::Sev => core.event_register = true,
        // An event before the WFE ends it at once, so that no wake-up is lost between a test and the WFE (Arm ARM:
        // WFE).
        Op::Wfe if core.event_register => core.event_register = false,
        Op::Wfe => core.enter_sleep(Sleep::ForEvent),
        Op::Wfi => core.enter_sleep(Sleep::ForInterrupt),
        _ => {}
    }
}

impl Core {
    fn enter_sleep(&mut self, how: Sleep) {
        self.sleep = how;
        self.request_service();
    }

    /// CPSIE and CPSID; unprivileged code cannot change the masks, and gets no fault.
    fn change_masks(&mut self, disable: bool, which: u32) {
        if !self.privileged() {
            return;
        }
        if which & 2 != 0 {
            self.primask = disable;
        }
        if which & 1 != 0 {
            self.set_faultmask(disable);
        }
        self.update_priority();
    }

    /// FAULTMASK cannot be set at HardFault's or NMI's priority.
    fn set_faultmask(&mut self, set: bool) {
        if !set || self.execution_priority > -1 {
            self.faultmask = set;
        }
    }

    /// MRS. Unprivileged code reads zero from all but CONTROL and the PSRs.
    pub(crate) fn special(&self, register: u32) -> u32 {
        let privileged = self.privileged();
        match register {
            r if sysm::PSRS.contains(&r) => self.psr(r),
            sysm::CONTROL => self.control(),
            _ if !privileged => 0,
            sysm::MSP => self.msp(),
            sysm::PSP => self.psp(),
            sysm::MSPLIM => self.msplim,
            sysm::PSPLIM => self.psplim,
            sysm::PRIMASK => u32::from(self.primask),
            sysm::BASEPRI | sysm::BASEPRI_MAX => u32::from(self.basepri),
            sysm::FAULTMASK => u32::from(self.faultmask),
            _ => 0,
        }
    }

    /// APSR, IPSR and EPSR and their combinations. EPSR always reads as zero, IPSR for unprivileged code.
    fn psr(&self, register: u32) -> u32 {
        let apsr = if register & 4 == 0 { self.apsr() } else { 0 };
        let ipsr = if register & 1 != 0 && self.privileged() { u32::from(self.ipsr) } else { 0 };
        apsr | ipsr
    }

    /// MSR; `mask` selects APSR's flags and GE bits. Unprivileged code writes nothing but APSR.
    fn set_special(&mut self, register: u32, mask: u8, value: u32) {
        if register < 4 {
            return self.write_apsr(mask, value);
        }
        if !self.privileged() {
            return;
        }
        match register {
            sysm::MSP => self.set_msp(value),
            sysm::PSP => self.set_psp(value),
            // Bits 2 to 0 of the limits are RES0.
            sysm::MSPLIM => self.msplim = value & !7,
            sysm::PSPLIM => self.psplim = value & !7,
            sysm::PRIMASK => self.primask = value & 1 != 0,
            sysm::BASEPRI => self.basepri = value as u8 & self.nvic.priority_mask(),
            sysm::BASEPRI_MAX => self.raise_basepri(value as u8 & self.nvic.priority_mask()),
            sysm::FAULTMASK => self.set_faultmask(value & 1 != 0),
            sysm::CONTROL => self.set_control(value & 7),
            _ => return,
        }
        // The masks decide the execution priority; stack pointers and limits do not.
        if register >= sysm::PRIMASK {
            self.update_priority();
        }
    }

    fn write_apsr(&mut self, mask: u8, value: u32) {
        let chosen = (if mask & 2 != 0 { APSR_FLAGS } else { 0 }) | (if mask & 1 != 0 { APSR_GE } else { 0 });
        self.set_apsr(self.apsr() & !chosen | value & chosen);
    }

    /// BASEPRI_MAX: a write that would mask less is ignored.
    fn raise_basepri(&mut self, value: u8) {
        if value != 0 && (value < self.basepri || self.basepri == 0) {
            self.basepri = value;
        }
    }
}
