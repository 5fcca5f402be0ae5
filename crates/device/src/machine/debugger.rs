//! A debugger attached to the machine: what halts the application, what is possible while it is halted, and how it
//! resumes.
//!
//! While the application is halted its time is stopped: timers and cycle counter wait with it. The kernel's time
//! continues ([`Input::TimeSkipped`](super::Input::TimeSkipped)), so that the link stays up, as on a board where only
//! the application's side is halted (D133).
//!
//! The debugger of a replay is passive (`passive`): a stop is a pause of the replay that the machine does not know of.

mod memory;
mod passive;

use std::ops::Range;

use abi::power::WakeReason;
use armv8m::{HaltCause, Register};

pub use memory::{MAX_BREAKPOINTS, MAX_WATCHPOINTS};

use super::{Machine, Power};
use crate::debug::crash::Crash;
use crate::debug::symbols::Symbols;
use crate::events::DeviceEvent;
use crate::fault::Fault;

/// Why the application halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The debugger requested it, or has just attached.
    Requested,
    /// The step is complete.
    Stepped,
    /// A breakpoint.
    Breakpoint,
    /// A BKPT instruction of the application's own.
    Instruction,
    /// An access to memory that is watched.
    Watchpoint {
        /// The address.
        address: u32,
        /// It would write.
        write: bool,
    },
    /// A fault. The registers are those at the instruction; resuming restarts the application.
    Fault(Fault),
    /// The application was restarted and has not executed an instruction.
    Reset,
    /// The recording that is replayed has ended.
    EndOfRecording,
}

/// What the debugger lets the application do.
#[derive(Debug, Default)]
enum RunMode {
    #[default]
    Free,
    Stepping(Stepping),
    Halted,
}

/// Single steps, until the program counter leaves `range`.
#[derive(Debug)]
struct Stepping {
    range: Range<u32>,
    /// Where the step began, while interrupts that were pending are handled first.
    interrupted: Option<StepOrigin>,
}

/// Where a step began.
#[derive(Debug)]
struct StepOrigin {
    pc: u32,
    sp: u32,
    exception: u16,
    /// The breakpoint at `pc` is only there to stop at when the handlers return.
    temporary: bool,
    /// Other code, such as a handler, has reached `pc`: the next instruction is stepped over.
    is_elsewhere: bool,
}

/// A debugger, or none.
#[derive(Debug, Default)]
pub(super) struct Debugger {
    attached: bool,
    /// It belongs to a replay, which it must not change.
    is_passive: bool,
    /// The call that is stepped over has not returned yet.
    is_in_call: bool,
    mode: RunMode,
    stop: Option<StopReason>,
    /// The current run is a single instruction: how many were executed, and the program counter, when it began.
    single: Option<(u64, u32)>,
    /// The application's names.
    symbols: Option<Symbols>,
    /// The last crash of the application.
    last_crash: Option<Box<Crash>>,
    /// The application's own BKPT instruction at which it is halted.
    at_bkpt: Option<u32>,
    /// Breakpoints and watchpoints that are set.
    breakpoints: u32,
    watchpoints: u32,
}

impl Debugger {
    /// Whether the application is halted, and its time with it. A passive debugger halts the replay instead.
    pub(super) fn is_halted(&self) -> bool {
        self.is_stopped() && !self.is_passive
    }

    fn is_stopped(&self) -> bool {
        matches!(self.mode, RunMode::Halted)
    }

    pub(super) fn is_attached(&self) -> bool {
        self.attached
    }
}

/// What a debugger does.
impl Machine {
    /// Sets the symbols by which crash reports name functions.
    pub fn set_symbols(&mut self, symbols: Option<Symbols>) {
        self.debugger.symbols = symbols;
    }

    /// Halts the application before its first instruction until a debugger resumes it.
    pub(crate) fn halt_at_reset(&mut self) {
        self.halt(StopReason::Reset);
    }

    /// A debugger attaches: the application halts, and the kernel keeps the link up whatever the application requests,
    /// because debugging works by the link on a board (N20).
    pub(crate) fn attach_debugger(&mut self) {
        self.debugger.attached = true;
        self.cpu.set_halt_on_breakpoint(true);
        self.notify_kernel_of_debugger();
        self.note_after_board(DeviceEvent::Debugger { attached: true });
        self.halt(StopReason::Requested);
        self.debugger.stop = None;
    }

    /// The debugger detaches, and its breakpoints go with it; the application resumes.
    pub(crate) fn detach_debugger(&mut self) {
        self.cpu.detach_debugger();
        (self.debugger.breakpoints, self.debugger.watchpoints) = (0, 0);
        self.debugger.attached = false;
        self.notify_kernel_of_debugger();
        self.note_after_board(DeviceEvent::Debugger { attached: false });
        self.resume();
    }

    /// Informs the kernel whether a debugger is attached; one that has just started does not know.
    pub(super) fn notify_kernel_of_debugger(&mut self) {
        if self.debugger.is_passive {
            return;
        }
        let attached = self.debugger.attached;
        self.enter_kernel(|kernel, port| kernel.debugger_attached(port, attached));
    }

    /// Whether a debugger has halted the application.
    pub fn is_halted(&self) -> bool {
        self.debugger.is_halted()
    }

    /// Whether a debugger waits at a stop: the application is halted, or the replay is.
    pub(crate) fn is_stopped(&self) -> bool {
        self.debugger.is_stopped()
    }

    /// Whether no debugger stops or steps the application, as far as the application can notice.
    pub(super) fn is_free_running(&self) -> bool {
        matches!(self.debugger.mode, RunMode::Free) || self.debugger.is_passive
    }

    /// Takes the reason for which the application halted.
    pub fn take_stop(&mut self) -> Option<StopReason> {
        self.debugger.stop.take()
    }

    /// The last crash of the application, if there was one.
    pub fn last_crash(&self) -> Option<&Crash> {
        self.debugger.last_crash.as_deref()
    }

    /// Halts the application, unless it is halted already.
    pub(crate) fn interrupt(&mut self) {
        if !self.is_stopped() {
            self.halt(StopReason::Requested);
        }
    }

    /// Resumes the application; one that has faulted restarts at once.
    pub(crate) fn resume(&mut self) {
        self.leave_halt();
        self.debugger.mode = RunMode::Free;
    }

    /// Lets the application execute one instruction, and further ones while its program counter is in `range`.
    pub(crate) fn step(&mut self, range: Range<u32>) {
        if self.leave_halt() {
            return self.halt(StopReason::Stepped);
        }
        self.debugger.mode = RunMode::Stepping(Stepping { range, interrupted: None });
    }

    /// Restarts the application and halts it before its first instruction.
    pub(crate) fn reset_and_halt(&mut self) {
        if self.is_off() {
            self.power = Power::Off { start: Some((self.now(), WakeReason::DebuggerRestart)) };
            self.wake_if_due();
        } else {
            self.restart(WakeReason::DebuggerRestart);
        }
        self.halt(StopReason::Reset);
        self.debugger.stop = None;
    }

    /// Leaves the halt. Returns whether the application was restarted instead of resumed.
    fn leave_halt(&mut self) -> bool {
        (self.debugger.stop, self.debugger.is_in_call) = (None, false);
        if self.debugger.is_passive {
            return false;
        }
        let bkpt = self.debugger.at_bkpt.take();
        if let Some(reason) = self.restarts.take_due(u64::MAX) {
            self.restart(reason);
            return true;
        }
        if bkpt.is_some_and(|at| at == self.cpu.register(Register::PC)) {
            // It would halt here again and again: a debugger does not write over a BKPT of the application's own.
            self.cpu.set_register(Register::PC, self.cpu.register(Register::PC).wrapping_add(2));
        }
        false
    }

    fn halt(&mut self, reason: StopReason) {
        self.end_service();
        // What a passive debugger does is no part of the run.
        if !self.debugger.is_passive {
            self.answer_delayed_call();
            self.trace_stop(&reason);
        }
        self.debugger.mode = RunMode::Halted;
        self.debugger.stop = Some(reason);
    }
}

/// What the machine checks while it runs.
impl Machine {
    /// Whether the next run is a single instruction. Pending interrupts are handled first, and at full speed: a step
    /// would otherwise lead into a handler, or delay interrupts for as long as the user steps.
    pub(super) fn begins_step(&mut self) -> bool {
        let steps = self.should_step();
        self.debugger.single = steps.then(|| self.progress());
        steps
    }

    fn should_step(&mut self) -> bool {
        let RunMode::Stepping(stepping) = &mut self.debugger.mode else { return false };
        if let Some(origin) = &mut stepping.interrupted {
            return std::mem::take(&mut origin.is_elsewhere);
        }
        // A tick that is due now pends its interrupt only as the processor continues.
        let ticks =
            self.debugger.is_passive && self.cpu.next_timeout().is_some_and(|at| at <= self.cpu.cycles());
        if !self.cpu.will_take_interrupt() && !ticks {
            return true;
        }
        let pc = self.cpu.register(Register::PC);
        let temporary = self.cpu.insert_breakpoint(pc);
        let (sp, exception) = (self.cpu.register(Register::SP), self.cpu.exception_number());
        stepping.interrupted = Some(StepOrigin { pc, sp, exception, temporary, is_elsewhere: false });
        false
    }

    /// The run is over: a step that is complete halts the application.
    pub(super) fn end_step(&mut self) {
        let Some(began) = self.debugger.single.take() else { return };
        if self.is_call_pending() {
            self.debugger.is_in_call = self.debugger.is_passive;
            return;
        }
        // A passive debugger does not wake an application that waits: the step is that of the instruction after it.
        if !self.debugger.is_passive || self.progress() != began {
            self.complete_step();
        }
    }

    /// The call that was stepped over has returned.
    pub(super) fn end_step_over_call(&mut self) {
        if std::mem::take(&mut self.debugger.is_in_call) {
            self.complete_step();
        }
    }

    /// Whether the instruction that was stepped is a call that returns later.
    fn is_call_pending(&self) -> bool {
        self.power != Power::On || self.debugger.is_passive && self.delayed_call.is_some()
    }

    fn progress(&self) -> (u64, u32) {
        (self.instructions(), self.cpu.register(Register::PC))
    }

    fn complete_step(&mut self) {
        let RunMode::Stepping(Stepping { range, interrupted: None }) = &self.debugger.mode else { return };
        if !range.contains(&self.cpu.register(Register::PC)) {
            self.halt(StopReason::Stepped);
        }
    }

    /// The processor halted at a breakpoint or a watchpoint.
    pub(super) fn on_halt(&mut self, cause: HaltCause) {
        match cause {
            HaltCause::Breakpoint if self.is_on_way_back() => {}
            HaltCause::Breakpoint => self.halt(StopReason::Breakpoint),
            HaltCause::Watchpoint { address, write } => self.halt(StopReason::Watchpoint { address, write }),
        }
    }

    /// A BKPT instruction, while a debugger is attached.
    pub(super) fn on_bkpt(&mut self, address: u32) {
        self.halt(StopReason::Instruction);
        self.debugger.at_bkpt = Some(address);
    }

    /// Reports what registers and stack show after a fault.
    pub(super) fn report_crash(&mut self, fault: Fault) {
        let crash = Box::new(Crash::of(&self.cpu, fault, self.debugger.symbols.as_ref()));
        self.debugger.last_crash = Some(crash.clone());
        self.note(DeviceEvent::Crashed(crash));
    }

    /// A fault; with a debugger attached, the application halts where it happened.
    pub(super) fn halt_on_fault(&mut self, fault: Fault) {
        if self.debugger.attached {
            self.halt(StopReason::Fault(fault));
        }
    }

    /// Halts at a breakpoint at a call's entry. Returns whether it did.
    pub(super) fn stops_at_call(&mut self, address: u32) -> bool {
        let stops = self.debugger.single.is_none() && self.cpu.has_breakpoint(address);
        if stops {
            self.on_halt(HaltCause::Breakpoint);
        }
        stops
    }

    /// Whether this breakpoint is that of a step's beginning: the interrupts that went first are handled, or other code
    /// has reached it.
    fn is_on_way_back(&mut self) -> bool {
        let RunMode::Stepping(Stepping { interrupted: Some(origin), .. }) = &mut self.debugger.mode else {
            return false;
        };
        if origin.pc != self.cpu.register(Register::PC) || !origin.temporary {
            // At a breakpoint of the debugger's own the application halts, whichever code reaches it.
            return self.is_back();
        }
        let here = (self.cpu.register(Register::SP), self.cpu.exception_number());
        if here == (origin.sp, origin.exception) {
            self.end_service();
        } else {
            origin.is_elsewhere = true;
        }
        true
    }

    /// Whether the application has returned to where the step began, at a breakpoint of the debugger's own.
    fn is_back(&mut self) -> bool {
        let RunMode::Stepping(Stepping { interrupted: Some(origin), .. }) = &self.debugger.mode else {
            return false;
        };
        let registers = (self.cpu.register(Register::PC), self.cpu.register(Register::SP));
        let back = registers == (origin.pc, origin.sp) && self.cpu.exception_number() == origin.exception;
        if back {
            self.end_service();
        }
        back
    }

    fn end_service(&mut self) {
        if let RunMode::Stepping(stepping) = &mut self.debugger.mode
            && let Some(origin) = stepping.interrupted.take()
            && origin.temporary
        {
            self.cpu.remove_breakpoint(origin.pc);
        }
    }
}
