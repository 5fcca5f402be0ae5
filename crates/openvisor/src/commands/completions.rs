//! `openvisor completions`: completion scripts for shells.

mod arguments;

use std::io::Write;

use clap::CommandFactory;

use super::Arguments;
use crate::output::exit::Failure;
pub(super) use arguments::CompletionsArguments;

/// Writes the script to standard output.
pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "openvisor", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Failure::failed(format!("cannot write the completions: {error}")))
}
