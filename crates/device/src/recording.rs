//! Recordings: everything that reached a device from outside, each with the guest's cycle, and so all that is needed to run
//! it again exactly.
//!
//! A machine's future follows from what it is made of and from what reaches it, and when. What it is made of is the head of
//! a recording; what reaches it are its entries. Time needs no entries: [`Machine::run`](crate::machine::Machine::run)
//! does not care into how many runs a stretch is cut. Now and then a digest of the machine's state is among the entries,
//! and a replay compares.
//!
//! A recording holds what came over the link in plain text, secrets too. Its file is readable by its owner only.

mod format;
mod recorder;
mod replay;
mod taped;

use std::fmt;
use std::io;

pub use format::{Head, MAX_WIRING, wiring};
use kernel::LinkLoss;
pub use recorder::{Recorder, Status};
pub use replay::{Divergence, Ending, Replay, Turn};
use ring::digest::{Context, SHA256};
pub use taped::Taped;

use crate::events::DeviceEvent;
use crate::machine::Machine;

/// Bytes of a digest that are kept.
pub const DIGEST: usize = 16;

/// Instructions after which the state is compared.
pub const CHECK_AFTER: u64 = 1 << 24;

/// How the machine came to the cycle of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stance {
    /// It ran up to it, or did nothing since the entry before.
    Ran,
    /// It ran, and had nothing more to do.
    Idle,
    /// Time passed up to it.
    Passed,
}

/// Something that reached the machine.
#[derive(Debug, Clone, PartialEq)]
enum Input {
    /// Bytes at a serial port.
    Serial { port: u8, bytes: Vec<u8> },
    /// A pin was driven.
    Pin { port: u8, pin: u8, level: bool },
    /// What a sensor measures has changed.
    Quantity { bus: u8, address: u8, name: String, value: f64 },
    /// A connection is being made.
    LinkConnecting,
    /// It stands.
    LinkConnected,
    /// It is gone.
    LinkLost { kind: LinkLoss, text: String },
    /// Bytes from the cloud.
    Received(Vec<u8>),
    /// The kernel was asked for what goes to the cloud, and gave so many bytes with this sum.
    Transmitted { length: u32, sum: [u8; 4] },
    /// The kernel's clock was put forward by so many cycles (D220).
    TimeSkipped(u64),
    /// The device was told to stop.
    Farewell,
    /// The machine's state is this.
    Check([u8; DIGEST]),
    /// The recording ends here, in this state.
    End([u8; DIGEST]),
}

/// An input with its place in the machine's life.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    cycle: u64,
    stance: Stance,
    input: Input,
}

/// What an observer was told so far, as a running digest. What went to the cloud has sums of its own.
#[derive(Clone)]
struct Trail(Context);

impl Trail {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds an event. Characters count one by one: how many of them come as one event is the host's doing.
    fn add_event(&mut self, event: &DeviceEvent) {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                for byte in bytes {
                    self.0.update(&[b'S', *port, *byte]);
                }
            }
            // Told only if someone wants to know, and as far as the application's symbols are known.
            DeviceEvent::Called { .. }
            | DeviceEvent::Crashed(_)
            | DeviceEvent::CallRefused(_)
            | DeviceEvent::Pin { .. } => {}
            event => self.0.update(format!("{event:?}\n").as_bytes()),
        }
    }

    /// The state of `machine` and all that was told of it.
    fn digest(&self, machine: &Machine) -> [u8; DIGEST] {
        let mut context = self.0.clone();
        machine.digest_into(&mut context);
        let digest = context.finish();
        *digest.as_ref().first_chunk().expect("SHA-256 is longer")
    }
}

/// A sum by which transmitted bytes are compared.
fn sum(bytes: &[u8]) -> [u8; 4] {
    let digest = ring::digest::digest(&SHA256, bytes);
    *digest.as_ref().first_chunk().expect("SHA-256 is longer")
}

/// Why a file cannot be replayed.
#[derive(Debug)]
pub enum RecordingError {
    /// The file cannot be read.
    Io(io::Error),
    /// The file is no recording.
    Foreign,
    /// A recording of another version.
    Version(u16),
    /// It breaks the format's rules, in the way this says.
    Damaged(&'static str),
    /// It was made with another application.
    OtherImage,
    /// It was made with this wired to the board, and now it is something else.
    Wiring(String),
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Foreign => write!(f, "is no recording of a device"),
            Self::Version(found) => {
                write!(f, "is a recording of version {found}; expected version {}", format::VERSION)
            }
            Self::Damaged(how) => write!(f, "is a damaged recording: {how}"),
            Self::OtherImage => write!(f, "was recorded with another application image"),
            Self::Wiring(text) if text.is_empty() => {
                write!(f, "was recorded with nothing wired to the board")
            }
            Self::Wiring(text) => write!(f, "was recorded with this wired to the board: {text}"),
        }
    }
}

impl std::error::Error for RecordingError {}

impl From<io::Error> for RecordingError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends too early"),
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests;
