//! What goes in and out of a relay: the types it shares with its driver, which owns the sockets, the store and the
//! clock.
//!
//! - `settings.rs`: how a relay works. `device.rs`: what a device says of itself and logs.
//! - `connection.rs`: connections to brokers, `connect_error.rs`: why one could not be made, `credentials_error.rs`:
//!   what is wrong with an application's certificates, `tls_ports.rs`: which of them use TLS by their port.
//! - `http.rs`: HTTP exchanges. `lookup.rs`: configuration items and secrets.
//! - `notice.rs`: what happens on channels, for timelines and logs.
//!
//! Types that contain keys, passwords, configuration values or payloads do not print them with `{:?}`.

use alloc::vec::Vec;
use core::fmt;

use link::connection::ByeReason;
use sansio::WallTime;

mod connect_error;
mod connection;
mod credentials_error;
mod debug;
mod device;
mod http;
mod lookup;
mod notice;
mod settings;
#[cfg(test)]
mod tests;
mod tls_ports;

pub use connect_error::ConnectError;
pub use connection::{ConnectionEnd, ConnectionId, Target, TlsOptions};
pub use credentials_error::{Credential, CredentialsError, is_pem};
pub use device::{HelloInfo, LogLine};
pub use http::{ExchangeId, HttpError, HttpOutcome, HttpRequest, HttpResponse};
pub use lookup::{LookupId, LookupKey, Value};
pub use notice::{Notice, Security};
pub use settings::Settings;
pub use tls_ports::TlsPorts;

/// What can happen to a relay.
pub enum Input<'a> {
    /// Bytes from the device.
    LinkReceived(&'a [u8]),
    /// [`crate::DeviceRelay::next_timeout`] has been reached.
    Timeout,
    /// The wall clock was set.
    WallClock(WallTime),
    /// A requested connection is established: TCP, and TLS where wanted.
    ConnectionOpened {
        /// Which.
        connection: ConnectionId,
    },
    /// A requested connection could not be established.
    ConnectionFailed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        error: ConnectError,
    },
    /// Bytes from the other end of a connection.
    ConnectionReceived {
        /// Which.
        connection: ConnectionId,
        /// The bytes. The relay buffers those it cannot use yet, and asks by [`Output::PauseReading`] for no more.
        bytes: &'a [u8],
    },
    /// A connection has accepted bytes of an [`Output::ConnectionSend`].
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
    LookupFinished {
        /// Which lookup.
        lookup: LookupId,
        /// One for each key, in the order of the keys.
        values: Vec<Value>,
    },
    /// The answer to an [`Output::HttpRequest`].
    HttpFinished {
        /// Which exchange.
        exchange: ExchangeId,
        /// Its result.
        outcome: HttpOutcome,
    },
    /// Log messages up to this number are in durable storage.
    LogStored {
        /// The device's number of the last of them.
        sequence: u32,
    },
    /// Turns the device's log messages on or off.
    Logging {
        /// On or off.
        enabled: bool,
    },
    /// Turns [`Output::Notice`]s on or off.
    Notices {
        /// On or off.
        enabled: bool,
    },
    /// Turns on or off the mode in which as little as possible is buffered, for when memory is short (D183). What is
    /// buffered is passed on; no more is accepted from the device and from brokers than that needs.
    Throttle {
        /// On or off.
        enabled: bool,
    },
    /// Ends the link.
    Shutdown {
        /// The reason the device is given.
        reason: ByeReason,
    },
}

/// What a relay asks of its driver, or reports.
#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes to the device.
    LinkSend(Vec<u8>),
    /// Open a connection; answered by [`Input::ConnectionOpened`] or [`Input::ConnectionFailed`].
    OpenConnection {
        /// Its id from now on.
        connection: ConnectionId,
        /// Where to.
        target: Target,
    },
    /// Send bytes on a connection, and report with [`Input::ConnectionWritten`] as it accepts them.
    ConnectionSend {
        /// Which.
        connection: ConnectionId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Close a connection. No further input may name it.
    CloseConnection {
        /// Which.
        connection: ConnectionId,
        /// Close it at once, whatever was not sent; otherwise send everything first.
        abort: bool,
    },
    /// Read no more from a connection, so that its other end is slowed down by TCP.
    PauseReading {
        /// Which.
        connection: ConnectionId,
    },
    /// Read again.
    ResumeReading {
        /// Which.
        connection: ConnectionId,
    },
    /// Look up configuration items and secrets; answered by [`Input::LookupFinished`].
    Lookup {
        /// Its id.
        lookup: LookupId,
        /// 1 to 32 keys.
        keys: Vec<LookupKey>,
    },
    /// Send an HTTP request over TLS, following no redirect: where a request goes is the application's decision (D60).
    /// Answered by [`Input::HttpFinished`].
    HttpRequest {
        /// Its id.
        exchange: ExchangeId,
        /// The request.
        request: HttpRequest,
    },
    /// Cancel an exchange whose channel has closed. No further input may name it.
    CancelHttp {
        /// Which.
        exchange: ExchangeId,
    },
    /// A log message has arrived; [`Input::LogStored`] acknowledges it.
    Log(LogLine),
    /// The device has introduced itself: the link is open.
    Hello(HelloInfo),
    /// Something to show on timelines. Only with [`Settings::notices`], except those the log and the metrics need
    /// ([`Notice::is_for_operators`]).
    Notice(Notice),
    /// The link has ended: send what precedes this, then close the link and drop the relay.
    Disconnect {
        /// The reason the device was given, or gave.
        reason: ByeReason,
    },
}

impl Output {
    /// Bytes of link or connection traffic in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::LinkSend(bytes) | Self::ConnectionSend { bytes, .. } => bytes.len(),
            Self::HttpRequest { request, .. } => request.bytes(),
            _ => 0,
        }
    }
}

/// Stands in debug output for bytes that must not appear there: only their number is shown.
pub(crate) struct Omitted(pub(crate) usize);

impl fmt::Debug for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}
