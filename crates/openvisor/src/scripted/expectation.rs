//! Whether what was seen is what a step expects.

use std::fmt;

use demo_broker::filter;

use super::format::{Action, Expect, ExpectHttp, ExpectPublish, LinkState};
use super::observation::Seen;

impl Expect {
    pub(super) fn is_met_by(&self, seen: &Seen) -> bool {
        match (self, seen) {
            (Self::Log(pattern), Seen::Log(text)) => pattern.is_in(text),
            (Self::Publish(expected), Seen::Published { topic, payload, qos, retain }) => {
                filter::matches(&expected.topic, topic)
                    // What the script does not mention may be anything.
                    && expected.payload.as_ref().is_none_or(|pattern| pattern.is_in(payload))
                    && expected.qos.is_none_or(|wanted| wanted == *qos)
                    && expected.retain.is_none_or(|wanted| wanted == *retain)
            }
            (Self::Subscribe(wanted), Seen::Subscribed(filter)) => wanted == filter,
            (Self::Http(expected), Seen::Requested { method, url, body }) => {
                expected.method.as_ref().is_none_or(|wanted| wanted == method)
                    && expected.url.as_ref().is_none_or(|pattern| pattern.is_in(url))
                    && expected.body.as_ref().is_none_or(|pattern| pattern.is_in(body))
            }
            (Self::Pin(expected), Seen::Pin(pin, level)) => expected.pin == *pin && expected.level == *level,
            // Any line of the report: its cause, a register or a call of the backtrace.
            (Self::Crash(pattern), Seen::Crashed(lines)) => lines.iter().any(|line| pattern.is_in(line)),
            (Self::Link(state), Seen::Link { up }) => (*state == LinkState::Up) == *up,
            _ => false,
        }
    }

    /// What others of its kind are called, to list them when none is the expected one.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Log(_) => "log line",
            Self::Publish(_) => "publish",
            Self::Subscribe(_) => "subscribe",
            Self::Http(_) => "HTTP request",
            Self::Pin(_) => "pin change",
            Self::Crash(_) => "crash",
            Self::Link(_) => "link change",
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(pattern) => write!(f, "a log line with {pattern}"),
            Self::Publish(expected) => expected.fmt(f),
            Self::Subscribe(filter) => write!(f, "a subscribe to {filter}"),
            Self::Http(expected) => expected.fmt(f),
            Self::Pin(level) => write!(f, "pin {level}"),
            Self::Crash(pattern) => write!(f, "a crash with {pattern}"),
            Self::Link(LinkState::Up) => f.write_str("the link to come up"),
            Self::Link(LinkState::Down) => f.write_str("the link to go down"),
        }
    }
}

impl fmt::Display for ExpectPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a publish to {}", self.topic)?;
        self.payload.iter().try_for_each(|pattern| write!(f, " with {pattern}"))?;
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
        self.body.iter().try_for_each(|pattern| write!(f, " of a body with {pattern}"))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutLink => f.write_str("the link is cut"),
            Self::RestoreLink => f.write_str("the link is restored"),
            Self::StopBroker => f.write_str("the broker stops"),
            Self::StartBroker => f.write_str("the broker starts"),
            Self::Publish(publish) => write!(f, "publish to {}: {}", publish.topic, publish.payload),
            Self::Input(input) => write!(f, "input {input}"),
            Self::Config(values) => {
                let keys: Vec<&str> = values.keys().map(String::as_str).collect();
                write!(f, "configuration changes: {}", keys.join(", "))
            }
            Self::Http(answer) => {
                write!(f, "answer of {}: {}", text::redacted_url(&answer.url), answer.status)
            }
        }
    }
}
