//! The steps of a script in the order in which they are executed, and whether each of them can have an effect.

use device::wiring::Attachment;
use toml::Spanned;

use super::action::Action;
use super::expectation::{Expect, LinkState};
use super::format::{Script, Step};
use super::mistakes::line_at;

/// Most steps that are executed.
const MAX_STEPS: usize = 10_000;
/// How deep steps can contain steps.
const MAX_DEPTH: usize = 4;

/// A step to execute.
#[derive(Clone)]
pub(crate) struct PlannedStep {
    pub(crate) step: Step,
    /// What it is called in reports.
    pub(crate) title: String,
    line: usize,
}

/// The steps of `script`, whose text is `text`, each as often as it is repeated; an error has its line.
pub(super) fn plan(
    script: &Script,
    text: &str,
    attachments: &[Attachment],
) -> Result<Vec<PlannedStep>, String> {
    let mut planner = Planner { text, attachments, plan: Vec::new() };
    planner.add(&script.step, "", 0)?;
    let plan = planner.plan;
    if plan.is_empty() {
        return Err(format!("no steps; a script has 1 to {MAX_STEPS} [[step]] tables"));
    }
    let mut state = State::new(script);
    for planned in &plan {
        state.apply(&planned.step).map_err(|error| format!("line {}: {error}", planned.line))?;
    }
    Ok(plan)
}

struct Planner<'a> {
    text: &'a str,
    attachments: &'a [Attachment],
    plan: Vec<PlannedStep>,
}

impl Planner<'_> {
    fn add(&mut self, steps: &[Spanned<Step>], prefix: &str, depth: usize) -> Result<(), String> {
        for (index, step) in steps.iter().enumerate() {
            let line = line_at(self.text, step.span().start);
            let at_line = |error: String| format!("line {line}: {error}");
            let step = step.get_ref();
            step.check_parts(self.attachments).map_err(at_line)?;
            if depth == MAX_DEPTH {
                return Err(at_line(format!("steps in steps are at most {MAX_DEPTH} deep")));
            }
            if step.repeat == Some(0) {
                return Err(at_line("repeat is 0; a step that is not executed is left out".into()));
            }
            let name = step.name.clone().unwrap_or_else(|| format!("step {}", index + 1));
            for time in 1..=step.repeat.unwrap_or(1) {
                let count = step.repeat.map(|times| format!(" ({time} of {times})")).unwrap_or_default();
                let title = format!("{prefix}{name}{count}");
                if step.steps.is_empty() {
                    self.plan.push(PlannedStep { step: step.clone(), title, line });
                } else {
                    self.add(&step.steps, &format!("{title}: "), depth + 1)?;
                }
                if self.plan.len() > MAX_STEPS {
                    let error = format!("with its repetitions, the script has more than {MAX_STEPS} steps");
                    return Err(at_line(error));
                }
            }
        }
        Ok(())
    }
}

/// What the environment is like before a step, as far as the script says.
struct State {
    is_cut: bool,
    is_broker_running: bool,
    is_off: bool,
}

impl State {
    fn new(script: &Script) -> Self {
        Self { is_cut: script.link.cut, is_broker_running: !script.broker.stopped, is_off: false }
    }

    /// Executes a step; an error if it can have no effect where it is.
    fn apply(&mut self, step: &Step) -> Result<(), String> {
        if let Some(action) = &step.action {
            self.act(action)?;
        }
        let goes_off = matches!(step.action, Some(Action::PowerOff));
        let visible = |expect: &&Expect| !(goes_off && matches!(expect, Expect::Link(LinkState::Down)));
        if self.is_off && (step.expected().any(|expect| visible(&expect)) || step.after.is_some()) {
            return Err("the device is switched off, so nothing can be seen of it before 'power-on'".into());
        }
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        let changed = |state: &mut bool, to: bool, already: &str| {
            if std::mem::replace(state, to) == to {
                Err(format!("do: {already} at this step"))
            } else {
                Ok(())
            }
        };
        match action {
            Action::CutLink => changed(&mut self.is_cut, true, "the link is already cut"),
            Action::RestoreLink => changed(&mut self.is_cut, false, "the link is not cut"),
            Action::StopBroker => {
                changed(&mut self.is_broker_running, false, "the broker does not run already")
            }
            Action::StartBroker => changed(&mut self.is_broker_running, true, "the broker runs already"),
            Action::PowerOff => changed(&mut self.is_off, true, "the device is already switched off"),
            Action::PowerOn => changed(&mut self.is_off, false, "the device is already switched on"),
            Action::Publish(_) if !self.is_broker_running => {
                Err("do: no client can publish while the broker does not run; 'start-broker' comes first"
                    .into())
            }
            Action::Input(input) if self.is_off && input.needs_power() => {
                Err("do: the device is switched off, and nothing receives this before 'power-on'".into())
            }
            _ => Ok(()),
        }
    }
}
