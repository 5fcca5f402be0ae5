//! `cargo xtask suite`: runs public MQTT test suites from a checkout that `--path` names.

use std::path::Path;

use crate::Outcome;
use crate::workspace::cargo;

/// Passes the arguments to the crate `suites`; its `--help` lists them, and where to get the suites.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut command = cargo();
    command.args(["run", "--package", "suites", "--locked", "--quiet", "--"]);
    let mut is_path = false;
    for argument in arguments {
        // Cargo runs in the repository's root, but a relative path is relative to the caller's directory.
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
        Err("the outcome differs from the table of expected differences".to_owned())
    }
}
