//! Every limit of a client, in one place. Nothing is allocated before it is needed.

use sansio::Duration;

/// Most requests [`Limits::requests`] may allow, far below the 65 535 packet identifiers, so that one is always free.
pub const MAXIMUM_REQUESTS: usize = 4096;

/// The largest Remaining Length MQTT can express.
pub(crate) const MAXIMUM_REMAINING_LENGTH: usize = 268_435_455;

/// The longest string or binary field, in bytes.
pub(crate) const MAXIMUM_FIELD_LENGTH: usize = 65_535;

/// [`ConnectOptions::receive_maximum`](crate::ConnectOptions::receive_maximum) unless chosen otherwise.
pub(crate) const DEFAULT_RECEIVE_MAXIMUM: u16 = 64;

/// [`ConnectOptions::maximum_packet_size`](crate::ConnectOptions::maximum_packet_size) unless chosen otherwise.
pub(crate) const DEFAULT_MAXIMUM_PACKET_SIZE: u32 = 256 * 1024;

/// An empty transmit buffer larger than this is freed, so that an idle client is small.
pub(crate) const RETAINED_BUFFER: usize = 1024;

/// An empty event queue with a larger capacity than this is freed.
pub(crate) const RETAINED_EVENTS: usize = 8;

/// A topic must be longer than the alias property itself for an alias to pay.
pub(crate) const SHORTEST_ALIASED_TOPIC: usize = 4;

/// Bytes of a packet besides topic and payload that do not count as overhead: header, identifier, reason code, short
/// properties.
pub(crate) const USUAL_FIELDS: usize = 16;

/// Topic aliases that are remembered of a broker that was allowed none (D192).
pub(crate) const RECEIVED_ALIASES: usize = 16;

/// Bytes of their topics.
pub(crate) const RECEIVED_ALIAS_BYTES: usize = 4096;

/// QoS 2 messages acknowledged with PUBREC that are remembered until PUBREL. If there are more, the oldest is
/// forgotten: should the broker send it again it would be delivered again, which QoS 1 allows, and the application
/// has nothing better.
pub(crate) const UNRELEASED: usize = 1024;

/// Bytes of answers a broker may leave unread beyond [`Limits::outgoing_bytes`] before nothing more is read from it:
/// with PUBREL and repeated messages it can cause any number of them.
pub(crate) const UNREAD_ANSWERS: usize = 64 * 1024;

/// The most one client may store.
///
/// Its memory is bounded by `outgoing_bytes`, `event_bytes` and twice the maximum packet size (one packet arriving, one
/// over `event_bytes`), besides small tables bounded by the counts here. An idle session holds under a KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Events waiting for [`Client::poll`](crate::Client::poll) before no more input is taken; at least 1.
    /// Completions of QoS 0 publishes come on top, bounded by `requests`.
    pub events: usize,
    /// Topic and payload bytes in waiting events before no more input is taken; at least 1. One packet may go over it.
    pub event_bytes: usize,
    /// Unacknowledged QoS 1 messages before no more input is taken, version 3.1.1 only; at least 1.
    /// (Version 5 has the Receive Maximum, beyond which the broker is at fault.)
    pub unacknowledged: usize,
    /// QoS 1 messages beyond the Receive Maximum that are tolerated before a version 5 broker is at fault
    /// (MQTT-3.3.4-9). The standard says 0. mosquitto 2.0.11 overruns the Receive Maximum when it works off a
    /// backlog, so a client that has to work with it needs more. The waiting messages stay bounded by `events` and
    /// `event_bytes`.
    pub receive_maximum_excess: usize,
    /// Publishes, subscribes and unsubscribes whose outcome has not been polled; 1 to [`MAXIMUM_REQUESTS`].
    pub requests: usize,
    /// Bytes waiting for the connection, those handed out but not yet taken included; at least 1.
    /// Acknowledgements and pings come on top, at most 64 KiB before no more input is taken.
    pub outgoing_bytes: usize,
    /// Topic aliases used towards a broker that allows more.
    pub topic_aliases: u16,
    /// From [`Client::new`](crate::Client::new) to the CONNACK.
    pub connect_timeout: Duration,
    /// Without a byte from the broker after a PINGREQ.
    pub ping_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 64,
            event_bytes: 64 * 1024,
            unacknowledged: 1024,
            receive_maximum_excess: 0,
            requests: 64,
            outgoing_bytes: 512 * 1024,
            topic_aliases: 16,
            connect_timeout: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// Limits under which a client could never make progress are refused before it starts.
    pub(crate) fn are_usable(&self) -> bool {
        self.events > 0
            && self.event_bytes > 0
            && self.unacknowledged > 0
            && (1..=MAXIMUM_REQUESTS).contains(&self.requests)
            && self.outgoing_bytes > 0
    }
}
