//! `cargo xtask sim`: the deterministic simulation, for as many seeds as wanted.

use crate::Outcome;
use crate::process::run as run_program;
use crate::workspace::cargo;
use std::time::Duration;

const LIMIT: Duration = Duration::from_hours(24);

/// Builds the simulation for speed and hands it the arguments: `--seeds N`, `--seed S`.
pub fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--package", "sim", "--release", "--locked", "--quiet", "--"]).args(arguments);
    run_program(&mut command, LIMIT)
}
