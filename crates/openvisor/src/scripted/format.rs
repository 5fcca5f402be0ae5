//! What a script says, and the mistakes in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use device::wiring::{self, Attachment};
use serde::Deserialize;

use super::values::{InputText, Pattern, PinLevel, Span};
use crate::operate::settings;
use crate::output::exit::Failure;

/// Longest script in bytes.
const MAX_SCRIPT: u64 = 1 << 20;
/// Most steps of a script.
const MAX_STEPS: usize = 10_000;

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
    pub(crate) wiring: Wiring,
    #[serde(default)]
    pub(crate) step: Vec<Step>,
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
}

/// The broker.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Broker {
    /// Its name; without it, every name is the broker's.
    pub(crate) host: Option<String>,
    /// Its port; without it, every port is the broker's.
    pub(crate) port: Option<u16>,
    /// It is not running at first.
    #[serde(default)]
    pub(crate) stopped: bool,
}

/// What is attached to the board, as the options of `openvisor run` say it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wiring {
    #[serde(default)]
    i2c: Vec<String>,
    #[serde(default)]
    spi: Vec<String>,
}

impl Wiring {
    pub(crate) fn attachments(&self) -> Result<Vec<Attachment>, String> {
        let i2c = self.i2c.iter().map(|text| Attachment::i2c(text));
        let spi = self.spi.iter().map(|text| Attachment::spi(text));
        let all = i2c.chain(spi).collect::<Result<Vec<_>, _>>().map_err(|error| error.0)?;
        wiring::check(&all).map_err(|error| error.0)?;
        Ok(all)
    }
}

/// An answer of the web server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HttpAnswer {
    /// The URL, exactly as the application requests it.
    pub(crate) url: String,
    /// The method; without it, every method.
    pub(crate) method: Option<String>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
}

const fn ok() -> u16 {
    200
}

/// One step: when, what to do, what to expect. Each part may be missing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    pub(crate) name: Option<String>,
    /// Begin at this device time since power-on.
    pub(crate) at: Option<Span>,
    /// Begin when this is in a log line; `within` limits the time.
    pub(crate) after: Option<Pattern>,
    /// Begin this long after the step before, or after what `after` says.
    pub(crate) wait: Option<Span>,
    #[serde(rename = "do")]
    pub(crate) action: Option<Action>,
    pub(crate) expect: Option<Expect>,
    /// How long to wait for what is expected, and for `after`.
    pub(crate) within: Option<Span>,
}

/// Something the environment does.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    CutLink,
    RestoreLink,
    StopBroker,
    StartBroker,
    /// The broker sends a message to its subscribers.
    Publish(PublishAction),
    /// A pin is driven, a sensor measures, a serial port receives.
    Input(InputText),
    /// Configuration values change.
    Config(BTreeMap<String, String>),
    /// The web server answers differently from now on.
    Http(HttpAnswer),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PublishAction {
    pub(crate) topic: String,
    #[serde(default)]
    pub(crate) payload: String,
    #[serde(default)]
    pub(crate) qos: u8,
    #[serde(default)]
    pub(crate) retain: bool,
}

/// Something to observe.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    /// A log line with this in it.
    Log(Pattern),
    /// A publish of the application.
    Publish(ExpectPublish),
    /// A subscribe of the application, with exactly this filter.
    Subscribe(String),
    /// A request to the web server.
    Http(ExpectHttp),
    /// An output is, or becomes, this.
    Pin(PinLevel),
    /// A crash with this in its description; an empty pattern is any crash.
    Crash(Pattern),
    /// The link to the cloud comes up or goes down.
    Link(LinkState),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectPublish {
    /// A topic, or a filter with `+` and `#`.
    pub(crate) topic: String,
    /// In its payload.
    pub(crate) payload: Option<Pattern>,
    pub(crate) qos: Option<u8>,
    pub(crate) retain: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectHttp {
    pub(crate) method: Option<String>,
    /// In its URL.
    pub(crate) url: Option<Pattern>,
    /// In its body.
    pub(crate) body: Option<Pattern>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LinkState {
    Up,
    Down,
}

impl Script {
    /// Reads and checks the script at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |error: String| Failure::bad_input(format!("{}: {error}", path.display()));
        let text = read_text(path).map_err(bad)?;
        let mut script = Self::parse(&text).map_err(|error| {
            bad(error).hint("openvisor test --help has a complete example; docs/testing.md has every key")
        })?;
        path.clone_into(&mut script.path);
        script.application.image = path.parent().unwrap_or(Path::new("")).join(&script.application.image);
        Ok(script)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let script: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", error.message().replace('\n', "; "))
        })?;
        script.check()?;
        Ok(script)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MAX_STEPS).contains(&self.step.len()) {
            return Err(format!("{} steps; a script has 1 to {MAX_STEPS} [[step]] tables", self.step.len()));
        }
        let maps = [&self.config, &self.secrets, &self.account_config, &self.account_secrets];
        maps.into_iter().try_for_each(check_settings)?;
        self.http.iter().try_for_each(HttpAnswer::check)?;
        let attachments = self.wiring.attachments().map_err(|error| format!("[wiring]: {error}"))?;
        for (index, step) in self.step.iter().enumerate() {
            step.check(&attachments).map_err(|error| format!("step {}: {error}", index + 1))?;
        }
        Ok(())
    }
}

impl HttpAnswer {
    fn check(&self) -> Result<(), String> {
        if !self.url.starts_with("https:") {
            return Err(format!("http: {:?} is not an https URL, and applications use no other", self.url));
        }
        if !(200..=999).contains(&self.status) {
            return Err(format!("http: status {} is not from 200 to 999", self.status));
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, attachments: &[Attachment]) -> Result<(), String> {
        let is_empty = self.at.is_none() && self.after.is_none() && self.wait.is_none();
        if is_empty && self.action.is_none() && self.expect.is_none() {
            return Err("it has none of at, after, wait, do and expect".into());
        }
        if self.at.is_some() && (self.after.is_some() || self.wait.is_some()) {
            return Err("at is a time of its own: it goes with neither after nor wait".into());
        }
        match &self.action {
            Some(Action::Publish(publish)) if !demo_broker::filter::is_topic(&publish.topic) => {
                return Err(format!("do: {:?} is not a topic to publish to", publish.topic));
            }
            Some(Action::Publish(PublishAction { qos: 2.., .. })) => {
                return Err("do: qos is 0 or 1: devices take no other".into());
            }
            Some(Action::Input(input)) => input.check(attachments)?,
            Some(Action::Config(values)) => check_settings(values)?,
            Some(Action::Http(answer)) => answer.check()?,
            _ => {}
        }
        match &self.expect {
            Some(Expect::Publish(publish)) if !demo_broker::filter::is_valid(&publish.topic) => {
                Err(format!("expect: {:?} is neither a topic nor a filter", publish.topic))
            }
            _ => Ok(()),
        }
    }

    /// What the step is called in reports.
    pub(crate) fn title(&self, index: usize) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("step {}", index + 1),
        }
    }
}

fn check_settings(values: &BTreeMap<String, String>) -> Result<(), String> {
    values.iter().try_for_each(|(key, value)| {
        settings::check_key("setting", key)
            .and_then(|()| settings::check_value("setting", key, value))
            .map_err(|failure| failure.to_string().replace("\n ", ";"))
    })
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

    #[test]
    fn mistakes_are_reported_with_their_line_and_what_is_allowed() {
        let unknown = refused("[[step]]\nexpects = { log = \"x\" }\n");
        assert!(unknown.contains("line 4") && unknown.contains("expect"), "{unknown}");
        let action = refused("[[step]]\ndo = \"cut link\"\n");
        assert!(action.contains("line 4") && action.contains("cut-link"), "{action}");
        let pattern = refused("[[step]]\nexpect = { log = \"(\" }\n");
        assert!(pattern.contains("not a regular expression"), "{pattern}");
    }

    #[test]
    fn contradictions_are_reported_with_their_step() {
        assert!(refused("").contains("1 to 10000 [[step]]"));
        let step = |text: &str| refused(&format!("[[step]]\nwait = \"1s\"\n[[step]]\n{text}\n"));
        assert!(step("name = \"x\"").contains("step 2: it has none of"));
        assert!(step("at = \"2s\"\nwait = \"1s\"").contains("step 2: at is a time of its own"));
        assert!(step("do = { publish = { topic = \"a/#\" } }").contains("not a topic to publish to"));
        assert!(step("do = { input = \"i2c:1@0x18:temperature=3\" }").contains("nothing is wired"));
    }
}
