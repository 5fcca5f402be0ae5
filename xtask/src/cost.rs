//! `cargo xtask cost`: counts the kernel's instructions by running it on the crate `armv8m`.

use std::time::Duration;

use crate::Outcome;
use crate::check::THUMB;
use crate::check_flag;
use crate::process::run as run_program;
use crate::workspace::{cargo, root};

const LIMIT: Duration = Duration::from_mins(20);
/// The profile of a firmware build.
const PROFILE: &str = "firmware";

/// Builds the program and the processor that runs it, and prints the figures; with `--check` a figure over its limit is
/// an error.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let is_check = check_flag(arguments)?;
    let build = ["build", "--package", "kernel-cost", "--bin", "kernel-firmware", "--locked", "--quiet"];
    run_program(cargo().args(build).args(["--profile", PROFILE, "--target", THUMB]), LIMIT)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let program = target.join(THUMB).join(PROFILE).join("kernel-firmware");
    let mut command = cargo();
    command.args(["run", "--package", "kernel-cost", "--bin", "kernel-cost", "--locked", "--quiet", "--"]);
    command.arg(program).args(is_check.then_some("--check"));
    run_program(&mut command, LIMIT)
}
