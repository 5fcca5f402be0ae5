//! `cargo xtask suite`: public MQTT test suites, of which whoever runs them has a checkout.

use std::path::Path;

use crate::Outcome;
use crate::workspace::cargo;

/// Hands the arguments to the crate that runs the suites; `--help` tells them, and where the suites are to be had.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--package", "suites", "--locked", "--quiet", "--"]);
    let mut is_path = false;
    for argument in arguments {
        // Cargo runs in the repository's root, whatever directory a relative path was meant from.
        let absolute = if is_path { std::path::absolute(Path::new(argument)).ok() } else { None };
        match absolute {
            Some(path) => command.arg(path),
            None => command.arg(argument),
        };
        is_path = argument == "--path";
    }
    let status = command.status().map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the outcome is not what the table of differences says".to_owned())
    }
}
