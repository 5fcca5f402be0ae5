//! Trial runs: instructions that are executed speculatively and then rolled back.
//!
//! A loop that polls a system call such as the time never repeats a state, because the answer changes. A host that has
//! to know whether such a loop does anything else runs it on trial, gives the same answers each time and asks whether
//! registers and RAM repeat ([`Cpu::trial_repeats`]). Then it rolls the trial back; only the cycles that it took
//! remain.
//!
//! Only registers and RAM can be rolled back. An instruction that would change anything else ends the trial before it
//! does: exceptions, accesses to the private peripheral bus, and accesses that the trial's [`Bus`] refuses.

use std::collections::BTreeSet;

use crate::Cycles;
use crate::bus::Bus;
use crate::cpu::Cpu;
use crate::exit::Exit;
use crate::host::Register;
use crate::memory::Memory;
use crate::spin::Registers;
use crate::state::{Core, Sleep};

/// What happened besides instructions on registers and RAM: see [`Cpu::take_external_activity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExternalActivity {
    /// Thread mode accessed a peripheral or a system register, other than by a read marked as steady.
    pub accessed: bool,
    /// An exception was entered or left, or the host changed something.
    pub interrupted: bool,
}

/// The contents of RAM before each write, in the order of the writes.
#[derive(Default)]
pub(crate) struct UndoLog(Vec<(usize, [u8; 4])>);

impl UndoLog {
    /// Records bytes `start .. end` of RAM before they are written.
    pub(crate) fn record(&mut self, ram: &[u8], start: usize, end: usize) {
        for word in start / 4..end.div_ceil(4) {
            if let Some(original) = ram.get(word * 4..word * 4 + 4).and_then(|bytes| bytes.try_into().ok()) {
                self.0.push((word, original));
            }
        }
    }

    /// Whether RAM is as it was when the log had `mark` entries.
    fn is_restored_since(&self, mark: usize, memory: &Memory) -> bool {
        let mut seen = BTreeSet::new();
        let mut first = self.0[mark..].iter().filter(|(word, _)| seen.insert(*word));
        first.all(|(word, original)| memory.ram.get(word * 4..word * 4 + 4) == Some(original))
    }
}

/// The registers and the program counter.
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
    /// The state that later ones are compared with.
    reference: Option<State>,
    /// The length of the undo log when `reference` was saved.
    mark: usize,
    /// How often `reference.pc` has been reached since, and after how many times the reference is replaced (Brent's
    /// cycle detection, as in [`crate::spin`]).
    passes: u32,
    power: u32,
}

impl Cpu {
    /// Returns what happened besides instructions on registers and RAM since the last call of this.
    pub fn take_external_activity(&mut self) -> ExternalActivity {
        self.spin_detector.note_external_activity(&mut self.core);
        ExternalActivity {
            accessed: std::mem::take(&mut self.core.accessed),
            interrupted: std::mem::take(&mut self.core.interrupted),
        }
    }

    /// Begins a trial run at the current instruction. Returns false and begins none in handler mode, while the
    /// processor sleeps, and when an exception is about to be taken.
    pub fn begin_trial(&mut self) -> bool {
        let core = &mut self.core;
        if core.in_handler_mode() || core.sleep != Sleep::Awake || core.exception_to_take().is_some() {
            return false;
        }
        core.external_activity = true;
        self.spin_detector.note_external_activity(core);
        core.on_trial = true;
        if core.debug.passive {
            self.code.suspend_breakpoints();
        }
        core.memory.undo = Some(Box::default());
        core.update_direct();
        let start = State::of(core);
        self.trial = Some(Box::new(Trial { start, reference: None, mark: 0, passes: 0, power: 1 }));
        true
    }

    /// Runs the trial for at most `budget` cycles, up to the next branch into the trap range, whose address it returns.
    /// `None` if the trial cannot continue.
    pub fn run_trial(&mut self, bus: &mut dyn Bus, budget: Cycles) -> Option<u32> {
        match self.run(bus, budget) {
            Exit::Trap { address } => Some(address),
            _ => None,
        }
    }

    /// As [`Cpu::return_from_trap`], in a trial. False if the trial cannot continue.
    pub fn return_on_trial(&mut self, r0: u32) -> bool {
        let lr = self.register(Register::LR);
        self.core.r[0] = r0;
        self.core.branch_exchange(lr).is_ok()
    }

    /// Whether registers and RAM are as they were at an earlier call of this in the trial: as long as it gets the same
    /// answers, the program repeats the same states.
    pub fn trial_repeats(&mut self) -> bool {
        let (core, Some(trial)) = (&self.core, &mut self.trial) else { return false };
        let Some(undo) = &core.memory.undo else { return false };
        if let Some(reference) = &trial.reference {
            if core.pc != reference.pc {
                return false;
            }
            let same = Registers::of(core) == reference.registers;
            if same && undo.is_restored_since(trial.mark, &core.memory) {
                return true;
            }
            trial.passes += 1;
            if trial.passes < trial.power {
                return false;
            }
            trial.power *= 2;
        }
        (trial.reference, trial.mark, trial.passes) = (Some(State::of(core)), undo.0.len(), 0);
        false
    }

    /// Ends the trial and rolls it back. The cycles that it took have passed.
    pub fn end_trial(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        self.code.resume_breakpoints();
        let core = &mut self.core;
        let log = core.memory.undo.take().unwrap_or_default();
        for (word, original) in log.0.into_iter().rev() {
            if let Some(ram) = core.memory.ram.get_mut(word * 4..word * 4 + 4) {
                ram.copy_from_slice(&original);
            }
            core.invalidate_written_code(core.memory.ram_base.wrapping_add(word as u32 * 4), 4);
        }
        core.pc = trial.start.pc;
        trial.start.registers.restore(core);
        core.sleep = Sleep::Awake;
        (core.on_trial, core.yield_requested) = (false, false);
        core.external_activity = false;
        core.update_direct();
        core.request_service();
    }
}
