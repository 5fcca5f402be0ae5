//! What a script says, and the mistakes in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device::wiring::Attachment;
use serde::Deserialize;
use toml::Spanned;

use super::action::Action;
use super::environment::{Broker, HttpAnswer, LinkQuality, Wiring, check_settings, read_settings};
use super::expectation::Expect;
use super::mistakes;
use super::plan::{self, PlannedStep};
use super::values::{Pattern, Span};
use crate::output::exit::Failure;

/// Longest script in bytes.
const MAX_SCRIPT: u64 = 1 << 20;

/// A script.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Script {
    /// Where it was read from.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    pub(crate) application: Application,
    /// Values the application fetches, by key.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) account_config: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) account_secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) broker: Broker,
    /// What the web server answers; the last that matches a request is used.
    #[serde(default)]
    pub(crate) http: Vec<HttpAnswer>,
    #[serde(default)]
    pub(crate) link: Link,
    #[serde(default)]
    pub(crate) wiring: Wiring,
    /// As they are written.
    #[serde(default)]
    pub(super) step: Vec<Spanned<Step>>,
    /// As they are executed.
    #[serde(skip)]
    pub(crate) plan: Vec<PlannedStep>,
}

/// The application under test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Application {
    /// The image or bundle; a relative path is relative to the script.
    pub(crate) image: PathBuf,
    /// A crash that no step expects does not fail the script.
    #[serde(default)]
    pub(crate) allow_crashes: bool,
    /// A log line with this in it fails the script.
    pub(crate) fail_on: Option<Pattern>,
    /// Everything random is derived from this.
    pub(crate) seed: Option<String>,
    /// How long a step waits if it does not say so.
    pub(crate) within: Option<Span>,
    /// The device time by which the last step has to be over.
    pub(crate) time_limit: Option<Span>,
}

/// The connection between device and cloud.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Link {
    /// There is none before a step restores it.
    #[serde(default)]
    pub(crate) cut: bool,
    delay: Option<Span>,
    bytes_per_second: Option<u64>,
}

impl Link {
    /// How fast it is at first.
    pub(crate) fn quality(&self) -> LinkQuality {
        LinkQuality { delay: self.delay, bytes_per_second: self.bytes_per_second }
    }
}

/// One step: when, what to do, what to expect. Each part may be missing.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    pub(crate) name: Option<String>,
    /// Begin at this device time since the first power-on.
    pub(crate) at: Option<Span>,
    /// Begin when this is in a log line; `within` limits the time.
    pub(crate) after: Option<Pattern>,
    /// Begin this long after the step before, or after what `after` says.
    pub(crate) wait: Option<Span>,
    #[serde(rename = "do")]
    pub(crate) action: Option<Action>,
    expect: Option<Expect>,
    /// All of these, in any order.
    #[serde(default)]
    expect_all: Vec<Expect>,
    /// None of these, until everything that is expected was seen, or for as long as `within` says.
    #[serde(default)]
    pub(crate) expect_not: Vec<Expect>,
    /// How long to wait for what is expected, and for `after`.
    pub(crate) within: Option<Span>,
    /// How often the step is executed; once if it does not say so.
    pub(crate) repeat: Option<u32>,
    /// Steps instead of parts of its own.
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Spanned<Self>>,
}

impl Script {
    /// Reads and checks the script at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |error: String| Failure::bad_input(format!("{}: {error}", path.display()));
        let text = read_text(path).map_err(bad)?;
        let mut script = Self::parse(&text).map_err(|error| {
            bad(error).hint("openvisor test --help has a complete example; docs/testing.md has every key")
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        script.read_files(folder).map_err(bad)?;
        path.clone_into(&mut script.path);
        script.application.image = folder.join(&script.application.image);
        Ok(script)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut script: Self = toml::from_str(text).map_err(|error| mistakes::text_of(&error, text))?;
        let attachments = script.check()?;
        script.plan = plan::plan(&script, text, &attachments)?;
        Ok(script)
    }

    /// Reads the certificates and values that are in files.
    fn read_files(&mut self, folder: &Path) -> Result<(), String> {
        self.broker.read_files(folder)?;
        let maps = [&mut self.config, &mut self.secrets, &mut self.account_config, &mut self.account_secrets];
        maps.into_iter().try_for_each(|values| read_settings(values, folder))?;
        let mut actions = self.plan.iter_mut().filter_map(|planned| planned.step.action.as_mut());
        actions.try_for_each(|action| action.read_files(folder))
    }

    /// Checks everything but the steps, and returns what is wired to the board.
    fn check(&self) -> Result<Vec<Attachment>, String> {
        let maps = [&self.config, &self.secrets, &self.account_config, &self.account_secrets];
        maps.into_iter().try_for_each(check_settings)?;
        self.http.iter().try_for_each(HttpAnswer::check)?;
        self.broker.requirements().check()?;
        self.link.quality().check()?;
        self.wiring.attachments().map_err(|error| format!("[wiring]: {error}"))
    }
}

impl Step {
    /// Everything it expects to see.
    pub(super) fn expected(&self) -> impl Iterator<Item = &Expect> {
        self.expect.iter().chain(&self.expect_all)
    }

    pub(super) fn check_parts(&self, attachments: &[Attachment]) -> Result<(), String> {
        let has_time = self.at.is_some() || self.after.is_some() || self.wait.is_some();
        let has_expectation = self.expected().next().is_some() || !self.expect_not.is_empty();
        let is_empty = !has_time && self.action.is_none() && !has_expectation;
        match (self.steps.is_empty(), is_empty) {
            (false, false) => return Err("a step with steps in it has only name, repeat and step".into()),
            (true, true) => return Err("it has none of at, after, wait, do, expect and step".into()),
            _ => {}
        }
        if self.at.is_some() && (self.after.is_some() || self.wait.is_some()) {
            return Err("at is a time of its own: it goes with neither after nor wait".into());
        }
        if self.at.is_some() && self.repeat.is_some() {
            return Err("at is one time: a step with it cannot be repeated; use wait".into());
        }
        if self.within.is_some() && self.after.is_none() && !has_expectation {
            return Err(
                "within limits the time for expect or after, and there is neither; wait lets time pass"
                    .into(),
            );
        }
        if let Some(action) = &self.action {
            action.check(attachments)?;
        }
        let mut all = self.expected().chain(&self.expect_not);
        all.try_for_each(Expect::check).map_err(|error| format!("expect: {error}"))
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MAX_SCRIPT {
        return Err(format!("{length} bytes; a script has at most {MAX_SCRIPT}"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[application]\nimage = \"app.elf\"\n";

    fn refused(rest: &str) -> String {
        Script::parse(&format!("{HEAD}{rest}")).err().expect("refused")
    }

    /// Shows D271, D348.
    #[test]
    fn mistakes_are_reported_with_their_line_and_what_was_meant() {
        for (step, expected) in [
            ("expects = { log = 'x' }", "did you mean `expect`?"),
            ("do = 'cut link'", "did you mean `cut-link`?"),
            ("do = 'stop-brocker'", "did you mean `stop-broker`?"),
            ("expect = { log = '(' }", "not a regular expression"),
            ("expect = { input = 'PC13=1' }", "`input` belongs to do"),
            ("do = { log = 'x' }", "`log` belongs to expect"),
            ("host = 'x'", "`host` belongs to [broker]"),
            ("expect = { publish = { topic = 'a', payloads = 'x' } }", "did you mean `payload`?"),
            ("within = 3", "line 4"),
        ] {
            let text = refused(&format!("[[step]]\n{step}\n"));
            assert!(text.starts_with("line 4: ") && text.contains(expected), "{step}: {text}");
        }
        let single = refused("[step]\nwait = '1s'\n");
        assert!(single.contains("a step begins with [[step]]"), "{single}");
        let misspelt = refused("[aplication]\nimage = 'x'\n[[step]]\nwait = '1s'\n");
        assert!(
            misspelt.contains("line 3") && misspelt.contains("did you mean `application`?"),
            "{misspelt}"
        );
    }

    /// Shows D348.
    #[test]
    fn contradictions_and_steps_without_effect_are_reported_with_their_line() {
        assert!(refused("").contains("1 to 10000 [[step]]"));
        for (step, expected) in [
            ("name = 'x'", "it has none of"),
            ("at = '2s'\nwait = '1s'", "at is a time of its own"),
            ("do = { publish = { topic = 'a/#' } }", "not a topic to publish to"),
            ("do = { publish = { topic = 'a', payload = 'x', hex = '00' } }", "use one of them"),
            ("do = { input = 'i2c:1@0x18:temperature=3' }", "nothing is wired"),
            ("do = { broker = { refuse = 'busy' } }", "expected one of"),
            ("do = 'restore-link'", "the link is not cut"),
            ("do = 'start-broker'", "the broker runs already"),
            ("do = 'power-on'", "already switched on"),
            ("do = 'power-off'\nexpect = { log = 'x' }", "switched off"),
            ("wait = '1s'\nwithin = '1s'", "there is neither"),
            ("wait = '1s'\nrepeat = 0", "repeat is 0"),
            ("wait = '1s'\nrepeat = 10001", "more than 10000"),
            ("wait = '1s'\n[[step.step]]\nwait = '1s'", "only name, repeat and step"),
        ] {
            let text = refused(&format!("[[step]]\nwait = '1s'\n[[step]]\n{step}\n"));
            assert!(text.starts_with("line 5: ") && text.contains(expected), "{step}: {text}");
        }
    }

    /// Shows D348.
    #[test]
    fn steps_are_repeated_alone_and_as_a_group() {
        let steps = "[[step]]\nname = 'once'\nwait = '1s'\n[[step]]\nname = 'round'\nrepeat = 2\n\
                     [[step.step]]\nname = 'a'\nwait = '1s'\n[[step.step]]\nwait = '1s'\nrepeat = 2\n";
        let script = Script::parse(&format!("{HEAD}{steps}")).unwrap_or_else(|error| panic!("{error}"));
        let titles: Vec<&str> = script.plan.iter().map(|planned| planned.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "once",
                "round (1 of 2): a",
                "round (1 of 2): step 2 (1 of 2)",
                "round (1 of 2): step 2 (2 of 2)",
                "round (2 of 2): a",
                "round (2 of 2): step 2 (1 of 2)",
                "round (2 of 2): step 2 (2 of 2)"
            ]
        );
    }
}
