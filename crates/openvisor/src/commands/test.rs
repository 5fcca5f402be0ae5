//! `openvisor test`: applications against scripts, in the device's own time.

mod arguments;
mod report;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use device::application::Application;
use device::debug::symbols::{LineRange, Symbols};
use device::memory_map::FLASH;

use crate::host::application;
use crate::host::signals::StopSignal;
use crate::output::exit::Failure;
use crate::output::junit;
use crate::scripted::{self, Ending, Observation, Progress, Script, StepOutcome, StepResult};
pub(super) use arguments::TestArguments;
use report::{Form, Report};

/// Runs the scripts. All of them are read before the first runs.
pub(super) async fn run(arguments: TestArguments) -> Result<(), Failure> {
    let tests = arguments.scripts.iter().map(|path| Test::read(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &arguments.junit {
        // A file that cannot be written is reported before the tests take their time.
        write("--junit", path, &junit::suites_document(&[]))?;
    }
    if let Some(path) = &arguments.coverage {
        tests.iter().try_for_each(Test::check_lines)?;
        write("--coverage", path, "")?;
    }
    let signal = StopSignal::listen()?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    let form = Form { json: arguments.json, quiet: arguments.quiet, verbose: arguments.verbose };
    let stopped = is_stopped.clone();
    let mut running = tokio::task::spawn_blocking(move || run_all(tests, form, &stopped));
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = signal.received() => {
            is_stopped.store(true, Ordering::SeqCst);
            running.await
        }
    };
    let report =
        outcome.map_err(|error| Failure::failed(format!("a test ended unexpectedly: {error}")))??;
    if let Some(path) = &arguments.junit {
        write("--junit", path, &report.junit())?;
    }
    if let Some(path) = &arguments.coverage {
        write("--coverage", path, &report.coverage.document())?;
    }
    report.result(arguments.coverage.is_some())
}

/// A script and what it needs.
struct Test {
    script: Script,
    application: Application,
    symbols: Option<Symbols>,
    lines: Vec<LineRange>,
}

impl Test {
    fn read(path: &Path) -> Result<Self, Failure> {
        let script = Script::read(path)?;
        let image = &script.application.image;
        let application = application::load(image, None)?;
        let symbols = Symbols::load(image);
        let lines = symbols.as_ref().map(|symbols| symbols.line_ranges(FLASH)).unwrap_or_default();
        Ok(Self { script, application, symbols, lines })
    }

    fn check_lines(&self) -> Result<(), Failure> {
        if !self.lines.is_empty() {
            return Ok(());
        }
        let image = self.script.application.image.display();
        Err(Failure::bad_input(format!("--coverage: {image} has no line table"))
            .hint("use the unstripped ELF file from the linker, with its sources compiled with -g"))
    }
}

fn run_all(tests: Vec<Test>, form: Form, is_stopped: &AtomicBool) -> Result<Report, Failure> {
    let mut report = Report::new(form);
    for test in tests {
        let Test { script, application, symbols, lines } = test;
        let attachments = script.wiring.attachments().map_err(Failure::bad_input)?;
        report.begin(&script.path);
        let mut progress = Shown { report: &mut report, lines: &lines, is_stopped };
        let ending = scripted::run(&script, application, attachments, symbols, &mut progress);
        let ending =
            ending.map_err(|error| Failure::environment(format!("cannot make the device: {error}")))?;
        let was_stopped = ending.was_stopped;
        report.end(ending);
        if was_stopped {
            break;
        }
    }
    Ok(report)
}

/// Shows what happens while it happens.
struct Shown<'a> {
    report: &'a mut Report,
    lines: &'a [LineRange],
    is_stopped: &'a AtomicBool,
}

impl Progress for Shown<'_> {
    fn observed(&mut self, observation: &Observation) {
        self.report.observed(observation);
    }

    fn step_ended(&mut self, index: usize, result: &StepResult) {
        self.report.step_ended(index, result);
    }

    fn ended(&mut self, was_executed: &dyn Fn(u32) -> bool) {
        self.lines.iter().for_each(|line| self.report.coverage.add(line, was_executed));
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }
}

fn write(option: &str, path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::bad_input(format!("{option}: cannot write {}: {error}", path.display())))
}

/// Steps of a script by how they ended: passed, failed, skipped.
fn count(ending: &Ending) -> [usize; 3] {
    let number = |wanted: fn(&StepOutcome) -> bool| {
        ending.results.iter().filter(|result| wanted(&result.outcome)).count()
    };
    [
        number(|outcome| *outcome == StepOutcome::Passed),
        number(|outcome| matches!(outcome, StepOutcome::Failed(_))),
        number(|outcome| *outcome == StepOutcome::Skipped),
    ]
}
