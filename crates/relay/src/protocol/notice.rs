//! What happens on channels, to show and to count.

use alloc::string::String;
use alloc::vec::Vec;

use mqtt::Deviation;
use sansio::Duration;

use super::{ConnectError, HttpError};

/// How a broker is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain TCP.
    Plain,
    /// TLS as the application asked for.
    Tls,
    /// TLS with the public authorities because of the port, though the application gave no TLS credentials (D196).
    TlsByPort,
}

/// What happened on a channel, for timelines and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The device opened a channel.
    ChannelOpened {
        /// Its number on the link.
        channel: u8,
        /// A word of [`Counts::TYPES`](crate::Counts::TYPES).
        kind: &'static str,
    },
    /// A channel has ended.
    ChannelClosed {
        /// Its number on the link.
        channel: u8,
        /// Who ended it.
        by_device: bool,
    },
    /// A broker is being connected to.
    BrokerConnecting {
        /// The channel.
        channel: u8,
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
        /// How.
        security: Security,
    },
    /// A broker accepted the connection.
    BrokerConnected {
        /// The channel.
        channel: u8,
    },
    /// A connect failed.
    ConnectFailed {
        /// The channel.
        channel: u8,
        /// The broker's name; empty when the request was invalid before its name was known.
        host: String,
        /// Its port.
        port: u16,
        /// Why.
        error: ConnectError,
    },
    /// Connects to a broker failed so often that the next ones are delayed: an application in a loop must not load
    /// the broker and the cloud (D197). Sent once, until a connection lasts.
    ConnectDelayed {
        /// The channel.
        channel: u8,
        /// The broker's name.
        host: String,
        /// Its port.
        port: u16,
        /// The longest delay from now on.
        max_delay: Duration,
    },
    /// A broker departs from MQTT without harm, which is tolerated: after an ended connection it would send the same
    /// again (D192). Sent once for each kind and connection.
    Deviation {
        /// The channel.
        channel: u8,
        /// From which rule.
        deviation: Deviation,
    },
    /// The connection to a broker has ended.
    BrokerLost {
        /// The channel.
        channel: u8,
        /// What is known of the cause.
        reason: String,
    },
    /// A message went to a broker.
    Published {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Bytes of its payload.
        length: usize,
        /// 0 or 1.
        qos: u8,
    },
    /// A subscribe went to a broker.
    Subscribing {
        /// The channel.
        channel: u8,
        /// The filters.
        filters: String,
    },
    /// A message went to the device.
    Delivered {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Bytes of its payload.
        length: usize,
        /// 0 or 1.
        qos: u8,
    },
    /// A message larger than the application's receive buffer was dropped (D49).
    MessageLost {
        /// The channel.
        channel: u8,
        /// Its topic.
        topic: String,
        /// Bytes of its payload, as far as known.
        length: usize,
    },
    /// A request was refused.
    RequestRefused {
        /// The channel.
        channel: u8,
        /// `publish`, `subscribe` or `unsubscribe`.
        request: &'static str,
        /// Why it was refused.
        reason: String,
    },
    /// An HTTP request is being sent to a server.
    HttpRequested {
        /// The channel.
        channel: u8,
        /// Its method.
        method: &'static str,
        /// Its URL.
        url: String,
    },
    /// A server answered an HTTP request.
    HttpAnswered {
        /// The channel.
        channel: u8,
        /// The status.
        status: u16,
        /// Bytes of the body.
        length: usize,
    },
    /// Header lines of a response were left out, because they are malformed (D194).
    HttpHeadersIgnored {
        /// The channel.
        channel: u8,
        /// Their names, as far as they have one: at most a few, unchecked text of the server.
        names: Vec<String>,
    },
    /// An HTTP request has no answer, or one the application cannot take.
    HttpFailed {
        /// The channel.
        channel: u8,
        /// Why.
        error: HttpError,
    },
    /// A configuration fetch was answered.
    ConfigFetch {
        /// The channel.
        channel: u8,
        /// How many keys it had.
        keys: usize,
        /// Names of those that do not exist.
        missing: Vec<String>,
        /// Names of those the store could not look up.
        unavailable: Vec<String>,
        /// The values do not fit the application's receive buffer, or the link: the application gets none.
        is_too_large: bool,
    },
}

impl Notice {
    /// Whether the log and the metrics need it too, so that it is sent even without subscribers.
    pub const fn is_for_operators(&self) -> bool {
        matches!(self, Self::ConnectFailed { .. } | Self::ConnectDelayed { .. })
    }
}
