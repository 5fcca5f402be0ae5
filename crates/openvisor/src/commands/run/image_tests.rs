//! `openvisor run` of an image of tests: each test in a start of the device of its own, and the results as Rust's test
//! harness writes them (D350).

mod report;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use ::cloud::events::EventKind;
use ::device::events::DeviceEvent;
use ::device::image::{Image, read_file};
use ::device::test_image::{TestCase, TestImage};

use super::{RunArguments, platform_config, show_event};
use crate::host::observed_device::Observation;
use crate::host::platform::{Platform, PlatformConfig, PlatformEvent};
use crate::host::signals::{StopSignal, elapsed};
use crate::host::verdict::LogTail;
use crate::host::{application, debugging};
use crate::output;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Format, Source, Timeline};
use report::{Outcome, Report, TestResult};

/// How long a test may take by the device's clock, without `--device-seconds`.
const TEST_LIMIT: Duration = Duration::from_mins(1);

/// The tests of the image, if it is an image of tests. One that cannot be read is reported by the run.
pub(super) fn of(arguments: &RunArguments) -> Result<Option<TestImage>, Failure> {
    let path = &arguments.application.image;
    // A pipe can be read only once, and is no file that cargo has written.
    let loads = || application::load(path, arguments.application.signer.as_deref()).ok();
    let image = path.is_file().then(loads).flatten();
    let tests = image.as_ref().map(|application| tests_in(path, &application.image)).transpose()?.flatten();
    let is_other = image.is_some() || path.exists() && !path.is_file();
    match arguments.tests.given().filter(|_| tests.is_none() && is_other) {
        None => Ok(tests),
        Some(option) => Err(Failure::bad_input(format!(
            "{option} is for images of tests, and {} has no tests",
            path.display()
        ))
        .hint("options for the run begin with `--`; an image of tests is made by openvisor_app::tests!")),
    }
}

fn tests_in(path: &Path, image: &Image) -> Result<Option<TestImage>, Failure> {
    let place = path.display();
    let file = read_file(path).map_err(|error| Failure::bad_input(format!("{place}: {error}")))?;
    TestImage::read(&file, image).map_err(|error| Failure::bad_input(format!("{place}: {error}")))
}

/// Runs the tests that the options name, one after the other, or lists them.
pub(super) async fn run(arguments: &RunArguments, tests: &TestImage) -> Result<(), Failure> {
    let is_chosen = |case: &&TestCase| {
        let options = &arguments.tests;
        options.names(&case.name) && !(options.ignored && case.ignored.is_none())
    };
    let chosen: Vec<&TestCase> = tests.cases().iter().filter(is_chosen).collect();
    let mut report = Report::new(arguments, chosen.len(), tests.cases().len() - chosen.len())?;
    if arguments.tests.list {
        report.list(&chosen);
        return Ok(());
    }
    let options = &arguments.tests;
    let executes = |case: &TestCase| case.ignored.is_none() || options.ignored || options.include_ignored;
    check_options(arguments, chosen.iter().filter(|case| executes(case)).count())?;
    let stop = StopSignal::listen()?;
    report.begin();
    for case in chosen {
        if !executes(case) {
            report.add(case, TestResult::ignored());
            continue;
        }
        let result = tokio::select! {
            result = run_one(arguments, tests, case) => result?,
            () = stop.received() => TestResult::interrupted(),
        };
        let was_interrupted = result.outcome == Outcome::Interrupted;
        report.add(case, result);
        if was_interrupted {
            break;
        }
    }
    report.finish()
}

/// Options that mean nothing for tests, or only for one of them.
fn check_options(arguments: &RunArguments, count: usize) -> Result<(), Failure> {
    let (verdict, debugging) = (&arguments.verdict, &arguments.debugging);
    let never = [
        (verdict.until.is_some(), "--until"),
        (verdict.allow_crashes, "--allow-crashes"),
        (arguments.recording.replay.is_some(), "--replay"),
        (arguments.factory_test.factory_test, "--factory-test"),
    ];
    let once = [
        (debugging.gdb().is_some(), "--gdb"),
        (!debugging.trace.is_empty(), "--trace"),
        (arguments.recording.record.is_some(), "--record"),
    ];
    let given = |options: &[(bool, &'static str)]| {
        options.iter().find(|(is_given, _)| *is_given).map(|found| found.1)
    };
    if let Some(option) = given(&never) {
        return Err(Failure::bad_input(format!("{option} cannot be used with an image of tests"))
            .hint("a test ends by its own result, a crash, or after --device-seconds (60 by default)"));
    }
    match given(&once) {
        Some(option) if count != 1 => {
            Err(Failure::bad_input(format!("{option} is for one test, and {count} would run"))
                .hint("name the test, with --exact if its name is part of another's"))
        }
        _ => Ok(()),
    }
}

/// A start of the device with this test.
async fn run_one(
    arguments: &RunArguments,
    tests: &TestImage,
    case: &TestCase,
) -> Result<TestResult, Failure> {
    let start = Instant::now();
    let mut config: PlatformConfig = platform_config(arguments)?;
    config.application.image = tests.select(case);
    config.factory_test = true;
    let limit = *config.device_end.get_or_insert(TEST_LIMIT);
    let recording = config.recording.status();
    let timeline = Timeline::on_stderr(Format::from_flag(arguments.json));
    debugging::announce(&config.debugging, &timeline);
    let mut run = TestRun { arguments, limit, timeline, lines: LogTail::default(), outcome: None };
    let mut platform = Platform::start(config).await?;
    tokio::select! {
        () = run.run_to_end(&mut platform) => {}
        () = elapsed(arguments.pace.seconds) => run.fail_after("--seconds", arguments.pace.seconds),
        () = elapsed(arguments.verdict.timeout) => run.fail_after("--timeout", arguments.verdict.timeout),
    }
    for event in platform.stop().await {
        run.observe(&event);
        run.show(&event).await;
    }
    output::raw_stdout().drained().await;
    recording.check()?;
    let outcome = run.outcome.unwrap_or(Outcome::Interrupted);
    Ok(TestResult { outcome, time: start.elapsed(), lines: run.lines.text() })
}

/// A test while it runs.
struct TestRun<'a> {
    arguments: &'a RunArguments,
    limit: Duration,
    timeline: Timeline,
    lines: LogTail,
    outcome: Option<Outcome>,
}

impl TestRun<'_> {
    async fn run_to_end(&mut self, platform: &mut Platform) {
        // The report of a crash follows the event of the fault at once.
        let mut has_faulted = false;
        while self.outcome.is_none() || std::mem::take(&mut has_faulted) {
            let event = platform.next().await;
            has_faulted =
                matches!(&event, PlatformEvent::Device(Observation::Event(DeviceEvent::Faulted { .. })));
            self.observe(&event);
            self.show(&event).await;
        }
    }

    /// Without `--no-capture` only the lines are kept, for the report of a failure.
    async fn show(&self, event: &PlatformEvent) {
        if self.arguments.tests.no_capture {
            // A closed standard output is no reason to stop: the exit code is the result.
            let _ = show_event(event, &self.timeline, &self.arguments.show).await;
        }
    }

    fn observe(&mut self, event: &PlatformEvent) {
        match event {
            PlatformEvent::Cloud(EventKind::Log { text, .. }) => {
                self.add_line(&String::from_utf8_lossy(text));
            }
            PlatformEvent::Cloud(_) => {}
            PlatformEvent::CloudMissed(count) | PlatformEvent::Device(Observation::Missed(count)) => {
                self.add_line(&Event::EventsDropped { count: *count, source: Source::Device }.text());
            }
            PlatformEvent::Device(Observation::Ended) => self.fail(Event::DeviceFailed.text()),
            PlatformEvent::Device(Observation::Event(event)) => self.observe_device(event),
        }
    }

    fn observe_device(&mut self, event: &DeviceEvent) {
        // After its end the application may start again, which no longer concerns the test.
        let is_over = self.outcome.is_some();
        match event {
            DeviceEvent::Crashed(crash) => crash.lines().iter().for_each(|line| self.lines.add(line)),
            _ if is_over => {}
            DeviceEvent::TestLog { text } => self.add_line(&String::from_utf8_lossy(text)),
            DeviceEvent::Serial { .. } | DeviceEvent::CallRefused(_) => {
                self.add_line(&Event::from(event).text());
            }
            DeviceEvent::TestingComplete { status: 0 } => self.end(Outcome::Passed),
            DeviceEvent::TestingComplete { .. } => self.end(Outcome::Failed("it has failed".to_owned())),
            DeviceEvent::Faulted { fault, .. } => self.end(Outcome::Crashed(fault.to_string())),
            DeviceEvent::EndReached => self.fail(format!(
                "still running after {} s of the device's clock (--device-seconds)",
                self.limit.as_secs_f64()
            )),
            DeviceEvent::ResetRequested { .. }
            | DeviceEvent::RestartRequested { .. }
            | DeviceEvent::SleepsDeeply { .. } => {
                let what = Event::from(event).text();
                self.fail(format!("a test cannot continue after the device has started again: {what}"));
            }
            _ => {}
        }
    }

    fn add_line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        self.lines.add(line);
        let found = self.arguments.verdict.fail_on.iter().find(|pattern| pattern.is_match(line));
        if let Some(pattern) = found {
            self.fail(format!("a line matches --fail-on {pattern}"));
        }
    }

    fn fail_after(&mut self, option: &str, limit: Option<Duration>) {
        let seconds = limit.unwrap_or_default().as_secs_f64();
        self.fail(format!("still running after {seconds} s ({option})"));
    }

    /// Ends the test by what is observed from outside, which the lines then say. The log may bring it after the end.
    fn fail(&mut self, why: String) {
        if matches!(self.outcome, None | Some(Outcome::Passed)) {
            self.lines.add(&why);
            self.outcome = Some(Outcome::Failed(why));
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

/// Writes a report whose file was created before the tests.
fn write_report(path: &Path, mut file: &std::fs::File, text: &str) -> Result<(), Failure> {
    file.write_all(text.as_bytes())
        .map_err(|error| Failure::environment(format!("--junit: cannot write {}: {error}", path.display())))
}
