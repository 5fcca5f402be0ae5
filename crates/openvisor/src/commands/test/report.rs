//! What `openvisor test` prints and writes of its steps.

use std::path::Path;
use std::time::Duration;

use super::count;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::junit::{self, Suite, TestCase};
use crate::output::lcov::Coverage;
use crate::output::print::{print_json, print_line};
use crate::output::timeline::json_object;
use crate::scripted::{Ending, Observation, StepOutcome, StepResult};

/// Bytes of observations in a test case of a JUnit file.
const MAX_LOG: usize = 64 * 1024;

/// In which form results are printed.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
}

/// The results of all scripts.
pub(super) struct Report {
    form: Form,
    scripts: Vec<(String, Ending)>,
    /// Lines of all applications.
    pub(super) coverage: Coverage,
    /// The script that is running, and whether its name has been printed.
    script: (String, bool),
}

impl Report {
    pub(super) fn new(form: Form) -> Self {
        Self { form, scripts: Vec::new(), coverage: Coverage::default(), script: (String::new(), false) }
    }

    pub(super) fn begin(&mut self, path: &Path) {
        self.script = (path.display().to_string(), false);
        if !self.form.quiet {
            self.title();
        }
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.scripts.push((self.script.0.clone(), ending));
    }

    /// The name of the script, above its steps.
    fn title(&mut self) {
        if !std::mem::replace(&mut self.script.1, true) && !self.form.json {
            print(&self.script.0);
        }
    }

    pub(super) fn observed(&self, observation: &Observation) {
        let Observation { at, event, .. } = observation;
        if !self.form.verbose {
            return;
        }
        if self.form.json {
            let mut line = json_object(Some(*at), None, event);
            line["script"] = self.script.0.clone().into();
            line["device_time_us"] = micros(*at).into();
            // A closed standard output is no reason to fail: the exit code is the result.
            let _ = print_json(&line);
            return;
        }
        let (time, source) = (time(*at), event.source().name());
        event.lines().iter().for_each(|line| print(&format!("           {time:>13}  {source:<6}  {line}")));
    }

    pub(super) fn step_ended(&mut self, index: usize, result: &StepResult) {
        let StepResult { title, outcome, began, ended, .. } = result;
        let word = match outcome {
            StepOutcome::Passed => "passed",
            StepOutcome::Failed(_) => "failed",
            StepOutcome::Skipped => "skipped",
        };
        let lines: &[String] = if let StepOutcome::Failed(lines) = outcome { lines } else { &[] };
        if self.form.json {
            let event = Event::StepEnded {
                script: self.script.0.clone(),
                step: index + 1,
                name: title.clone(),
                result: word,
                began_us: micros(*began),
                ended_us: micros(*ended),
                lines: lines.to_vec(),
            };
            let _ = print_json(&json_object(Some(*ended), None, &event));
        } else if !(self.form.quiet && lines.is_empty()) {
            self.title();
            print(&format!("  {word:<7}  {:>13}  {title}", time(*ended)));
            for line in lines {
                print(&format!("      {line}"));
            }
        }
    }

    /// The content of a JUnit file. Times in it are device time.
    pub(super) fn junit(&self) -> String {
        let suites = self.scripts.iter().map(|(name, ending)| suite(name, ending));
        junit::suites_document(&suites.collect::<Vec<_>>())
    }

    /// Prints the summary; a failure if a step has failed.
    pub(super) fn result(&self, shows_coverage: bool) -> Result<(), Failure> {
        let counts = self.scripts.iter().map(|(_, ending)| count(ending));
        let [passed, failed, skipped] =
            counts.fold([0; 3], |sum, next| std::array::from_fn(|index| sum[index] + next[index]));
        let (executed, lines) = self.coverage.counts();
        if self.form.json {
            let event = Event::ScriptSummary {
                scripts: self.scripts.len(),
                passed,
                failed,
                skipped,
                lines_executed: shows_coverage.then_some(executed),
                lines: shows_coverage.then_some(lines),
            };
            let _ = print_json(&json_object(None, None, &event));
        } else if !self.form.quiet {
            print(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
            if shows_coverage {
                print(&format!("{executed} of {lines} lines executed"));
            }
        }
        let first = self.scripts.iter().find_map(|(name, ending)| Some((name, failure(ending)?)));
        let Some((script, step)) = first else { return Ok(()) };
        if self.scripts.iter().any(|(_, ending)| ending.was_stopped) {
            return Err(Failure::failed(format!("interrupted in {script}: {}", step.title)));
        }
        let others = if failed > 1 { format!(", and {} more", failed - 1) } else { String::new() };
        Err(Failure::failed(format!("{script}: {} failed{others}", step.title)))
    }
}

fn failure(ending: &Ending) -> Option<&StepResult> {
    ending.results.iter().find(|result| matches!(result.outcome, StepOutcome::Failed(_)))
}

fn suite(name: &str, ending: &Ending) -> Suite {
    let (skipped, run): (Vec<_>, Vec<_>) =
        ending.results.iter().partition(|result| result.outcome == StepOutcome::Skipped);
    Suite {
        name: name.to_owned(),
        cases: run.into_iter().map(|result| case(name, result)).collect(),
        skipped: skipped.into_iter().map(|result| result.title.clone()).collect(),
    }
}

fn case(script: &str, result: &StepResult) -> TestCase {
    let (failure, details) = match &result.outcome {
        StepOutcome::Failed(lines) => {
            let (first, rest) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            (Some(Failure::failed(first)), rest.join("\n"))
        }
        StepOutcome::Passed | StepOutcome::Skipped => (None, String::new()),
    };
    TestCase {
        name: result.title.clone(),
        class: script.to_owned(),
        time: result.ended.saturating_sub(result.began),
        failure,
        details,
        log: log(&result.seen),
    }
}

/// What was seen, the last [`MAX_LOG`] bytes of it.
fn log(seen: &[Observation]) -> String {
    let line = |seen: &Observation| {
        format!("{:>13}  {:<6}  {}\n", time(seen.at), seen.event.source().name(), seen.event.first_line())
    };
    let lines: Vec<String> = seen.iter().map(line).collect();
    let mut length = 0;
    let fits = lines.iter().rev().take_while(|line| {
        length += line.len();
        length <= MAX_LOG
    });
    let kept = fits.count();
    lines[lines.len() - kept..].concat()
}

fn time(at: Duration) -> String {
    format!("{}.{:06} s", at.as_secs(), at.subsec_micros())
}

fn micros(at: Duration) -> u64 {
    at.as_micros() as u64
}

/// Prints a line. An application may have written parts of it, so it is escaped.
fn print(line: &str) {
    let _ = print_line(&text::escape(line));
}
