//! What the environment does in a step.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use device::wiring::Attachment;
use serde::Deserialize;
use serde_json::Value;

use super::content::{self, Hex};
use super::environment::{BrokerRequirements, HttpAnswer, LinkQuality, check_settings, read_settings};
use super::values::InputText;

/// Something the environment does.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    CutLink,
    RestoreLink,
    StopBroker,
    StartBroker,
    /// The device loses its power: RAM is lost, what is stored remains.
    PowerOff,
    PowerOn,
    /// The broker sends a message to its subscribers.
    Publish(PublishAction),
    /// A pin is driven, a sensor measures, a serial port receives.
    Input(InputText),
    /// Configuration values change.
    Config(BTreeMap<String, String>),
    Secrets(BTreeMap<String, String>),
    AccountConfig(BTreeMap<String, String>),
    AccountSecrets(BTreeMap<String, String>),
    /// The web server answers differently from now on.
    Http(HttpAnswer),
    /// The broker requires something else of clients from now on.
    Broker(BrokerRequirements),
    /// The connection between device and cloud becomes slower, or faster.
    Link(LinkQuality),
}

/// A message of another client.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PublishAction {
    pub(crate) topic: String,
    payload: Option<String>,
    hex: Option<Hex>,
    json: Option<Value>,
    #[serde(default)]
    pub(crate) qos: u8,
    #[serde(default)]
    pub(crate) retain: bool,
}

impl PublishAction {
    /// Its payload.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, String> {
        content::bytes("payload", self.payload.as_deref(), self.hex.as_ref(), self.json.as_ref())
    }
}

impl Action {
    pub(super) fn check(&self, attachments: &[Attachment]) -> Result<(), String> {
        match self {
            Self::Publish(publish) if !demo_broker::filter::is_topic(&publish.topic) => {
                Err(format!("do: {:?} is not a topic to publish to", publish.topic))
            }
            Self::Publish(PublishAction { qos: 2.., .. }) => {
                Err("do: qos is 0 or 1: devices take no other".into())
            }
            Self::Publish(publish) => publish.bytes().map(|_| ()),
            Self::Input(input) => input.check(attachments),
            Self::Config(values)
            | Self::Secrets(values)
            | Self::AccountConfig(values)
            | Self::AccountSecrets(values) => check_settings(values),
            Self::Http(answer) => answer.check(),
            Self::Broker(requirements) => requirements.check(),
            Self::Link(quality) => quality.check(),
            _ => Ok(()),
        }
    }
}

impl Action {
    /// Reads the certificates and values that are in files.
    pub(super) fn read_files(&mut self, folder: &Path) -> Result<(), String> {
        match self {
            Self::Config(values)
            | Self::Secrets(values)
            | Self::AccountConfig(values)
            | Self::AccountSecrets(values) => read_settings(values, folder),
            Self::Broker(requirements) => requirements.read_files(folder),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutLink => f.write_str("the link is cut"),
            Self::RestoreLink => f.write_str("the link is restored"),
            Self::StopBroker => f.write_str("the broker stops"),
            Self::StartBroker => f.write_str("the broker starts"),
            Self::PowerOff => f.write_str("the device is switched off"),
            Self::PowerOn => f.write_str("the device is switched on"),
            Self::Publish(publish) => {
                let payload = publish.bytes().unwrap_or_default();
                write!(f, "publish to {}: {}", publish.topic, String::from_utf8_lossy(&payload))
            }
            Self::Input(input) => write!(f, "input {input}"),
            Self::Config(values) => keys(f, "configuration", values),
            Self::Secrets(values) => keys(f, "secrets", values),
            Self::AccountConfig(values) => keys(f, "configuration of the account", values),
            Self::AccountSecrets(values) => keys(f, "secrets of the account", values),
            Self::Http(answer) => answer.fmt(f),
            Self::Broker(requirements) => requirements.fmt(f),
            Self::Link(quality) => quality.fmt(f),
        }
    }
}

/// Values may be secrets, so only keys are shown.
fn keys(f: &mut fmt::Formatter<'_>, what: &str, values: &BTreeMap<String, String>) -> fmt::Result {
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    write!(f, "{what} changes: {}", keys.join(", "))
}
