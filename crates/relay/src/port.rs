//! What goes in and out of a relay: the words it shares with whoever owns the sockets.

use alloc::string::String;
use alloc::vec::Vec;

use link::connection::{ByeReason, Hello};

mod failure;
mod http;
mod notice;
mod tls_ports;

pub use failure::{ConnectFailure, ConnectionEnd};
pub use http::{ExchangeId, HttpFailure, HttpOutcome, HttpRequest, HttpResponse};
pub use notice::{Notice, Security};
pub use tls_ports::TlsPorts;

/// How a relay is to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Wall time at the moment of [`crate::DeviceRelay::new`], microseconds since 1970 (D25).
    pub wall_micros: u64,
    /// Seconds between signs of life from the device (link.md §3).
    pub keepalive: u32,
    /// Whether log messages are wanted.
    pub logging: bool,
    /// Whether brokers may only be reached over TLS (D42).
    pub require_tls: bool,
    /// Ports with TLS where the application gives no TLS credentials (D196).
    pub tls_ports: TlsPorts,
    /// Milliseconds a connect waits at most after earlier ones to the same broker failed; 0 is no waiting (D197).
    pub reconnect_delay: u32,
    /// Messages a second one channel may receive (D51).
    pub messages_a_second: u32,
    /// Packets a second read from a broker though nothing comes of them; 0 is no limit (D180).
    pub broker_packets_a_second: u32,
    /// The same in bytes; 0 is no limit (D180).
    pub broker_bytes_a_second: u32,
    /// Whether [`Output::Notice`]s are wanted; they cost an allocation a message.
    pub notices: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wall_micros: 0,
            keepalive: crate::limits::KEEPALIVE,
            logging: true,
            require_tls: false,
            tls_ports: TlsPorts::default(),
            reconnect_delay: crate::limits::RECONNECT_DELAY,
            messages_a_second: crate::limits::MESSAGES_A_SECOND,
            broker_packets_a_second: crate::limits::BROKER_PACKETS_A_SECOND,
            broker_bytes_a_second: crate::limits::BROKER_BYTES_A_SECOND,
            notices: false,
        }
    }
}

/// Names an outbound connection of one relay. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// Names a lookup of one relay. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u32);

/// Something happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes from the device.
    Link(&'a [u8]),
    /// [`crate::DeviceRelay::next_timeout`] has come.
    Timeout,
    /// The wall clock was set: microseconds since 1970.
    WallClock {
        /// The time now.
        micros: u64,
    },
    /// A connection asked for stands: TCP, and TLS where wanted.
    ConnectionOpened {
        /// Which.
        connection: ConnectionId,
    },
    /// A connection asked for could not be made.
    ConnectionFailed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        cause: ConnectFailure,
    },
    /// Bytes from the other end of a connection.
    ConnectionReceived {
        /// Which.
        connection: ConnectionId,
        /// The bytes; kept by the relay as far as it cannot use them yet.
        bytes: &'a [u8],
    },
    /// A connection has taken bytes of what [`Output::Send`] gave.
    ConnectionWritten {
        /// Which.
        connection: ConnectionId,
        /// How many.
        bytes: usize,
    },
    /// A connection has ended.
    ConnectionClosed {
        /// Which.
        connection: ConnectionId,
        /// How.
        end: ConnectionEnd,
    },
    /// The answer to an [`Output::Lookup`].
    LookedUp(LookedUp),
    /// The answer to an [`Output::HttpRequest`].
    HttpResponse {
        /// Which.
        exchange: ExchangeId,
        /// What became of it.
        outcome: HttpOutcome,
    },
    /// Log messages up to this number are on lasting storage.
    LogStored {
        /// The device's number of the last of them.
        sequence: u32,
    },
    /// Log messages are wanted from now on, or no longer.
    Logging {
        /// Whether they are.
        enabled: bool,
    },
    /// [`Output::Notice`]s are wanted from now on, or no longer.
    Notices {
        /// Whether they are.
        wanted: bool,
    },
    /// As little as possible is to be held from now on, because memory is short, or no longer (D183). What is held goes on to
    /// where it belongs; of the device and of brokers no more is taken than that needs.
    Throttle {
        /// Whether that is so.
        throttled: bool,
    },
    /// The link is to be ended.
    Shutdown {
        /// What the device is told.
        reason: ByeReason,
    },
}

/// What a lookup found, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// Which lookup.
    pub lookup: LookupId,
    /// One for each key.
    pub values: Vec<Value>,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It has this value.
    Found(Vec<u8>),
    /// There is no such key.
    NotFound,
    /// The store could not be asked.
    Failed,
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to the device.
    Link(Vec<u8>),
    /// Make a connection; answered by [`Input::ConnectionOpened`] or [`Input::ConnectionFailed`].
    OpenConnection {
        /// Its name from now on.
        connection: ConnectionId,
        /// Where to.
        target: Target,
    },
    /// Send bytes on a connection, and tell with [`Input::ConnectionWritten`] as they are taken.
    Send {
        /// Which.
        connection: ConnectionId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End a connection. Nothing of it is wanted any more, and no further input may name it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Drop it at once, whatever was not sent; otherwise send what was given first.
        abort: bool,
    },
    /// Read no more from a connection.
    PauseReading {
        /// Which.
        connection: ConnectionId,
    },
    /// Read again.
    ResumeReading {
        /// Which.
        connection: ConnectionId,
    },
    /// Look up configuration items and secrets; answered by [`Input::LookedUp`].
    Lookup {
        /// Its name.
        lookup: LookupId,
        /// 1 to 32 keys.
        keys: Vec<LookupKey>,
    },
    /// Carry an HTTP request over TLS, following no redirect (D60); answered by [`Input::HttpResponse`].
    HttpRequest {
        /// Its name.
        exchange: ExchangeId,
        /// The request.
        request: HttpRequest,
    },
    /// Nobody waits for this exchange any more: end it. No further input may name it.
    CancelHttp {
        /// Which.
        exchange: ExchangeId,
    },
    /// A log message arrived; [`Input::LogStored`] when it is safe.
    Log(LogLine),
    /// The device has said who it is; the link is open.
    Hello(HelloInfo),
    /// For people who watch. Only with [`Settings::notices`], but for those the log and the metrics need
    /// ([`Notice::is_for_operators`]).
    Notice(Notice),
    /// The link is over: send what came before, then close it and drop the relay.
    Disconnect {
        /// What the device was told, or said.
        reason: ByeReason,
    },
}

impl Output {
    /// Bytes of link or connection traffic it carries.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Link(bytes) | Self::Send { bytes, .. } => bytes.len(),
            Self::HttpRequest { request, .. } => request.bytes(),
            _ => 0,
        }
    }
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS, if wanted (D42).
    pub tls: Option<TlsOptions>,
}

/// TLS credentials, all DER (M47 to M50).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates of authorities; none means the public ones.
    pub authorities: Vec<Vec<u8>>,
    /// The client's own chain; none without client authentication.
    pub chain: Vec<Vec<u8>>,
    /// The client's key, PKCS#8.
    pub key: Vec<u8>,
}

/// One key of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupKey {
    /// The device's own, else the account's.
    pub device: bool,
    /// A secret, else a configuration item.
    pub secret: bool,
    /// Not yet checked.
    pub key: Vec<u8>,
}

/// One log message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The device's number for it, from 1 at each start.
    pub sequence: u32,
    /// Microseconds since the device's start.
    pub clock_micros: u64,
    /// The text as the application posted it, at most 1024 bytes.
    pub text: Vec<u8>,
}

/// What a device said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloInfo {
    /// Random, new at each start of the device.
    pub boot: u32,
    /// Why it started; the public header's number.
    pub wake_reason: u8,
    /// Microseconds since its start.
    pub clock_micros: u64,
    /// SHA-256 of its application image.
    pub image: [u8; 32],
}

impl From<Hello> for HelloInfo {
    fn from(hello: Hello) -> Self {
        let Hello { boot, wake_reason, clock, image, .. } = hello;
        Self { boot, wake_reason, clock_micros: clock.as_micros(), image }
    }
}
