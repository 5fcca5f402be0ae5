//! The processor as its host sees it, and the run loop.
//!
//! [`Cpu::run`] alternates between two functions. `service_events` does everything that happens between instructions:
//! it takes pending exceptions, wakes the processor and decides whether the run ends. `run_page` executes instructions
//! and nothing else, until the cycle count reaches `Core::until`. Whatever needs service sooner sets `until` to zero,
//! so that the hot loop has one comparison for all of it.

use std::sync::Arc;

use crate::Cycles;
use crate::bus::Bus;
use crate::code::{Code, Location, Page};
use crate::cpu_config::Config;
use crate::exec;
use crate::exit::{Exit, NoVectorTable};
use crate::fault::{Event, Fault, cfsr};
use crate::memory::Memory;
use crate::op::{Inst, Op};
use crate::spin::SpinDetector;
use crate::state::{Core, Sleep};
use crate::trial::Trial;

/// LR after reset (Arm ARM: TakeReset). It is no EXC_RETURN in thread mode, so a reset handler that returns faults.
const LR_AT_RESET: u32 = 0xFFFF_FFFF;

/// One processor with its RAM.
pub struct Cpu {
    pub(crate) core: Core,
    pub(crate) code: Code,
    config: Config,
    pub(crate) spin_detector: SpinDetector,
    pub(crate) trial: Option<Box<Trial>>,
}

impl std::fmt::Debug for Cpu {
    /// The registers that say where the processor is; memory and decoded code are left out.
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

/// Why the hot loop stopped.
enum StopReason {
    /// The program counter left the page or the fetch window, or `Core::until` is reached.
    Service,
    /// The instruction at the program counter is not decoded yet.
    Decode { in_it: bool },
    /// An instruction at `at`, with IT state `it`, did not complete.
    Event { event: Event, at: u32, it: u8 },
}

impl Cpu {
    /// A processor before its reset, with RAM all zero. `flash` may be shared with other processors and is read-only to
    /// the application.
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
        let spin_detector = SpinDetector::new(config.halt_on_spin);
        Self { core: Core::new(&config, memory), code, spin_detector, trial: None, config }
    }

    /// Resets the processor: SP and PC come from the vector table at [`Config::vtor`]. RAM, the cycle count and the
    /// levels of the interrupt lines keep their values.
    ///
    /// # Errors
    /// [`NoVectorTable`] if neither flash nor RAM is at [`Config::vtor`]; the processor has been reset, but must not
    /// run.
    pub fn reset(&mut self) -> Result<(), NoVectorTable> {
        self.core.reset(&self.config);
        self.code.invalidate();
        let vectors = self.core.memory.slice(self.config.vtor, 8).ok_or(NoVectorTable)?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| vectors[at + i]));
        let (sp, pc) = (word(0), word(4));
        // Bits 1 and 0 of SP are RES0.
        self.core.r[13] = sp & !3;
        self.core.r[14] = LR_AT_RESET;
        self.core.pc = pc & !1;
        self.core.thumb = pc & 1 != 0;
        Ok(())
    }

    /// Runs until `budget` cycles (one for each instruction) are used or an [`Exit`] needs the host.
    pub fn run(&mut self, bus: &mut dyn Bus, budget: Cycles) -> Exit {
        let limit = self.core.cycles.saturating_add(budget);
        // The host may have changed anything since the last run.
        self.core.until = 0;
        loop {
            if self.core.cycles >= self.core.until
                && let Some(exit) = self.service_events(limit)
            {
                return exit;
            }
            if let Some(exit) = self.run_block(bus) {
                return exit;
            }
        }
    }

    /// Whether the instruction at `address` of flash was ever executed, whatever was reset since. One that its
    /// condition skipped counts.
    pub fn was_executed(&self, address: u32) -> bool {
        self.code.was_executed(address)
    }

    /// Runs instructions from one page of code, or raises the fault that fetching from it causes.
    fn run_block(&mut self, bus: &mut dyn Bus) -> Option<Exit> {
        let pc = self.core.pc;
        if self.config.trap.contains(&pc) {
            return Some(Exit::Trap { address: pc });
        }
        let Some(location) = self.code.locate(pc) else {
            self.core.raise(self.fetch_fault(pc));
            return None;
        };
        let window = match self.core.fetch_window(pc, location.span.clone()) {
            Ok(window) => self.exclude_trap(pc, window),
            Err(event) => {
                self.core.raise(event);
                return None;
            }
        };
        let reason = match self.code.page(&location) {
            Some(page) => run_page(&mut self.core, page, &location, &window, bus),
            None => StopReason::Decode { in_it: self.core.in_it_block() },
        };
        self.handle_stop(&reason, &location)
    }

    /// The part of `window` around `pc` that is outside the trap range.
    fn exclude_trap(&self, pc: u32, window: std::ops::Range<u32>) -> std::ops::Range<u32> {
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

    fn handle_stop(&mut self, reason: &StopReason, location: &Location) -> Option<Exit> {
        match *reason {
            StopReason::Service => {}
            StopReason::Decode { in_it } => {
                let pc = self.core.pc;
                if !self.code.decode(location, &mut self.core.memory, pc, in_it) {
                    self.core.raise(Event::Fault(Fault::bus(cfsr::IBUSERR, 0)));
                }
            }
            StopReason::Event { event, at, it } => return self.handle_event(event, at, it),
        }
        None
    }

    /// Handles an instruction that did not complete.
    fn handle_event(&mut self, event: Event, at: u32, it: u8) -> Option<Exit> {
        // A fault or a halt leaves PC and ITSTATE at the instruction, which is executed again after it. For SVC the
        // return address is the next instruction, and ITSTATE has advanced (Arm ARM: exception return addresses).
        match event {
            Event::Fault(_) | Event::Breakpoint(_) | Event::Halt(_) => {
                self.core.pc = at;
                self.core.it = it;
            }
            Event::SupervisorCall | Event::ExceptionReturn(_) | Event::Undecoded => {}
        }
        match event {
            Event::Breakpoint(comment) if self.halts_on_bkpt() => {
                return Some(Exit::Breakpoint { address: at, comment });
            }
            Event::Halt(cause) => {
                // The instruction has not been executed, so its cycle does not count.
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

    /// The fault of fetching where there is neither flash nor RAM: the MPU's, if it refuses, else a bus fault.
    fn fetch_fault(&self, pc: u32) -> Event {
        match self.core.fetch_window(pc, pc..pc) {
            Ok(_) => Event::Fault(Fault::bus(cfsr::IBUSERR, 0)),
            Err(event) => event,
        }
    }

    /// What happens between instructions, but not between all of them: exceptions, sleep, the reasons to return to the
    /// host, and the cycle at which this has to be called again (`Core::until`).
    fn service_events(&mut self, limit: Cycles) -> Option<Exit> {
        let core = &mut self.core;
        if let Some(stale) = core.stale_code.take() {
            self.code.invalidate_range(&stale);
        }
        if std::mem::take(&mut core.folded_literals_stale) {
            self.code.invalidate();
        }
        // Before exceptions, because SysTick may be pending by now.
        core.advance_systick();
        if let Some(exit) = core.fault_exit() {
            return Some(exit);
        }
        // Before exceptions, because no handler runs after AIRCR.SYSRESETREQ.
        if std::mem::take(&mut core.reset_requested) {
            return Some(Exit::Reset);
        }
        core.wake();
        // Taking an exception can pend another of higher priority, such as a fault while stacking.
        while core.is_running() && core.take_exception() {}
        if let Some(exit) = core.fault_exit() {
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
            if self.spin_detector.check(core) {
                return Some(Exit::Spin);
            }
            let ends = [core.systick.next_timeout(), Some(self.spin_detector.next(core.cycles))];
            core.until = ends.into_iter().flatten().fold(limit, Cycles::min);
        }
        // A cleared T bit faults at the next instruction, not at the branch that cleared it (Arm ARM: INVSTATE).
        if !core.thumb {
            core.raise(Event::usage(cfsr::INVSTATE));
        }
        None
    }
}

/// The hot loop: executes instructions of one decoded page until a [`StopReason`].
fn run_page(
    core: &mut Core,
    page: &Page,
    location: &Location,
    window: &std::ops::Range<u32>,
    bus: &mut dyn Bus,
) -> StopReason {
    let (base, start) = (location.span.start, window.start);
    let length = window.end.wrapping_sub(start);
    loop {
        let at = core.pc;
        // One comparison for both ends of the window.
        if at.wrapping_sub(start) >= length {
            return StopReason::Service;
        }
        let it = core.it;
        let inst = if it == 0 {
            page.at(at.wrapping_sub(base))
        } else {
            match core.fetch_conditional(page, at.wrapping_sub(base)) {
                Conditional::Run(inst) => inst,
                Conditional::Skipped => {
                    if core.cycles >= core.until {
                        return StopReason::Service;
                    }
                    continue;
                }
                Conditional::Decode(in_it) => return StopReason::Decode { in_it },
                Conditional::Invalid => {
                    return StopReason::Event { event: Event::usage(cfsr::INVSTATE), at, it };
                }
            }
        };
        // Before execution, because instructions and peripherals see the next address and the new count.
        core.pc = at.wrapping_add(u32::from(inst.len));
        core.cycles += 1;
        match exec::execute(core, bus, inst) {
            Ok(()) => {}
            // An undecoded entry is found by executing it, so that decoded ones need no check.
            Err(Event::Undecoded) => {
                core.pc = at;
                core.cycles -= 1;
                return StopReason::Decode { in_it: false };
            }
            Err(event) => return StopReason::Event { event, at, it },
        }
        if core.cycles >= core.until {
            return StopReason::Service;
        }
    }
}

/// ITAdvance: the condition's low bit and the mask move up by one; an empty mask ends the block.
fn advance_itstate(it: u8) -> u8 {
    const CONDITION: u8 = 0xE0;
    const SHIFTED: u8 = 0x1F;
    const REST: u8 = 0x07;
    if it & REST == 0 { 0 } else { it & CONDITION | it << 1 & SHIFTED }
}

/// What happens to an instruction when ITSTATE is not zero.
enum Conditional<'a> {
    /// It is executed.
    Run(&'a Inst),
    /// Its condition failed.
    Skipped,
    /// It is not decoded yet, for use inside an IT block or outside.
    Decode(bool),
    /// It is not allowed with ICI set.
    Invalid,
}

impl Core {
    /// Whether the next instruction is in an IT block. If not, ITSTATE is zero or contains ICI, which shares its bits
    /// (Arm ARM: EPSR).
    fn in_it_block(&self) -> bool {
        self.it & 0xF != 0
    }

    /// Fetches the next instruction of an IT block and evaluates its condition.
    #[inline(never)]
    fn fetch_conditional<'a>(&mut self, page: &'a Page, offset: u32) -> Conditional<'a> {
        if !self.in_it_block() {
            return self.fetch_continued(page.at(offset));
        }
        let inst = page.conditional_at(offset);
        if inst.op == Op::Undecoded {
            return Conditional::Decode(true);
        }
        let condition = self.it >> 4;
        self.it = advance_itstate(self.it);
        // BKPT is unconditional, also in an IT block; so is a debugger's breakpoint.
        if self.condition_holds(condition) || inst.op == Op::Bkpt || inst.op == Op::Halt {
            return Conditional::Run(inst);
        }
        self.pc = self.pc.wrapping_add(u32::from(inst.len));
        self.cycles += 1;
        Conditional::Skipped
    }

    /// ICI: a load or store multiple that continues where it was interrupted. With ICI set, any other instruction is an
    /// INVSTATE UsageFault.
    fn fetch_continued<'a>(&mut self, inst: &'a Inst) -> Conditional<'a> {
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

    /// Whether no fault has stopped the processor: neither lockup nor a HardFault the host must see.
    fn is_running(&self) -> bool {
        !self.locked_up && !self.hard_fault_entered
    }

    /// The exit for a fault that has stopped the processor.
    fn fault_exit(&mut self) -> Option<Exit> {
        if std::mem::take(&mut self.hard_fault_entered) {
            return Some(Exit::HardFault { pc: self.scb.faults().pc });
        }
        self.locked_up.then_some(Exit::Lockup { pc: self.pc })
    }

    /// Ends WFI or WFE if there is a wake-up event.
    fn wake(&mut self) {
        // SCR.SEVONPEND: an interrupt that becomes pending is an event, even if it cannot be taken.
        let newly_pending = std::mem::take(&mut self.nvic.newly_pending);
        if newly_pending && self.scb.pending_is_event() {
            self.event_register = true;
        }
        let wakes = match self.sleep {
            Sleep::Awake => return,
            Sleep::ForInterrupt => self.has_wakeup_event(),
            Sleep::ForEvent => std::mem::take(&mut self.event_register) || self.has_wakeup_event(),
        };
        if wakes {
            self.sleep = Sleep::Awake;
        }
    }

    fn reset(&mut self, config: &Config) {
        let memory = std::mem::replace(&mut self.memory, Memory::empty());
        let mut fresh = Self::new(config, memory);
        (fresh.cycles, fresh.skipped, fresh.external_activity) = (self.cycles, self.skipped, true);
        (fresh.memory.direct, fresh.memory.fold_literals) = (true, true);
        (fresh.memory.code_start, fresh.memory.code_len) = (0, 0);
        // A debugger's breakpoints survive a reset of what it debugs.
        std::mem::swap(&mut fresh.debug, &mut self.debug);
        // Peripherals hold the levels of their lines through a reset of the processor; all else in it is reset.
        std::mem::swap(&mut fresh.nvic, &mut self.nvic);
        fresh.nvic.reset();
        fresh.systick.reset(self.cycles);
        fresh.update_direct();
        *self = fresh;
    }
}

impl Cpu {
    /// Discards all decoded instructions.
    pub(crate) fn invalidate_code(&mut self) {
        self.code.invalidate();
    }
}
