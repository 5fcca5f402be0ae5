//! The live timeline: what happens at every device, for whoever listens.

use std::net::SocketAddr;

use link::connection::ByeReason;

use crate::device_id::DeviceId;

/// Something that happened at a device.
#[derive(Debug, Clone)]
pub struct Event {
    /// The device.
    pub device: DeviceId,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The device's connection was let in.
    Connected {
        /// Where it comes from.
        address: SocketAddr,
    },
    /// The device has said what runs on it.
    Started {
        /// Random number of this start of the device.
        boot: u32,
        /// Why it woke, by the public header's numbers.
        wake_reason: u8,
        /// SHA-256 of the application, zero if none.
        image: [u8; 32],
    },
    /// The device's connection has ended.
    Disconnected {
        /// Why.
        reason: Disconnection,
    },
    /// The application logged a line.
    Log {
        /// Its number since the device's start, from 1.
        sequence: u32,
        /// The device's time, microseconds since its start.
        clock: u64,
        /// The text.
        text: Vec<u8>,
    },
    /// Something on a channel: a broker connected, a message, a refusal.
    Notice(relay::Notice),
}

/// Why a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnection {
    /// One end said `BYE`.
    Bye(ByeReason),
    /// The device went away without a word.
    Lost,
    /// The device did not take the cloud's last words in time.
    TimedOut,
}
