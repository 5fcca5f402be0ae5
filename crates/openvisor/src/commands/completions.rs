//! `openvisor completions`: what a shell needs to complete the commands.

mod arguments;

use std::io::Write;

use clap::CommandFactory;

use super::Arguments;
use crate::output::exit::Failure;
pub(super) use arguments::CompletionsArguments;

/// Writes them.
pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "openvisor", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::not_happened(format!("the completions could not be written: {error}")))
}
