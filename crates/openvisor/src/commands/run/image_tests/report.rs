//! Results of an image's tests, as Rust's test harness writes them.

use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::device::test_image::TestCase;

use super::write_report;
use crate::commands::run::RunArguments;
use crate::options::TestFormat;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::junit::{self, Suite};
use crate::output::print::{print_json, print_line};
use crate::output::timeline::json_object;

/// Results in a line of `--format terse`.
const TERSE_WIDTH: usize = 88;

/// What openvisor_app's panic handler begins its line with.
const PANIC: &str = "panic at ";

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// And why.
    Failed(String),
    /// By this fault, which a panic is, too.
    Crashed(String),
    Ignored,
    /// By Ctrl-C.
    Interrupted,
}

/// A test that has ended.
pub(super) struct TestResult {
    pub(super) outcome: Outcome,
    pub(super) time: Duration,
    /// What it logged, and the report of its crash.
    pub(super) lines: String,
}

impl TestResult {
    pub(super) fn ignored() -> Self {
        Self { outcome: Outcome::Ignored, time: Duration::ZERO, lines: String::new() }
    }

    pub(super) fn interrupted() -> Self {
        Self { outcome: Outcome::Interrupted, time: Duration::ZERO, lines: String::new() }
    }

    fn failure(&self) -> Option<Failure> {
        match &self.outcome {
            Outcome::Passed | Outcome::Ignored => None,
            Outcome::Failed(why) => Some(Failure::failed(why)),
            Outcome::Crashed(fault) => {
                let panic = self.lines.lines().find(|line| line.starts_with(PANIC));
                let crash = || format!("the test crashed: {fault}");
                Some(Failure::crashed(panic.map_or_else(crash, str::to_owned)))
            }
            Outcome::Interrupted => Some(Failure::failed("the test was interrupted")),
        }
    }
}

/// A closed standard output is no reason to fail: the exit code is the result.
fn print_event(event: &Event) {
    let _ = print_json(&json_object(None, None, event));
}

/// The results so far.
pub(super) struct Report {
    image: String,
    is_json: bool,
    is_terse: bool,
    shows_output: bool,
    count: usize,
    filtered: usize,
    junit: Option<(PathBuf, File)>,
    results: Vec<(String, TestResult)>,
    terse: String,
    start: Instant,
}

impl Report {
    /// No results yet. Creates the file of `--junit`, so that one that cannot be written stops the run before it
    /// starts.
    pub(super) fn new(arguments: &RunArguments, count: usize, filtered: usize) -> Result<Self, Failure> {
        let junit = arguments.verdict.junit.as_ref().filter(|_| !arguments.tests.list);
        let create = |path: &PathBuf| match File::create(path) {
            Ok(file) => Ok((path.clone(), file)),
            Err(error) => {
                Err(Failure::bad_input(format!("--junit: cannot write {}: {error}", path.display())))
            }
        };
        let path = &arguments.application.image;
        Ok(Self {
            image: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            is_json: arguments.json,
            is_terse: arguments.tests.format.map_or(arguments.quiet, |format| format == TestFormat::Terse),
            shows_output: arguments.tests.show_output,
            count,
            filtered,
            junit: junit.map(create).transpose()?,
            results: Vec::new(),
            terse: String::new(),
            start: Instant::now(),
        })
    }

    /// The names, as `cargo test -- --list` shows them.
    pub(super) fn list(&self, cases: &[&TestCase]) {
        for case in cases {
            if self.is_json {
                print_event(&Event::Test {
                    name: case.name.clone(),
                    ignored: case.ignored.is_some(),
                    should_panic: case.is_to_panic,
                });
            } else {
                print(&format!("{}: test", case.name));
            }
        }
        if !self.is_json && !self.is_terse {
            print(&format!("\n{}, 0 benchmarks", tests(cases.len())));
        }
    }

    pub(super) fn begin(&self) {
        if !self.is_json {
            print(&format!("\nrunning {}", tests(self.count)));
        }
    }

    /// Adds a result, and shows it.
    pub(super) fn add(&mut self, case: &TestCase, result: TestResult) {
        if self.is_json {
            self.print_json(case, &result);
        } else if self.is_terse {
            self.terse.push(character(&result.outcome));
            self.print_terse(TERSE_WIDTH);
        } else {
            let kind = if case.is_to_panic { " - should panic" } else { "" };
            print(&format!("test {}{kind} ... {}", case.name, word(case, &result.outcome)));
        }
        self.results.push((case.name.clone(), result));
    }

    fn print_json(&self, case: &TestCase, result: &TestResult) {
        let name = match result.outcome {
            Outcome::Passed => "passed",
            Outcome::Ignored => "ignored",
            Outcome::Failed(_) | Outcome::Crashed(_) | Outcome::Interrupted => "failed",
        };
        print_event(&Event::TestResult {
            image: self.image.clone(),
            name: case.name.clone(),
            result: name,
            time_us: u64::try_from(result.time.as_micros()).unwrap_or(u64::MAX),
            failure: result.failure().map(|failure| failure.to_string()),
            lines: result.lines.clone(),
        });
    }

    fn print_terse(&mut self, at_least: usize) {
        if !self.terse.is_empty() && self.terse.len() >= at_least {
            print(&std::mem::take(&mut self.terse));
        }
    }

    /// Shows the failures and the summary; a failure if a test has failed or was interrupted.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.print_terse(1);
        let number = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|(_, result)| wanted(&result.outcome)).count()
        };
        let passed = number(|outcome| *outcome == Outcome::Passed);
        let ignored = number(|outcome| *outcome == Outcome::Ignored);
        let failed = self.results.len() - passed - ignored;
        if self.is_json {
            let (image, filtered_out) = (self.image.clone(), self.filtered);
            print_event(&Event::TestSummary { image, passed, failed, ignored, filtered_out });
        } else {
            self.print_sections();
            print(&format!(
                "\ntest result: {}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {} filtered out; \
                 finished in {:.2}s\n",
                if failed == 0 { "ok" } else { "FAILED" },
                self.filtered,
                self.start.elapsed().as_secs_f64()
            ));
        }
        if let Some((path, file)) = &self.junit {
            write_report(path, file, &self.junit_document())?;
        }
        if failed == 0 {
            Ok(())
        } else {
            Err(Failure::failed(format!("{failed} of {} failed", tests(self.count))))
        }
    }

    /// What failed tests logged, with `--show-output` the passed ones too, and the names of the failed ones.
    fn print_sections(&self) {
        let (failed, others): (Vec<_>, Vec<_>) =
            self.results.iter().partition(|(_, result)| result.failure().is_some());
        let is_shown = |result: &&&(String, TestResult)| !result.1.lines.is_empty();
        let shown = others.iter().filter(is_shown).filter(|_| self.shows_output);
        let sections = [("successes", shown.collect::<Vec<_>>()), ("failures", failed.iter().collect())];
        for (title, results) in sections.iter().filter(|(_, results)| !results.is_empty()) {
            print(&format!("\n{title}:"));
            for (name, result) in results {
                let mut text = format!("\n---- {name} stdout ----");
                let _ = result.lines.lines().try_for_each(|line| write!(text, "\n{line}"));
                print(&text);
            }
            print(&format!("\n{title}:"));
            for (name, _) in results {
                print(&format!("    {name}"));
            }
        }
    }

    fn junit_document(&self) -> String {
        let (ignored, run): (Vec<_>, Vec<_>) =
            self.results.iter().partition(|(_, result)| result.outcome == Outcome::Ignored);
        let case = |(name, result): &(String, TestResult)| junit::TestCase {
            name: name.clone(),
            class: self.image.clone(),
            time: result.time,
            failure: result.failure(),
            details: String::new(),
            log: result.lines.clone(),
        };
        junit::suites_document(&[Suite {
            name: self.image.clone(),
            cases: run.into_iter().map(case).collect(),
            skipped: ignored.into_iter().map(|(name, _)| name.clone()).collect(),
        }])
    }
}

fn word(case: &TestCase, outcome: &Outcome) -> String {
    match (outcome, case.ignored.as_deref()) {
        (Outcome::Passed, _) => "ok".to_owned(),
        (Outcome::Ignored, None | Some("")) => "ignored".to_owned(),
        (Outcome::Ignored, Some(reason)) => format!("ignored, {reason}"),
        (Outcome::Failed(_) | Outcome::Crashed(_) | Outcome::Interrupted, _) => "FAILED".to_owned(),
    }
}

fn character(outcome: &Outcome) -> char {
    match outcome {
        Outcome::Passed => '.',
        Outcome::Ignored => 'i',
        Outcome::Failed(_) | Outcome::Crashed(_) | Outcome::Interrupted => 'F',
    }
}

fn tests(count: usize) -> String {
    format!("{count} test{}", if count == 1 { "" } else { "s" })
}

/// Prints lines. An application may have written parts of them, so they are escaped.
fn print(lines: &str) {
    let _ = lines.split('\n').try_for_each(|line| print_line(&text::escape(line)));
}
