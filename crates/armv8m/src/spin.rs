//! Loops in which nothing happens, found while they run.
//!
//! Now and then the processor watches its own next instructions one by one. When it comes back to the instruction where it
//! began with every register and every byte of RAM as they were then, and has touched nothing outside itself in
//! between, its future is known: it does the same again and again, until an exception is taken or the host changes
//! something. Stores are no obstacle as long as a round leaves behind what it found: functions save registers on the
//! stack. A loop that counts something never comes back to the same state, so it simply runs.
//!
//! What counts as touching the outside ([`Core::disturbed`]): any access to a peripheral or to a system register, because
//! it may have an effect or depend on time, but for reads of which the peripheral says that they do not
//! ([`Signals::mark_steady`](crate::Signals::mark_steady)); taking and leaving an exception; and whatever the host does.

use crate::Cycles;
use crate::fpu::Fpu;
use crate::memory::Memory;
use crate::nvic::Set;
use crate::state::Core;

/// Cycles after an exception before the first look: most handlers are back by then.
const FIRST_PAUSE: Cycles = 128;
/// Longest time between two looks, in cycles. The pause doubles with each look in vain, so looking costs a busy
/// application next to nothing.
const LONGEST_PAUSE: Cycles = 1 << 21;
/// Most instructions one look takes.
const LONGEST_LOOK: u64 = 2048;
/// Most words of RAM that are followed through a look.
const LONGEST_JOURNAL: usize = 128;

/// What RAM held before a look, where it was written since.
#[derive(Default)]
pub(crate) struct Journal {
    /// Word numbers from the start of RAM, with what was there first.
    words: Vec<(usize, [u8; 4])>,
    /// Something was written that is not in `words`.
    incomplete: bool,
}

impl Journal {
    /// Bytes `start .. end` of RAM are about to be written.
    pub(crate) fn note(&mut self, ram: &[u8], start: usize, end: usize) {
        for word in start / 4..end.div_ceil(4) {
            if self.words.iter().any(|(noted, _)| *noted == word) {
                continue;
            }
            match word_of(ram, word) {
                Some(held) if self.words.len() < LONGEST_JOURNAL => self.words.push((word, held)),
                _ => self.incomplete = true,
            }
        }
    }

    /// Whether RAM is as it was.
    fn is_undone(&self, ram: &[u8]) -> bool {
        !self.incomplete && self.words.iter().all(|(word, held)| word_of(ram, *word) == Some(*held))
    }
}

fn word_of(ram: &[u8], word: usize) -> Option<[u8; 4]> {
    ram.get(word * 4..word * 4 + 4)?.try_into().ok()
}

/// Every register that instructions can see or that decides what they do, but for the program counter. What only the
/// private bus and exceptions change is left out: both are a disturbance.
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
    pending: Set,
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

    /// Puts the registers back, in the mode they were taken in. Pending interrupts stay.
    pub(crate) fn restore(self, core: &mut Core) {
        // Control first: it decides which stack pointer is in R13.
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

/// A look in progress.
struct Look {
    pc: u32,
    registers: Box<Registers>,
    /// How often the processor has come by `pc` since `registers` were taken, and at how often they are taken anew: a
    /// longer way round, or one that begins with something that happens once, is found as well (Brent 1980).
    passes: u32,
    patience: u32,
    /// When it began, in instructions.
    began: Cycles,
    /// When the processor last came by `pc`. Where a run is cut it is looked at twice between the same two instructions.
    seen: Cycles,
}

enum Phase {
    Resting,
    Looking(Look),
    /// Until an exception is taken, or another becomes pending than these.
    Spinning(Set),
}

/// Watches for spinning.
pub(crate) struct Watch {
    phase: Phase,
    pause: Cycles,
    /// Cycle of the next look.
    next: Cycles,
}

impl Watch {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            phase: Phase::Resting,
            pause: FIRST_PAUSE,
            next: if enabled { FIRST_PAUSE } else { Cycles::MAX },
        }
    }

    /// Looks at the processor between two instructions; true if nothing can change any more.
    pub(crate) fn spins(&mut self, core: &mut Core) -> bool {
        self.settle(core);
        match &mut self.phase {
            Phase::Resting if core.cycles >= self.next => self.phase = Phase::Looking(Look::begin(core)),
            Phase::Resting => {}
            Phase::Looking(look) => {
                if look.has_come_round(core) {
                    stop_journal(core);
                    self.phase = Phase::Spinning(core.nvic.pending.clone());
                } else if core.instructions() - look.began >= LONGEST_LOOK {
                    self.give_up(core);
                }
            }
            Phase::Spinning(pending) if *pending == core.nvic.pending => {}
            Phase::Spinning(_) => self.give_up(core),
        }
        matches!(self.phase, Phase::Spinning(_))
    }

    /// Takes note of what happened besides instructions on registers and RAM: nothing seen before counts any more.
    pub(crate) fn settle(&mut self, core: &mut Core) {
        if std::mem::take(&mut core.disturbed) {
            core.interrupted = true;
            self.give_up(core);
        }
    }

    /// The cycle at which [`Watch::spins`] is to be asked again.
    pub(crate) fn next(&self, now: Cycles) -> Cycles {
        match self.phase {
            Phase::Resting => self.next,
            Phase::Looking(_) => now + 1,
            Phase::Spinning(_) => now,
        }
    }

    fn give_up(&mut self, core: &mut Core) {
        match self.phase {
            Phase::Resting => return,
            Phase::Looking(_) => self.pause = (self.pause * 2).min(LONGEST_PAUSE),
            Phase::Spinning(_) => self.pause = FIRST_PAUSE,
        }
        stop_journal(core);
        self.phase = Phase::Resting;
        self.next = core.cycles.saturating_add(self.pause);
    }
}

impl Look {
    fn begin(core: &mut Core) -> Self {
        start_journal(core);
        let registers = Box::new(Registers::of(core));
        let now = core.instructions();
        Self { pc: core.pc, registers, passes: 0, patience: 1, began: now, seen: now }
    }

    /// Whether the processor is at the same instruction again and everything else is the same too.
    fn has_come_round(&mut self, core: &mut Core) -> bool {
        if core.pc != self.pc || core.instructions() == self.seen {
            return false;
        }
        self.seen = core.instructions();
        let now = Registers::of(core);
        let undone = core.memory.journal.as_ref().is_some_and(|journal| journal.is_undone(&core.memory.ram));
        if undone && *self.registers == now {
            return true;
        }
        self.passes += 1;
        if self.passes == self.patience {
            (self.passes, self.patience) = (0, self.patience * 2);
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
    /// Bytes `start .. end` of RAM are about to be written.
    pub(crate) fn note_write(&mut self, start: usize, end: usize) {
        if let Some(journal) = &mut self.journal {
            journal.note(&self.ram, start, end);
        }
        if let Some(undo) = &mut self.undo {
            undo.note(&self.ram, start, end);
        }
    }
}
