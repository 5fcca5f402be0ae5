//! Trial runs: instructions that are executed and then taken back.
//!
//! A loop that polls a system call never comes back to the same state, because the answer changes. A host that wants to know whether
//! such a loop does anything but poll lets it run on trial, gives the same answers again and asks whether registers and RAM come back to
//! what they were ([`Cpu::trial_repeats`]). The trial is then taken back: nothing of it remains but the cycles it took.
//!
//! Only registers and RAM can be taken back. Whatever else an instruction would change ends the trial before it is changed: exceptions,
//! the private peripherals, and what the trial's [`Bus`] refuses.

use std::collections::BTreeSet;

use crate::Cycles;
use crate::bus::Bus;
use crate::cpu::{Cpu, Exit};
use crate::host::Register;
use crate::memory::Memory;
use crate::spin::Registers;
use crate::state::{Core, Sleep};

/// What happened besides instructions on registers and RAM, see [`Cpu::take_external_activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExternalActivity {
    /// Thread mode accessed a peripheral or a system register other than by a read without effect.
    pub accessed: bool,
    /// An exception was taken or left, or the host changed something.
    pub interrupted: bool,
}

/// What RAM held before each write, in the order of the writes.
#[derive(Default)]
pub(crate) struct UndoLog(Vec<(usize, [u8; 4])>);

impl UndoLog {
    /// Bytes `start .. end` of RAM are about to be written.
    pub(crate) fn note(&mut self, ram: &[u8], start: usize, end: usize) {
        for word in start / 4..end.div_ceil(4) {
            if let Some(held) = ram.get(word * 4..word * 4 + 4).and_then(|bytes| bytes.try_into().ok()) {
                self.0.push((word, held));
            }
        }
    }

    /// Whether RAM is as it was when the log had `mark` entries.
    fn is_undone_since(&self, mark: usize, memory: &Memory) -> bool {
        let mut seen = BTreeSet::new();
        let mut first = self.0[mark..].iter().filter(|(word, _)| seen.insert(*word));
        first.all(|(word, held)| memory.ram.get(word * 4..word * 4 + 4) == Some(held))
    }
}

/// Registers at one instruction.
struct State {
    pc: u32,
    registers: Registers,
}

impl State {
    fn of(core: &Core) -> Self {
        Self { pc: core.pc, registers: Registers::of(core) }
    }
}

/// A trial run in progress.
pub(crate) struct Trial {
    start: State,
    /// Where the processor was when the state that others are compared with was taken.
    reference: Option<State>,
    /// Entries of the undo log when `reference` was taken.
    mark: usize,
    /// How often the processor has come by `reference.pc` since, and after how many times the reference is taken anew (Brent 1980).
    passes: u32,
    patience: u32,
}

impl Cpu {
    /// Answers what happened besides instructions on registers and RAM since this was last asked.
    pub fn take_external_activity(&mut self) -> ExternalActivity {
        self.watch.settle(&mut self.core);
        ExternalActivity {
            accessed: std::mem::take(&mut self.core.accessed),
            interrupted: std::mem::take(&mut self.core.interrupted),
        }
    }

    /// Begins a trial run at the current instruction. Answers false, and begins none, in handler mode, while the processor sleeps, and
    /// when an interrupt is about to be taken.
    pub fn begin_trial(&mut self) -> bool {
        let core = &mut self.core;
        if core.in_handler_mode() || core.sleep != Sleep::Awake || core.next_to_take().is_some() {
            return false;
        }
        core.disturbed = true;
        self.watch.settle(core);
        core.on_trial = true;
        core.memory.undo = Some(Box::default());
        core.update_direct();
        let start = State::of(core);
        self.trial = Some(Box::new(Trial { start, reference: None, mark: 0, passes: 0, patience: 1 }));
        true
    }

    /// Runs the trial for at most `budget` cycles, up to the next branch into the trap range, whose address it answers. `None`: the
    /// trial cannot go on.
    pub fn run_trial(&mut self, bus: &mut dyn Bus, budget: Cycles) -> Option<u32> {
        match self.run(bus, budget) {
            Exit::Trap { address } => Some(address),
            _ => None,
        }
    }

    /// As [`Cpu::return_from_trap`], on trial. False if the trial cannot go on.
    pub fn return_on_trial(&mut self, r0: u32) -> bool {
        let lr = self.register(Register::LR);
        self.core.r[0] = r0;
        self.core.branch_exchange(lr).is_ok()
    }

    /// Whether registers and RAM are as they were at an earlier call of this in the trial: given the same answers, the program does the
    /// same for ever.
    pub fn trial_repeats(&mut self) -> bool {
        let (core, Some(trial)) = (&self.core, &mut self.trial) else { return false };
        let Some(undo) = &core.memory.undo else { return false };
        if let Some(reference) = &trial.reference {
            if core.pc != reference.pc {
                return false;
            }
            let same = Registers::of(core) == reference.registers;
            if same && undo.is_undone_since(trial.mark, &core.memory) {
                return true;
            }
            trial.passes += 1;
            if trial.passes < trial.patience {
                return false;
            }
            trial.patience *= 2;
        }
        (trial.reference, trial.mark, trial.passes) = (Some(State::of(core)), undo.0.len(), 0);
        false
    }

    /// Takes the trial back. Time has passed by as much as it took.
    pub fn end_trial(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        let core = &mut self.core;
        let log = core.memory.undo.take().unwrap_or_default();
        for (word, held) in log.0.into_iter().rev() {
            if let Some(place) = core.memory.ram.get_mut(word * 4..word * 4 + 4) {
                place.copy_from_slice(&held);
            }
            core.note_code_write(core.memory.ram_base.wrapping_add(word as u32 * 4), 4);
        }
        core.pc = trial.start.pc;
        trial.start.registers.restore(core);
        core.sleep = Sleep::Awake;
        (core.on_trial, core.yield_requested) = (false, false);
        core.disturbed = false;
        core.update_direct();
        core.attention();
    }
}
