//! `cargo xtask bench [--quick] [--json] | --coremark ELF`: the measurements of `crates/bench`, built for speed.

use crate::{Outcome, workspace};
use std::process::Command;

/// Builds the measuring program in release and hands it the arguments.
pub fn run(arguments: &[String]) -> Outcome {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "bench", "--"]).args(arguments);
    let status =
        command.current_dir(workspace::root()).status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("bench: {status}")) }
}
