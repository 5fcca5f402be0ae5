//! Why a connection ends and why a frame is refused: the same at both ends.

use core::fmt;

use crate::violation::Violation;

/// Why an end drops the connection. `BYE` is pending: the driver sends what `transmit` still gives and closes the
/// transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer broke a rule.
    Violation(Violation),
    /// The peer was silent for too long.
    Timeout(TimeoutReason),
}

/// What did not arrive in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutReason {
    /// The cloud received no `HELLO`.
    NoHello,
    /// The device received neither `WELCOME` nor `BYE`.
    NoWelcome,
    /// The device received no `PONG`, or its `PING` could not be sent for as long.
    NoPong,
    /// The cloud received nothing for twice the keepalive interval and 10 s.
    Silent,
}

/// Why an end does not let its own driver send something. Not a fault of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The channel is not open, or its `OPEN` has not been sent yet.
    NotOpen,
    /// The item begun on this channel has not been sent to its end, or there is none to continue.
    Busy,
    /// The peer has no room now; credit will arrive.
    Blocked,
    /// It could never be sent: longer than an item, a frame or the ring can be, or not a kind of this end's channels.
    Invalid,
    /// A request while one of its kind is in flight, or an answer without its request.
    OutOfOrder,
}

/// No channel number is free: 15 are open or wait for their `CLOSE` or `CLOSED`, or there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFreeChannel;

impl Error {
    /// What happened, as the text of the pending `BYE` says it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Violation(broken) => broken.text(),
            Self::Timeout(reason) => reason.text(),
        }
    }
}

impl TimeoutReason {
    /// What happened, as the text of the pending `BYE` says it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoWelcome | Self::NoPong => "the cloud is silent",
            Self::NoHello | Self::Silent => "nothing received for too long",
        }
    }
}

impl From<Violation> for Error {
    fn from(broken: Violation) -> Self {
        Self::Violation(broken)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}
