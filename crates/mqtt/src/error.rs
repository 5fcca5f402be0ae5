//! How a connection fails, and why a request is refused.

use core::fmt;

/// A rule of MQTT the broker broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolError {
    /// The MQTT 5 reason code of the fault; on version 5 it went into the DISCONNECT that is ready to transmit.
    pub reason_code: u8,
    /// What was wrong, with the statement of the MQTT standard where one exists.
    pub cause: &'static str,
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// It had ended before: refused, disconnected by either side, or failed.
    Closed,
    /// The broker broke the protocol.
    Protocol(ProtocolError),
    /// No CONNACK within [`Limits::connect_timeout`](crate::Limits::connect_timeout).
    ConnectTimeout,
    /// No answer to a PINGREQ within [`Limits::ping_timeout`](crate::Limits::ping_timeout).
    KeepAliveTimeout,
}

/// Why a request was refused. Nothing was queued, and the connection continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// A topic, filter, QoS or option MQTT does not allow.
    Invalid,
    /// The broker said at connect that it does not support this (Maximum QoS, Retain Available, wildcard or shared
    /// subscriptions).
    Unsupported,
    /// Larger than the broker's Maximum Packet Size, than MQTT can say, or than
    /// [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes).
    TooLarge,
    /// Before the CONNACK, or after the end.
    NotConnected,
    /// [`Limits::requests`](crate::Limits::requests) or [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes) is
    /// reached for now.
    QueueFull,
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (reason code 0x{:02x})", self.cause, self.reason_code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection has ended"),
            Self::Protocol(error) => write!(f, "the broker broke the protocol: {error}"),
            Self::ConnectTimeout => f.write_str("the broker did not answer the connect request in time"),
            Self::KeepAliveTimeout => f.write_str("the broker did not answer a ping in time"),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "not allowed by MQTT",
            Self::Unsupported => "not offered by this broker",
            Self::TooLarge => "too large for this broker or this client",
            Self::NotConnected => "not connected",
            Self::QueueFull => "too many requests in progress",
        })
    }
}

impl core::error::Error for ProtocolError {}
impl core::error::Error for Error {}
impl core::error::Error for RequestError {}
