//! Every limit of a relay, in one place. A limit that starts with "Default" can be changed by the operator.

use core::ops::RangeInclusive;

use sansio::Duration;

// --- The link.

/// Bytes in one [`Output::LinkSend`](crate::Output::LinkSend); the last frame may exceed it.
pub const LINK_CHUNK: usize = 16 * 1024;

/// Bytes a device may send on one channel before the relay extends the window (link.md §6).
pub const WINDOW: u32 = 16 * 1024;

/// Default keepalive interval of the link.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// Bytes in memory for all channels of a device, above which the link is ended: incomplete items, topic names, what
/// waits for brokers and for the device. An application has 512 KiB of memory for all it sends and receives. Above it
/// come at most one item and what brokers had already sent.
pub const MAX_DEVICE_BYTES: usize = 4 * 1024 * 1024;

/// Items on a channel that wait for room in the application's receive buffer, before no more messages are accepted
/// from the broker.
pub const MAX_QUEUED_ITEMS: usize = 32;

/// Bytes of such items; one message may exceed it.
pub const MAX_QUEUED_BYTES: usize = 64 * 1024;

/// Capacity an empty queue may retain; larger ones are freed.
pub const RETAINED_CAPACITY: usize = 4;

// --- Brokers.

/// Bytes that wait for a broker's connection before the channel's window is no longer extended.
pub const MAX_UNSENT_BYTES: usize = 64 * 1024;

/// Default number of messages a second one channel may receive, averaged over [`MESSAGE_BURST_SECONDS`] (D51).
pub const MESSAGES_PER_SECOND: u32 = 500;

/// Seconds of this rate that may arrive at once, because an application catches up with a burst, but not with a flood
/// (D51).
pub const MESSAGE_BURST_SECONDS: u32 = 10;

/// Default number of packets a second that are read from a broker although they produce neither message nor response
/// (D180).
pub const BROKER_PACKETS_PER_SECOND: u32 = 1000;

/// The same in bytes, because one packet may be long: properties, acknowledgements, messages that are too long (D180).
pub const BROKER_BYTES_PER_SECOND: u32 = 1024 * 1024;

/// Seconds of these two rates that may arrive at once. A longer burst would be available again with each new
/// connection.
pub const BROKER_BURST_SECONDS: u32 = 1;

/// Unacknowledged QoS 1 messages a broker may have outstanding: as many as the link carries for one channel.
pub const RECEIVE_MAXIMUM: u16 = link::MESSAGE_ITEMS as u16;

/// Unacknowledged QoS 1 messages accepted beyond the Receive Maximum before the broker is considered faulty:
/// mosquitto 2.0 exceeds it while it works off a backlog.
pub const RECEIVE_MAXIMUM_EXCESS: usize = 1024;

/// The largest packet accepted from a broker, in bytes: no receive buffer can be larger than the application's memory.
pub const MAX_BROKER_PACKET: u32 = 512 * 1024;

/// Bytes of requests to a broker: all a channel may have in flight (16 publishes, a subscribe, an unsubscribe), each
/// as long as an item can be and with the longest topic, so that no request the link has accepted is refused for lack
/// of space. Device and broker are held back long before ([`MAX_UNSENT_BYTES`]).
pub const MAX_BROKER_OUTGOING: usize = (link::PUBLISH_SLOTS as usize + 2)
    * (link::MAX_ITEM + link::limits::MAX_TOPIC + 64) as usize
    + MAX_UNSENT_BYTES;

/// Time a broker's connection has to accept the application's DISCONNECT (D93).
pub const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(10);

// --- Connects that keep failing are delayed, because reconnecting at once harms a broker that has just restarted
// (D197).

/// Connects to a broker that may fail in a row before the next one is delayed.
pub const FREE_RECONNECTS: u32 = 3;

/// The first delay after a failure; each further failure doubles it.
pub const RECONNECT_DELAY_START: Duration = Duration::from_millis(250);

/// Default longest delay. Together with the time TCP, TLS and CONNACK may take it stays below a minute, after which
/// applications abandon a connect by themselves.
pub const RECONNECT_DELAY: Duration = Duration::from_secs(8);

/// A connection that lasted this long is a success, after which earlier failures no longer count.
pub const LASTING_CONNECTION: Duration = Duration::from_secs(10);

/// Time without another failure after which a broker's failures no longer count.
pub const RECONNECTS_FORGOTTEN: Duration = Duration::from_secs(60);

/// Brokers of one device whose failures are remembered.
pub const MAX_WATCHED_BROKERS: usize = 8;

// --- HTTP.

/// Headers an application may send with a request.
pub const MAX_HTTP_HEADERS: usize = 32;

/// Milliseconds an application may give an exchange.
pub const HTTP_TIMEOUT_MILLIS: RangeInclusive<u32> = 5000..=10_000;
