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
