//! Ten tasks under a pre-emptive scheduler written in C (`sdk/tests/apps/preemption`), disturbed by interrupts at
//! seeded random instructions: registers, flags, conditional blocks, rounding modes and exclusive accesses must all
//! survive.
//!
//! It has been verified to find two faults, by putting each into the processor: a stacked xPSR without its IT state
//! ends in `Conditional`, an FPSCR that is reset before the interrupted one is saved lazily in `Fpscr` or
//! `FloatResult`.
//!
//! `cargo xtask soak` runs it for 100 million instructions and more.

mod common;

use armv8m::{Config, Cpu, Cycles, EmptyBus, Exit, Register};
use common::{FLASH, step_over, word};
use test_rng::Rng;

const IMAGE: &[u8] = include_bytes!("../../../sdk/tests/apps/preemption/preemption.bin");
/// Environment variables for longer runs: the number of instructions, and the seed.
const INSTRUCTIONS: &str = "PREEMPTION_INSTRUCTIONS";
const SEED: &str = "PREEMPTION_SEED";

/// Interrupt lines that this test pends, and the one that a handler pends as well; see `report.h`.
const FIRST_LINE: u16 = 29;
const LINES: usize = 8;
const LINE_PENDED: usize = 3;
const TASKS: usize = 10;

/// What the program can find corrupted, by its number in `report.h`.
const DAMAGE: [&str; 16] = [
    "nothing",
    "conditional instructions",
    "a register",
    "the flags",
    "a floating-point register",
    "FPSCR",
    "a fresh FPSCR",
    "a floating-point result",
    "registers moved together",
    "the privilege",
    "compiled code",
    "a supervisor call",
    "a critical section",
    "a fresh task",
    "a stack limit",
    "a task's end",
];

/// `struct Report` in the program's memory.
struct Report {
    at: u32,
}

impl Report {
    fn word(&self, cpu: &Cpu, index: usize) -> u32 {
        word(cpu, self.at + 4 * index as u32)
    }
    fn rounds(&self, cpu: &Cpu, task: usize) -> u32 {
        self.word(cpu, 1 + task)
    }
    fn entered(&self, cpu: &Cpu, line: usize) -> u32 {
        self.word(cpu, 1 + TASKS + line)
    }
    fn pended(&self, cpu: &Cpu) -> u32 {
        self.word(cpu, 19)
    }
    fn shared(&self, cpu: &Cpu) -> u32 {
        self.word(cpu, 20)
    }
    fn added(&self, cpu: &Cpu) -> u32 {
        (21..24).map(|index| self.word(cpu, index)).sum()
    }
    /// Ticks, switches, frames with the unit's registers and without, nested handlers.
    fn counts(&self, cpu: &Cpu) -> [u32; 5] {
        [24, 25, 26, 27, 28].map(|index| self.word(cpu, index))
    }
    fn given_and_seen(&self, cpu: &Cpu) -> (u32, u32) {
        (self.word(cpu, 29), self.word(cpu, 30))
    }
}

/// When a frame's floating-point part is saved.
#[derive(Clone, Copy, Debug)]
enum Saving {
    Lazy,
    Eager,
}

/// A processor after the program's first breakpoint.
fn boot(saving: Saving) -> (Cpu, Report) {
    let config = Config { ram_size: 0x80000, halt_on_breakpoint: true, ..Config::default() };
    assert_eq!(config.flash_base, FLASH);
    let mut cpu = Cpu::new(config, IMAGE.into());
    cpu.reset().expect("the image has vectors");
    let exit = cpu.run(&mut EmptyBus, 1_000_000);
    assert!(matches!(exit, Exit::Breakpoint { comment: 1, .. }), "{exit:?}");
    let report = Report { at: cpu.register(Register::R(0)) };
    assert!(cpu.write_memory(report.at, &[u8::from(matches!(saving, Saving::Eager)), 0, 0, 0]));
    step_over(&mut cpu);
    (cpu, report)
}

/// Instructions until the next interrupt: mostly few, so that handlers are interrupted too, sometimes many.
fn gap(rng: &mut Rng) -> Cycles {
    let longest = rng.pick(&[16, 120, 600, 4000]);
    rng.below(longest) + 1
}

/// Runs for `instructions`, pending a line from time to time, and returns how often each handler has to run.
fn run_with_interrupts(cpu: &mut Cpu, instructions: u64, seed: u32) -> [u32; LINES] {
    let mut rng = Rng::new(u64::from(seed));
    let mut expected = [0; LINES];
    let end = cpu.instructions() + instructions;
    while cpu.instructions() < end {
        let exit = cpu.run(&mut EmptyBus, gap(&mut rng));
        assert_eq!(exit, Exit::Budget, "seed {seed}: {}", description(cpu, exit));
        let line = rng.below(LINES as u64) as usize;
        let irq = FIRST_LINE + line as u16;
        expected[line] += u32::from(!cpu.is_pending(irq));
        cpu.pend_interrupt(irq);
    }
    expected
}

fn description(cpu: &Cpu, exit: Exit) -> String {
    let after = cpu.instructions();
    match exit {
        Exit::Breakpoint { comment: 2, .. } => {
            let [what, found] = [0, 1].map(|number| cpu.register(Register::R(number)));
            let what = DAMAGE.get(what as usize).unwrap_or(&"something");
            format!("{what} corrupted, found {found:#010x}, after {after} instructions")
        }
        _ => {
            format!("{exit:?} at {:08x} after {after}, {:x?}", cpu.register(Register::PC), cpu.fault_status())
        }
    }
}

/// Checks that every handler ran as often as it was pended, every task made progress, and all situations occurred that
/// the program is for.
fn check(cpu: &Cpu, report: &Report, expected: [u32; LINES], instructions: u64) {
    for (line, mut count) in expected.into_iter().enumerate() {
        count += if line == LINE_PENDED { report.pended(cpu) } else { 0 };
        assert_eq!(report.entered(cpu, line), count, "line {line}");
    }
    let least = u32::try_from(instructions / 400_000).expect("a count");
    for task in 0..TASKS {
        assert!(report.rounds(cpu, task) > least, "task {task}: {} rounds", report.rounds(cpu, task));
    }
    let counts = report.counts(cpu);
    assert!(counts.iter().all(|count| u64::from(*count) > instructions / 10_000), "{counts:?}");
    let (given, seen) = report.given_and_seen(cpu);
    assert!(given - seen <= 1, "woken {given} times, seen {seen}");
    // A task may have been interrupted between the update of the shared number and that of its own.
    assert!(report.shared(cpu).abs_diff(report.added(cpu)) <= 2);
}

/// Lets pending interrupts finish, without new ones.
fn finish(cpu: &mut Cpu) {
    let exit = cpu.run(&mut EmptyBus, 20_000);
    assert_eq!(exit, Exit::Budget, "{}", description(cpu, exit));
}

fn soak(saving: Saving, instructions: u64, seed: u32) {
    let (mut cpu, report) = boot(saving);
    let started = cpu.instructions();
    let expected = run_with_interrupts(&mut cpu, instructions, seed);
    finish(&mut cpu);
    check(&cpu, &report, expected, instructions);
    let [ticks, switches, extended, standard, nested] = report.counts(&cpu);
    println!(
        "{saving:?}, seed {seed}: {} instructions, {} interrupts pended, {nested} of them within another handler, \
         {ticks} ticks, {switches} switches, {extended} with the unit's registers and {standard} without",
        cpu.instructions() - started,
        expected.iter().sum::<u32>(),
    );
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}"))
}

/// Shows D144.
#[test]
fn ten_tasks_survive_interrupts_at_random_instructions() {
    let instructions = from_environment(INSTRUCTIONS, 5_000_000);
    soak(Saving::Lazy, instructions, from_environment(SEED, 1) as u32);
}

/// Shows D144.
#[test]
fn ten_tasks_survive_interrupts_with_eagerly_saved_floating_point_registers() {
    let instructions = from_environment(INSTRUCTIONS, 5_000_000);
    soak(Saving::Eager, instructions / 3, from_environment(SEED, 1) as u32);
}
