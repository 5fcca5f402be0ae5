//! `sim --seeds N [--seed S]`: runs seeds from S on and stops at the first that fails.

use std::process::ExitCode;

/// Lines of a failed run's trace that are shown.
const SHOWN_LINES: usize = 400;

fn main() -> ExitCode {
    match arguments() {
        Ok((first, count)) => run(first, count),
        Err(message) => {
            eprintln!("sim: {message}\nusage: sim [--seeds N] [--seed S]");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<(u64, u64), String> {
    let (mut first, mut count, mut is_one) = (1, None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|number| number.parse().ok());
        let number: u64 = number.ok_or_else(|| format!("{argument} requires a number"))?;
        match &argument[..] {
            "--seed" => (first, is_one) = (number, true),
            "--seeds" => count = Some(number),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok((first, count.unwrap_or(if is_one { 1 } else { 300 })))
}

fn run(first: u64, count: u64) -> ExitCode {
    let mut total = sim::world::Report::default();
    for seed in first..first + count {
        match sim::run(seed) {
            Ok(report) => total += report,
            Err(failure) => {
                let skipped = failure.trace.len().saturating_sub(SHOWN_LINES);
                println!("… {skipped} lines before these");
                failure.trace.iter().skip(skipped).for_each(|line| println!("{line}"));
                println!("seed {} fails: {}", failure.seed, failure.message);
                println!("reproduce with: cargo xtask sim --seed {}", failure.seed);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{count} seeds from {first} on: {total:?}");
    ExitCode::SUCCESS
}
