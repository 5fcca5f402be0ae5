//! Every test of the workspace, each in a process of its own with a time limit of its own: a test that hangs is
//! named and ended, and the others continue.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;
use test_postgres::{Durability, Server, VARIABLE};

use super::tidy::CORE;
use crate::Outcome;
use crate::process::capture;
use crate::workspace::cargo;

const BUILD_LIMIT: Duration = Duration::from_mins(20);
const LIST_LIMIT: Duration = Duration::from_secs(30);
/// For a unit test, with a reserve for a loaded machine.
const TEST_LIMIT: Duration = Duration::from_mins(2);
/// A test that starts whole programs: broker, cloud, device.
const END_TO_END_LIMIT: Duration = Duration::from_mins(4);
/// The crate whose tests start whole programs.
const END_TO_END: &str = "openvisor";
/// Tests that take longer are named, to show what makes the run slow.
const SLOW: Duration = Duration::from_secs(20);

/// One line of cargo's JSON output.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// One test function.
struct Test {
    name: String,
    binary: PathBuf,
    package: PathBuf,
}

impl Test {
    fn crate_name(&self) -> String {
        self.package.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn limit(&self) -> Duration {
        if self.crate_name() == END_TO_END { END_TO_END_LIMIT } else { TEST_LIMIT }
    }
}

/// The results.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
}

/// Builds and runs them all.
pub(super) fn run() -> Outcome {
    run_built(build(&["--workspace"])?)
}

/// Builds and runs those that start no program and need no server: unit tests everywhere, all tests of the crates
/// without I/O.
pub(super) fn run_quick() -> Outcome {
    let mut binaries = build(&["--workspace", "--lib", "--bins", "--exclude", "fuzz", "--exclude", "sim"])?;
    let core: Vec<&str> = CORE.iter().flat_map(|name| ["--package", name]).collect();
    binaries.extend(build(&[&["--tests"], core.as_slice()].concat())?);
    binaries.sort();
    binaries.dedup();
    run_built(binaries)
}

/// One PostgreSQL server serves the tests that need one; it ends with this process.
fn run_built(binaries: Vec<(PathBuf, PathBuf)>) -> Outcome {
    let mut tests = Vec::new();
    let mut skipped = 0;
    for (binary, package) in binaries {
        let ignored = names(&binary, &package, &["--ignored"])?;
        let all = names(&binary, &package, &[])?;
        skipped += ignored.len();
        let wanted = all.into_iter().filter(|name| !ignored.contains(name));
        tests.extend(wanted.map(|name| Test { name, binary: binary.clone(), package: package.clone() }));
    }
    let postgres = Server::start(Durability::Memory)?;
    let tally = run_all(tests, &postgres);
    println!("\n{} passed, {} failed, {skipped} skipped", tally.passed, tally.failed.len());
    if tally.failed.is_empty() { Ok(()) } else { Err(format!("failed:\n  {}", tally.failed.join("\n  "))) }
}

/// Builds the test programs; answers each with its package's folder, where tests expect to run.
fn build(selection: &[&str]) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let mut command = cargo();
    command
        .args(["test", "--locked", "--no-run", "--message-format=json-render-diagnostics"])
        .args(selection);
    let built = capture(&mut command, BUILD_LIMIT)?;
    let messages = built.output.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let binaries: Vec<_> = messages.filter_map(test_binary).collect();
    if built.success { Ok(binaries) } else { Err(format!("{}\n{}", without_json(&built.output), built.how)) }
}

fn test_binary(message: Message) -> Option<(PathBuf, PathBuf)> {
    let package = message.manifest_path?.parent().map(Path::to_path_buf)?;
    message.profile?.test.then_some((message.executable?, package))
}

fn without_json(output: &str) -> String {
    output.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

fn names(binary: &Path, package: &Path, more: &[&str]) -> Result<Vec<String>, String> {
    let mut command = Command::new(binary);
    command.args(["--list", "--format", "terse"]).args(more).current_dir(package);
    let listed = capture(&mut command, LIST_LIMIT)?;
    let lines = listed.output.lines();
    Ok(lines.filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// As many at a time as there are cores.
fn run_all(tests: Vec<Test>, postgres: &Server) -> Tally {
    let queue = Mutex::new(tests.into_iter());
    let tally = Mutex::new(Tally::default());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(test) = next(&queue) {
                    run_one(&test, postgres, &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_default()
}

fn next(queue: &Mutex<std::vec::IntoIter<Test>>) -> Option<Test> {
    queue.lock().ok()?.next()
}

fn run_one(test: &Test, postgres: &Server, tally: &Mutex<Tally>) {
    let started = Instant::now();
    let mut command = Command::new(&test.binary);
    command.args(["--exact", &test.name, "--nocapture"]).current_dir(&test.package);
    command.env(VARIABLE, postgres.url());
    let ended = capture(&mut command, test.limit());
    let took = started.elapsed();
    let Ok(mut tally) = tally.lock() else { return };
    let shown = format!("{}: {}", test.crate_name(), test.name);
    match ended {
        Ok(ended) if ended.success => tally.passed += 1,
        Ok(ended) => {
            println!("---- {shown}\n{}\n---- {}", ended.output, ended.how);
            tally.failed.push(shown.clone());
        }
        Err(error) => tally.failed.push(format!("{shown}: {error}")),
    }
    if took > SLOW {
        println!("slow: {shown} took {:.0} s", took.as_secs_f32());
    }
}
