//! The project's own chores: `cargo xtask <chore> [--check]`.
//!
//! One chore, one module. A chore takes its arguments and returns what went wrong in words.

mod bench;
mod check;
mod conformance;
mod cost;
mod fuzz;
mod generate;
mod kill;
mod process;
mod sdk;
mod sim;
mod soak;
mod spec;
mod suite;
mod vectors;
mod workspace;

use std::process::ExitCode;

/// What a chore returns: nothing, or a message for the person who ran it.
pub type Outcome = Result<(), String>;

/// A chore: its name on the command line, one line of help, and the function that does it.
struct Chore {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "bench",
        help: "measure, each figure beside the same work done directly (--quick, --json)",
        run: bench::run,
    },
    Chore { name: "check", help: "everything that must be true before a change is taken", run: check::run },
    Chore {
        name: "conformance",
        help: "write docs/conformance.md (--check: fail if it is stale)",
        run: conformance::run,
    },
    Chore {
        name: "cost",
        help: "what the kernel costs on its processor (--check: fail over a limit)",
        run: cost::run,
    },
    Chore {
        name: "fuzz",
        help: "hostile bytes for as long as wanted ([TARGET] [--seconds N])",
        run: fuzz::run,
    },
    Chore {
        name: "generate",
        help: "write everything made from docs/spec/abi.toml (--check: fail if any of it is stale)",
        run: generate::run,
    },
    Chore {
        name: "kill",
        help: "kill the cloud again and again, count what it had acknowledged (--times N, --seed S)",
        run: kill::run,
    },
    Chore {
        name: "sdk",
        help: "build the samples' images (--check: fail if they are stale, and try the C header)",
        run: sdk::run,
    },
    Chore {
        name: "sim",
        help: "the simulation (--seeds N, --seed S): stops at the first seed that fails",
        run: sim::run,
    },
    Chore {
        name: "soak",
        help: "a C scheduler under random interrupts, 100 million instructions (--instructions N, --seeds N, --seed S)",
        run: soak::run,
    },
    Chore {
        name: "suite",
        help: "public MQTT test suites (mosquitto|paho --path DIR; --help)",
        run: suite::run,
    },
    Chore {
        name: "tidy",
        help: "lower the numbers of xtask/tidy-remaining.toml to what is left (--update)",
        run: check::update_tidy,
    },
    Chore {
        name: "vectors",
        help: "record instruction tests on QEMU (--check: record some anew and compare)",
        run: vectors::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(usage());
    };
    let chore = CHORES.iter().find(|chore| chore.name == name).ok_or_else(usage)?;
    (chore.run)(rest)
}

fn usage() -> String {
    let lines: Vec<String> =
        CHORES.iter().map(|chore| format!("  {:<12} {}", chore.name, chore.help)).collect();
    format!("usage: cargo xtask <chore>\n{}", lines.join("\n"))
}

/// Reads a chore's only flag.
///
/// # Errors
/// Any other argument is refused.
fn check_flag(arguments: &[String]) -> Result<bool, String> {
    match arguments {
        [] => Ok(false),
        [flag] if flag == "--check" => Ok(true),
        _ => Err(format!("unexpected arguments: {}", arguments.join(" "))),
    }
}
