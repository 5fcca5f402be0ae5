//! `cargo xtask kill`: kills the cloud repeatedly, and compares what it had acknowledged with what it stored.

use std::time::Duration;

use crate::Outcome;
use crate::process::run as run_program;
use crate::workspace::cargo;

const LIMIT: Duration = Duration::from_hours(24);
const USAGE: &str = "usage: cargo xtask kill [--times N] [--seed S]";

/// Runs the test of that name: `--times N` kills (300) for each store, at moments from `--seed S` (1).
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut options = [("--times", "OPENVISOR_KILLS", 300_u64), ("--seed", "OPENVISOR_SEED", 1)];
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(USAGE.to_owned()) };
        let entry = options.iter_mut().find(|(option, ..)| option == name).ok_or(USAGE)?;
        entry.2 = value.parse().map_err(|_| USAGE)?;
    }
    let mut command = cargo();
    command.args(["test", "--package", "openvisor", "--test", "kill", "--locked", "--quiet", "--"]);
    command.args(["--nocapture", "--test-threads", "1"]);
    for (_, variable, value) in options {
        command.env(variable, value.to_string());
    }
    run_program(&mut command, LIMIT)
}
