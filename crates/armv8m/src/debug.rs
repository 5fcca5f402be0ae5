//! What a debugger or a tracer asks of the processor: breakpoints, watchpoints, single steps, and a record of exceptions.
//!
//! None of it costs a running program anything while it is not used. A breakpoint is an entry of the decoded code that halts
//! in place of the instruction; a watchpoint takes the direct way to memory away, as the MPU does; exceptions are recorded
//! where they are entered and left.

use std::ops::Range;

use crate::Cycles;
use crate::bus::{Bus, Width};
use crate::cpu::{Cpu, Exit};
use crate::fault::Event;
use crate::nvic::number;
use crate::state::{Core, Sleep};

/// Most exception_events between exceptions that are recorded until they are taken; later ones are lost.
pub const MAX_EXCEPTION_EVENTS: usize = 4096;

/// Why the processor halted for a debugger. The program counter is on the instruction, which has done nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltCause {
    /// A breakpoint is here.
    Breakpoint,
    /// The instruction would access memory that is watched.
    Watchpoint {
        /// The address it would access.
        address: u32,
        /// It would write.
        write: bool,
    },
}

/// Memory that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watchpoint {
    /// The addresses.
    pub range: Range<u32>,
    /// Reading halts.
    pub reads: bool,
    /// Writing halts.
    pub writes: bool,
}

/// An exception was entered or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionEvent {
    /// The processor's cycle then.
    pub cycle: Cycles,
    /// The exception's number; 16 and up for external interrupts.
    pub number: u16,
    /// It was entered; otherwise left.
    pub entered: bool,
}

/// What is debugged or traced at the moment.
#[derive(Debug, Default)]
pub(crate) struct Debug {
    pub watchpoints: Vec<Watchpoint>,
    /// Interrupts are not taken: a single step is under way.
    pub masked: bool,
    /// Halting debug is enabled, as DHCSR.C_DEBUGEN tells: BKPT halts.
    pub halts_on_bkpt: bool,
    /// Exceptions entered and left, if someone records them.
    exception_events: Option<Vec<ExceptionEvent>>,
    /// The registers before HardFault was entered.
    before_fault: Option<Box<Context>>,
}

/// What an exception's entry changes of the registers.
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

impl Debug {
    /// Notes that an exception was entered or left.
    pub(crate) fn moved(&mut self, cycle: Cycles, number: u16, entered: bool) {
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
        let touches = |watched: &&Watchpoint| {
            let end = address.saturating_add(length);
            address < watched.range.end && watched.range.start < end && watched.covers(write)
        };
        match self.debug.watchpoints.iter().find(touches) {
            Some(_) => Err(Event::Halt(HaltCause::Watchpoint { address, write })),
            None => Ok(()),
        }
    }

    /// Whether a step under way keeps this exception from being taken: those a fault does not ask for.
    pub(crate) fn is_held_by_step(&self, number: u16) -> bool {
        self.debug.masked && number >= number::PENDSV
    }

    /// Keeps the registers as they are before a fault's exception is entered, with `sp` as stack pointer.
    pub(crate) fn keep_context(&mut self, sp: u32) {
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
    /// Sets a breakpoint: from now on the processor halts with [`Exit::Halted`] before it executes the instruction at
    /// `address`. False if there is one already.
    pub fn insert_breakpoint(&mut self, address: u32) -> bool {
        self.core.disturbed = true;
        self.code.insert_breakpoint(address & !1)
    }

    /// Removes a breakpoint; false if there is none.
    pub fn remove_breakpoint(&mut self, address: u32) -> bool {
        self.core.disturbed = true;
        self.code.remove_breakpoint(address & !1)
    }

    /// Whether there is a breakpoint at `address`.
    pub fn has_breakpoint(&self, address: u32) -> bool {
        self.code.has_breakpoint(address & !1)
    }

    /// Watches memory: from now on the processor halts with [`Exit::Halted`] before an instruction accesses it. What
    /// exceptions stack, and literals in flash that were read when their instruction was decoded, are not seen.
    pub fn insert_watchpoint(&mut self, watchpoint: Watchpoint) {
        self.core.disturbed = true;
        self.core.debug.watchpoints.push(watchpoint);
        self.core.update_direct();
    }

    /// Stops watching; false if this was not watched.
    pub fn remove_watchpoint(&mut self, watchpoint: &Watchpoint) -> bool {
        let watchpoints = &mut self.core.debug.watchpoints;
        let Some(at) = watchpoints.iter().position(|one| one == watchpoint) else { return false };
        watchpoints.remove(at);
        self.core.update_direct();
        true
    }

    /// Removes every breakpoint and watchpoint.
    pub fn detach_debugger(&mut self) {
        self.code.clear_breakpoints();
        self.core.debug.watchpoints.clear();
        self.core.debug.halts_on_bkpt = false;
        self.core.update_direct();
    }

    /// Whether BKPT exits with [`Exit::Breakpoint`], whatever
    /// [`Config::halt_on_breakpoint`](crate::Config::halt_on_breakpoint) says. Meanwhile DHCSR.C_DEBUGEN reads as one: a
    /// debugger is attached.
    pub fn set_halt_on_breakpoint(&mut self, halts: bool) {
        self.core.debug.halts_on_bkpt = halts;
    }

    /// Executes one instruction, also where a breakpoint is. Interrupts wait meanwhile, and a processor that sleeps is awake
    /// afterwards, as on hardware.
    pub fn step(&mut self, bus: &mut dyn Bus) -> Exit {
        let pc = self.core.pc;
        let lifted = self.remove_breakpoint(pc);
        self.core.sleep = Sleep::Awake;
        self.core.debug.masked = true;
        let exit = self.run(bus, 1);
        self.core.debug.masked = false;
        self.core.disturbed = true;
        if lifted {
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

    /// After [`Exit::HardFault`]: puts the registers back to what they were at the instruction that faulted, for someone who
    /// looks at them. Only a reset makes the processor run on from there.
    pub fn undo_fault_entry(&mut self) {
        let core = &mut self.core;
        let Some(kept) = core.debug.before_fault.take() else { return };
        core.r = kept.r;
        core.pc = kept.pc;
        core.ipsr = kept.ipsr;
        (core.other_sp, core.on_psp, core.spsel) = (kept.other_sp, kept.on_psp, kept.spsel);
        core.fpu.active = kept.fp_active;
        core.set_epsr(kept.epsr);
        core.disturbed = true;
    }

    /// Reads a word of the private bus (0xE0000000 to 0xE00FFFFF), as privileged code does.
    pub fn read_ppb(&mut self, address: u32) -> u32 {
        self.core.read_private(address & !3, Width::Word, true).unwrap_or(0)
    }

    /// Writes a word, halfword or byte (`bytes` is 4, 2 or 1, and `address` a multiple of it) of the private bus, as
    /// privileged code does.
    pub fn write_ppb(&mut self, address: u32, bytes: u32, value: u32) {
        self.core.disturbed = true;
        let width = match bytes {
            1 => Width::Byte,
            2 => Width::Half,
            _ => Width::Word,
        };
        // Privileged writes are never refused.
        let _ = self.core.write_private(address, width, value, true);
    }

    /// Records exceptions from now on, or no longer.
    pub fn record_exceptions(&mut self, record: bool) {
        self.core.debug.exception_events = record.then(Vec::new);
    }

    /// Takes what was recorded: at most [`MAX_EXCEPTION_EVENTS`] since the last time.
    pub fn take_exception_events(&mut self) -> Vec<ExceptionEvent> {
        self.core.debug.exception_events.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
