//! Live events of all devices, for subscribers.

use std::fmt;
use std::net::SocketAddr;

use link::connection::ByeReason;

use crate::id::DeviceId;

/// An event of a device.
#[derive(Debug, Clone)]
pub struct Event {
    /// The device.
    pub device: DeviceId,
    /// Time, milliseconds since 1970.
    pub at: i64,
    /// What happened.
    pub kind: EventKind,
}

/// The kind of an event.
#[derive(Clone)]
pub enum EventKind {
    /// The device was admitted.
    Connected {
        /// Its address.
        address: SocketAddr,
    },
    /// The device has reported what runs on it.
    Started {
        /// Random number of this boot of the device.
        boot: u32,
        /// Its wake reason, by the public header's numbers.
        wake_reason: u8,
        /// SHA-256 of the application, all zero if there is none.
        image: [u8; 32],
    },
    /// The device's connection has ended.
    Disconnected {
        /// Why.
        reason: Disconnection,
    },
    /// The application logged a line.
    Log {
        /// Its number since the device's boot, from 1.
        sequence: u32,
        /// The device's clock, microseconds since its boot.
        clock: u64,
        /// The text.
        text: Vec<u8>,
    },
    /// An event of a channel, such as a connected broker, a message, an error.
    Notice(relay::Notice),
}

impl fmt::Debug for EventKind {
    /// Shows no text of a log line: applications may log anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { address } => f.debug_struct("Connected").field("address", address).finish(),
            Self::Started { boot, wake_reason, image } => {
                let mut started = f.debug_struct("Started");
                started.field("boot", boot).field("wake_reason", wake_reason).field("image", image).finish()
            }
            Self::Disconnected { reason } => f.debug_struct("Disconnected").field("reason", reason).finish(),
            Self::Log { sequence, clock, text: _ } => {
                let mut log = f.debug_struct("Log");
                log.field("sequence", sequence).field("clock", clock).finish_non_exhaustive()
            }
            Self::Notice(notice) => f.debug_tuple("Notice").field(notice).finish(),
        }
    }
}

impl Disconnection {
    /// The word for it in log, metrics and events.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Bye(reason) => reason.label(),
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Why the connection of a device ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnection {
    /// One end said `BYE`.
    Bye(ByeReason),
    /// The connection was lost without a `BYE`.
    Lost,
    /// The device did not accept the cloud's `BYE` in time.
    TimedOut,
}
