//! What can be seen of an application and its environment.

use std::time::Duration;

use device::events::Picture;
use device::pin::Pin;

use crate::output::event::Event;

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// When, in device time since the first power-on.
    pub(crate) at: Duration,
    /// As the timeline has it.
    pub(crate) event: Event,
    pub(super) seen: Seen,
}

/// What it was, as far as a step can expect it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Log(String),
    Published {
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
    },
    Subscribed(String),
    Requested {
        method: &'static str,
        url: String,
        body: Vec<u8>,
    },
    Pin(Pin, bool),
    /// A port's number, and a line or, after a pause, the beginning of one.
    Serial(u8, String),
    /// Bus, address, and what is lit.
    Display(u8, u8, Picture),
    /// The lines of the report.
    Crashed(Vec<String>),
    /// The reason.
    Started(String),
    Link {
        up: bool,
    },
    Other,
}

impl Seen {
    /// What it is called where other things were seen than expected.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Log(_) => "log line",
            Self::Published { .. } => "publish",
            Self::Subscribed(_) => "subscribe",
            Self::Requested { .. } => "HTTP request",
            Self::Pin(..) => "pin change",
            Self::Serial(..) => "line of a serial port",
            Self::Display(..) => "change of a display",
            Self::Crashed(_) => "crash",
            Self::Started(_) => "start",
            Self::Link { .. } => "link change",
            Self::Other => "event",
        }
    }
}
