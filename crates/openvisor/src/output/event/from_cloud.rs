//! What cloud and broker report, as events.

use std::time::Duration;

use cloud::destinations::Destinations;
use cloud::events::{Disconnection, EventKind};
use demo_broker as broker;
use link::connection::ByeReason;
use relay::{HttpError, Notice, Security};

use super::{Event, LoweredLimit};

impl Event {
    /// Where applications may connect.
    pub(crate) fn destinations(destinations: &Destinations) -> Self {
        Self::Destinations { allowed: destinations.allowed().iter().map(ToString::to_string).collect() }
    }

    /// Limits that the cloud has lowered, if it has.
    pub(crate) fn limits_lowered(limits: &[cloud::LoweredLimit]) -> Option<Self> {
        let limit =
            |limit: &cloud::LoweredLimit| LoweredLimit { name: limit.name, from: limit.from, to: limit.to };
        (!limits.is_empty()).then(|| Self::LimitsLowered { limits: limits.iter().map(limit).collect() })
    }

    /// An event of the broker. Messages have none here: the demo shows them as its monitor receives them.
    pub(crate) fn of_broker(event: &broker::Event) -> Option<Self> {
        use broker::Event as E;
        Some(match event {
            E::Connected { client, version } => Self::ClientConnected { client: client.clone(), version },
            E::Subscribed { client, filter } => {
                Self::ClientSubscribed { client: client.clone(), filter: filter.clone() }
            }
            E::Published { .. } => return None,
            E::Disconnected { client, clean } => {
                Self::ClientDisconnected { client: client.clone(), clean: *clean }
            }
            E::Refused { why } => Self::ClientRefused { detail: why.clone() },
        })
    }
}

impl From<&EventKind> for Event {
    fn from(kind: &EventKind) -> Self {
        match kind {
            EventKind::Log { sequence, clock, text } => Self::AppLog {
                sequence: Some(*sequence),
                clock_us: Some(*clock),
                boot: None,
                received: None,
                line: String::from_utf8_lossy(text.trim_ascii_end()).into_owned(),
            },
            EventKind::Connected { address } => Self::DeviceConnected { address: address.to_string() },
            EventKind::Started { image, .. } => Self::DeviceStarted { image: hexadecimal(image) },
            EventKind::Disconnected { reason } => {
                Self::DeviceDisconnected { reason: reason.label(), detail: disconnection(reason) }
            }
            EventKind::Notice(notice) => notice.into(),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn disconnection(reason: &Disconnection) -> &'static str {
    match reason {
        Disconnection::Bye(reason) => bye(*reason),
        Disconnection::Lost => "connection lost",
        Disconnection::TimedOut => "timed out while closing the connection",
    }
}

/// The reasons of `BYE`, as docs/spec/link.md names them.
fn bye(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Done => "the device closed the connection",
        ByeReason::Version => "protocol version not supported",
        ByeReason::Violation => "protocol violation",
        ByeReason::Replaced => "replaced by a newer connection of this device",
        ByeReason::ShuttingDown => "the cloud is shutting down",
        ByeReason::Revoked => "the device is revoked",
        ByeReason::Keepalive => "keepalive timed out",
        ByeReason::Overloaded => "overloaded",
        ByeReason::Internal => "internal error",
        ByeReason::Other(_) => "a reason of a later protocol version",
    }
}

impl From<&Notice> for Event {
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn from(notice: &Notice) -> Self {
        use Notice as N;
        match notice {
            N::ChannelOpened { channel, kind } => Self::ChannelOpened { channel: *channel, kind },
            N::ChannelClosed { channel, by_device } => {
                Self::ChannelClosed { channel: *channel, by: if *by_device { "device" } else { "cloud" } }
            }
            N::BrokerConnecting { channel, host, port, security } => Self::BrokerConnecting {
                channel: *channel,
                host: text::redacted_host(host),
                port: *port,
                security: security_word(*security),
            },
            N::BrokerConnected { channel } => Self::BrokerConnected { channel: *channel },
            N::ConnectFailed { channel, host, port, error } => Self::BrokerConnectFailed {
                channel: *channel,
                host: text::redacted_host(host),
                port: *port,
                reason: error.label(),
                code: Some(error.code()).filter(|code| *code != 0),
                detail: error.to_string(),
            },
            N::ConnectDelayed { channel, host, port, max_delay } => Self::BrokerConnectsDelayed {
                channel: *channel,
                host: text::redacted_host(host),
                port: *port,
                max_delay_ms: Duration::from(*max_delay).as_millis() as u64,
            },
            N::Deviation { channel, deviation } => Self::BrokerDeviation {
                channel: *channel,
                kind: deviation.label(),
                detail: deviation.to_string(),
            },
            N::BrokerLost { channel, reason } => {
                Self::BrokerLost { channel: *channel, detail: reason.clone() }
            }
            N::Published { channel, topic, length, qos } => {
                Self::MessageToBroker { channel: *channel, topic: topic.clone(), bytes: *length, qos: *qos }
            }
            N::Subscribing { channel, filters } => {
                Self::Subscribing { channel: *channel, filters: filters.clone() }
            }
            N::Delivered { channel, topic, length, qos } => {
                Self::MessageToDevice { channel: *channel, topic: topic.clone(), bytes: *length, qos: *qos }
            }
            N::MessageLost { channel, topic, length } => {
                Self::MessageDropped { channel: *channel, topic: topic.clone(), bytes: *length }
            }
            N::RequestRefused { channel, request, reason } => Self::RequestRefused {
                channel: *channel,
                request: if *request == "HTTP request" { "http" } else { request },
                detail: reason.clone(),
            },
            N::HttpRequested { channel, method, url } => Self::HttpRequested {
                channel: Some(*channel),
                method,
                url: text::redacted_url(url),
                bytes: None,
                answered: None,
            },
            N::HttpAnswered { channel, status, length } => {
                Self::HttpAnswered { channel: *channel, status: *status, bytes: *length }
            }
            N::HttpHeadersIgnored { channel, names } => {
                Self::HttpHeadersIgnored { channel: *channel, names: names.clone() }
            }
            N::HttpFailed { channel, error } => Self::HttpFailed {
                channel: *channel,
                reason: error.label(),
                detail: match error {
                    HttpError::Connection(error) => error.to_string(),
                    error => error.to_string(),
                },
            },
            N::ConfigFetch { channel, keys, missing, unavailable, is_too_large } => Self::ConfigFetched {
                channel: *channel,
                keys: *keys,
                found: keys.saturating_sub(missing.len() + unavailable.len()),
                missing: missing.clone(),
                unavailable: unavailable.clone(),
                too_large: *is_too_large,
            },
        }
    }
}

fn security_word(security: Security) -> &'static str {
    match security {
        Security::Plain => "plain",
        Security::Tls => "tls",
        Security::TlsByPort => "tls_by_port",
    }
}
