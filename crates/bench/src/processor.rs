//! The speed of the emulated processor: the loops of [`crate::cpu_loops`], on it and on this machine.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use armv8m::{Config, Cpu, EmptyBus, Exit, Register};

use crate::scale::Scale;
use crate::table::{Column, Section};
use crate::{Error, cpu_loops};

const SEED: u32 = 1;
const STEP: f32 = 0.001;
/// Vector table of two words, then the loop.
const ENTRY: u32 = 8;
/// Runs of each loop. The fastest counts, because the others were disturbed by other load.
const RUNS: u32 = 5;

/// The result of one loop.
#[derive(Clone, Copy)]
struct Run {
    seconds: f64,
    /// Instructions of the loop, as the processor counts them.
    instructions: u64,
    /// The bits of the result.
    result: u32,
}

/// Runs both loops on both processors, and compares their results.
pub(crate) fn measure(scale: &Scale) -> Result<Section, Error> {
    let iterations = scale.loop_iterations;
    let mut section = Section::new(
        format!("Processor, {iterations} iterations of a loop, fastest of {RUNS} runs"),
        &[
            Column::new("million instructions/s", 1),
            Column::new("ns/iteration", 2),
            Column::new("times native", 1),
        ],
    );
    let integer =
        (emulate(cpu_loops::INTEGER, SEED, iterations, Register::R(5))?, native_integer(iterations));
    let float =
        (emulate(cpu_loops::FLOAT, STEP.to_bits(), iterations, Register::S(3))?, native_float(iterations));
    for (name, (emulated, native)) in [("mixed integer", integer), ("floating point", float)] {
        if emulated.result != native.result {
            return Err(
                format!("{name}: {:08x} emulated, {:08x} native", emulated.result, native.result).into()
            );
        }
        let each = |run: Run| run.seconds * 1e9 / f64::from(iterations);
        let rate = emulated.instructions as f64 / emulated.seconds / 1e6;
        let ratio = emulated.seconds / native.seconds;
        section.row(format!("{name}, virtual device"), &[Some(rate), Some(each(emulated)), Some(ratio)]);
        section.row(format!("{name}, native Rust"), &[None, Some(each(native)), Some(1.0)]);
    }
    Ok(section)
}

fn emulate(program: &[u16], seed: u32, iterations: u32, result: Register) -> Result<Run, Error> {
    fastest(|| emulate_once(program, seed, iterations, result))
}

fn emulate_once(program: &[u16], seed: u32, iterations: u32, result: Register) -> Result<Run, Error> {
    let config = Config { halt_on_breakpoint: true, ..Config::default() };
    let ram = config.ram_base;
    let mut cpu = Cpu::new(config.clone(), flash(&config, program));
    cpu.reset().map_err(|_| "the loop has no vector table")?;
    for (register, value) in [(0, iterations), (1, ram), (2, seed)] {
        cpu.set_register(Register::R(register), value);
    }
    let start = Instant::now();
    let exit = cpu.run(&mut EmptyBus, u64::MAX);
    let seconds = start.elapsed().as_secs_f64();
    match exit {
        Exit::Breakpoint { .. } => {
            Ok(Run { seconds, instructions: cpu.cycles(), result: cpu.register(result) })
        }
        exit => Err(format!("the loop ended with {exit:x?}, {:x?}", cpu.fault_status()).into()),
    }
}

fn flash(config: &Config, program: &[u16]) -> Arc<[u8]> {
    let stack = config.ram_base + 0x1000;
    let mut flash = Vec::new();
    for word in [stack, config.flash_base + ENTRY + 1] {
        flash.extend_from_slice(&word.to_le_bytes());
    }
    flash.extend(program.iter().flat_map(|half| half.to_le_bytes()));
    flash.into()
}

fn native_integer(iterations: u32) -> Run {
    native(|| cpu_loops::integer(black_box(iterations), &mut [0; cpu_loops::TABLE_WORDS], black_box(SEED)))
}

fn native_float(iterations: u32) -> Run {
    native(|| cpu_loops::float(black_box(iterations), black_box(&mut 0.0), black_box(STEP)).to_bits())
}

fn native(mut work: impl FnMut() -> u32) -> Run {
    let once = || {
        let start = Instant::now();
        let result = black_box(work());
        Ok(Run { seconds: start.elapsed().as_secs_f64(), instructions: 0, result })
    };
    fastest(once).expect("nothing fails here")
}

fn fastest(mut once: impl FnMut() -> Result<Run, Error>) -> Result<Run, Error> {
    let mut best = once()?;
    for _ in 1..RUNS {
        let run = once()?;
        if run.seconds < best.seconds {
            best = run;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes_what_this_machine_computes() {
        for iterations in [1, 2, 1000, 4321] {
            let integer =
                emulate_once(cpu_loops::INTEGER, SEED, iterations, Register::R(5)).expect("it ends");
            assert_eq!(integer.result, native_integer(iterations).result);
            let float =
                emulate_once(cpu_loops::FLOAT, STEP.to_bits(), iterations, Register::S(3)).expect("it ends");
            assert_eq!(float.result, native_float(iterations).result);
        }
    }
}
