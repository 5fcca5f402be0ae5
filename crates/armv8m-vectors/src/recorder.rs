//! Runs cases on QEMU's `mps2-an505`, whose processor is a Cortex-M33 with DSP extension and floating-point unit.
//!
//! Needs `qemu-system-arm` and `arm-none-eabi-gcc`. The harness (`harness/harness.S`) defines the layout of records.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::case::{Case, Outcome, Recorded};
use crate::state::{DATA_WORDS, END_WORDS, State, memory_address};

/// The emulator.
pub const QEMU: &str = "qemu-system-arm";
/// The compiler that assembles the harness.
pub const ASSEMBLER: &str = "arm-none-eabi-gcc";

const MACHINE: &[&str] = &[
    "-machine",
    "mps2-an505",
    "-display",
    "none",
    "-serial",
    "none",
    "-monitor",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
];
/// Where cases are loaded; they must end before the address of the outcomes.
const CASES_AT: &str = "0x80800000";
/// Bytes for the cases of one run.
const CASES_ROOM: usize = 4 << 20;
/// Words of an outcome.
const OUTCOME_WORDS: usize = 1 + 15 + 2 + 32 + DATA_WORDS + END_WORDS;
/// Most cases of one run, so that their outcomes fit.
const BATCH: usize = (4 << 20) / (4 * OUTCOME_WORDS) - 64;
/// Time limit of one run, which takes about a second.
const LIMIT: Duration = Duration::from_mins(1);
const NO_MORE: u32 = 0xFFFF_FFFF;
/// Set in an outcome's status if the case faulted; the rest is CFSR.
const FAULTED: u32 = 1 << 31;

/// A working folder with the assembled harness.
pub struct Recorder {
    folder: PathBuf,
}

impl Recorder {
    /// Assembles the harness in `folder`.
    ///
    /// # Errors
    /// The assembler is missing or fails.
    pub fn new(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/harness.S");
        let mut command = Command::new(ASSEMBLER);
        command.args(["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16", "-nostdlib", "-Wl,-N"]);
        command.args(["-Wl,-Ttext=0x10000000", "-Wl,--entry=0x10000040", "-o"]);
        command.arg(folder.join("harness.elf")).arg(source);
        finish(&mut command)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Runs cases, in batches that fit into memory.
    ///
    /// # Errors
    /// QEMU failed.
    pub fn record(&self, cases: Vec<Case>) -> Result<Vec<Recorded>, String> {
        let mut recorded = Vec::with_capacity(cases.len());
        let mut batch = Vec::new();
        let mut words = Vec::new();
        for case in cases {
            let input = input(&case);
            if batch.len() == BATCH || 4 * (words.len() + input.len() + 1) > CASES_ROOM {
                recorded.extend(self.run(std::mem::take(&mut batch), std::mem::take(&mut words))?);
            }
            words.extend(input);
            batch.push(case);
        }
        recorded.extend(self.run(batch, words)?);
        Ok(recorded)
    }

    fn run(&self, batch: Vec<Case>, mut words: Vec<u32>) -> Result<Vec<Recorded>, String> {
        words.push(NO_MORE);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let outcomes = self.folder.join("outcomes.bin");
        let _ = std::fs::remove_file(&outcomes);
        write(&self.folder.join("cases.bin"), &bytes)?;
        let loader = format!("loader,file=cases.bin,addr={CASES_AT},force-raw=on");
        let mut command = Command::new(QEMU);
        command.args(MACHINE).args(["-kernel", "harness.elf", "-device", &loader]).current_dir(&self.folder);
        finish(&mut command)?;
        let bytes = std::fs::read(&outcomes).map_err(|error| format!("{}: {error}", outcomes.display()))?;
        outcomes_of(batch, &bytes)
    }
}

/// Pairs cases with their outcomes.
fn outcomes_of(batch: Vec<Case>, bytes: &[u8]) -> Result<Vec<Recorded>, String> {
    let size = 4 * OUTCOME_WORDS;
    if bytes.len() != size * batch.len() {
        return Err(format!("{} bytes of outcomes for {} cases", bytes.len(), batch.len()));
    }
    let both = batch.into_iter().zip(bytes.chunks_exact(size));
    Ok(both.map(|(case, bytes)| outcome(case, bytes)).collect())
}

fn outcome(case: Case, bytes: &[u8]) -> Recorded {
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if words[0] != 0 {
        return Recorded { case, outcome: Outcome::Fault(words[0] & !FAULTED) };
    }
    let before = case.before();
    let mut after = before.clone();
    let words_after = State::words().zip(&words[1..]);
    words_after.for_each(|(part, &word)| after.set(part, word));
    after.apsr &= 0xF80F_0000;
    let outcome = Outcome::Changes(before.changes(&after));
    Recorded { case, outcome }
}

/// A case in the harness's format.
fn input(case: &Case) -> Vec<u32> {
    let state = case.before();
    let mut words = vec![case.blocks.len() as u32 + 2];
    let memory: Vec<u16> = state.memory.iter().flat_map(|&word| [word as u16, (word >> 16) as u16]).collect();
    let (data, end) = memory.split_at(2 * DATA_WORDS);
    block(&mut words, memory_address(0), data);
    block(&mut words, memory_address(DATA_WORDS as u8), end);
    case.blocks.iter().for_each(|one| block(&mut words, one.address, &one.contents()));
    words.extend([case.start(), state.fpscr]);
    words.extend(state.s);
    words.push(state.apsr);
    words.extend(state.r);
    words
}

fn block(words: &mut Vec<u32>, address: u32, halfwords: &[u16]) {
    words.extend([address, halfwords.len() as u32]);
    for pair in halfwords.chunks(2) {
        let high = pair.get(1).copied().unwrap_or(0);
        words.push(u32::from(pair[0]) | u32::from(high) << 16);
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs a program to its end, but not longer than [`LIMIT`]: a wrong case may loop forever.
fn finish(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{name}: {error}"))?;
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{name}: {status}")),
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(format!("{name}: {error}")),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("{name}: not finished after {} s", LIMIT.as_secs()))
}
