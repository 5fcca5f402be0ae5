//! For debuggers and tracers: breakpoints, watchpoints, single steps, and a record of exceptions.
//!
//! None of it costs anything while it is not used. A breakpoint replaces the decoded instruction by one that halts; a
//! watchpoint disables direct memory access, as the MPU does; exceptions are recorded where they are entered and left.

use std::ops::Range;

use crate::Cycles;
use crate::bus::{Bus, Width};
use crate::cpu::Cpu;
use crate::exit::Exit;
use crate::fault::Event;
use crate::nvic::number;
use crate::state::{Core, Sleep};

/// How many exception events are recorded at most before [`Cpu::take_exception_events`]; later ones are dropped, so
/// that a host that never takes them does not run out of memory.
pub const MAX_EXCEPTION_EVENTS: usize = 4096;

/// The registers of SysTick.
const SYSTICK: Range<u32> = 0xE000_E010..0xE000_E020;

/// Why the processor halted for a debugger. The program counter is on the instruction, which has not been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltCause {
    /// There is a breakpoint on the instruction.
    Breakpoint,
    /// The instruction would access memory that is watched.
    Watchpoint {
        /// The address it would access.
        address: u32,
        /// It would write.
        write: bool,
    },
}

/// A range of memory on which accesses halt the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchpoint {
    /// The addresses.
    pub range: Range<u32>,
    /// Reads halt.
    pub reads: bool,
    /// Writes halt.
    pub writes: bool,
}

/// An exception was entered or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionEvent {
    /// The cycle at which that happened.
    pub cycle: Cycles,
    /// The exception's number; 16 and up for external interrupts.
    pub number: u16,
    /// True if it was entered, false if it was left.
    pub entered: bool,
}

/// Settings and records of a debugger or a tracer.
#[derive(Debug, Default)]
pub(crate) struct DebugState {
    pub watchpoints: Vec<Watchpoint>,
    /// Interrupts are not taken during a single step, as with DHCSR.C_MASKINTS.
    pub interrupts_masked: bool,
    /// What the debugger does is no activity: see [`Cpu::set_passive_debugger`].
    pub passive: bool,
    /// Halting debug is enabled (DHCSR.C_DEBUGEN): BKPT halts.
    pub halts_on_bkpt: bool,
    /// Exceptions entered and left, while they are recorded.
    exception_events: Option<Vec<ExceptionEvent>>,
    /// The registers before HardFault was entered.
    before_fault: Option<Box<Context>>,
}

/// The registers that exception entry changes.
#[derive(Debug)]
struct Context {
    r: [u32; 16],
    pc: u32,
    epsr: u32,
    ipsr: u16,
    other_sp: u32,
    on_psp: bool,
    spsel: bool,
    fp_active: bool,
}

impl DebugState {
    /// Records that an exception was entered or left.
    pub(crate) fn record_exception_event(&mut self, cycle: Cycles, number: u16, entered: bool) {
        if let Some(exception_events) = &mut self.exception_events
            && exception_events.len() < MAX_EXCEPTION_EVENTS
        {
            exception_events.push(ExceptionEvent { cycle, number, entered });
        }
    }
}

impl Core {
    /// Halts before an access to watched memory.
    pub(crate) fn check_watchpoints(&self, address: u32, length: u32, write: bool) -> Result<(), Event> {
        // What a trial accesses is rolled back, so that the program has not accessed it.
        if self.on_trial && self.debug.passive {
            return Ok(());
        }
        let touches = |watched: &&Watchpoint| {
            let end = address.saturating_add(length);
            address < watched.range.end && watched.range.start < end && watched.covers(write)
        };
        match self.debug.watchpoints.iter().find(touches) {
            Some(_) => Err(Event::Halt(HaltCause::Watchpoint { address, write })),
            None => Ok(()),
        }
    }

    /// Whether a single step masks this exception: PendSV, SysTick and external interrupts, but no fault, since that is
    /// what the stepped instruction does.
    pub(crate) fn is_masked_by_step(&self, number: u16) -> bool {
        self.debug.interrupts_masked && number >= number::PENDSV
    }

    /// A debugger has changed something that only it sees.
    fn note_debugger(&mut self) {
        self.external_activity |= !self.debug.passive;
    }

    /// Saves the registers before a fault's exception is entered, with `sp` as stack pointer.
    pub(crate) fn save_context(&mut self, sp: u32) {
        if !self.halt_on_hard_fault {
            return;
        }
        let mut r = self.r;
        r[13] = sp;
        self.debug.before_fault = Some(Box::new(Context {
            r,
            pc: self.pc,
            epsr: self.epsr(),
            ipsr: self.ipsr,
            other_sp: self.other_sp,
            on_psp: self.on_psp,
            spsel: self.spsel,
            fp_active: self.fpu.active,
        }));
    }
}

impl Watchpoint {
    fn covers(&self, write: bool) -> bool {
        if write { self.writes } else { self.reads }
    }
}

impl Cpu {
    /// Sets a breakpoint: the processor halts with [`Exit::Halted`] before it executes the instruction at `address`.
    /// False if there is one already.
    pub fn insert_breakpoint(&mut self, address: u32) -> bool {
        self.core.note_debugger();
        self.code.insert_breakpoint(address & !1)
    }

    /// Removes a breakpoint; false if there is none.
    pub fn remove_breakpoint(&mut self, address: u32) -> bool {
        self.core.note_debugger();
        self.code.remove_breakpoint(address & !1)
    }

    /// Whether there is a breakpoint at `address`.
    pub fn has_breakpoint(&self, address: u32) -> bool {
        self.code.has_breakpoint(address & !1)
    }

    /// Sets a watchpoint: the processor halts with [`Exit::Halted`] before an instruction accesses the memory. It does
    /// not see what exception entry stacks, nor literals in flash, which are read when their instruction is decoded.
    pub fn insert_watchpoint(&mut self, watchpoint: Watchpoint) {
        self.core.note_debugger();
        self.core.debug.watchpoints.push(watchpoint);
        self.core.update_direct();
    }

    /// Removes a watchpoint; false if there is none like it.
    pub fn remove_watchpoint(&mut self, watchpoint: &Watchpoint) -> bool {
        let watchpoints = &mut self.core.debug.watchpoints;
        let Some(at) = watchpoints.iter().position(|one| one == watchpoint) else { return false };
        watchpoints.remove(at);
        self.core.update_direct();
        true
    }

    /// Removes all breakpoints and watchpoints; BKPT no longer halts.
    pub fn detach_debugger(&mut self) {
        self.code.clear_breakpoints();
        self.core.debug.watchpoints.clear();
        self.core.debug.halts_on_bkpt = false;
        self.core.update_direct();
    }

    /// Makes BKPT exit with [`Exit::Breakpoint`], also without
    /// [`Config::halt_on_breakpoint`](crate::Config::halt_on_breakpoint), or no longer. The application sees
    /// DHCSR.C_DEBUGEN set, as with a debugger attached.
    pub fn set_halt_on_breakpoint(&mut self, halts: bool) {
        self.core.debug.halts_on_bkpt = halts;
    }

    /// Makes the debugger passive, or active again. Breakpoints, watchpoints and [`Cpu::step_passively`] of a passive
    /// one do not count as activity, and trial runs do not see them: what the processor executes, and when, is the same
    /// as without a debugger.
    pub fn set_passive_debugger(&mut self, passive: bool) {
        self.core.debug.passive = passive;
    }

    /// Executes one instruction, even if there is a breakpoint on it, exactly as [`Cpu::run`] with a budget of one
    /// would without the breakpoint: interrupts are taken, and a processor that sleeps or spins does not wake.
    pub fn step_passively(&mut self, bus: &mut dyn Bus) -> Exit {
        let pc = self.core.pc;
        let removed = self.code.remove_breakpoint(pc);
        let exit = self.run(bus, 1);
        if removed {
            self.code.insert_breakpoint(pc);
        }
        exit
    }

    /// Executes one instruction, even if there is a breakpoint on it. Interrupts are masked meanwhile, so that a step
    /// does not end in a handler, and a sleeping processor wakes, as on hardware.
    pub fn step(&mut self, bus: &mut dyn Bus) -> Exit {
        let pc = self.core.pc;
        let removed = self.remove_breakpoint(pc);
        self.core.sleep = Sleep::Awake;
        self.core.debug.interrupts_masked = true;
        let exit = self.run(bus, 1);
        self.core.debug.interrupts_masked = false;
        self.core.external_activity = true;
        if removed {
            self.insert_breakpoint(pc);
        }
        exit
    }

    /// Whether an interrupt would be taken before the next instruction.
    pub fn will_take_interrupt(&self) -> bool {
        let core = &self.core;
        let level = core.execution_priority;
        let candidate = core.nvic.highest_pending();
        candidate.is_some_and(|c| c.number >= number::PENDSV && core.nvic.group(c.priority) < level)
    }

    /// After [`Exit::HardFault`]: restores the registers of the instruction that faulted, so that a debugger shows
    /// where that was. The processor cannot continue from there; it has to be reset.
    pub fn undo_fault_entry(&mut self) {
        let core = &mut self.core;
        let Some(context) = core.debug.before_fault.take() else { return };
        core.r = context.r;
        core.pc = context.pc;
        core.ipsr = context.ipsr;
        (core.other_sp, core.on_psp, core.spsel) = (context.other_sp, context.on_psp, context.spsel);
        core.fpu.active = context.fp_active;
        core.set_epsr(context.epsr);
        core.external_activity = true;
    }

    /// Reads a word of the private peripheral bus (0xE0000000 to 0xE00FFFFF), as privileged code does.
    pub fn read_ppb(&mut self, address: u32) -> u32 {
        self.core.read_ppb_register(address & !3, Width::Word, true).unwrap_or(0)
    }

    /// The same without the effect that reading SYST_CSR has, which clears COUNTFLAG; no other read has one.
    pub fn peek_ppb(&mut self, address: u32) -> u32 {
        let Some(offset) = SYSTICK.contains(&address).then(|| (address & !3) - SYSTICK.start) else {
            return self.read_ppb(address);
        };
        let mut systick = self.core.systick.clone();
        systick.advance(self.core.cycles);
        systick.read(offset)
    }

    /// Writes a word, halfword or byte (`bytes` is 4, 2 or 1, and `address` a multiple of it) of the private peripheral
    /// bus, as privileged code does.
    pub fn write_ppb(&mut self, address: u32, bytes: u32, value: u32) {
        self.core.external_activity = true;
        let width = match bytes {
            1 => Width::Byte,
            2 => Width::Half,
            _ => Width::Word,
        };
        // Privileged writes are never refused.
        let _ = self.core.write_ppb_register(address, width, value, true);
    }

    /// Starts or stops the recording of exceptions. Both discard what has been recorded.
    pub fn record_exceptions(&mut self, record: bool) {
        self.core.debug.exception_events = record.then(Vec::new);
    }

    /// Takes the recorded exceptions: at most [`MAX_EXCEPTION_EVENTS`] since the last time.
    pub fn take_exception_events(&mut self) -> Vec<ExceptionEvent> {
        self.core.debug.exception_events.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
