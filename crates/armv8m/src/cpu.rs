//! The processor as its host sees it, and the loop that runs it.

use std::sync::Arc;

use crate::Cycles;
use crate::bus::Bus;
use crate::code::{Code, Page, Place};
use crate::config::Config;
use crate::debug::HaltCause;
use crate::exec;
use crate::fault::{Event, Fault, cfsr};
use crate::memory::Memory;
use crate::op::{Inst, Op};
use crate::spin::Watch;
use crate::state::{Core, Sleep};
use crate::trial::Trial;

/// LR after reset: a reset handler that returns faults.
const LR_AT_RESET: u32 = 0xFFFF_FFFF;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// The program counter is in the trap range; nothing there was executed.
    Trap {
        /// The program counter.
        address: u32,
    },
    /// WFI, or sleep on exit: nothing runs until an interrupt is pending. A run that cannot wake exits like this again.
    WaitForInterrupt,
    /// WFE: as [`Exit::WaitForInterrupt`], and an event wakes too.
    WaitForEvent,
    /// BKPT, with [`Config::halt_on_breakpoint`]. The program counter is on the instruction.
    Breakpoint {
        /// Address of the BKPT.
        address: u32,
        /// Its immediate.
        comment: u8,
    },
    /// A breakpoint or a watchpoint. The program counter is on the instruction, which has not been executed.
    Halted {
        /// Which of the two.
        cause: HaltCause,
    },
    /// HardFault was entered, with [`Config::halt_on_hard_fault`]: its frame is stacked, and nothing of its handler has
    /// run, if there is one. [`Cpu::fault_state`] says why. Running on runs the handler.
    HardFault {
        /// Address of the instruction that faulted.
        pc: u32,
    },
    /// The application wrote AIRCR.SYSRESETREQ. The host decides; [`Cpu::reset`] performs it.
    Reset,
    /// A fault at a priority where none can be handled. Only a reset helps.
    Lockup {
        /// Address of the instruction that could not go on.
        pc: u32,
    },
    /// A [`Bus`] asked for it.
    Yield,
    /// Running code repeats itself exactly, with [`Config::halt_on_spin`]: nothing changes before an exception becomes
    /// pending or the host changes something, and until then a run exits like this again. Cycles may be skipped as for
    /// [`Exit::WaitForInterrupt`].
    Spin,
}

/// The vector table cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVectorTable;

/// One processor with its RAM.
pub struct Cpu {
    pub(crate) core: Core,
    pub(crate) code: Code,
    config: Config,
    pub(crate) watch: Watch,
    pub(crate) trial: Option<Box<Trial>>,
}

impl std::fmt::Debug for Cpu {
    /// Where the processor is; memory and decoded code are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu")
            .field("pc", &format_args!("{:#010x}", self.core.pc))
            .field("sp", &format_args!("{:#010x}", self.core.r[13]))
            .field("lr", &format_args!("{:#010x}", self.core.r[14]))
            .field("xpsr", &format_args!("{:#010x}", self.core.xpsr()))
            .field("cycles", &self.core.cycles)
            .finish_non_exhaustive()
    }
}

/// Why the inner loop stopped.
enum Pause {
    /// The program counter left the window, or somebody wants attention.
    Look,
    /// The entry at the program counter is not decoded.
    Decode { in_it: bool },
    /// An instruction at `at`, with IT state `it`, did not complete.
    Event { event: Event, at: u32, it: u8 },
}

impl Cpu {
    /// A processor in reset, with RAM all zero. `flash` is shared and read-only to the processor.
    pub fn new(config: Config, flash: Arc<[u8]>) -> Self {
        let memory = Memory {
            flash_base: config.flash_base,
            flash,
            ram_base: config.ram_base,
            ram: vec![0; config.ram_size].into_boxed_slice(),
            direct: true,
            fold_literals: true,
            code_start: 0,
            code_len: 0,
            journal: None,
            undo: None,
        };
        let code = Code::new(&config, memory.flash.len());
        let watch = Watch::new(config.halt_on_spin);
        Self { core: Core::new(&config, memory), code, watch, trial: None, config }
    }

    /// Resets the processor: SP and PC come from the vector table at [`Config::vtor`]. RAM, the cycle count and the
    /// level of interrupt lines stay.
    pub fn reset(&mut self) -> Result<(), NoVectorTable> {
        self.core.reset(&self.config);
        self.code.forget_all();
        let vectors = self.core.memory.slice(self.config.vtor, 8).ok_or(NoVectorTable)?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| vectors[at + i]));
        let (sp, pc) = (word(0), word(4));
        self.core.r[13] = sp & !3;
        self.core.r[14] = LR_AT_RESET;
        self.core.pc = pc & !1;
        self.core.thumb = pc & 1 != 0;
        Ok(())
    }

    /// Runs until `budget` cycles (one for each instruction) are used or something happens that the host must see.
    pub fn run(&mut self, bus: &mut dyn Bus, budget: Cycles) -> Exit {
        let limit = self.core.cycles.saturating_add(budget);
        self.core.until = 0;
        loop {
            if self.core.cycles >= self.core.until
                && let Some(exit) = self.attend(limit)
            {
                return exit;
            }
            if let Some(exit) = self.stretch(bus) {
                return exit;
            }
        }
    }

    /// Runs instructions of one page, or finds out why none can run.
    fn stretch(&mut self, bus: &mut dyn Bus) -> Option<Exit> {
        let pc = self.core.pc;
        if self.config.trap.contains(&pc) {
            return Some(Exit::Trap { address: pc });
        }
        let Some(place) = self.code.locate(pc) else {
            self.core.raise(self.fetch_fault(pc));
            return None;
        };
        let window = match self.core.fetch_window(pc, place.span.clone()) {
            Ok(window) => self.before_trap(pc, window),
            Err(event) => {
                self.core.raise(event);
                return None;
            }
        };
        let pause = match self.code.page(&place) {
            Some(page) => run_page(&mut self.core, page, &place, &window, bus),
            None => Pause::Decode { in_it: self.core.in_it_block() },
        };
        self.pause(&pause, &place)
    }

    /// The part of `window` around `pc` that is not in the trap range.
    fn before_trap(&self, pc: u32, window: std::ops::Range<u32>) -> std::ops::Range<u32> {
        let trap = &self.config.trap;
        if trap.is_empty() {
            return window;
        }
        if pc < trap.start {
            window.start..window.end.min(trap.start)
        } else {
            window.start.max(trap.end)..window.end
        }
    }

    fn pause(&mut self, pause: &Pause, place: &Place) -> Option<Exit> {
        match *pause {
            Pause::Look => {}
            Pause::Decode { in_it } => {
                let pc = self.core.pc;
                if !self.code.decode(place, &mut self.core.memory, pc, in_it) {
                    self.core.raise(Event::Fault(Fault::bus(cfsr::IBUSERR, 0)));
                }
            }
            Pause::Event { event, at, it } => return self.event(event, at, it),
        }
        None
    }

    /// Deals with an instruction that did not complete.
    fn event(&mut self, event: Event, at: u32, it: u8) -> Option<Exit> {
        match event {
            Event::Fault(_) | Event::Breakpoint(_) | Event::Halt(_) => {
                self.core.pc = at;
                self.core.it = it;
            }
            Event::Supervisor | Event::ExceptionReturn(_) | Event::Undecoded => {}
        }
        match event {
            Event::Breakpoint(comment) if self.halts_on_bkpt() => {
                return Some(Exit::Breakpoint { address: at, comment });
            }
            Event::Halt(cause) => {
                // The instruction is still to be executed.
                self.core.cycles -= 1;
                return Some(Exit::Halted { cause });
            }
            event => self.core.raise(event),
        }
        None
    }

    fn halts_on_bkpt(&self) -> bool {
        self.config.halt_on_breakpoint || self.core.debug.halts_on_bkpt
    }

    /// Fetching where there is neither flash nor RAM.
    fn fetch_fault(&self, pc: u32) -> Event {
        match self.core.fetch_window(pc, pc..pc) {
            Ok(_) => Event::Fault(Fault::bus(cfsr::IBUSERR, 0)),
            Err(event) => event,
        }
    }

    /// Everything that is looked at between instructions, but not between all of them.
    fn attend(&mut self, limit: Cycles) -> Option<Exit> {
        let core = &mut self.core;
        if let Some(stale) = core.stale.take() {
            self.code.forget(&stale);
        }
        if std::mem::take(&mut core.folded_literals_stale) {
            self.code.forget_all();
        }
        core.advance_systick();
        if let Some(exit) = core.hopeless() {
            return Some(exit);
        }
        if std::mem::take(&mut core.reset_requested) {
            return Some(Exit::Reset);
        }
        core.wake();
        while core.can_go_on() && core.take_pending() {}
        if let Some(exit) = core.hopeless() {
            return Some(exit);
        }
        if std::mem::take(&mut core.yield_requested) {
            return Some(Exit::Yield);
        }
        match core.sleep {
            Sleep::Awake => {}
            Sleep::ForInterrupt => return Some(Exit::WaitForInterrupt),
            Sleep::ForEvent => return Some(Exit::WaitForEvent),
        }
        if core.cycles >= limit {
            return Some(Exit::Budget);
        }
        core.until = limit;
        if !core.on_trial {
            if self.watch.spins(core) {
                return Some(Exit::Spin);
            }
            let ends = [core.systick.next_timeout(), Some(self.watch.next(core.cycles))];
            core.until = ends.into_iter().flatten().fold(limit, Cycles::min);
        }
        if !core.thumb {
            core.raise(Event::usage(cfsr::INVSTATE));
        }
        None
    }
}

/// The hot loop: instructions of one decoded page, until something needs a look.
fn run_page(
    core: &mut Core,
    page: &Page,
    place: &Place,
    window: &std::ops::Range<u32>,
    bus: &mut dyn Bus,
) -> Pause {
    let (base, start) = (place.span.start, window.start);
    let length = window.end.wrapping_sub(start);
    loop {
        let at = core.pc;
        if at.wrapping_sub(start) >= length {
            return Pause::Look;
        }
        let it = core.it;
        let inst = if it == 0 {
            page.at(at.wrapping_sub(base))
        } else {
            match core.conditional(page, at.wrapping_sub(base)) {
                Conditional::Run(inst) => inst,
                Conditional::Skipped => {
                    if core.cycles >= core.until {
                        return Pause::Look;
                    }
                    continue;
                }
                Conditional::Decode(in_it) => return Pause::Decode { in_it },
                Conditional::Invalid => {
                    return Pause::Event { event: Event::usage(cfsr::INVSTATE), at, it };
                }
            }
        };
        core.pc = at.wrapping_add(u32::from(inst.len));
        core.cycles += 1;
        match exec::execute(core, bus, inst) {
            Ok(()) => {}
            Err(Event::Undecoded) => {
                core.pc = at;
                core.cycles -= 1;
                return Pause::Decode { in_it: false };
            }
            Err(event) => return Pause::Event { event, at, it },
        }
        if core.cycles >= core.until {
            return Pause::Look;
        }
    }
}

/// ITAdvance: the condition's low bit and the mask move up by one; an empty mask ends the block.
fn after(it: u8) -> u8 {
    const CONDITION: u8 = 0xE0;
    const SHIFTED: u8 = 0x1F;
    const REST: u8 = 0x07;
    if it & REST == 0 { 0 } else { it & CONDITION | it << 1 & SHIFTED }
}

/// What becomes of an instruction when ITSTATE is not zero.
enum Conditional<'a> {
    Run(&'a Inst),
    Skipped,
    Decode(bool),
    Invalid,
}

impl Core {
    /// Whether the next instruction is in an IT block; otherwise ITSTATE is zero or holds ICI.
    fn in_it_block(&self) -> bool {
        self.it & 0xF != 0
    }

    /// Finds the next instruction of an IT block, or that its condition fails and it is passed over.
    #[inline(never)]
    fn conditional<'a>(&mut self, page: &'a Page, offset: u32) -> Conditional<'a> {
        if !self.in_it_block() {
            return self.continued(page.at(offset));
        }
        let inst = page.conditional_at(offset);
        if inst.op == Op::Undecoded {
            return Conditional::Decode(true);
        }
        let condition = self.it >> 4;
        self.it = after(self.it);
        if self.holds(condition) || inst.op == Op::Bkpt || inst.op == Op::Halt {
            return Conditional::Run(inst);
        }
        self.pc = self.pc.wrapping_add(u32::from(inst.len));
        self.cycles += 1;
        Conditional::Skipped
    }

    /// ICI: a load or store multiple that goes on where it was interrupted; nothing else may stand here.
    fn continued<'a>(&mut self, inst: &'a Inst) -> Conditional<'a> {
        match inst.op {
            Op::Undecoded => Conditional::Decode(false),
            Op::Ldm | Op::Stm | Op::Push | Op::Pop | Op::FpLoadMultiple | Op::FpStoreMultiple => {
                self.ici = self.it >> 4;
                self.it = 0;
                Conditional::Run(inst)
            }
            Op::Halt => Conditional::Run(inst),
            _ => Conditional::Invalid,
        }
    }

    /// Whether no fault has stopped the processor.
    fn can_go_on(&self) -> bool {
        !self.locked_up && !self.hard_fault_entered
    }

    /// The exit for a fault that has stopped the processor.
    fn hopeless(&mut self) -> Option<Exit> {
        if std::mem::take(&mut self.hard_fault_entered) {
            return Some(Exit::HardFault { pc: self.scb.faults().pc });
        }
        self.locked_up.then_some(Exit::Lockup { pc: self.pc })
    }

    /// Ends sleeping if there is a reason to.
    fn wake(&mut self) {
        let newly_pending = std::mem::take(&mut self.nvic.newly_pending);
        if newly_pending && self.scb.pending_is_event() {
            self.event_register = true;
        }
        let wakes = match self.sleep {
            Sleep::Awake => return,
            Sleep::ForInterrupt => self.wakes(),
            Sleep::ForEvent => std::mem::take(&mut self.event_register) || self.wakes(),
        };
        if wakes {
            self.sleep = Sleep::Awake;
        }
    }

    fn reset(&mut self, config: &Config) {
        let memory = std::mem::replace(&mut self.memory, Memory::empty());
        let mut fresh = Self::new(config, memory);
        (fresh.cycles, fresh.skipped, fresh.disturbed) = (self.cycles, self.skipped, true);
        (fresh.memory.direct, fresh.memory.fold_literals) = (true, true);
        (fresh.memory.code_start, fresh.memory.code_len) = (0, 0);
        std::mem::swap(&mut fresh.debug, &mut self.debug);
        std::mem::swap(&mut fresh.nvic, &mut self.nvic);
        fresh.nvic.reset();
        fresh.systick.reset(self.cycles);
        fresh.update_direct();
        *self = fresh;
    }
}

impl Cpu {
    /// Drops everything decoded.
    pub(crate) fn forget_code(&mut self) {
        self.code.forget_all();
    }
}
