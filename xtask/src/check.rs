//! `cargo xtask check`: everything that must be true before a change is taken, in rising cost.

mod fresh;
mod licences;
mod lints;
mod tests;
mod tidy;
mod tools;

pub use tools::THUMB;

use crate::Outcome;
use std::time::Instant;

/// One thing that is checked.
struct Step {
    name: &'static str,
    help: &'static str,
    run: fn() -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "tools", help: "what the checks need is there, or is installed", run: tools::run },
    Step { name: "format", help: "cargo fmt", run: lints::format },
    Step { name: "tidy", help: "the project's own rules on its text", run: tidy::run },
    Step { name: "fresh", help: "generated files are what their sources say", run: fresh::run },
    Step { name: "sdk", help: "the C header with every compiler here, the samples' images", run: fresh::sdk },
    Step { name: "licences", help: "every dependency under a licence of deny.toml", run: licences::run },
    Step { name: "clippy", help: "lints, warnings as errors", run: lints::clippy },
    Step { name: "thumb", help: "the kernel builds for thumbv8m.main-none-eabi", run: lints::thumb },
    Step { name: "cost", help: "the kernel's instructions a call, state and code", run: cost },
    Step { name: "tests", help: "every test, each with a time limit", run: tests::run },
    Step { name: "docs", help: "documentation builds, and its examples run", run: lints::docs },
];

/// The figures that are promised.
fn cost() -> Outcome {
    crate::cost::run(&["--check".to_owned()])
}

/// Runs the steps named, or all.
pub fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--help") {
        return Err(usage());
    }
    let unknown = arguments.iter().find(|name| STEPS.iter().all(|step| step.name != name.as_str()));
    if let Some(name) = unknown {
        return Err(format!("no step is called {name}\n{}", usage()));
    }
    let wanted = |step: &&Step| arguments.is_empty() || arguments.iter().any(|name| name == step.name);
    let started = Instant::now();
    let mut failed = Vec::new();
    for step in STEPS.iter().filter(wanted) {
        if !passes(step) {
            failed.push(step.name);
        }
    }
    println!("\nxtask check: {} s", started.elapsed().as_secs());
    if failed.is_empty() { Ok(()) } else { Err(format!("these steps failed: {}", failed.join(", "))) }
}

/// Runs one step and says how it went. The others run even when it fails, so that one run shows all there is to mend.
fn passes(step: &Step) -> bool {
    println!("\n== {}: {}", step.name, step.help);
    let started = Instant::now();
    let outcome = (step.run)();
    let seconds = started.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => println!("== {}: good ({seconds:.1} s)", step.name),
        Err(message) => println!("== {}: FAILED ({seconds:.1} s)\n{message}", step.name),
    }
    outcome.is_ok()
}

fn usage() -> String {
    let lines: Vec<String> = STEPS.iter().map(|step| format!("  {:<10} {}", step.name, step.help)).collect();
    format!("usage: cargo xtask check [STEP…]\nsteps, all of them when none is named:\n{}", lines.join("\n"))
}
