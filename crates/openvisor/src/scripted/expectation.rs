//! What a step expects, and whether what was seen is it.

use std::fmt;

use demo_broker::filter;
use device::events::Picture;
use serde::Deserialize;
use serde_json::Value;

use super::content::{Expected, Hex};
use super::observation::{Observation, Seen};
use super::values::{DisplayAt, Pattern, PinLevel, Rows, SerialPort};

/// Something to observe.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    /// A log line with this in it.
    Log(Pattern),
    /// A line that `--verbose` shows, of whatever source, with this in it.
    Event(Pattern),
    /// A publish of the application.
    Publish(ExpectPublish),
    /// A subscribe of the application, with exactly this filter.
    Subscribe(String),
    /// A request to the web server.
    Http(ExpectHttp),
    /// An output is, or becomes, this.
    Pin(PinLevel),
    /// A line that the application writes to a serial port.
    Serial(ExpectSerial),
    /// A display shows this, now or later.
    Display(ExpectDisplay),
    /// A crash with this in its description; an empty pattern is any crash.
    Crash(Pattern),
    /// A start of the application, for a reason with this in it.
    Start(Pattern),
    /// The link to the cloud comes up or goes down.
    Link(LinkState),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectPublish {
    /// A topic, or a filter with `+` and `#`.
    pub(crate) topic: String,
    /// In its payload.
    payload: Option<Pattern>,
    /// Its payload, exactly.
    text: Option<String>,
    hex: Option<Hex>,
    /// At least this is in its payload.
    json: Option<Value>,
    qos: Option<u8>,
    retain: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectHttp {
    method: Option<String>,
    /// In its URL.
    url: Option<Pattern>,
    /// In its body.
    body: Option<Pattern>,
    /// Its body, exactly.
    text: Option<String>,
    hex: Option<Hex>,
    /// At least this is in its body.
    json: Option<Value>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectSerial {
    /// Without it, any port.
    port: Option<SerialPort>,
    /// In the line.
    line: Pattern,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectDisplay {
    /// Without it, any display.
    at: Option<DisplayAt>,
    /// What four digits of seven segments show.
    digits: Option<String>,
    /// What a matrix of 8 by 8 shows.
    rows: Option<Rows>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LinkState {
    Up,
    Down,
}

impl Expect {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Publish(publish) if !filter::is_valid(&publish.topic) => {
                Err(format!("{:?} is neither a topic nor a filter", publish.topic))
            }
            Self::Subscribe(wanted) if !filter::is_valid(wanted) => {
                Err(format!("{wanted:?} is not a topic filter"))
            }
            Self::Display(ExpectDisplay { digits: None, rows: None, .. }) => {
                Err("display has neither digits nor rows".into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_met_by(&self, observation: &Observation) -> bool {
        match (self, &observation.seen) {
            (Self::Event(pattern), _) => pattern.is_in(&observation.event.first_line()),
            (Self::Log(pattern), Seen::Log(text)) | (Self::Start(pattern), Seen::Started(text)) => {
                pattern.is_in(text)
            }
            (Self::Publish(expected), Seen::Published { topic, payload, qos, retain }) => {
                filter::matches(&expected.topic, topic)
                    // What the script does not mention may be anything.
                    && expected.payload().is_met_by(payload)
                    && expected.qos.is_none_or(|wanted| wanted == *qos)
                    && expected.retain.is_none_or(|wanted| wanted == *retain)
            }
            (Self::Subscribe(wanted), Seen::Subscribed(filter)) => wanted == filter,
            (Self::Http(expected), Seen::Requested { method, url, body }) => {
                expected.method.as_ref().is_none_or(|wanted| wanted == method)
                    && expected.url.as_ref().is_none_or(|pattern| pattern.is_in(url))
                    && expected.body().is_met_by(body)
            }
            (Self::Pin(expected), Seen::Pin(pin, level)) => expected.pin == *pin && expected.level == *level,
            // Any line of the report: its cause, a register or a call of the backtrace.
            (Self::Serial(expected), Seen::Serial(port, line)) => {
                expected.port.is_none_or(|wanted| wanted.0 == *port) && expected.line.is_in(line)
            }
            (Self::Display(expected), Seen::Display(bus, address, picture)) => {
                expected.is_met_by(*bus, *address, picture)
            }
            (Self::Crash(pattern), Seen::Crashed(lines)) => lines.iter().any(|line| pattern.is_in(line)),
            (Self::Link(state), Seen::Link { up }) => (*state == LinkState::Up) == *up,
            _ => false,
        }
    }

    /// What others of its kind are called, to list them when none is the expected one.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Log(_) => "log line",
            Self::Event(_) => "event",
            Self::Publish(_) => "publish",
            Self::Subscribe(_) => "subscribe",
            Self::Http(_) => "HTTP request",
            Self::Pin(_) => "pin change",
            Self::Serial(_) => "line of a serial port",
            Self::Display(_) => "change of a display",
            Self::Crash(_) => "crash",
            Self::Start(_) => "start",
            Self::Link(_) => "link change",
        }
    }
}

impl ExpectPublish {
    fn payload(&self) -> Expected<'_> {
        let Self { payload, text, hex, json, .. } = self;
        Expected { pattern: payload.as_ref(), text: text.as_deref(), hex: hex.as_ref(), json: json.as_ref() }
    }
}

impl ExpectHttp {
    fn body(&self) -> Expected<'_> {
        let Self { body, text, hex, json, .. } = self;
        Expected { pattern: body.as_ref(), text: text.as_deref(), hex: hex.as_ref(), json: json.as_ref() }
    }
}

impl ExpectDisplay {
    /// Whether this display with this picture is the expected one.
    pub(super) fn is_met_by(&self, bus: u8, address: u8, picture: &Picture) -> bool {
        self.at.is_none_or(|at| at == DisplayAt { bus, address })
            && self.digits.as_ref().is_none_or(|digits| picture.digits() == *digits)
            && self.rows.is_none_or(|rows| rows.is_shown_by(picture))
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(pattern) => write!(f, "a log line with {pattern}"),
            Self::Event(pattern) => write!(f, "an event with {pattern}"),
            Self::Publish(expected) => expected.fmt(f),
            Self::Subscribe(filter) => write!(f, "a subscribe to {filter}"),
            Self::Http(expected) => expected.fmt(f),
            Self::Pin(level) => write!(f, "pin {level}"),
            Self::Serial(ExpectSerial { port: None, line }) => {
                write!(f, "a line of a serial port with {line}")
            }
            Self::Serial(ExpectSerial { port: Some(port), line }) => {
                write!(f, "a line of serial port {port} with {line}")
            }
            Self::Display(expected) => expected.fmt(f),
            Self::Crash(pattern) => write!(f, "a crash with {pattern}"),
            Self::Start(pattern) => write!(f, "a start with {pattern}"),
            Self::Link(LinkState::Up) => f.write_str("the link to come up"),
            Self::Link(LinkState::Down) => f.write_str("the link to go down"),
        }
    }
}

impl fmt::Display for ExpectPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a publish to {}{}", self.topic, self.payload())?;
        self.qos.iter().try_for_each(|qos| write!(f, ", QoS {qos}"))?;
        self.retain
            .iter()
            .try_for_each(|retain| f.write_str(if *retain { ", retained" } else { ", not retained" }))
    }
}

impl fmt::Display for ExpectHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP request")?;
        self.method.iter().try_for_each(|method| write!(f, " {method}"))?;
        self.url.iter().try_for_each(|pattern| write!(f, " of a URL with {pattern}"))?;
        let body = self.body().to_string();
        if body.is_empty() { Ok(()) } else { write!(f, " of a body{body}") }
    }
}

impl fmt::Display for ExpectDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "display {at} to show")?,
            None => f.write_str("a display to show")?,
        }
        self.digits.iter().try_for_each(|digits| write!(f, " {digits:?}"))?;
        self.rows.iter().try_for_each(|rows| write!(f, " {rows}"))
    }
}
