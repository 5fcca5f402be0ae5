//! `cargo xtask soak [--instructions N] [--seeds N] [--seed S]`: the scheduler in C under interrupts at random
//! instructions (`crates/armv8m/tests/preemption.rs`), with as many instructions and seeds as requested.

use std::time::Duration;

use crate::Outcome;
use crate::process::run as run_program;
use crate::workspace::cargo;

const LIMIT: Duration = Duration::from_hours(24);
/// Instructions a seed, with frames saved lazily; a third as many more are run with frames saved at once.
const INSTRUCTIONS: u64 = 100_000_000;

struct Plan {
    instructions: u64,
    first: u64,
    seeds: u64,
}

/// Runs every seed, and stops at the first that fails.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let plan = read(arguments)?;
    (plan.first..plan.first.saturating_add(plan.seeds)).try_for_each(|seed| soak(plan.instructions, seed))
}

fn read(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan { instructions: INSTRUCTIONS, first: 1, seeds: 1 };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = match argument.as_str() {
            "--instructions" => &mut plan.instructions,
            "--seeds" => &mut plan.seeds,
            "--seed" => &mut plan.first,
            _ => {
                return Err(format!(
                    "unexpected argument {argument}; there are: --instructions, --seeds, --seed"
                ));
            }
        };
        let number = arguments.next().and_then(|number| number.parse().ok());
        *value = number.ok_or_else(|| format!("{argument} needs a number"))?;
    }
    Ok(plan)
}

fn soak(instructions: u64, seed: u64) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--package", "armv8m", "--release", "--locked", "--quiet", "--test", "preemption"]);
    command.args(["--", "--nocapture"]);
    command.env("PREEMPTION_INSTRUCTIONS", instructions.to_string());
    command.env("PREEMPTION_SEED", seed.to_string());
    run_program(&mut command, LIMIT)
}
