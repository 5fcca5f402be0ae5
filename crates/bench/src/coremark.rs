//! `--coremark ELF`: how fast the virtual device runs CoreMark, which is not part of this repository;
//! `docs/performance.md` says how to build it for the device.
//!
//! The program reports on USART2: a line `start` when its clock starts, `stop ITERATIONS` when it stops, and `end`. The
//! time between is measured on this machine, as elapsed time and as processor time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use device::events::DeviceEvent;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, RestartPolicy, RunResult, Settings};

use crate::Error;

/// Iterations a second of the original's processor: 4.07 for each of its 160 MHz.
const TARGET: f64 = 651.0;
/// The serial port of the reports.
const PORT: u8 = 2;
/// Cycles per slice.
const SLICE: u64 = 100_000;
/// Longest run.
const LIMIT: Duration = Duration::from_mins(5);

/// What a run has reported so far.
#[derive(Default)]
struct Account {
    line: Vec<u8>,
    started: Option<Moment>,
    result: Option<GroupResult>,
    ended: bool,
}

/// When timing started.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    processor: Option<Duration>,
    instructions: u64,
}

/// What was timed.
struct GroupResult {
    iterations: u32,
    clock: Duration,
    /// `None` if the system does not report it.
    processor: Option<Duration>,
    instructions: u64,
}

impl Moment {
    fn now(instructions: u64) -> Self {
        Self { at: Instant::now(), processor: processor_time(), instructions }
    }

    fn until(self, end: Self, iterations: u32) -> GroupResult {
        let processor = end.processor.zip(self.processor).map(|(end, start)| end.saturating_sub(start));
        let instructions = end.instructions - self.instructions;
        GroupResult { iterations, clock: end.at - self.at, processor, instructions }
    }
}

/// Processor time of this thread, as Linux reports it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

impl Account {
    fn take(&mut self, bytes: &[u8], instructions: u64) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
                self.note(&line, instructions);
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn note(&mut self, line: &str, instructions: u64) {
        match (line, line.strip_prefix("stop ").map(str::parse), self.started) {
            ("start", _, _) => self.started = Some(Moment::now(instructions)),
            ("end", _, _) => self.ended = true,
            (_, Some(Ok(iterations)), Some(started)) => {
                self.result = Some(started.until(Moment::now(instructions), iterations));
            }
            _ => println!("  {line}"),
        }
    }
}

/// Runs the image at `path` and prints the result.
pub(crate) fn run(path: &Path) -> Result<(), Error> {
    let mut machine = Machine::new(settings(path)?);
    let mut account = Account::default();
    let begun = Instant::now();
    while !account.ended {
        if begun.elapsed() > LIMIT {
            return Err("it did not say `end` on USART2".into());
        }
        if machine.run(SLICE) == RunResult::Idle {
            machine.pass_time(machine.now() + SLICE);
        }
        for event in machine.take_events() {
            match event {
                DeviceEvent::Serial { port: PORT, bytes } => account.take(&bytes, machine.instructions()),
                DeviceEvent::Faulted { fault, .. } => return Err(format!("it stopped: {fault}").into()),
                _ => {}
            }
        }
    }
    let result = account.result.ok_or("it did not say `start` and `stop ITERATIONS` on USART2")?;
    print(&result);
    Ok(())
}

fn print(result: &GroupResult) {
    let iterations = f64::from(result.iterations);
    let instructions = result.instructions as f64;
    println!(
        "CoreMark: {iterations} iterations, {:.0} instructions each; target {TARGET:.0} a second",
        instructions / iterations
    );
    for (by, took) in [("the clock", Some(result.clock)), ("processor time", result.processor)] {
        let Some(seconds) = took.map(|took| took.as_secs_f64()) else { continue };
        println!(
            "  by {by:<14} {:>5.0} iterations a second, {:>4.0} million instructions ({seconds:.2} s)",
            iterations / seconds,
            instructions / seconds / 1e6
        );
    }
}

fn settings(path: &Path) -> Result<Settings, Error> {
    let image = Image::load(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let device_id = DeviceId::parse(&format!("UV{}", "0".repeat(32))).expect("an id of zeros is one");
    Ok(Settings {
        device_id,
        image,
        // Nothing it measures depends on random numbers.
        entropy: Arc::new(|| 1),
        restart: RestartPolicy::default(),
        trace: false,
        attachments: Vec::new(),
    })
}
