//! The command line.

use std::process::ExitCode;

use clap::Parser;
use openvisor::arguments::Arguments;
use openvisor::exit::{Exit, report};

fn main() -> ExitCode {
    match openvisor::run(Arguments::parse()) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            report(&failure);
            failure.exit().into()
        }
    }
}
