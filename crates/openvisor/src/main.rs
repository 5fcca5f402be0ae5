//! The command line.

use std::process::ExitCode;

use openvisor::{Arguments, Exit, flush_output, report};

fn main() -> ExitCode {
    if openvisor::complete_for_shell() {
        return ExitCode::SUCCESS;
    }
    let (arguments, json) = Arguments::from_command_line();
    let exit = match openvisor::run(arguments) {
        Ok(()) => Exit::Success,
        Err(failure) => {
            report(&failure, json);
            failure.exit()
        }
    };
    flush_output();
    exit.into()
}
