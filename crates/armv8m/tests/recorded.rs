//! Random instructions of every family against the results of QEMU's Cortex-M33.
//!
//! Crate `armv8m-vectors` says how the cases were recorded and what is left out.

use std::fmt::Write as _;
use std::sync::Arc;

use armv8m::{Config, Cpu, EmptyBus, Exit, Register};
use armv8m_vectors::case::{Case, Outcome, Recorded};
use armv8m_vectors::state::{CODE, DATA_WORDS, END_WORDS, EXIT, State, StateWord, memory_address};
use armv8m_vectors::text;

/// The reference machine's RAM at that address.
const RAM_SIZE: usize = 16 << 20;
const FLASH: u32 = 0x0800_0000;
/// The handler of every fault: the BKPT of the program in flash.
const FAULTED: u32 = FLASH + 22;
/// More instructions than any case has.
const BUDGET: u64 = 100;
const BREAKPOINT: u16 = 0xBE00;
/// The environment variable with a folder of further cases, as written by `cargo xtask vectors --more`.
const OTHER_FOLDER: &str = "ARMV8M_VECTORS";
/// The ranges of a state's memory that are contiguous.
const WINDOWS: [std::ops::Range<usize>; 2] = [0..DATA_WORDS, DATA_WORDS..DATA_WORDS + END_WORDS];
/// Differences shown for each file.
const SHOWN: usize = 20;

/// A processor with the floating-point unit enabled.
fn machine() -> Cpu {
    // LDR R0, [PC, #4]; LDR R1, [PC, #8]; STR R1, [R0]; BKPT; CPACR's address; all access to the unit
    let program = [0x4801, 0x4902, 0x6001, BREAKPOINT, 0xED88, 0xE000, 0x0000, 0x00F0];
    let words = [EXIT + 0x1000, FLASH + 17, 0, FAULTED + 1];
    let vectors = words.iter().flat_map(|word| word.to_le_bytes());
    let flash: Vec<u8> = vectors.chain(program.iter().flat_map(|half| half.to_le_bytes())).collect();
    let config = Config {
        ram_base: EXIT,
        ram_size: RAM_SIZE,
        priority_bits: 8,
        halt_on_breakpoint: true,
        ..Config::default()
    };
    let mut cpu = Cpu::new(config, Arc::from(flash));
    assert!(cpu.write_memory(EXIT, &BREAKPOINT.to_le_bytes()));
    boot(&mut cpu);
    cpu
}

/// Resets everything but memory, and enables the floating-point unit.
fn boot(cpu: &mut Cpu) {
    cpu.reset().expect("there are vectors");
    assert!(matches!(cpu.run(&mut EmptyBus, BUDGET), Exit::Breakpoint { .. }));
}

fn load(cpu: &mut Cpu, case: &Case, state: &State) {
    for word in State::words() {
        let value = state.value(word);
        match word {
            StateWord::R(n) => cpu.set_register(Register::R(n), value),
            StateWord::S(n) => cpu.set_register(Register::S(n), value),
            StateWord::Apsr => cpu.set_register(Register::Xpsr, value),
            StateWord::Fpscr => cpu.set_register(Register::Fpscr, value),
            StateWord::Memory(_) => {}
        }
    }
    for window in WINDOWS {
        let words = &state.memory[window.clone()];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert!(cpu.write_memory(memory_address(window.start as u8), &bytes));
    }
    for block in &case.blocks {
        let bytes: Vec<u8> = block.contents().iter().flat_map(|half| half.to_le_bytes()).collect();
        assert!(cpu.write_memory(block.address, &bytes));
    }
    cpu.set_register(Register::PC, case.start());
}

fn prepare(cpu: &mut Cpu) {
    cpu.set_register(Register::Primask, 0);
    cpu.set_register(Register::Faultmask, 0);
    cpu.set_register(Register::Basepri, 0);
    // With CONTROL.FPCA set, the first floating-point instruction leaves FPSCR as it is.
    cpu.set_register(Register::Control, 4);
}

fn result(cpu: &Cpu) -> State {
    let mut state = State { r: [0; 15], apsr: 0, fpscr: 0, s: [0; 32], memory: [0; 68] };
    for word in State::words() {
        let value = match word {
            StateWord::R(n) => cpu.register(Register::R(n)),
            StateWord::S(n) => cpu.register(Register::S(n)),
            StateWord::Apsr => cpu.register(Register::Xpsr) & 0xF80F_0000,
            StateWord::Fpscr => cpu.register(Register::Fpscr),
            StateWord::Memory(_) => continue,
        };
        state.set(word, value);
    }
    for window in WINDOWS {
        let words = &mut state.memory[window.clone()];
        let bytes = cpu.memory(memory_address(window.start as u8), 4 * words.len()).expect("RAM");
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    state
}

/// Runs one case; returns a description of the differences, if there are any.
fn mismatch(cpu: &mut Cpu, recorded: &Recorded) -> Option<String> {
    let before = recorded.case.before();
    prepare(cpu);
    load(cpu, &recorded.case, &before);
    let exit = cpu.run(&mut EmptyBus, BUDGET);
    let pc = cpu.register(Register::PC);
    let ended = match exit {
        Exit::Breakpoint { address: EXIT, .. } => Outcome::Changes(Vec::new()),
        Exit::Breakpoint { address: FAULTED, .. } => Outcome::Fault(cpu.fault_status().cfsr),
        exit => return Some(format!("ended with {exit:?} at {pc:08x}, {:x?}", cpu.fault_status())),
    };
    match (ended, recorded.after()) {
        (Outcome::Changes(_), Some(expected)) => difference(&before, &expected, &result(cpu)),
        (ended, None) if ended == recorded.outcome => None,
        (ended, _) => Some(format!("ended with {ended:x?}, expected {:x?}", recorded.outcome)),
    }
}

/// The differences between the expected state and the one in which the case ended.
fn difference(before: &State, expected: &State, got: &State) -> Option<String> {
    let differences = got.changes(expected);
    if differences.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (word, value) in differences {
        let (was, is) = (before.value(word), got.value(word));
        let _ = write!(text, "{word:?}: was {was:08x}, expected {value:08x}, got {is:08x}; ");
    }
    Some(text)
}

/// Whether code is far from the rest. All RAM between decoded code is checked for writes to code, which is slow.
fn is_far(case: &Case) -> bool {
    case.blocks.iter().any(|block| block.address.wrapping_sub(CODE).wrapping_add(0x1000) > 0x2000)
}

fn check(file: &str) {
    let committed = || concat!(env!("CARGO_MANIFEST_DIR"), "/../armv8m-vectors/recorded").to_owned();
    let folder = std::env::var(OTHER_FOLDER).unwrap_or_else(|_| committed());
    let path = format!("{folder}/{file}.txt");
    let recorded = text::read(&std::fs::read_to_string(&path).expect(&path)).expect(&path);
    assert!(!recorded.is_empty(), "{path} has no cases");
    let (mut near, mut far) = (machine(), machine());
    let mut wrong = Vec::new();
    for one in &recorded {
        let cpu = if is_far(&one.case) { &mut far } else { &mut near };
        let mismatch = mismatch(cpu, one);
        if one.after().is_none() || mismatch.is_some() {
            // A fault or a wrong case must not affect the next one.
            boot(cpu);
        }
        if let Some(mismatch) = mismatch {
            wrong.push(format!("{}: {}\n    {mismatch}", one.case.form, text::line(one)));
        }
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{shown}", wrong.len(), recorded.len());
}

macro_rules! families {
    ($($test:ident $file:literal),* $(,)?) => {
        $(
            /// One recorded file.
            #[test]
            fn $test() {
                check($file);
            }
        )*
    };
}

families! {
    narrow_data_processing_is_as_recorded "narrow",
    wide_data_processing_is_as_recorded "wide",
    multiplies_and_divisions_are_as_recorded "multiply",
    parallel_arithmetic_is_as_recorded "dsp",
    it_blocks_are_as_recorded "it",
    loads_and_stores_are_as_recorded "memory",
    loads_and_stores_of_several_registers_are_as_recorded "multiple",
    exclusive_accesses_are_as_recorded "exclusive",
    branches_are_as_recorded "branch",
    special_registers_are_as_recorded "system",
    floating_point_arithmetic_is_as_recorded "float",
    floating_point_conversions_are_as_recorded "convert",
    floating_point_moves_are_as_recorded "float_move",
    edge_values_are_as_recorded "directed",
    floating_point_edge_values_are_as_recorded "directed_float",
    faults_are_as_recorded "faults",
    random_programs_end_as_recorded "sequences",
}
