//! Every limit of the API.

use std::time::Duration;

use bundle::Capacity;

/// Largest body of a form, in bytes: a value of 4096 bytes with each percent-encoded, and room for the rest.
pub const FORM_BYTES: usize = 64 * 1024;

/// The memory for applications of a device, which an uploaded bundle must fit.
pub const DEVICE: Capacity = Capacity { internal_flash: 0x10_0000, external_flash: 0x40_0000 };

/// Largest uploaded bundle, in bytes.
pub const BUNDLE_BYTES: usize = 16 * 1024 * 1024;

/// Longest `Host` header that links are made from.
pub const HOST_BYTES: usize = 255;

/// Items on a page by default, and the most there can be. More are not refused: `twilio` for Python asks for as many as
/// its `limit`, without a bound.
pub const PAGE_SIZE: u32 = 50;
/// See [`PAGE_SIZE`].
pub const MAX_PAGE_SIZE: u32 = 1000;

/// Failed authentications of one address or for one key after which more attempts are refused for
/// [`FAILURE_WINDOW`].
pub const FAILURES: u32 = 20;
/// See [`FAILURES`].
pub const FAILURE_WINDOW: Duration = Duration::from_mins(1);
/// Addresses and keys whose failures are counted.
pub const FAILURE_ENTRIES: u64 = 16 * 1024;

/// How long logging of a device is turned on by `LoggingEnabled=true`, as in the original.
pub const LOGGING_PERIOD: Duration = Duration::from_hours(24);

/// Connections at a time.
pub const CONNECTIONS: usize = 2048;
/// From accepting a connection to the end of its TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the start of a request, or of waiting for it, to the end of its head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For a whole request other than a stream, its body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a client may take nothing of a response before its connection is closed. Longer than [`STREAM_STALL`], so
/// that a reader that wakes up still receives why its stream ended.
pub const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// Streams of one API key or auth token at a time.
pub const STREAMS_PER_CALLER: usize = 128;
/// Streams at a time: half of [`CONNECTIONS`].
pub const STREAMS: usize = 1024;
/// How long a reader may take nothing before its stream ends.
pub const STREAM_STALL: Duration = Duration::from_secs(30);
/// Lines a stream reads from the store at once: all it ever holds, beside [`STREAM_QUEUE`].
pub const STREAM_PAGE: u32 = 128;
/// Events queued for a reader.
pub const STREAM_QUEUE: usize = 32;
/// Without an event for this long, a comment is sent.
pub const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);
/// After which time a client is to reconnect when its stream ended.
pub const STREAM_RETRY: Duration = Duration::from_secs(1);
/// How often a stream looks for new lines in the store.
pub const STREAM_POLL: Duration = Duration::from_millis(250);
/// How often a stream's credentials and device are checked: twice in the second that D379 promises.
pub const STREAM_CHECK: Duration = Duration::from_millis(500);
