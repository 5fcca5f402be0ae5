//! What the device's end reports.

use sansio::WallTime;

use crate::channel::ClosureReason;
use crate::connection::ByeReason;
use crate::mqtt::{FilterCodes, Outcome, Published};
use crate::parser::Fragment;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The connection is open; channels may be opened.
    Welcome {
        /// The cloud's time of day (D25).
        wall: WallTime,
        /// Whether log messages are wanted.
        logging: bool,
    },
    /// The answer to [`super::DeviceLink::request_time`].
    Time {
        /// The cloud's time of day.
        wall: WallTime,
    },
    /// Log messages up to this number are safe.
    LogTaken {
        /// The number of the last of them.
        sequence: u32,
    },
    /// Log messages are wanted from now on, or no longer.
    Logging {
        /// Whether they are.
        enabled: bool,
    },
    /// The cloud ends the connection; nothing follows.
    Bye {
        /// Why.
        reason: ByeReason,
    },
    /// The cloud ended a channel. Its number is the session's again: the caller does not name it any more. Requests still
    /// unanswered crossed the end on their way and are answered by the caller.
    Closed {
        /// The channel.
        channel: u8,
        /// Why.
        reason: ClosureReason,
    },
    /// A channel's window has grown.
    Window {
        /// The channel.
        channel: u8,
    },
    /// An answer to a request of a channel.
    Answer {
        /// The channel.
        channel: u8,
        /// The answer.
        answer: Answer,
    },
    /// A run of a `MESSAGE`, `LOST`, `HTTP_RESPONSE`, `CONFIG_RESPONSE` or `DATA` item.
    Item(Fragment<'a>),
}

/// The answers that take no ring bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a `PUBLISH`. That its slot was in flight is the caller's to check ([`crate::mqtt::PublishSlots`]).
    Published(Published),
    /// To a `CONNECT`.
    Connected(Outcome),
    /// To a `SUBSCRIBE`.
    Subscribed(FilterCodes),
    /// To an `UNSUBSCRIBE`.
    Unsubscribed(FilterCodes),
    /// To a `DISCONNECT`, or the broker's own end of the connection.
    Disconnected(Outcome),
}
