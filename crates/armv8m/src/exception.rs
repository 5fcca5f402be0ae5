//! Exception entry and return.

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
    /// Recomputes the priority of running code from what is active and the mask registers.
    pub(crate) fn update_priority(&mut self) {
        let unmasked = self.priority_without_primask();
        self.execution_priority = if self.primask { unmasked.min(0) } else { unmasked };
        self.attention();
    }

    fn priority_without_primask(&self) -> i16 {
        let mut priority = self.nvic.active_priority();
        if self.basepri != 0 {
            priority = priority.min(self.nvic.group(i16::from(self.basepri)));
        }
        if self.faultmask { priority.min(-1) } else { priority }
    }

    /// Whether a WFI would end: an exception is pending that would be taken if PRIMASK were clear.
    pub(crate) fn wakes(&self) -> bool {
        let level = self.priority_without_primask();
        self.nvic.highest_pending().is_some_and(|c| self.nvic.group(c.priority) < level)
    }

    /// The pending exception that may pre-empt running code, if there is one.
    pub(crate) fn next_to_take(&self) -> Option<u16> {
        let candidate = self.nvic.highest_pending()?;
        let pre_empts = self.nvic.group(candidate.priority) < self.execution_priority;
        (pre_empts && !self.is_held_by_step(candidate.number)).then_some(candidate.number)
    }

    /// Takes the pending exception that may pre-empt running code, if there is one.
    pub(crate) fn take_pending(&mut self) -> bool {
        let Some(number) = self.next_to_take() else { return false };
        if self.on_trial {
            self.yield_requested = true;
            return false;
        }
        self.enter(number);
        true
    }

    /// Turns what stopped an instruction into an exception. `self.pc` is the address to return to.
    pub(crate) fn raise(&mut self, event: Event) {
        if self.on_trial {
            self.yield_requested = true;
            return self.attention();
        }
        match event {
            Event::Fault(fault) => self.raise_fault(fault),
            Event::Supervisor => self.raise_supervisor(),
            Event::Breakpoint(_) => self.raise_breakpoint(),
            Event::ExceptionReturn(value) => self.exception_return(value),
            Event::Halt(_) | Event::Undecoded => {}
        }
    }

    fn raise_fault(&mut self, fault: Fault) {
        self.scb.note_fault(&fault, self.pc, self.r[14]);
        self.raise_exception(fault.exception);
    }

    /// SVC. The address to return to is behind it; if it becomes a HardFault, its own is where that happened.
    fn raise_supervisor(&mut self) {
        if !self.may_preempt(number::SVCALL) {
            self.scb.note_place(self.pc.wrapping_sub(SVC_LENGTH), self.r[14]);
        }
        self.raise_exception(number::SVCALL);
    }

    fn raise_exception(&mut self, number: u16) {
        match self.escalate(number) {
            Some(number) => self.enter(number),
            None => self.lock_up(),
        }
    }

    /// A BKPT without a debugger: DebugMonitor if it is enabled and may pre-empt, else HardFault.
    fn raise_breakpoint(&mut self) {
        if self.scb.monitor_enabled() && self.may_preempt(number::DEBUG_MONITOR) {
            self.scb.note_breakpoint();
            self.enter(number::DEBUG_MONITOR);
        } else if self.execution_priority > -1 {
            self.scb.hfsr |= hfsr::DEBUGEVT;
            self.scb.note_place(self.pc, self.r[14]);
            self.enter(number::HARD_FAULT);
        } else {
            self.lock_up();
        }
    }

    fn lock_up(&mut self) {
        self.locked_up = true;
        self.attention();
    }

    /// Whether `number` is enabled and of higher priority than running code.
    pub(crate) fn may_preempt(&self, number: u16) -> bool {
        self.nvic.enabled.contains(number)
            && self.nvic.group(self.nvic.priority(number)) < self.execution_priority
    }

    /// The exception a synchronous one becomes: itself, HardFault, or none at all (lockup).
    fn escalate(&mut self, number: u16) -> Option<u16> {
        if self.may_preempt(number) {
            return Some(number);
        }
        if self.execution_priority <= -1 {
            return None;
        }
        self.scb.hfsr |= hfsr::FORCED;
        Some(number::HARD_FAULT)
    }

    /// Stacks the context and starts the handler of `number`, or of a fault that stacking itself caused.
    fn enter(&mut self, number: u16) {
        let value = self.entry_exc_return();
        let sp = self.r[13];
        if number < number::SVCALL {
            self.keep_context(sp);
        }
        let first = match self.push_frame() {
            Ok(()) => number,
            Err(fault) => {
                self.keep_context(sp);
                self.derived(number, &fault)
            }
        };
        if !self.locked_up {
            self.start_handler(first, value);
        }
    }

    /// A fault while entering `original` goes first if its priority is higher; the other one stays pending.
    fn derived(&mut self, original: u16, fault: &Fault) -> u16 {
        self.scb.note_fault(fault, self.pc, self.r[14]);
        let Some(derived) = self.escalate(fault.exception) else {
            self.lock_up();
            return original;
        };
        let goes_first = self.nvic.priority(derived) < self.nvic.priority(original);
        self.nvic.pend(if goes_first { original } else { derived });
        if goes_first { derived } else { original }
    }

    fn entry_exc_return(&self) -> u32 {
        let standard = if self.fpu.active { 0 } else { exc_return::FTYPE };
        let mode = if self.in_handler_mode() { 0 } else { exc_return::MODE };
        let stack = if self.on_psp { exc_return::SPSEL } else { 0 };
        exc_return::PREFIX | exc_return::DCRS | standard | mode | stack
    }

    fn push_frame(&mut self) -> Result<(), Fault> {
        let extended = self.fpu.active;
        let sp = self.r[13];
        let frame = sp.wrapping_sub(if extended { EXTENDED_FRAME } else { FRAME }) & !7;
        if frame < self.stack_limit() && !self.limit_ignored() {
            self.r[13] = self.stack_limit();
            return Err(Fault::usage(cfsr::STKOF));
        }
        self.r[13] = frame;
        let realigned = if sp & 4 == 0 { 0 } else { REALIGNED };
        let [r0, r1, r2, r3] = [self.r[0], self.r[1], self.r[2], self.r[3]];
        let words = [r0, r1, r2, r3, self.r[12], self.r[14], self.pc, self.xpsr() & !REALIGNED | realigned];
        self.stack_words(frame, &words, self.privileged(), cfsr::MSTKERR, cfsr::STKERR)?;
        if extended { self.push_fp(frame + FRAME) } else { Ok(()) }
    }

    /// Writes `words` to the stack; a refusal leaves `memory` or `bus` in the fault status.
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
            return Err(Fault::memory(memory, 0));
        }
        let Some(place) = self.memory.ram_slice(address, length) else {
            return Err(Fault::bus(bus, 0));
        };
        for (bytes, word) in place.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.note_code_write(address, length);
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

    /// ExceptionTaken: handler mode on the main stack, at the address in the vector table.
    fn start_handler(&mut self, number: u16, lr: u32) {
        self.disturbed = true;
        self.r[14] = lr;
        self.ipsr = number;
        self.spsel = false;
        self.select_stack();
        self.fpu.active = false;
        self.it = 0;
        self.ici = 0;
        self.thumb = true;
        self.leave_context();
        self.nvic.activate(number);
        if self.nvic.is_reserved(number) {
            self.reserved_active_since.get_or_insert(self.cycles);
        }
        self.debug.moved(self.cycles, number, true);
        self.update_priority();
        self.hard_fault_entered |= number == number::HARD_FAULT && self.halt_on_hard_fault;
        match self.memory.read(self.scb.vtor.wrapping_add(u32::from(number) * 4)) {
            Some(vector) => self.branch_vector(u32::from_le_bytes(vector)),
            None => self.vector_unreadable(),
        }
    }

    fn branch_vector(&mut self, vector: u32) {
        self.pc = vector & !1;
        self.thumb = vector & 1 != 0;
    }

    fn vector_unreadable(&mut self) {
        self.scb.hfsr |= hfsr::VECTTBL;
        let interrupted = std::mem::replace(&mut self.pc, 0xFFFF_FFFE);
        if self.execution_priority <= -1 {
            self.lock_up();
        } else {
            self.scb.note_place(interrupted, self.r[14]);
            self.nvic.pend(number::HARD_FAULT);
        }
    }

    /// What every change of context does: the monitor opens, waiting for an event ends.
    fn leave_context(&mut self) {
        self.monitor = None;
        self.event_register = true;
        self.sleep = Sleep::Awake;
    }

    /// Returns from the current exception, or goes straight to the next pending one (tail-chaining).
    pub(crate) fn exception_return(&mut self, value: u32) {
        self.disturbed = true;
        let returning = self.ipsr;
        if !self.nvic.active.contains(returning) {
            return self.return_fault(&Fault::usage(cfsr::INVPC), value);
        }
        if returning != number::NMI {
            self.faultmask = false;
        }
        self.nvic.deactivate(returning);
        if self.reserved_active_since.is_some() && !self.nvic.any_reserved_active() {
            self.reserved_active_since = None;
        }
        self.debug.moved(self.cycles, returning, false);
        self.update_priority();
        if !well_formed(value) {
            return self.return_fault(&Fault::usage(cfsr::INVPC), value);
        }
        if let Some(next) = self.tail_chained() {
            return self.start_handler(next, value);
        }
        if let Err(fault) = self.pop_frame(value) {
            self.return_fault(&fault, value);
        }
    }

    fn tail_chained(&self) -> Option<u16> {
        let candidate = self.nvic.highest_pending()?;
        (self.nvic.group(candidate.priority) < self.execution_priority).then_some(candidate.number)
    }

    /// A fault on the way out: its handler is tail-chained, the frame stays where it is.
    fn return_fault(&mut self, fault: &Fault, value: u32) {
        self.scb.note_fault(fault, self.pc, self.r[14]);
        self.keep_context(self.r[13]);
        match self.escalate(fault.exception) {
            Some(number) => self.start_handler(number, value),
            None => self.lock_up(),
        }
    }

    fn pop_frame(&mut self, value: u32) -> Result<(), Fault> {
        let to_thread = value & exc_return::MODE != 0;
        let from_psp = to_thread && value & exc_return::SPSEL != 0;
        let frame = if from_psp { self.psp() } else { self.msp() };
        if frame & 7 != 0 {
            return Err(Fault::usage(cfsr::INVPC));
        }
        let privileged = !to_thread || !self.unprivileged;
        let [r0, r1, r2, r3, r12, lr, pc, psr] = self.unstack_words(frame, privileged)?;
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
        (self.r[12], self.r[14], self.pc) = (r12, lr, pc & !1);
        self.ipsr = (psr & IPSR) as u16;
        self.set_apsr(psr);
        self.set_epsr(psr);
        let size = if extended { EXTENDED_FRAME } else { FRAME };
        let sp = frame.wrapping_add(size) | (psr & REALIGNED) >> 7;
        if from_psp {
            self.set_psp(sp);
        } else {
            self.set_msp(sp);
        }
        self.resume(to_thread, from_psp);
        Ok(())
    }

    fn resume(&mut self, to_thread: bool, on_psp: bool) {
        self.spsel = on_psp;
        self.select_stack();
        self.leave_context();
        self.update_priority();
        if to_thread && self.scb.sleeps_on_exit() && self.execution_priority == NO_PRIORITY {
            self.sleep = Sleep::ForInterrupt;
        }
    }
}

/// An EXC_RETURN this processor can have handed out.
fn well_formed(value: u32) -> bool {
    let fixed = exc_return::PREFIX | exc_return::DCRS | exc_return::S | exc_return::RES0 | exc_return::ES;
    value & fixed == exc_return::PREFIX | exc_return::DCRS
}
