//! Exception entry and return (Arm ARM, chapter "Exception model"). Functions are named after the manual's pseudocode:
//! ExceptionEntry, PushStack, ExceptionTaken, DerivedLateArrival, ExceptionReturn, PopStack.

use crate::fault::{Event, Fault, cfsr, hfsr};
use crate::nvic::{NO_PRIORITY, number};
use crate::state::{Core, Sleep};

/// Bits of an EXC_RETURN value.
mod exc_return {
    pub(super) const PREFIX: u32 = 0xFFFF_FF80;
    /// Secure stack; never set here.
    pub(super) const S: u32 = 1 << 6;
    /// Default callee-saved register stacking.
    pub(super) const DCRS: u32 = 1 << 5;
    /// Standard frame, without floating-point registers.
    pub(super) const FTYPE: u32 = 1 << 4;
    /// Return to thread mode.
    pub(super) const MODE: u32 = 1 << 3;
    /// The frame is on the process stack.
    pub(super) const SPSEL: u32 = 1 << 2;
    pub(super) const RES0: u32 = 1 << 1;
    /// Exception taken to secure state; never set here.
    pub(super) const ES: u32 = 1 << 0;
}

/// Bytes of a frame without floating-point registers.
const FRAME: u32 = 0x20;
/// Bytes of a frame with them.
const EXTENDED_FRAME: u32 = 0x68;
/// Bytes of an SVC instruction.
const SVC_LENGTH: u32 = 2;
/// RETPSR bit 9: the stack pointer was moved down by four to align the frame.
const REALIGNED: u32 = 1 << 9;
/// RETPSR's exception number.
const IPSR: u32 = 0x1FF;

impl Core {
    /// Recomputes the execution priority from the active exceptions and the mask registers, and has pending exceptions
    /// reconsidered.
    pub(crate) fn update_priority(&mut self) {
        let unmasked = self.priority_without_primask();
        // PRIMASK raises the priority to 0, FAULTMASK (below) to that of HardFault.
        self.execution_priority = if self.primask { unmasked.min(0) } else { unmasked };
        self.request_service();
    }

    fn priority_without_primask(&self) -> i16 {
        let mut priority = self.nvic.active_priority();
        if self.basepri != 0 {
            priority = priority.min(self.nvic.group(i16::from(self.basepri)));
        }
        if self.faultmask { priority.min(-1) } else { priority }
    }

    /// Whether there is a WFI wake-up event: a pending exception that would be taken if PRIMASK were clear. PRIMASK is
    /// ignored so that software can disable interrupts, find nothing to do and sleep without losing a wake-up.
    pub(crate) fn has_wakeup_event(&self) -> bool {
        let level = self.priority_without_primask();
        self.nvic.highest_pending().is_some_and(|c| self.nvic.group(c.priority) < level)
    }

    /// The pending exception that pre-empts running code, if there is one.
    pub(crate) fn exception_to_take(&self) -> Option<u16> {
        let candidate = self.nvic.highest_pending()?;
        let pre_empts = self.nvic.group(candidate.priority) < self.execution_priority;
        (pre_empts && !self.is_masked_by_step(candidate.number)).then_some(candidate.number)
    }

    /// Takes the pending exception that pre-empts running code, if there is one. In a trial run nothing is taken: the
    /// trial ends instead, because exception entry cannot be rolled back.
    pub(crate) fn take_exception(&mut self) -> bool {
        let Some(number) = self.exception_to_take() else { return false };
        if self.on_trial {
            self.yield_requested = true;
            return false;
        }
        self.exception_entry(number);
        true
    }

    /// Raises the exception of an instruction that did not complete. `self.pc` is the return address.
    pub(crate) fn raise(&mut self, event: Event) {
        if self.on_trial {
            self.yield_requested = true;
            return self.request_service();
        }
        match event {
            Event::Fault(fault) => self.raise_fault(fault),
            Event::SupervisorCall => self.raise_supervisor_call(),
            Event::Breakpoint(_) => self.raise_breakpoint(),
            Event::ExceptionReturn(value) => self.exception_return(value),
            Event::Halt(_) | Event::Undecoded => {}
        }
    }

    fn raise_fault(&mut self, fault: Fault) {
        self.scb.record_fault(&fault, self.pc, self.r[14]);
        self.raise_exception(fault.exception);
    }

    /// SVC. Its return address is the next instruction's, but if it escalates to HardFault, the fault's location is the
    /// SVC.
    fn raise_supervisor_call(&mut self) {
        if !self.may_preempt(number::SVCALL) {
            self.scb.record_fault_location(self.pc.wrapping_sub(SVC_LENGTH), self.r[14]);
        }
        self.raise_exception(number::SVCALL);
    }

    fn raise_exception(&mut self, number: u16) {
        match self.escalate(number) {
            Some(number) => self.exception_entry(number),
            None => self.lockup(),
        }
    }

    /// A BKPT without a debugger: DebugMonitor if it is enabled and may pre-empt, else HardFault (Arm ARM: DebugMonitor
    /// exception). Unlike other faults it sets HFSR.DEBUGEVT, not FORCED.
    fn raise_breakpoint(&mut self) {
        if self.scb.monitor_enabled() && self.may_preempt(number::DEBUG_MONITOR) {
            self.scb.record_breakpoint();
            self.exception_entry(number::DEBUG_MONITOR);
        } else if self.execution_priority > -1 {
            self.scb.hfsr |= hfsr::DEBUGEVT;
            self.scb.record_fault_location(self.pc, self.r[14]);
            self.exception_entry(number::HARD_FAULT);
        } else {
            self.lockup();
        }
    }

    fn lockup(&mut self) {
        self.locked_up = true;
        self.request_service();
    }

    /// Whether `number` is enabled and of higher priority than running code.
    pub(crate) fn may_preempt(&self, number: u16) -> bool {
        self.nvic.enabled.contains(number)
            && self.nvic.group(self.nvic.priority(number)) < self.execution_priority
    }

    /// The exception a synchronous one is taken as: itself, HardFault by escalation, or none, which is lockup.
    fn escalate(&mut self, number: u16) -> Option<u16> {
        if self.may_preempt(number) {
            return Some(number);
        }
        // HardFault or NMI is running: no exception is left that could report this one.
        if self.execution_priority <= -1 {
            return None;
        }
        self.scb.hfsr |= hfsr::FORCED;
        Some(number::HARD_FAULT)
    }

    /// ExceptionEntry: stacks the context and takes `number`, or a fault that the stacking itself caused.
    fn exception_entry(&mut self, number: u16) {
        let value = self.entry_exc_return();
        let sp = self.r[13];
        // Numbers below SVCall's are faults (and NMI).
        if number < number::SVCALL {
            self.save_context(sp);
        }
        let first = match self.push_stack() {
            Ok(()) => number,
            Err(fault) => {
                self.save_context(sp);
                self.derived_late_arrival(number, &fault)
            }
        };
        if !self.locked_up {
            self.exception_taken(first, value);
        }
    }

    /// DerivedLateArrival: of `original` and a fault that occurred while stacking for it, the one of higher priority is
    /// taken, and the other becomes pending.
    fn derived_late_arrival(&mut self, original: u16, fault: &Fault) -> u16 {
        self.scb.record_fault(fault, self.pc, self.r[14]);
        let Some(derived) = self.escalate(fault.exception) else {
            self.lockup();
            return original;
        };
        let derived_first = self.nvic.priority(derived) < self.nvic.priority(original);
        self.nvic.pend(if derived_first { original } else { derived });
        if derived_first { derived } else { original }
    }

    fn entry_exc_return(&self) -> u32 {
        let standard = if self.fpu.active { 0 } else { exc_return::FTYPE };
        let mode = if self.in_handler_mode() { 0 } else { exc_return::MODE };
        let stack = if self.on_psp { exc_return::SPSEL } else { 0 };
        exc_return::PREFIX | exc_return::DCRS | standard | mode | stack
    }

    fn push_stack(&mut self) -> Result<(), Fault> {
        let extended = self.fpu.active;
        let sp = self.r[13];
        let frame = sp.wrapping_sub(if extended { EXTENDED_FRAME } else { FRAME }) & !7;
        // Below the limit nothing is written. SP becomes the limit, so that it stays usable (Arm ARM: PushStack).
        if frame < self.stack_limit() && !self.limit_ignored() {
            self.r[13] = self.stack_limit();
            return Err(Fault::usage(cfsr::STKOF));
        }
        self.r[13] = frame;
        // The frame is aligned to eight bytes, and SP always to four.
        let realigned = if sp & 4 == 0 { 0 } else { REALIGNED };
        let [r0, r1, r2, r3] = [self.r[0], self.r[1], self.r[2], self.r[3]];
        let words = [r0, r1, r2, r3, self.r[12], self.r[14], self.pc, self.xpsr() & !REALIGNED | realigned];
        self.stack_words(frame, &words, self.privileged(), cfsr::MSTKERR, cfsr::STKERR)?;
        if extended { self.push_fp(frame + FRAME) } else { Ok(()) }
    }

    /// Writes `words` to the stack. If the MPU or the bus refuses, the fault's status is `memory` or `bus`.
    pub(crate) fn stack_words(
        &mut self,
        address: u32,
        words: &[u32],
        privileged: bool,
        memory: u32,
        bus: u32,
    ) -> Result<(), Fault> {
        let length = words.len() * 4;
        if self.mpu_check_span(address, length as u32, privileged, true).is_err() {
            // Stacking errors set no MMFAR, and below no BFAR (Arm ARM: MSTKERR, STKERR).
            return Err(Fault::memory(memory, 0));
        }
        let Some(stack) = self.memory.ram_slice(address, length) else {
            return Err(Fault::bus(bus, 0));
        };
        for (bytes, word) in stack.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.invalidate_written_code(address, length);
        Ok(())
    }

    /// Reads `words` from the stack for an exception return.
    pub(crate) fn unstack_words<const N: usize>(
        &self,
        address: u32,
        privileged: bool,
    ) -> Result<[u32; N], Fault> {
        let length = N * 4;
        if self.mpu_check_span(address, length as u32, privileged, false).is_err() {
            return Err(Fault::memory(cfsr::MUNSTKERR, 0));
        }
        let bytes = self.memory.slice(address, length).ok_or(Fault::bus(cfsr::UNSTKERR, 0))?;
        let mut words = [0; N];
        for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
        Ok(words)
    }

    /// ExceptionTaken: handler mode on the main stack, at the vector's address.
    fn exception_taken(&mut self, number: u16, lr: u32) {
        self.external_activity = true;
        self.r[14] = lr;
        self.ipsr = number;
        // Handlers use the main stack, whatever the interrupted code used.
        self.spsel = false;
        self.select_stack();
        // CONTROL.FPCA: the handler has no floating-point context until it executes such an instruction.
        self.fpu.active = false;
        // The interrupted block's state is in the stacked xPSR.
        self.it = 0;
        self.ici = 0;
        self.thumb = true;
        self.on_context_change();
        self.nvic.activate(number);
        if self.nvic.is_reserved(number) {
            self.reserved_active_since.get_or_insert(self.cycles);
        }
        self.debug.record_exception_event(self.cycles, number, true);
        self.update_priority();
        self.hard_fault_entered |= number == number::HARD_FAULT && self.halt_on_hard_fault;
        match self.memory.read(self.scb.vtor.wrapping_add(u32::from(number) * 4)) {
            Some(vector) => self.branch_vector(u32::from_le_bytes(vector)),
            None => self.vector_fetch_fault(),
        }
    }

    fn branch_vector(&mut self, vector: u32) {
        self.pc = vector & !1;
        self.thumb = vector & 1 != 0;
    }

    fn vector_fetch_fault(&mut self) {
        self.scb.hfsr |= hfsr::VECTTBL;
        // The handler's address is unknown. PC becomes an address that is never executable.
        let interrupted = std::mem::replace(&mut self.pc, 0xFFFF_FFFE);
        if self.execution_priority <= -1 {
            self.lockup();
        } else {
            self.scb.record_fault_location(interrupted, self.r[14]);
            self.nvic.pend(number::HARD_FAULT);
        }
    }

    /// The side effects of every exception entry and return: the local monitor becomes open, the event register is set
    /// (Arm ARM: ClearExclusiveLocal, SetEventRegister).
    fn on_context_change(&mut self) {
        self.monitor = None;
        self.event_register = true;
        self.sleep = Sleep::Awake;
    }

    /// ExceptionReturn: returns from the current exception, or takes the next pending one without unstacking
    /// (tail-chaining).
    pub(crate) fn exception_return(&mut self, value: u32) {
        self.external_activity = true;
        let returning = self.ipsr;
        // Integrity checks of exception return (Arm ARM): the exception has to be active, EXC_RETURN and RETPSR valid.
        if !self.nvic.active.contains(returning) {
            return self.return_fault(&Fault::usage(cfsr::INVPC), value);
        }
        // Returning from an exception other than NMI clears FAULTMASK (Arm ARM: FAULTMASK).
        if returning != number::NMI {
            self.faultmask = false;
        }
        // The exception has ended even if a check below fails; that fault is then tail-chained at the new priority.
        self.nvic.deactivate(returning);
        if self.reserved_active_since.is_some() && !self.nvic.any_reserved_active() {
            self.reserved_active_since = None;
        }
        self.debug.record_exception_event(self.cycles, returning, false);
        self.update_priority();
        if !is_valid_exc_return(value) {
            return self.return_fault(&Fault::usage(cfsr::INVPC), value);
        }
        if let Some(next) = self.tail_chain_candidate() {
            return self.exception_taken(next, value);
        }
        if let Err(fault) = self.pop_stack(value) {
            self.return_fault(&fault, value);
        }
    }

    fn tail_chain_candidate(&self) -> Option<u16> {
        let candidate = self.nvic.highest_pending()?;
        (self.nvic.group(candidate.priority) < self.execution_priority).then_some(candidate.number)
    }

    /// A fault during exception return: its handler is tail-chained, and the frame remains on the stack.
    fn return_fault(&mut self, fault: &Fault, value: u32) {
        self.scb.record_fault(fault, self.pc, self.r[14]);
        self.save_context(self.r[13]);
        match self.escalate(fault.exception) {
            Some(number) => self.exception_taken(number, value),
            None => self.lockup(),
        }
    }

    fn pop_stack(&mut self, value: u32) -> Result<(), Fault> {
        let to_thread = value & exc_return::MODE != 0;
        let from_psp = to_thread && value & exc_return::SPSEL != 0;
        let frame = if from_psp { self.psp() } else { self.msp() };
        if frame & 7 != 0 {
            return Err(Fault::usage(cfsr::INVPC));
        }
        let privileged = !to_thread || !self.unprivileged;
        // All words are read before a register changes, so that a fault leaves the registers for its own frame.
        let [r0, r1, r2, r3, r12, lr, pc, psr] = self.unstack_words(frame, privileged)?;
        // The stacked exception number has to agree with the mode that EXC_RETURN asks for.
        if (psr & IPSR == 0) != to_thread {
            return Err(Fault::usage(cfsr::INVPC));
        }
        self.clear_fp_on_return();
        let extended = value & exc_return::FTYPE == 0;
        if extended {
            self.pop_fp(frame + FRAME, privileged)?;
        }
        self.fpu.active = extended;
        [self.r[0], self.r[1], self.r[2], self.r[3]] = [r0, r1, r2, r3];
        // Bit 0 of the stacked PC is ignored: RETPSR has the T bit.
        (self.r[12], self.r[14], self.pc) = (r12, lr, pc & !1);
        self.ipsr = (psr & IPSR) as u16;
        self.set_apsr(psr);
        self.set_epsr(psr);
        let size = if extended { EXTENDED_FRAME } else { FRAME };
        // Bit 9 moves to bit 2: the four bytes by which entry moved SP down.
        let sp = frame.wrapping_add(size) | (psr & REALIGNED) >> 7;
        if from_psp {
            self.set_psp(sp);
        } else {
            self.set_msp(sp);
        }
        self.restore_mode(to_thread, from_psp);
        Ok(())
    }

    fn restore_mode(&mut self, to_thread: bool, on_psp: bool) {
        self.spsel = on_psp;
        self.select_stack();
        self.on_context_change();
        self.update_priority();
        // SLEEPONEXIT sleeps only at base level: no other exception is active, nothing is masked.
        if to_thread && self.scb.sleeps_on_exit() && self.execution_priority == NO_PRIORITY {
            self.sleep = Sleep::ForInterrupt;
        }
    }
}

/// Whether the value is an EXC_RETURN that this processor can have put into LR.
fn is_valid_exc_return(value: u32) -> bool {
    let fixed = exc_return::PREFIX | exc_return::DCRS | exc_return::S | exc_return::RES0 | exc_return::ES;
    value & fixed == exc_return::PREFIX | exc_return::DCRS
}
