//! Access for the host between runs: registers, memory, interrupts, time.

use std::sync::Arc;

use crate::Cycles;
use crate::cpu::Cpu;
use crate::fault::{Event, Fault, FaultStatus, cfsr};
use crate::state::{Flags, Sleep};

/// A register by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// R0 to R15; 13 is the current stack pointer, 14 LR, 15 the next instruction's address. Higher numbers read as
    /// zero.
    R(u8),
    /// The program status registers together.
    Xpsr,
    /// Main stack pointer.
    Msp,
    /// Process stack pointer.
    Psp,
    /// Limit of the main stack.
    Msplim,
    /// Limit of the process stack.
    Psplim,
    /// Bit 0 masks all exceptions with configurable priority.
    Primask,
    /// The priority from which exceptions are masked; zero masks none.
    Basepri,
    /// Bit 0 masks all exceptions but NMI.
    Faultmask,
    /// nPRIV, SPSEL, FPCA in bits 0 to 2.
    Control,
    /// S0 to S31. Higher numbers read as zero.
    S(u8),
    /// Floating-point status and control.
    Fpscr,
}

impl Register {
    /// Link register.
    pub const LR: Self = Self::R(14);
    /// Program counter.
    pub const PC: Self = Self::R(15);
    /// Current stack pointer.
    pub const SP: Self = Self::R(13);
}

impl Cpu {
    /// Reads a register, without side effects.
    pub fn register(&self, register: Register) -> u32 {
        let core = &self.core;
        match register {
            Register::R(15) => core.pc,
            Register::R(n) => core.r.get(n as usize).copied().unwrap_or(0),
            Register::Xpsr => core.xpsr(),
            Register::Msp => core.msp(),
            Register::Psp => core.psp(),
            Register::Msplim => core.msplim,
            Register::Psplim => core.psplim,
            Register::Primask => u32::from(core.primask),
            Register::Basepri => u32::from(core.basepri),
            Register::Faultmask => u32::from(core.faultmask),
            Register::Control => core.control(),
            Register::S(n) => core.fpu.s.get(n as usize).copied().unwrap_or(0),
            Register::Fpscr => core.fpu.fpscr,
        }
    }

    /// Writes a register. IPSR and the T bit of xPSR cannot be changed. Bit 0 of a program counter is ignored, and
    /// writing it wakes a sleeping processor.
    pub fn set_register(&mut self, register: Register, value: u32) {
        let core = &mut self.core;
        core.external_activity = true;
        match register {
            Register::R(15) => {
                core.pc = value & !1;
                core.sleep = Sleep::Awake;
            }
            Register::R(n @ 0..=14) => core.set_reg_or_sp(n, value),
            Register::R(_) => {}
            Register::Xpsr => {
                core.set_epsr(value | 1 << 24);
                core.flags = Flags::from_bits(value);
                core.set_apsr(value);
            }
            Register::Msp => core.set_msp(value),
            Register::Psp => core.set_psp(value),
            Register::Msplim => core.msplim = value & !7,
            Register::Psplim => core.psplim = value & !7,
            Register::Primask => core.primask = value & 1 != 0,
            Register::Basepri => core.basepri = value as u8 & core.nvic.priority_mask(),
            Register::Faultmask => core.faultmask = value & 1 != 0,
            Register::Control => core.set_control(value),
            Register::S(n) => {
                if let Some(s) = core.fpu.s.get_mut(n as usize) {
                    *s = value;
                }
            }
            Register::Fpscr => core.fpu.set_fpscr(value),
        }
        core.update_priority();
    }

    /// Returns from a call that exited with [`Exit::Trap`](crate::Exit::Trap): writes the result to R0 and continues as
    /// `BX LR` does, so an EXC_RETURN value in handler mode is an exception return.
    pub fn return_from_trap(&mut self, r0: u32) {
        self.core.external_activity = true;
        self.core.r[0] = r0;
        if let Err(event) = self.core.branch_exchange(self.core.r[14]) {
            self.core.raise(event);
        }
    }

    /// Refuses a call that exited with [`Exit::Trap`](crate::Exit::Trap), as if there were no memory: an instruction
    /// bus fault at the trapped address.
    pub fn refuse_trap(&mut self) {
        self.core.external_activity = true;
        self.core.raise(Event::Fault(Fault::bus(cfsr::IBUSERR, 0)));
    }

    /// Whether the processor is in handler mode.
    pub fn in_handler_mode(&self) -> bool {
        self.core.in_handler_mode()
    }

    /// Whether running code is privileged.
    pub fn is_privileged(&self) -> bool {
        self.core.privileged()
    }

    /// The current exception's number; zero in thread mode, 16 and up for external interrupts.
    pub fn exception_number(&self) -> u16 {
        self.core.ipsr
    }

    /// Pends an external interrupt as a pulse does. An `irq` that is not configured is ignored, here and below.
    pub fn pend_interrupt(&mut self, irq: u16) {
        self.core.nvic.pend_irq(irq);
    }

    /// Clears the pending state of an interrupt; it stays pending while its line is high.
    pub fn clear_pending(&mut self, irq: u16) {
        if let Some(number) = self.core.nvic.external(irq) {
            self.core.nvic.unpend(number);
        }
    }

    /// Sets the level of an interrupt line. A line that is still high when its handler returns pends again.
    pub fn set_level(&mut self, irq: u16, high: bool) {
        self.core.nvic.set_level(irq, high);
    }

    /// Whether the interrupt is pending.
    pub fn is_pending(&self, irq: u16) -> bool {
        self.core.nvic.external(irq).is_some_and(|n| self.core.nvic.pending.contains(n))
    }

    /// Whether the interrupt is enabled.
    pub fn is_enabled(&self, irq: u16) -> bool {
        self.core.nvic.external(irq).is_some_and(|n| self.core.nvic.enabled.contains(n))
    }

    /// Enables or disables an interrupt, also one whose enable bit is reserved ([`Cpu::reserve_enable`]).
    pub fn set_enabled(&mut self, irq: u16, enabled: bool) {
        if let Some(number) = self.core.nvic.external(irq) {
            self.core.external_activity = true;
            self.core.nvic.enabled.set(number, enabled);
        }
    }

    /// Reserves the enable bit of an interrupt for the host, so that the application's writes to it are ignored, or
    /// releases it. A reset releases all.
    pub fn reserve_enable(&mut self, irq: u16, reserved: bool) {
        if let Some(number) = self.core.nvic.external(irq) {
            self.core.nvic.reserve(number, reserved);
        }
    }

    /// Whether there is a WFI wake-up event: a pending exception that would be taken if PRIMASK were clear.
    pub fn has_wakeup_event(&self) -> bool {
        self.core.has_wakeup_event()
    }

    /// The cycle since which handlers of interrupts with a reserved enable bit have been active without interruption. A
    /// host can detect by this that such a handler hangs.
    pub fn reserved_active_since(&self) -> Option<Cycles> {
        self.core.reserved_active_since
    }

    /// Address of the vector table (VTOR).
    pub fn vector_table(&self) -> u32 {
        self.core.scb.vtor
    }

    /// Whether the interrupt is active: its handler runs or is pre-empted.
    pub fn is_active(&self, irq: u16) -> bool {
        self.core.nvic.external(irq).is_some_and(|n| self.core.nvic.active.contains(n))
    }

    /// Sets the event register, as an external event does: it ends a WFE.
    pub fn signal_event(&mut self) {
        self.core.external_activity = true;
        self.core.event_register = true;
    }

    /// Says that a peripheral's register changed which a [`Bus`](crate::Bus) marked as steady
    /// ([`Signals::mark_steady`](crate::Signals::mark_steady)).
    pub fn input_changed(&mut self) {
        self.core.external_activity = true;
    }

    /// Copies from flash or RAM; false, and nothing copied, if the range is not wholly inside one of them. Neither this
    /// nor [`Cpu::write_memory`] checks the MPU, and neither reaches a peripheral.
    pub fn read_memory(&self, address: u32, into: &mut [u8]) -> bool {
        match self.core.memory.slice(address, into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return false,
        }
        true
    }

    /// Borrows flash or RAM, if the range is wholly inside one of them.
    pub fn memory(&self, address: u32, length: usize) -> Option<&[u8]> {
        self.core.memory.slice(address, length)
    }

    /// Writes flash or RAM and discards what was decoded there; false if the range is not wholly inside one of them.
    /// Writing flash that is shared with other processors makes a copy for this one.
    pub fn write_memory(&mut self, address: u32, bytes: &[u8]) -> bool {
        let core = &mut self.core;
        core.external_activity = true;
        if let Some(ram) = core.memory.ram_slice(address, bytes.len()) {
            ram.copy_from_slice(bytes);
            core.invalidate_written_code(address, bytes.len());
            return true;
        }
        if core.memory.slice(address, bytes.len()).is_none() {
            return false;
        }
        let start = address.wrapping_sub(core.memory.flash_base) as usize;
        Arc::make_mut(&mut core.memory.flash)[start..start + bytes.len()].copy_from_slice(bytes);
        self.invalidate_code();
        true
    }

    /// Cycles since the processor was created: one for each instruction, plus those skipped.
    pub fn cycles(&self) -> Cycles {
        self.core.cycles
    }

    /// Instructions executed since the processor was created.
    pub fn instructions(&self) -> u64 {
        self.core.instructions()
    }

    /// Lets `cycles` pass without executing instructions, as in sleep: SysTick and DWT_CYCCNT count them.
    pub fn skip_cycles(&mut self, cycles: Cycles) {
        self.core.cycles = self.core.cycles.saturating_add(cycles);
        self.core.skipped = self.core.skipped.saturating_add(cycles);
        self.core.advance_systick();
    }

    /// Stops or restarts SysTick's clock: in deep sleep, the processor's own clock is stopped.
    pub fn set_systick_stopped(&mut self, stopped: bool) {
        self.core.advance_systick();
        self.core.systick.stop(stopped);
    }

    /// The cycle at which SysTick next pends its exception, if it is set up to: a host that skips cycles stops there.
    pub fn next_timeout(&self) -> Option<Cycles> {
        self.core.systick.next_timeout()
    }

    /// The fault status registers, and where the last fault happened.
    pub fn fault_status(&self) -> FaultStatus {
        self.core.scb.faults()
    }
}
