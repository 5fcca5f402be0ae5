//! Every limit of a relay, in one place.

use core::ops::RangeInclusive;

use sansio::Duration;

/// Bytes of one piece of link traffic handed out at a time; a little over when the last frame is long.
pub const LINK_CHUNK: usize = 16 * 1024;

/// Bytes a device may send on one channel before the relay gives room back (link.md §6).
pub const WINDOW: u32 = 16 * 1024;

/// Unless the operator says otherwise: the keepalive interval of the link.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// Messages taken from a broker that wait for room in the application's receive ring.
pub const HELD_MESSAGES: usize = 32;

/// Bytes of such messages before no more are taken; one message may go over it.
pub const HELD_BYTES: usize = 64 * 1024;

/// Bytes that wait for the broker's connection before a channel's window stays shut.
pub const UNSENT_BYTES: usize = 64 * 1024;

/// Bytes held for all channels of a device, above which it is sent away: unfinished items, topic names, what waits for brokers
/// and for the device. An application has 512 KiB of memory for all it sends and receives. Beyond come at most one item and what
/// brokers had on the way.
pub const DEVICE_HELD: usize = 4 * 1024 * 1024;

/// Unless the operator says otherwise: messages a second one channel may receive, over [`FLOOD_SECONDS`] (D51).
pub const MESSAGES_PER_SECOND: u32 = 500;

/// Seconds over which the rate of messages is judged (D51).
pub const FLOOD_SECONDS: u32 = 10;

/// Unless the operator says otherwise: packets a second that are read from a broker though no message and no answer comes of
/// them (D180).
pub const BROKER_PACKETS_PER_SECOND: u32 = 1000;

/// The same in bytes a second: properties, acknowledgements, messages that are too long (D180).
pub const BROKER_BYTES_PER_SECOND: u32 = 1024 * 1024;

/// Seconds of these two rates that may come at once. More would be had again with each new connection.
pub const BROKER_BURST_SECONDS: u32 = 1;

/// Unacknowledged QoS 1 messages a broker may have outstanding: as many as the link carries for one channel.
pub const RECEIVE_MAXIMUM: u16 = link::MESSAGE_ITEMS as u16;

/// The largest packet taken from a broker, in bytes: no receive ring can hold more than the application's RAM.
pub const BROKER_PACKET: u32 = 512 * 1024;

/// Bytes of requests towards a broker: all a channel may have in flight (16 publishes, a subscribe, an unsubscribe), each as
/// long as an item can be and with the longest topic, so that no request the link took is refused for want of room. Device
/// and broker are held back long before ([`UNSENT_BYTES`]).
pub const BROKER_OUTGOING: usize = (link::PUBLISH_SLOTS as usize + 2)
    * (link::MAX_ITEM + link::limits::MAX_TOPIC + 64) as usize
    + UNSENT_BYTES;

/// Headers an application may send with an HTTP request.
pub const HTTP_HEADERS: usize = 32;

/// Milliseconds an application may give an HTTP exchange.
pub const HTTP_TIMEOUT_MILLIS: RangeInclusive<u32> = 5000..=10_000;

/// Time a broker's connection has to accept the application's DISCONNECT.
pub const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Places an empty queue may keep; one that has grown beyond is given back.
pub const KEPT_PLACES: usize = 4;

/// Unacknowledged QoS 1 messages taken beyond the Receive Maximum before the broker is held to be at fault: mosquitto 2.0
/// exceeds it while it works off a backlog.
pub const RECEIVE_MAXIMUM_EXCESS: usize = 1024;

/// Connects to a broker that may fail in a row before the next has to wait (D197).
pub const FREE_RECONNECTS: u32 = 3;

/// The first delay after a failure; each further failure doubles it.
pub const RECONNECT_DELAY_START: Duration = Duration::from_millis(250);

/// Unless the operator says otherwise: the longest delay. Together with the time TCP, TLS and CONNACK may take it stays below a
/// minute, after which applications abandon a connect by themselves.
pub const RECONNECT_DELAY: Duration = Duration::from_secs(8);

/// A connection that lasted this long is a success, after which earlier failures no longer count.
pub const LASTING_CONNECTION: Duration = Duration::from_secs(10);

/// Time without another failure after which a broker's failures no longer count.
pub const RECONNECTS_FORGOTTEN: Duration = Duration::from_secs(60);

/// Brokers of one device whose failures are remembered.
pub const WATCHED_BROKERS: usize = 8;
