//! Detection of busy loops without effect, so that the host can skip the time they take.
//!
//! From time to time the detector *observes* the processor: it compares the state before each instruction with a
//! reference state. When the processor is back at the reference's instruction with every register and every byte of RAM
//! as they were, and had no effect outside in between, its future is known: it repeats the same states until an
//! exception is taken or the host changes something. Stores are allowed as long as an iteration restores what it
//! changed, as functions do that save registers on the stack. A loop that counts something never repeats a state, so it
//! is not found, and just runs.
//!
//! What counts as an effect or an influence from outside ([`Core::external_activity`]): any access to a peripheral or
//! to a system register, because it may have a side effect or depend on time, except reads that the peripheral marks as
//! steady ([`Signals::mark_steady`](crate::Signals::mark_steady)); exception entry and return; and every change by the
//! host.

use crate::Cycles;
use crate::fpu::Fpu;
use crate::memory::Memory;
use crate::nvic::ExceptionSet;
use crate::state::Core;

/// Fewest cycles between two observations, and after external activity: most handlers have returned by then.
const MIN_BACKOFF: Cycles = 128;
/// Most cycles between two observations. The back-off doubles with each observation that finds no loop, so that a busy
/// application is hardly slowed down.
const MAX_BACKOFF: Cycles = 1 << 21;
/// Most instructions of one observation, during which each instruction is checked and memory access is slow.
const MAX_OBSERVATION: u64 = 2048;
/// Most words of RAM that may change during an observation: each write searches the list.
const MAX_JOURNAL_WORDS: usize = 128;

/// The original contents of RAM, where it was written during an observation.
#[derive(Default)]
pub(crate) struct Journal {
    /// Word numbers from the start of RAM, with the original contents.
    words: Vec<(usize, [u8; 4])>,
    /// More was written than `words` may contain.
    incomplete: bool,
}

impl Journal {
    /// Records bytes `start .. end` of RAM before they are written.
    pub(crate) fn record(&mut self, ram: &[u8], start: usize, end: usize) {
        for word in start / 4..end.div_ceil(4) {
            if self.words.iter().any(|(recorded, _)| *recorded == word) {
                continue;
            }
            match word_of(ram, word) {
                Some(original) if self.words.len() < MAX_JOURNAL_WORDS => self.words.push((word, original)),
                _ => self.incomplete = true,
            }
        }
    }

    /// Whether RAM has its original contents.
    fn is_restored(&self, ram: &[u8]) -> bool {
        !self.incomplete && self.words.iter().all(|(word, original)| word_of(ram, *word) == Some(*original))
    }
}

fn word_of(ram: &[u8], word: usize) -> Option<[u8; 4]> {
    ram.get(word * 4..word * 4 + 4)?.try_into().ok()
}

/// Every register that instructions can read or that influences them, except the program counter. What only the private
/// peripheral bus and exceptions change is left out, since both are external activity.
#[derive(PartialEq)]
pub(crate) struct Registers {
    general: [u32; 15],
    xpsr: u32,
    other_sp: u32,
    control: u32,
    limits: [u32; 2],
    masks: (bool, bool, u8),
    monitor: Option<u32>,
    event: bool,
    ici: u8,
    fpu: Fpu,
    pending: ExceptionSet,
}

impl Registers {
    pub(crate) fn of(core: &Core) -> Self {
        Self {
            general: std::array::from_fn(|n| core.r[n]),
            xpsr: core.xpsr(),
            other_sp: core.other_sp,
            control: core.control(),
            limits: [core.msplim, core.psplim],
            masks: (core.primask, core.faultmask, core.basepri),
            monitor: core.monitor,
            event: core.event_register,
            ici: core.ici,
            fpu: core.fpu.clone(),
            pending: core.nvic.pending.clone(),
        }
    }

    /// Restores the registers, in the mode in which they were saved. Pending interrupts are not changed.
    pub(crate) fn restore(self, core: &mut Core) {
        // CONTROL first: it selects which stack pointer is in R13.
        core.set_control(self.control);
        core.r[..self.general.len()].copy_from_slice(&self.general);
        core.other_sp = self.other_sp;
        core.set_apsr(self.xpsr);
        core.set_epsr(self.xpsr);
        [core.msplim, core.psplim] = self.limits;
        (core.primask, core.faultmask, core.basepri) = self.masks;
        core.monitor = self.monitor;
        core.event_register = self.event;
        core.ici = self.ici;
        core.fpu = self.fpu;
        core.update_priority();
    }
}

/// An observation in progress.
struct Observation {
    pc: u32,
    registers: Box<Registers>,
    /// How often `pc` has been reached since `registers` were saved. After `power` times the current state becomes the
    /// reference and `power` doubles (Brent's cycle detection, 1980). That finds loops that reach `pc` several times in
    /// an iteration, and those that are entered from a different state.
    passes: u32,
    power: u32,
    /// The instruction count at which it began.
    started: Cycles,
    /// The instruction count at which `pc` was last reached. At the end of a run the same state is checked twice.
    last_pass: Cycles,
}

enum DetectorState {
    Idle,
    Observing(Observation),
    /// A loop was found. That holds until an exception is taken or the set of pending ones changes.
    Spinning(ExceptionSet),
}

/// Finds busy loops while they run.
pub(crate) struct SpinDetector {
    state: DetectorState,
    backoff: Cycles,
    /// The cycle of the next observation.
    next: Cycles,
}

impl SpinDetector {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            state: DetectorState::Idle,
            backoff: MIN_BACKOFF,
            next: if enabled { MIN_BACKOFF } else { Cycles::MAX },
        }
    }

    /// Checks the processor between two instructions; true if it is in a loop without effect.
    pub(crate) fn check(&mut self, core: &mut Core) -> bool {
        self.note_external_activity(core);
        match &mut self.state {
            DetectorState::Idle if core.cycles >= self.next => {
                self.state = DetectorState::Observing(Observation::begin(core));
            }
            DetectorState::Idle => {}
            DetectorState::Observing(observation) => {
                if observation.has_repeated(core) {
                    stop_journal(core);
                    self.state = DetectorState::Spinning(core.nvic.pending.clone());
                } else if core.instructions() - observation.started >= MAX_OBSERVATION {
                    self.stop_observing(core);
                }
            }
            DetectorState::Spinning(pending) if *pending == core.nvic.pending => {}
            DetectorState::Spinning(_) => self.stop_observing(core),
        }
        matches!(self.state, DetectorState::Spinning(_))
    }

    /// Discards what was observed if there was external activity since.
    pub(crate) fn note_external_activity(&mut self, core: &mut Core) {
        if std::mem::take(&mut core.external_activity) {
            core.interrupted = true;
            self.stop_observing(core);
        }
    }

    /// The cycle at which [`SpinDetector::check`] has to be called again.
    pub(crate) fn next(&self, now: Cycles) -> Cycles {
        match self.state {
            DetectorState::Idle => self.next,
            DetectorState::Observing(_) => now + 1,
            DetectorState::Spinning(_) => now,
        }
    }

    fn stop_observing(&mut self, core: &mut Core) {
        match self.state {
            DetectorState::Idle => return,
            DetectorState::Observing(_) => self.backoff = (self.backoff * 2).min(MAX_BACKOFF),
            DetectorState::Spinning(_) => self.backoff = MIN_BACKOFF,
        }
        stop_journal(core);
        self.state = DetectorState::Idle;
        self.next = core.cycles.saturating_add(self.backoff);
    }
}

impl Observation {
    fn begin(core: &mut Core) -> Self {
        start_journal(core);
        let registers = Box::new(Registers::of(core));
        let now = core.instructions();
        Self { pc: core.pc, registers, passes: 0, power: 1, started: now, last_pass: now }
    }

    /// Whether the processor is in the reference state again.
    fn has_repeated(&mut self, core: &mut Core) -> bool {
        if core.pc != self.pc || core.instructions() == self.last_pass {
            return false;
        }
        self.last_pass = core.instructions();
        let now = Registers::of(core);
        let restored =
            core.memory.journal.as_ref().is_some_and(|journal| journal.is_restored(&core.memory.ram));
        if restored && *self.registers == now {
            return true;
        }
        self.passes += 1;
        if self.passes == self.power {
            (self.passes, self.power) = (0, self.power * 2);
            *self.registers = now;
            start_journal(core);
        }
        false
    }
}

fn start_journal(core: &mut Core) {
    core.memory.journal = Some(Box::default());
    core.update_direct();
}

fn stop_journal(core: &mut Core) {
    core.memory.journal = None;
    core.update_direct();
}

impl Memory {
    /// Records bytes `start .. end` of RAM before they are written, for a journal or an undo log.
    pub(crate) fn journal_write(&mut self, start: usize, end: usize) {
        if let Some(journal) = &mut self.journal {
            journal.record(&self.ram, start, end);
        }
        if let Some(undo) = &mut self.undo {
            undo.record(&self.ram, start, end);
        }
    }
}
