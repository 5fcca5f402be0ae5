//! Runs the steps of a script in order, each until it is done, fails, or its time is over.

use std::collections::VecDeque;
use std::time::Duration;

use device::application::Application;
use device::debug::symbols::Symbols;
use device::wiring::Attachment;

use super::action::Action;
use super::expectation::Expect;
use super::format::{Script, Step};
use super::observation::{Observation, Seen};
use super::world::World;
use crate::output::event::Event;

/// How long a step waits if it does not say so.
const WITHIN: Duration = Duration::from_secs(10);
/// Observations of a step that are kept for its report.
const MAX_KEPT: usize = 1000;
/// Observations that the text of a failure shows.
const MAX_SHOWN: usize = 8;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    Passed,
    /// Several lines: what was expected, what was seen instead, and when.
    Failed(Vec<String>),
    /// A step before it failed.
    Skipped,
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepResult {
    pub(crate) title: String,
    pub(crate) outcome: StepOutcome,
    /// Device time when it began and when it ended.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// What was seen meanwhile, the last [`MAX_KEPT`].
    pub(crate) seen: Vec<Observation>,
}

/// What is reported while a script runs.
pub(crate) trait Progress {
    fn observed(&mut self, observation: &Observation);
    fn step_ended(&mut self, index: usize, result: &StepResult);
    /// The script is over; `was_executed` says so of an instruction's address.
    fn ended(&mut self, was_executed: &dyn Fn(u32) -> bool);
    /// Whether the run should stop.
    fn is_stopped(&self) -> bool;
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) results: Vec<StepResult>,
    /// The user stopped it.
    pub(crate) was_stopped: bool,
}

/// Why a step ends early.
enum Stop {
    Failed(Vec<String>),
    ByUser,
}

/// Runs `script`.
pub(crate) fn run(
    script: &Script,
    application: Application,
    attachments: Vec<Attachment>,
    symbols: Option<Symbols>,
    progress: &mut dyn Progress,
) -> std::io::Result<Ending> {
    let world = World::new(application, attachments, symbols, script)?;
    let mut runner =
        Runner { world, script, progress, seen: VecDeque::new(), expects_crash: false, was_stopped: false };
    let mut results: Vec<StepResult> = Vec::new();
    for (index, planned) in script.plan.iter().enumerate() {
        let has_failed = results.last().is_some_and(|last| last.outcome != StepOutcome::Passed);
        let result = if has_failed {
            runner.skipped(&planned.title)
        } else {
            runner.run(&planned.title, &planned.step)
        };
        runner.progress.step_ended(index, &result);
        results.push(result);
    }
    let Runner { world, progress, was_stopped, .. } = runner;
    progress.ended(&|address| world.was_executed(address));
    Ok(Ending { results, was_stopped })
}

struct Runner<'a> {
    world: World,
    script: &'a Script,
    progress: &'a mut dyn Progress,
    /// What was seen in this step.
    seen: VecDeque<Observation>,
    expects_crash: bool,
    was_stopped: bool,
}

impl Runner<'_> {
    fn skipped(&self, title: &str) -> StepResult {
        let now = self.world.now();
        StepResult {
            title: title.to_owned(),
            outcome: StepOutcome::Skipped,
            began: now,
            ended: now,
            seen: Vec::new(),
        }
    }

    fn run(&mut self, title: &str, step: &Step) -> StepResult {
        let began = self.world.now();
        self.seen.clear();
        self.expects_crash = step.expected().any(|expect| matches!(expect, Expect::Crash(_)));
        let outcome = match self.execute(step, began) {
            Ok(()) => StepOutcome::Passed,
            Err(Stop::Failed(lines)) => StepOutcome::Failed(lines),
            Err(Stop::ByUser) => {
                self.was_stopped = true;
                StepOutcome::Failed(vec!["stopped by the user".into()])
            }
        };
        let seen = std::mem::take(&mut self.seen).into();
        StepResult { title: title.to_owned(), outcome, began, ended: self.world.now(), seen }
    }

    fn execute(&mut self, step: &Step, began: Duration) -> Result<(), Stop> {
        let within = step.within.or(self.script.application.within).map_or(WITHIN, |span| span.0);
        if let Some(at) = step.at {
            if at.0 < began {
                return Err(self.failed(format!("this step begins at {}, which is over", time(at.0)), None));
            }
            self.pass(at.0)?;
        }
        if let Some(pattern) = &step.after {
            self.await_expected(vec![&Expect::Log(pattern.clone())], &[], began + within)?;
        }
        if let Some(wait) = step.wait {
            let until = self.world.now() + wait.0;
            self.pass(until)?;
        }
        if let Some(action) = &step.action {
            // What was seen before the action does not count as its result.
            self.take_all()?;
            self.act(action)?;
        }
        let expected: Vec<&Expect> = step.expected().collect();
        if expected.is_empty() && step.expect_not.is_empty() {
            return Ok(());
        }
        let until = self.world.now() + within;
        self.await_expected(expected, &step.expect_not, until)
    }

    /// Lets time pass.
    fn pass(&mut self, until: Duration) -> Result<(), Stop> {
        while self.next(until)?.is_some() {}
        Ok(())
    }

    fn take_all(&mut self) -> Result<(), Stop> {
        while let Some(observation) = self.world.take_observation() {
            self.note(&observation)?;
        }
        Ok(())
    }

    /// Waits until all of `expected` was seen; if nothing is expected, until `until`. Fails at anything of `unwanted`.
    fn await_expected(
        &mut self,
        mut expected: Vec<&Expect>,
        unwanted: &[Expect],
        until: Duration,
    ) -> Result<(), Stop> {
        let began = self.world.now();
        let waits_for_end = expected.is_empty();
        expected.retain(|expect| !self.holds(expect));
        while waits_for_end || !expected.is_empty() {
            let Some(observation) = self.next(until)? else { break };
            if let Some(seen) = unwanted.iter().find(|expect| expect.is_met_by(&observation)) {
                let what = format!("expected not to see {seen}, which was seen at {}", time(observation.at));
                return Err(self.failed(what, Some(seen)));
            }
            let before = expected.len();
            expected.retain(|expect| !expect.is_met_by(&observation));
            // The crash is not the expected one.
            let crash = expected.iter().find(|expect| matches!(expect, Expect::Crash(_)));
            if let (Seen::Crashed(_), Some(crash)) = (&observation.seen, crash)
                && expected.len() == before
            {
                return Err(Self::crashed(&observation, Some(crash)));
            }
        }
        let Some(first) = expected.first() else { return Ok(()) };
        let waited = until.saturating_sub(began);
        let others: Vec<String> =
            expected[1..].iter().map(|other| format!("; also not seen: {other}")).collect();
        let others = others.concat();
        let what = format!("expected {first} within {}, until {}{others}", duration(waited), time(until));
        Err(self.failed(what, Some(first)))
    }

    /// Whether it is so already: of levels of pins, and of displays.
    fn holds(&self, expect: &Expect) -> bool {
        match expect {
            Expect::Pin(wanted) => self.world.pin(wanted.pin) == Some(wanted.level),
            Expect::Display(wanted) => {
                let mut displays = self.world.displays();
                displays.any(|(bus, address, picture)| wanted.is_met_by(bus, address, picture))
            }
            _ => false,
        }
    }

    /// The next thing that is seen; `None` at `until`.
    fn next(&mut self, until: Duration) -> Result<Option<Observation>, Stop> {
        loop {
            if let Some(observation) = self.world.take_observation() {
                self.note(&observation)?;
                return Ok(Some(observation));
            }
            if self.world.now() >= until {
                return Ok(None);
            }
            let limit = self.script.application.time_limit.map(|limit| limit.0);
            if let Some(limit) = limit.filter(|limit| self.world.now() >= *limit) {
                let what = format!("the script is not over within its time-limit of {}", duration(limit));
                return Err(self.failed(what, None));
            }
            if self.progress.is_stopped() {
                return Err(Stop::ByUser);
            }
            self.world.advance(limit.map_or(until, |limit| limit.min(until)));
        }
    }

    fn note(&mut self, observation: &Observation) -> Result<(), Stop> {
        self.progress.observed(observation);
        if self.seen.len() == MAX_KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back(observation.clone());
        match &observation.seen {
            Seen::Crashed(_) if !(self.expects_crash || self.script.application.allow_crashes) => {
                Err(Self::crashed(observation, None))
            }
            Seen::Log(text) => match &self.script.application.fail_on {
                Some(pattern) if pattern.is_in(text) => {
                    let what = format!("a log line with {pattern} at {}: {text}", time(observation.at));
                    Err(Stop::Failed(vec![what]))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn act(&mut self, action: &Action) -> Result<(), Stop> {
        let observation = Observation {
            at: self.world.now(),
            event: Event::ScriptAction { action: action.to_string() },
            seen: Seen::Other,
        };
        self.note(&observation)?;
        match action.clone() {
            Action::CutLink => self.world.cut_link(),
            Action::RestoreLink => self.world.restore_link(),
            Action::StopBroker => self.world.stop_broker(),
            Action::StartBroker => self.world.start_broker(),
            Action::PowerOff => self.world.power_off(),
            Action::PowerOn => self.world.power_on(),
            Action::Publish(publish) => self.world.publish(&publish),
            Action::Input(input) => self.world.input(input.input()),
            Action::Config(values) => self.world.set_values(true, false, &values),
            Action::Secrets(values) => self.world.set_values(true, true, &values),
            Action::AccountConfig(values) => self.world.set_values(false, false, &values),
            Action::AccountSecrets(values) => self.world.set_values(false, true, &values),
            Action::Http(answer) => self.world.set_answer(answer),
            Action::Broker(requirements) => self.world.require(&requirements),
            Action::Link(quality) => self.world.set_pace(&quality),
        }
        Ok(())
    }

    fn crashed(observation: &Observation, expect: Option<&Expect>) -> Stop {
        let what = match expect {
            Some(expect) => format!("expected {expect}; the application crashed otherwise"),
            None => "the application crashed, which this step does not expect".to_owned(),
        };
        let mut lines = vec![format!("{what}, at {}:", time(observation.at))];
        if let Seen::Crashed(report) = &observation.seen {
            lines.extend(report.iter().map(|line| format!("  {line}")));
        }
        Stop::Failed(lines)
    }

    /// What was expected, and what was seen instead: others of its kind, or else whatever was seen last.
    fn failed(&self, what: String, expect: Option<&Expect>) -> Stop {
        let mut lines = vec![what];
        let kind = expect.map_or("event", Expect::kind);
        let alike: Vec<&Observation> =
            self.seen.iter().filter(|observation| observation.seen.kind() == kind).collect();
        let (shown, title) = if alike.is_empty() {
            (self.seen.iter().collect(), format!("no {kind} was seen; what was seen in this step"))
        } else {
            (alike, format!("each {kind} that was seen in this step"))
        };
        if shown.is_empty() {
            lines.push("nothing was seen in this step".into());
            return Stop::Failed(lines);
        }
        let omitted = shown.len().saturating_sub(MAX_SHOWN);
        let omitted_text =
            if omitted == 0 { String::new() } else { format!(", without the first {omitted}") };
        lines.push(format!("{title}{omitted_text}:"));
        lines.extend(shown[omitted..].iter().map(|observation| {
            let Observation { at, event, .. } = observation;
            format!("  {:>12}  {:<6}  {}", time(*at), event.source().name(), event.first_line())
        }));
        Stop::Failed(lines)
    }
}

/// A device time, such as `1.250000 s`.
pub(crate) fn time(at: Duration) -> String {
    format!("{}.{:06} s", at.as_secs(), at.subsec_micros())
}

/// A duration without needless digits.
fn duration(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
