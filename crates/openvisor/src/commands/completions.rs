//! `openvisor completions`: what a shell needs to complete the commands.

use std::io::Write;

use clap::CommandFactory;

use crate::arguments::{self, Arguments};
use crate::output::exit::Failure;

/// Writes them.
pub(super) fn completions(arguments: &arguments::Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "openvisor", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::not_happened(format!("the completions could not be written: {error}")))
}
