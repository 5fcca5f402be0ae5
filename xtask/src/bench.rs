//! `cargo xtask bench [--quick] [--json] | --coremark ELF`: the measurements of `crates/bench`, built for speed, and
//! then what the kernel costs on its own processor. With `--json` only the first: one document is what a program reads.

use std::process::Command;

use crate::{Outcome, cost, workspace};

/// Builds `crates/bench` in release and passes the arguments on.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--package", "bench", "--"]).args(arguments);
    let status =
        command.current_dir(workspace::root()).status().map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err(format!("bench: {status}"));
    }
    if arguments.iter().any(|argument| argument == "--json") {
        return Ok(());
    }
    println!("\nThe kernel on its own processor, in instructions");
    cost::run(&[])
}
