//! The System Control Block's registers (Arm ARM: System Control Space, 0xE000ED00).

use crate::fault::{Fault, FaultStatus, cfsr};
use crate::nvic::number;
use crate::state::Core;

mod ccr {
    /// Bits 9 and 0 are RES1.
    pub(super) const RESET: u32 = 1 << 9 | 1 << 0;
    pub(super) const USERSETMPEND: u32 = 1 << 1;
    pub(super) const UNALIGN_TRP: u32 = 1 << 3;
    pub(super) const DIV_0_TRP: u32 = 1 << 4;
    pub(super) const BFHFNMIGN: u32 = 1 << 8;
    pub(super) const STKOFHFNMIGN: u32 = 1 << 10;
    /// Bit 18 (BP) reads back as written; there is no branch predictor that it could enable.
    pub(super) const WRITABLE: u32 =
        USERSETMPEND | UNALIGN_TRP | DIV_0_TRP | BFHFNMIGN | STKOFHFNMIGN | 1 << 18;
}

/// SCR bits: SLEEPONEXIT and SEVONPEND.
const SLEEPONEXIT: u32 = 1 << 1;
const SEVONPEND: u32 = 1 << 4;
/// DEMCR bits. MON_STEP is not implemented and reads zero.
const MON_EN: u32 = 1 << 16;
const MON_PEND: u32 = 1 << 17;
const MON_REQ: u32 = 1 << 19;
const TRCENA: u32 = 1 << 24;
/// DHCSR bits.
const C_DEBUGEN: u32 = 1 << 0;
const S_REGRDY: u32 = 1 << 16;
/// DFSR.BKPT.
const DFSR_BKPT: u32 = 1 << 1;
/// CPACR bits that exist: coprocessors 10 and 11.
const CPACR_MASK: u32 = 0x00F0_0000;

/// Cortex-M33 r0p4, the processor of the STM32U5.
const CPUID: u32 = 0x410F_D214;
/// AIRCR.VECTKEY, without which a write is ignored, and VECTKEYSTAT, which is read in its place.
const VECTKEY: u32 = 0x05FA;
const VECTKEYSTAT: u32 = 0xFA05;

/// SHCSR: the bit position and exception number of each active, pending and enable bit.
const ACTIVE_BITS: [(u32, u16); 9] =
    [(0, 4), (1, 5), (2, 3), (3, 6), (5, 2), (7, 11), (8, 12), (10, 14), (11, 15)];
const PENDING_BITS: [(u32, u16); 5] = [(12, 6), (13, 4), (14, 5), (15, 11), (21, 3)];
const ENABLE_BITS: [(u32, u16); 3] = [(16, 4), (17, 5), (18, 6)];

/// The registers that no other module has.
#[derive(Clone, Debug)]
pub(crate) struct Scb {
    pub vtor: u32,
    pub hfsr: u32,
    cfsr: u32,
    mmfar: u32,
    bfar: u32,
    dfsr: u32,
    ccr: u32,
    scr: u32,
    cpacr: u32,
    demcr: u32,
    last_fault_pc: u32,
    last_fault_lr: u32,
}

impl Scb {
    pub(crate) fn new(vtor: u32) -> Self {
        Self {
            // Bits 6 to 0 of VTOR are RES0.
            vtor: vtor & !0x7F,
            hfsr: 0,
            cfsr: 0,
            mmfar: 0,
            bfar: 0,
            dfsr: 0,
            ccr: ccr::RESET,
            scr: 0,
            cpacr: 0,
            demcr: 0,
            last_fault_pc: 0,
            last_fault_lr: 0,
        }
    }

    pub(crate) fn traps_unaligned(&self) -> bool {
        self.ccr & ccr::UNALIGN_TRP != 0
    }
    pub(crate) fn traps_division_by_zero(&self) -> bool {
        self.ccr & ccr::DIV_0_TRP != 0
    }
    pub(crate) fn ignores_bus_faults(&self) -> bool {
        self.ccr & ccr::BFHFNMIGN != 0
    }
    pub(crate) fn ignores_stack_limits(&self) -> bool {
        self.ccr & ccr::STKOFHFNMIGN != 0
    }
    /// CCR.USERSETMPEND: unprivileged code may use STIR.
    pub(crate) fn unprivileged_may_pend(&self) -> bool {
        self.ccr & ccr::USERSETMPEND != 0
    }
    pub(crate) fn sleeps_on_exit(&self) -> bool {
        self.scr & SLEEPONEXIT != 0
    }
    pub(crate) fn pending_is_event(&self) -> bool {
        self.scr & SEVONPEND != 0
    }
    pub(crate) fn monitor_enabled(&self) -> bool {
        self.demcr & MON_EN != 0
    }
    /// DEMCR.TRCENA enables the DWT.
    pub(crate) fn trace_enabled(&self) -> bool {
        self.demcr & TRCENA != 0
    }

    /// CPACR.CP10: no access, privileged only, or full.
    pub(crate) fn fp_allowed(&self, privileged: bool) -> bool {
        match self.cpacr >> 20 & 3 {
            3 => true,
            1 => privileged,
            _ => false,
        }
    }

    /// Records a fault's status and location.
    pub(crate) fn record_fault(&mut self, fault: &Fault, pc: u32, lr: u32) {
        self.cfsr |= fault.cfsr;
        if fault.cfsr & cfsr::MMARVALID != 0 {
            self.mmfar = fault.address;
        }
        if fault.cfsr & cfsr::BFARVALID != 0 {
            self.bfar = fault.address;
        }
        self.record_fault_location(pc, lr);
    }

    /// Records where a fault happened, for the host. The architecture has no such register.
    pub(crate) fn record_fault_location(&mut self, pc: u32, lr: u32) {
        (self.last_fault_pc, self.last_fault_lr) = (pc, lr);
    }

    pub(crate) fn record_breakpoint(&mut self) {
        self.dfsr |= DFSR_BKPT;
    }

    pub(crate) fn faults(&self) -> FaultStatus {
        FaultStatus {
            cfsr: self.cfsr,
            hfsr: self.hfsr,
            mmfar: self.mmfar,
            bfar: self.bfar,
            pc: self.last_fault_pc,
            lr: self.last_fault_lr,
        }
    }
}

impl Core {
    /// Reads a register of 0xE000ED00 to 0xE000EFFF.
    pub(crate) fn read_scb(&mut self, address: u32) -> u32 {
        match address & 0xFFF {
            0xD00 => CPUID,
            0xD04 => self.icsr(),
            0xD08 => self.scb.vtor,
            0xD0C => VECTKEYSTAT << 16 | u32::from(self.nvic.prigroup) << 8,
            0xD10 => self.scb.scr,
            0xD14 => self.scb.ccr,
            offset @ 0xD18..=0xD20 => self.system_priorities(offset as u16 - 0xD14),
            0xD24 => self.shcsr(),
            0xD28 => self.scb.cfsr,
            0xD2C => self.scb.hfsr,
            0xD30 => self.scb.dfsr,
            0xD34 => self.scb.mmfar,
            0xD38 => self.scb.bfar,
            0xD88 => self.scb.cpacr,
            offset @ 0xD90..=0xDC4 => self.mpu.read(offset - 0xD90),
            0xDF0 => self.dhcsr(),
            0xDFC => self.demcr(),
            0xF34 => self.fpu.fpccr,
            0xF38 => self.fpu.fpcar,
            0xF3C => self.fpu.fpdscr,
            offset => identification(offset),
        }
    }

    /// Writes a register of 0xE000ED00 to 0xE000EFFF.
    pub(crate) fn write_scb(&mut self, address: u32, value: u32) {
        match address & 0xFFF {
            0xD04 => self.write_icsr(value),
            0xD08 => self.scb.vtor = value & !0x7F,
            0xD0C => self.write_aircr(value),
            // Bit 2, SLEEPDEEP, is kept and does nothing: how deep a device sleeps is decided by its host.
            0xD10 => self.scb.scr = value & (SLEEPONEXIT | SEVONPEND | 1 << 2),
            0xD14 => {
                self.scb.ccr = value & ccr::WRITABLE | ccr::RESET;
                self.update_direct();
            }
            offset @ 0xD18..=0xD20 => self.write_system_priorities(offset as u16 - 0xD14, value),
            0xD24 => self.write_shcsr(value),
            // Fault status bits are cleared by writing ones.
            0xD28 => self.scb.cfsr &= !value,
            0xD2C => self.scb.hfsr &= !value,
            0xD30 => self.scb.dfsr &= !value,
            0xD34 => self.scb.mmfar = value,
            0xD38 => self.scb.bfar = value,
            0xD88 => self.scb.cpacr = value & CPACR_MASK,
            offset @ 0xD90..=0xDC4 => self.write_mpu(offset - 0xD90, value),
            0xDFC => self.write_demcr(value),
            0xF00 => self.nvic.pend_irq((value & 0x1FF) as u16),
            0xF34 => self.fpu.set_fpccr(value),
            0xF38 => self.fpu.fpcar = value & !7,
            0xF3C => self.fpu.set_fpdscr(value),
            _ => {}
        }
        self.update_priority();
    }

    /// Software can read whether a debugger is attached; only the debugger can change it.
    fn dhcsr(&self) -> u32 {
        if self.debug.halts_on_bkpt { C_DEBUGEN | S_REGRDY } else { 0 }
    }

    fn write_mpu(&mut self, offset: u32, value: u32) {
        self.mpu.write(offset, value);
        self.update_direct();
        // Decoded code may contain literals that were read without a check; from now on a region can forbid reading
        // them.
        if self.mpu.enabled() && std::mem::take(&mut self.memory.fold_literals) {
            self.folded_literals_stale = true;
        }
    }

    fn demcr(&self) -> u32 {
        let pending = self.nvic.pending.contains(number::DEBUG_MONITOR);
        self.scb.demcr | if pending { MON_PEND } else { 0 }
    }

    /// MON_PEND is the pending state of DebugMonitor itself, and does not depend on MON_EN (Armv8-M, DEMCR).
    fn write_demcr(&mut self, value: u32) {
        self.scb.demcr = value & (MON_EN | MON_REQ | TRCENA);
        if value & MON_PEND == 0 {
            self.nvic.unpend(number::DEBUG_MONITOR);
        } else {
            self.nvic.pend(number::DEBUG_MONITOR);
        }
        self.update_cyccnt();
    }

    fn icsr(&self) -> u32 {
        let pending = self.nvic.highest_pending().map_or(0, |c| u32::from(c.number));
        let bit = |number, at: u32| u32::from(self.nvic.pending.contains(number)) << at;
        // RETTOBASE: no exception is active but the current one.
        let return_to_base = u32::from(self.nvic.active.only(self.ipsr)) << 11;
        let external = u32::from(self.nvic.external_pending()) << 22;
        let systems = bit(number::SYSTICK, 26) | bit(number::PENDSV, 28) | bit(number::NMI, 31);
        u32::from(self.ipsr) | return_to_base | pending << 12 | external | systems
    }

    fn write_icsr(&mut self, value: u32) {
        // Setting and clearing in one write is UNPREDICTABLE; here clearing wins.
        let changes = [
            (31, number::NMI, true),
            (28, number::PENDSV, true),
            (27, number::PENDSV, false),
            (26, number::SYSTICK, true),
            (25, number::SYSTICK, false),
        ];
        for (at, number, pend) in changes {
            match (value >> at & 1 != 0, pend) {
                (true, true) => self.nvic.pend(number),
                (true, false) => self.nvic.unpend(number),
                _ => {}
            }
        }
    }

    fn write_aircr(&mut self, value: u32) {
        if value >> 16 != VECTKEY {
            return;
        }
        self.nvic.prigroup = (value >> 8 & 7) as u8;
        // SYSRESETREQ: the host resets, because peripherals are reset with the processor.
        self.reset_requested |= value & 1 << 2 != 0;
    }

    fn system_priorities(&self, first: u16) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|i| self.nvic.priority_byte(first + i)))
    }

    fn write_system_priorities(&mut self, first: u16, value: u32) {
        for (number, byte) in (first..).zip(value.to_le_bytes()) {
            // Reserved exceptions and SecureFault (7), which a processor without security does not have, have no
            // priority.
            let exists = !matches!(number, 7..=10 | 13);
            self.nvic.set_priority_byte(number, if exists { byte } else { 0 });
        }
    }

    fn shcsr(&self) -> u32 {
        let nvic = &self.nvic;
        let active = ACTIVE_BITS.iter().map(|&(at, n)| u32::from(nvic.active.contains(n)) << at);
        let pending = PENDING_BITS.iter().map(|&(at, n)| u32::from(nvic.pending.contains(n)) << at);
        let enabled = ENABLE_BITS.iter().map(|&(at, n)| u32::from(nvic.enabled.contains(n)) << at);
        active.chain(pending).chain(enabled).sum()
    }

    /// Active bits are writable, for operating systems that switch context inside handlers; those of HardFault and NMI
    /// are not.
    fn write_shcsr(&mut self, value: u32) {
        let has = |at: u32| value >> at & 1 != 0;
        for (at, n) in ACTIVE_BITS.into_iter().filter(|&(_, n)| n > number::HARD_FAULT) {
            self.nvic.active.set(n, has(at));
        }
        for (at, n) in PENDING_BITS.into_iter().filter(|&(_, n)| n > number::HARD_FAULT) {
            self.nvic.pending.set(n, has(at));
        }
        for (at, n) in ENABLE_BITS {
            self.nvic.enabled.set(n, has(at));
        }
    }
}

/// The identification registers of a Cortex-M33 with DSP and single-precision floating point, for code that detects
/// features at run time.
fn identification(offset: u32) -> u32 {
    match offset {
        0xD40 => 0x0000_0030, // ID_PFR0
        0xD44 => 0x0000_0210, // ID_PFR1
        0xD48 => 0x0020_0000, // ID_DFR0
        0xD50 => 0x0010_1F40, // ID_MMFR0
        0xD58 => 0x0100_0000, // ID_MMFR2
        0xD60 => 0x0110_1110, // ID_ISAR0
        0xD64 => 0x0221_2000, // ID_ISAR1
        0xD68 => 0x2023_2232, // ID_ISAR2
        0xD6C => 0x0111_1131, // ID_ISAR3
        0xD70 => 0x0131_0132, // ID_ISAR4
        0xD7C => 0x8000_C000, // CTR
        0xF40 => 0x1011_0021, // MVFR0
        0xF44 => 0x1100_0011, // MVFR1
        0xF48 => 0x0000_0040, // MVFR2
        _ => 0,
    }
}
