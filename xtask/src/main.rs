//! The project's tasks: `cargo xtask TASK [ARGUMENTS]`.
//!
//! One module for each. A task takes its arguments and returns `Ok`, or a message that says what failed and what to do.

mod bench;
mod book;
mod check;
mod clients;
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

/// The result of a task: nothing, or the message to print.
pub type Outcome = Result<(), String>;

/// A task of `cargo xtask`.
struct Task {
    name: &'static str,
    /// What follows the name on the command line.
    arguments: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
    /// Whether `--help` is passed on: the task has a help page of its own.
    has_help: bool,
}

const TASKS: &[Task] = &[
    task(
        "bench",
        "[ARGUMENTS]",
        "measure the product, each figure beside the same work done directly",
        bench::run,
    )
    .with_help(),
    task("book", "", "build the book of docs/ in target/book/html, and follow its links", book::run),
    task(
        "check",
        "[--quick] [STEP…]",
        "check everything that must hold before a change is merged",
        check::run,
    )
    .with_help(),
    task(
        "clients",
        "[CLIENT…]",
        "run the original's public clients, unmodified, against a cloud; installs them in target/clients",
        clients::run,
    ),
    task("conformance", "[--check]", "write docs/conformance.md", conformance::run),
    task(
        "cost",
        "[--check]",
        "count the kernel's instructions and bytes on its own processor; --check fails over a limit",
        cost::run,
    ),
    task("fuzz", "[TARGET…] [--seconds N]", "fuzz one target or all, for N seconds (60)", fuzz::run),
    task("generate", "[--check]", "write the files generated from docs/spec/abi.toml", generate::run),
    task(
        "kill",
        "[--times N] [--seed S]",
        "kill the cloud N times (300), and compare what it acknowledged with what it stored",
        kill::run,
    ),
    task(
        "sdk",
        "[--check]",
        "build the sample images; --check compares them, and compiles the C header",
        sdk::run,
    ),
    task(
        "sim",
        "[--seeds N] [--seed S]",
        "run the simulation for N seeds; it stops at the first that fails",
        sim::run,
    ),
    task(
        "soak",
        "[--instructions N] [--seeds N] [--seed S]",
        "run a C scheduler under random interrupts, 100 million instructions a seed",
        soak::run,
    ),
    task("suite", "mosquitto|paho --path DIR", "run public MQTT test suites", suite::run).with_help(),
    task(
        "tidy",
        "--update",
        "lower the numbers of xtask/tidy-remaining.toml to what is left",
        check::update_tidy,
    ),
    task(
        "vectors",
        "[--check | --more N]",
        "record instruction tests on QEMU; --check records a sample and compares",
        vectors::run,
    ),
];

const fn task(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
) -> Task {
    Task { name, arguments, help, run, has_help: false }
}

impl Task {
    const fn with_help(self) -> Self {
        Self { has_help: true, ..self }
    }

    fn usage(&self) -> String {
        format!("usage: cargo xtask {} {}\n{}", self.name, self.arguments, self.help)
    }
}

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
        return Err(format!("no task named\n{}", usage()));
    };
    if is_help(name) {
        println!("{}", usage());
        return Ok(());
    }
    let task = TASKS.iter().find(|task| task.name == name);
    let task = task.ok_or_else(|| format!("there is no task {name}\n{}", usage()))?;
    if rest.iter().any(|argument| is_help(argument)) && !task.has_help {
        println!("{}", task.usage());
        return Ok(());
    }
    (task.run)(rest)
}

fn is_help(argument: &str) -> bool {
    ["--help", "-h", "help"].contains(&argument)
}

fn usage() -> String {
    let lines: Vec<String> = TASKS.iter().map(|task| format!("  {:<12} {}", task.name, task.help)).collect();
    format!(
        "usage: cargo xtask TASK [ARGUMENTS]; `cargo xtask TASK --help` shows the arguments of a task\n{}",
        lines.join("\n")
    )
}

/// Reads the only flag of a task that writes files: `--check` compares them instead.
///
/// # Errors
/// There is any other argument.
fn check_flag(arguments: &[String]) -> Result<bool, String> {
    match arguments {
        [] => Ok(false),
        [flag] if flag == "--check" => Ok(true),
        _ => Err(format!("unexpected arguments: {}; only --check is allowed", arguments.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_help_text_and_unknown_ones_are_named() {
        assert!(TASKS.iter().all(|task| usage().contains(task.help)));
        assert!(dispatch(&["absent".to_owned()]).unwrap_err().starts_with("there is no task absent\n"));
        let help = ["sim", "--help"].map(str::to_owned);
        assert_eq!(dispatch(&help), Ok(()), "help runs nothing");
    }

    #[test]
    fn check_is_the_only_flag_of_tasks_that_write_files() {
        assert_eq!(check_flag(&[]), Ok(false));
        assert_eq!(check_flag(&["--check".to_owned()]), Ok(true));
        assert!(check_flag(&["--chekc".to_owned()]).unwrap_err().contains("--chekc"));
    }
}
