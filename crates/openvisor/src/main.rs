//! The command line.

use std::process::ExitCode;

use clap::Parser;
use openvisor::{Arguments, Exit, flush_output, report};

fn main() -> ExitCode {
    let exit = match openvisor::run(Arguments::parse()) {
        Ok(()) => Exit::Success,
        Err(failure) => {
            report(&failure);
            failure.exit()
        }
    };
    flush_output();
    exit.into()
}
