//! The command line.

use std::process::ExitCode;

use clap::Parser;
use openvisor::arguments::Arguments;
use openvisor::output;
use openvisor::output::exit::{Exit, report};

fn main() -> ExitCode {
    let exit = match openvisor::run(Arguments::parse()) {
        Ok(()) => Exit::Done,
        Err(failure) => {
            report(&failure);
            failure.exit()
        }
    };
    output::finish();
    exit.into()
}
