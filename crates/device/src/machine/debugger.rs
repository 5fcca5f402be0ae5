//! A debugger attached to the machine: what halts the application, what is possible while it is halted, and how it resumes.
//!
//! While the application is halted its time is stopped: timers and cycle counter wait with it. The kernel's time goes on
//! ([`Input::TimeSkipped`](super::Input::TimeSkipped)), so that the link stays up, as on a board where only the
//! application's side is halted (D133).

use std::ops::Range;

use abi::power::WakeReason;
use armv8m::{HaltCause, Register, Watchpoint};

use super::{Machine, Power};
use crate::debug::crash::Crash;
use crate::debug::symbols::Symbols;
use crate::events::DeviceEvent;
use crate::fault::Fault;
use crate::memory_map::{ENTRY_PAGE, FLASH, PERIPHERALS, RAM};

/// The processor's private peripheral bus, which a debugger may access.
const SYSTEM: Range<u32> = 0xE000_0000..0xE010_0000;

/// The Debug Halting Control and Status Register; a debugger reads C_HALT and S_HALT as set while the application is halted.
const DHCSR: u32 = 0xE000_EDF0;
const HALTED: u32 = 1 << 17 | 1 << 1;

/// What erased flash reads as.
const ERASED: u8 = 0xFF;

/// Most breakpoints and watchpoints at a time: far more than anybody sets by hand, and few enough for a linear search.
pub const MAX_BREAKPOINTS: u32 = 4096;
/// See [`MAX_BREAKPOINTS`].
pub const MAX_WATCHPOINTS: u32 = 256;

/// What a debugger reads at an entry of the call page: `bx lr; nop; bx lr; nop`, a function without a stack frame, so that
/// a backtrace from inside a call finds its caller.
const VENEER: [u8; 8] = [0x70, 0x47, 0x00, 0xBF, 0x70, 0x47, 0x00, 0xBF];

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
    mode: RunMode,
    stop: Option<StopReason>,
    /// The current run is a single instruction.
    single: bool,
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
    pub(super) fn is_halted(&self) -> bool {
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

    /// A debugger attaches: the application halts, and the kernel keeps the link up whatever the application requests, because
    /// debugging works by the link on a board (N20).
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

    /// Tells the kernel whether a debugger is attached; one that has just started does not know.
    pub(super) fn notify_kernel_of_debugger(&mut self) {
        let attached = self.debugger.attached;
        self.enter_kernel(|kernel, port| kernel.debugger_attached(port, attached));
    }

    /// Whether a debugger has halted the application.
    pub fn is_halted(&self) -> bool {
        self.debugger.is_halted()
    }

    /// Whether no debugger stops or steps the application.
    pub(super) fn is_free_running(&self) -> bool {
        matches!(self.debugger.mode, RunMode::Free)
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
        if !self.is_halted() {
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
        self.debugger.stop = None;
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
        self.answer_delayed_call();
        self.end_service();
        self.trace_stop(&reason);
        self.debugger.mode = RunMode::Halted;
        self.debugger.stop = Some(reason);
    }
}

/// What the machine checks while it runs.
impl Machine {
    /// Whether the next run is a single instruction. Pending interrupts are handled first, and at full speed: a step would
    /// otherwise lead into a handler, or delay interrupts for as long as the user steps.
    pub(super) fn begins_step(&mut self) -> bool {
        self.debugger.single = self.should_step();
        self.debugger.single
    }

    fn should_step(&mut self) -> bool {
        let RunMode::Stepping(stepping) = &mut self.debugger.mode else { return false };
        if let Some(origin) = &mut stepping.interrupted {
            return std::mem::take(&mut origin.is_elsewhere);
        }
        if !self.cpu.will_take_interrupt() {
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
        if !std::mem::take(&mut self.debugger.single) || self.power != Power::On {
            return;
        }
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
        let stops = !self.debugger.single && self.cpu.has_breakpoint(address);
        if stops {
            self.on_halt(HaltCause::Breakpoint);
        }
        stops
    }

    /// Whether this breakpoint is that of a step's beginning: the interrupts that went first are handled, or other code has
    /// reached it.
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

/// Registers, memory and breakpoints.
impl Machine {
    /// Reads a register.
    pub fn register(&self, register: Register) -> u32 {
        self.cpu.register(register)
    }

    /// Writes a register, if that changes it. A new program counter wakes an application that sleeps.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        if self.cpu.register(register) == value {
            return;
        }
        self.cpu.set_register(register, value);
        if register == Register::PC && self.power == Power::Saving {
            self.leave_power_save();
        }
    }

    /// Reads memory for a debugger, as far as there is memory from `address` on, and returns the length. Registers of
    /// peripherals are read with all effects that a read of the application would have.
    pub(crate) fn read_memory(&mut self, address: u32, into: &mut [u8]) -> usize {
        let space = |region: &Range<u32>| region.contains(&address).then(|| (region.end - address) as usize);
        let memory = space(&FLASH).or_else(|| space(&RAM));
        if let Some(space) = memory {
            let length = into.len().min(space);
            return if self.cpu.read_memory(address, &mut into[..length]) { length } else { 0 };
        }
        if let Some(space) = space(&ENTRY_PAGE) {
            let length = into.len().min(space);
            let from = (address - ENTRY_PAGE.start) as usize;
            (0..length).for_each(|at| into[at] = VENEER[(from + at) % VENEER.len()]);
            return length;
        }
        self.read_peripherals(address, into)
    }

    fn read_peripherals(&mut self, address: u32, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            let at = address.wrapping_add(done as u32);
            let width = width(at, into.len() - done);
            let Some(value) = self.register_part(at, width) else { break };
            into[done..done + width].copy_from_slice(&value.to_le_bytes()[..width]);
            done += width;
        }
        self.sync_lines();
        self.debugger_changed();
        done
    }

    /// Reads a register, or a part of one, as an instruction of this width would.
    fn register_part(&mut self, address: u32, width: usize) -> Option<u32> {
        if SYSTEM.contains(&address) {
            let mut word = self.cpu.read_ppb(address);
            if address & !3 == DHCSR && self.is_halted() {
                word |= HALTED;
            }
            return Some(word >> (8 * (address % 4)));
        }
        if !PERIPHERALS.contains(&address) {
            return None;
        }
        self.board.read(address, width as u32, self.now()).ok()
    }

    /// Writes memory as a debugger does: RAM, and registers by words, halfwords and bytes, as an
    /// application would write them. Flash is not written like this ([`Machine::write_flash`]). Returns whether all of it was written.
    pub(crate) fn write_memory(&mut self, address: u32, bytes: &[u8]) -> bool {
        if bytes.is_empty() || RAM.contains(&address) {
            return bytes.is_empty() || self.cpu.write_memory(address, bytes);
        }
        let (mut at, mut rest) = (address, bytes);
        let mut written = true;
        while written && !rest.is_empty() {
            let (part, following) = rest.split_at(width(at, rest.len()));
            written = self.write_part(at, part);
            (at, rest) = (at.wrapping_add(part.len() as u32), following);
        }
        self.sync_lines();
        written
    }

    fn write_part(&mut self, address: u32, part: &[u8]) -> bool {
        let mut word = [0; 4];
        word[..part.len()].copy_from_slice(part);
        let (value, width) = (u32::from_le_bytes(word), part.len() as u32);
        if SYSTEM.contains(&address) {
            self.cpu.write_ppb(address, width, value);
            return true;
        }
        if !PERIPHERALS.contains(&address) {
            return false;
        }
        self.cpu.input_changed();
        self.board.write(address, width, value, self.now()).is_ok()
    }

    /// Writes application flash, until the process ends: the image's file does not change.
    pub(crate) fn write_flash(&mut self, address: u32, bytes: &[u8]) -> bool {
        FLASH.contains(&address) && self.cpu.write_memory(address, bytes)
    }

    /// Erases application flash.
    pub(crate) fn erase_flash(&mut self, address: u32, length: u32) -> bool {
        // Nothing is allocated for what is not there.
        let end = u64::from(address) + u64::from(length);
        FLASH.contains(&address)
            && end <= u64::from(FLASH.end)
            && self.write_flash(address, &vec![ERASED; length as usize])
    }

    /// Whether there is memory at `address` that can be read without any effect.
    pub(crate) fn is_memory(address: u32) -> bool {
        [FLASH, RAM, ENTRY_PAGE].iter().any(|region| region.contains(&address))
    }

    /// Sets a breakpoint at an instruction or at a system call's entry. False where neither can be, and beyond
    /// [`MAX_BREAKPOINTS`].
    pub(crate) fn insert_breakpoint(&mut self, address: u32) -> bool {
        let possible = FLASH.contains(&address) || RAM.contains(&address) || ENTRY_PAGE.contains(&address);
        if !possible || self.debugger.breakpoints >= MAX_BREAKPOINTS && !self.cpu.has_breakpoint(address) {
            return false;
        }
        self.debugger.breakpoints += u32::from(self.cpu.insert_breakpoint(address));
        true
    }

    /// Removes a breakpoint; false if there is none.
    pub(crate) fn remove_breakpoint(&mut self, address: u32) -> bool {
        let removed = self.cpu.remove_breakpoint(address);
        self.debugger.breakpoints -= u32::from(removed).min(self.debugger.breakpoints);
        removed
    }

    /// Whether any breakpoint or watchpoint is set.
    pub fn may_stop(&self) -> bool {
        self.debugger.breakpoints + self.debugger.watchpoints > 0
    }

    /// Watches memory. False beyond [`MAX_WATCHPOINTS`].
    pub(crate) fn insert_watchpoint(&mut self, watchpoint: Watchpoint) -> bool {
        if self.debugger.watchpoints >= MAX_WATCHPOINTS {
            return false;
        }
        self.debugger.watchpoints += 1;
        self.cpu.insert_watchpoint(watchpoint);
        true
    }

    /// Stops watching; false if this was not watched.
    pub(crate) fn remove_watchpoint(&mut self, watchpoint: &Watchpoint) -> bool {
        let removed = self.cpu.remove_watchpoint(watchpoint);
        self.debugger.watchpoints -= u32::from(removed).min(self.debugger.watchpoints);
        removed
    }
}

/// Bytes of the widest access at `address`, aligned, that takes no more than `left`.
fn width(address: u32, left: usize) -> usize {
    match left {
        4.. if address.is_multiple_of(4) => 4,
        2.. if address.is_multiple_of(2) => 2,
        _ => 1,
    }
}
