//! `cargo xtask sim`: runs the deterministic simulation for many seeds.

use std::time::Duration;

use crate::Outcome;
use crate::process::run as run_program;
use crate::workspace::cargo;

const LIMIT: Duration = Duration::from_hours(24);

/// Builds the simulation for speed and passes the arguments on: `--seeds N`, `--seed S`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--package", "sim", "--release", "--locked", "--quiet", "--"]).args(arguments);
    run_program(&mut command, LIMIT)
}
