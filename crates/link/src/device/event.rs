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
        /// The cloud's time of day: the device's clock is not set at its start, and drifts (D25).
        wall: WallTime,
        /// Whether log messages are wanted.
        logging: bool,
    },
    /// The answer to [`super::DeviceLink::request_time`].
    Time {
        /// The cloud's time of day.
        wall: WallTime,
    },
    /// The cloud has stored the log messages up to this number.
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
    /// The cloud ended a channel. Its number is the link's again: the driver must not name it any more. Requests
    /// without an answer crossed the end on their way; the driver answers them itself.
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
    /// To a `PUBLISH`. Whether its slot was in flight is for the driver to check ([`crate::mqtt::PublishSlots`]).
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
