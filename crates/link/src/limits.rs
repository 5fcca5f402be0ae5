//! Every number both ends agree on (link.md §2 to §6).

use sansio::Duration;

/// The version of the link this crate speaks.
pub const VERSION: u32 = 1;
/// Bytes a frame's body may have, so that channels can take turns; longer items are cut into fragments.
pub const MAX_FRAME_BODY: usize = 4096;
/// Bytes the bodies of one item may have together.
pub const MAX_ITEM: u32 = 262_144;
/// Channel numbers: 1 to this one.
pub const CHANNELS: usize = 15;
/// `MESSAGE` and `LOST` items the cloud may have outstanding on one channel.
pub const MESSAGE_ITEMS: u8 = 32;
/// Topic numbers of a channel: 0 to one less than this.
pub const TOPIC_NUMBERS: u8 = 8;
/// Publishes a channel may have in flight, so that what both ends store is bounded; slots are 0 to one less than this
/// (D45).
pub const PUBLISH_SLOTS: u8 = 16;
/// Filters in one `SUBSCRIBE` or `UNSUBSCRIBE`.
pub const FILTERS: u8 = 8;
/// Keys in one `CONFIG_FETCH`, bounded because the response's head is decoded into a table of this size (D63).
pub const CONFIG_KEYS: u8 = 32;
/// Headers in one `HTTP_RESPONSE`; a response with more is answered as too large.
pub const RESPONSE_HEADERS: u8 = 64;
/// Bytes of an MQTT topic name or filter (MQTT-1.5.4).
pub const MAX_TOPIC: u32 = 65_535;
/// Bytes of a log message: it is never cut into fragments, so it must fit small buffers whole (D70).
pub const MAX_LOG_TEXT: usize = 1024;
/// Bytes of the text in a `BYE`.
pub const MAX_BYE_TEXT: usize = 128;
/// The smallest window `WELCOME` may name, bytes: with a quarter of it not yet credited a whole frame still fits.
pub const MIN_WINDOW: u32 = 16_384;
/// The shortest and the longest keepalive interval `WELCOME` may name.
pub const MIN_KEEPALIVE: Duration = Duration::from_secs(1);
/// See [`MIN_KEEPALIVE`].
pub const MAX_KEEPALIVE: Duration = Duration::from_secs(3600);

/// How long the device waits for `WELCOME`, and the cloud for `HELLO`.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(15);
/// How late a `PONG` may be, and what the cloud adds to twice the keepalive interval.
pub const KEEPALIVE_GRACE: Duration = Duration::from_secs(10);
/// Credit waits until it is this fraction of what it refers to (link.md §6).
pub const CREDIT_FRACTION: u32 = 4;
