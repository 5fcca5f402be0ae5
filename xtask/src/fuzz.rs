//! `cargo xtask fuzz [TARGET…] [--seconds N]`: feeds hostile bytes to the fuzz targets for N seconds.
//!
//! With a nightly toolchain libFuzzer does it, guided by what the code does with its bytes; new inputs that reach new
//! code go to `target/fuzz/<TARGET>`, inputs that make a target panic to `target/fuzz/artifacts`. Without a nightly
//! toolchain the driver of the ordinary tests mutates the corpus.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::process::{capture, run as run_program};
use crate::workspace::{cargo, root};

const BUILD_LIMIT: Duration = Duration::from_mins(30);
const LIST_LIMIT: Duration = Duration::from_secs(30);
/// Time beyond the requested seconds, to load the corpus and to stop.
const SLACK: Duration = Duration::from_mins(2);
/// Without `--seconds`, for all targets together.
const SECONDS: u64 = 60;
/// Longest input, bytes.
const LONGEST: &str = "-max_len=4096";
/// Coverage instrumentation for libFuzzer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// The command line, parsed.
struct Plan {
    targets: Vec<String>,
    seconds: u64,
}

/// Fuzzes one target or all.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let plan = read(arguments)?;
    if has_nightly() { guided(&plan) } else { unguided(&plan) }
}

fn read(arguments: &[String]) -> Result<Plan, String> {
    let known = known()?;
    let (mut targets, mut seconds) = (Vec::new(), SECONDS);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            seconds = number.ok_or("--seconds needs a number")?;
        } else if known.contains(argument) {
            targets.push(argument.clone());
        } else {
            return Err(format!("there is no target {argument}; there are: {}", known.join(" ")));
        }
    }
    Ok(Plan { targets: if targets.is_empty() { known } else { targets }, seconds })
}

/// Every target has a folder of its own in the corpus.
fn known() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/corpus");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn has_nightly() -> bool {
    let mut list = Command::new("rustup");
    list.args(["toolchain", "list"]);
    capture(&mut list, LIST_LIMIT)
        .is_ok_and(|ended| ended.output.lines().any(|line| line.starts_with("nightly")))
}

fn unguided(plan: &Plan) -> Outcome {
    println!("no nightly toolchain: mutating the corpus without libFuzzer");
    let mut command = cargo();
    command.args(["run", "--package", "fuzz", "--release", "--locked", "--quiet", "--", "--seconds"]);
    command.arg(plan.seconds.to_string()).args(&plan.targets);
    run_program(&mut command, Duration::from_secs(plan.seconds) + BUILD_LIMIT)
}

fn guided(plan: &Plan) -> Outcome {
    let target = root().join("target/fuzz");
    let mut build = Command::new("rustup");
    build.args(["run", "nightly", "cargo", "build", "--release", "--target", HOST, "--target-dir"]);
    build.arg(&target).current_dir(root().join("fuzz/libfuzzer")).env("RUSTFLAGS", COVERAGE);
    for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC"] {
        build.env_remove(name);
    }
    run_program(&mut build, BUILD_LIMIT)?;
    let program = target.join(HOST).join("release/target");
    let share = (plan.seconds / plan.targets.len() as u64).max(1);
    plan.targets.iter().try_for_each(|name| fuzz_one(&program, &target, name, share))
}

/// The machine this runs on; libFuzzer's flags are for it alone, not for build scripts.
const HOST: &str = env!("HOST_TARGET");

fn fuzz_one(program: &PathBuf, target: &std::path::Path, name: &str, seconds: u64) -> Outcome {
    let (new_inputs, artifacts) = (target.join(name), target.join("artifacts"));
    for folder in [&new_inputs, &artifacts] {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let mut command = Command::new(program);
    command
        .env("FUZZ_TARGET", name)
        .arg(format!("-max_total_time={seconds}"))
        .args([LONGEST, "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/{name}-", artifacts.display()));
    command.arg(&new_inputs).arg(root().join("fuzz/corpus").join(name));
    run_program(&mut command, Duration::from_secs(seconds) + SLACK)
}
