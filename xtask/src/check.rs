//! `cargo xtask check`: what must hold before a change is merged, the cheapest steps first.

mod advisories;
mod deny;
mod fresh;
mod layers;
mod licences;
mod lints;
mod tests;
mod tidy;
mod tools;

use std::time::Instant;

pub(crate) use tools::THUMB;

use crate::Outcome;

/// The option that skips what takes long.
const QUICK: &str = "--quick";

/// A step of the check.
struct Step {
    name: &'static str,
    help: &'static str,
    run: fn() -> Outcome,
    /// What `--quick` runs; `None` skips the step.
    quick: Option<fn() -> Outcome>,
}

const STEPS: &[Step] = &[
    step("tools", "install the programs the checks need, or name them", tools::run).also_quick(),
    step("format", "cargo fmt", lints::format).also_quick(),
    step("tidy", "words, file names, links, cited ids, line lengths, secrets in Debug", tidy::run)
        .also_quick(),
    step("layers", "crates depend only on what ARCHITECTURE.md allows", layers::run).also_quick(),
    step("fresh", "generated files match their sources", fresh::run).also_quick(),
    step("sdk", "the C header compiles, the samples' images match their sources", fresh::sdk),
    step("licences", "dependencies have a licence that deny.toml allows", licences::run).also_quick(),
    step(
        "advisories",
        "no dependency has a known vulnerability, by a database on this machine",
        advisories::run,
    )
    .also_quick(),
    step("deny", "cargo deny, if it is installed", deny::run),
    step("clippy", "cargo clippy, warnings are errors", lints::clippy).also_quick(),
    step("thumb", "the kernel builds for thumbv8m.main-none-eabi", lints::thumb),
    step("rust-sdk", "sdk/rust: format, clippy, the samples build for the device", lints::rust_sdk),
    step("cost", "the kernel is within its limits of instructions, state and code", cost),
    step("tests", "every test, each with a time limit (--quick: those that start no program)", tests::run)
        .quick(tests::run_quick),
    step("clients", "public clients of the original work against a cloud", crate::clients::check),
    step("book", "the book of docs/ builds without warnings, its links lead somewhere", book),
    step("action", "the GitHub action builds openvisor and tests a sample with it", lints::action),
    step("docs", "documentation builds without warnings, its examples run", lints::docs),
];

/// A step that `--quick` skips.
const fn step(name: &'static str, help: &'static str, run: fn() -> Outcome) -> Step {
    Step { name, help, run, quick: None }
}

impl Step {
    /// `--quick` runs the same.
    const fn also_quick(self) -> Self {
        Self { quick: Some(self.run), ..self }
    }

    /// `--quick` runs something shorter.
    const fn quick(self, run: fn() -> Outcome) -> Self {
        Self { quick: Some(run), ..self }
    }

    /// The function to run; `None` skips the step.
    fn action(&self, is_quick: bool) -> Option<fn() -> Outcome> {
        if is_quick { self.quick } else { Some(self.run) }
    }
}

/// `cargo xtask tidy --update`.
pub(crate) fn update_tidy(arguments: &[String]) -> Outcome {
    match arguments {
        [flag] if flag == "--update" => tidy::update(),
        _ => {
            Err("usage: cargo xtask tidy --update (the check itself is `cargo xtask check tidy`)".to_owned())
        }
    }
}

/// The kernel's limits.
fn cost() -> Outcome {
    crate::cost::run(&["--check".to_owned()])
}

/// The book, with mdBook built by cargo the first time.
fn book() -> Outcome {
    crate::book::run(&[])
}

/// Runs the named steps, or all of them.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{}", usage());
        return Ok(());
    }
    let arguments = advisories::take_option(arguments)?;
    let (flags, names): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    if let Some(flag) = flags.iter().find(|flag| flag.as_str() != QUICK) {
        return Err(format!("there is no option {flag}\n{}", usage()));
    }
    if let Some(name) = names.iter().find(|name| STEPS.iter().all(|step| step.name != name.as_str())) {
        return Err(format!("no step is called {name}\n{}", usage()));
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| *name == step.name);
    let actions = STEPS.iter().filter(wanted);
    let actions = actions.filter_map(|step| Some((step, step.action(!flags.is_empty())?)));
    run_all(actions)
}

/// All steps run even when one fails, so that one run shows everything there is to fix.
fn run_all(steps: impl Iterator<Item = (&'static Step, fn() -> Outcome)>) -> Outcome {
    let started = Instant::now();
    let failed: Vec<&str> =
        steps.filter(|(step, action)| !passes(step, *action)).map(|(step, _)| step.name).collect();
    println!("\nxtask check: {} s", started.elapsed().as_secs());
    if failed.is_empty() { Ok(()) } else { Err(format!("these steps failed: {}", failed.join(", "))) }
}

/// Runs one step and prints its result.
fn passes(step: &Step, action: fn() -> Outcome) -> bool {
    println!("\n== {}: {}", step.name, step.help);
    let started = Instant::now();
    let outcome = action();
    let seconds = started.elapsed().as_secs_f32();
    match &outcome {
        Ok(()) => println!("== {}: ok ({seconds:.1} s)", step.name),
        Err(message) => println!("== {}: FAILED ({seconds:.1} s)\n{message}", step.name),
    }
    outcome.is_ok()
}

fn usage() -> String {
    let lines: Vec<String> = STEPS.iter().map(|step| format!("  {:<10} {}", step.name, step.help)).collect();
    format!(
        "usage: cargo xtask check [--quick] [--advisories DIR] [STEP…]\n\n\
         Runs the named steps, or all of them in this order:\n{}\n\n\
         options:\n  \
         --quick           skip sdk, deny, thumb, rust-sdk, cost, clients, book, docs and the tests that start programs\n  \
         --advisories DIR  a checkout of the RustSec advisory database, for the step advisories\n\n\
         For example: cargo xtask check --quick; cargo xtask check tidy layers",
        lines.join("\n")
    )
}
