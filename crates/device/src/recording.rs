//! Recordings: everything that reached a device from outside, each with the guest's cycle, and so all that is needed to
//! run it again exactly.
//!
//! A machine's future follows from what it is made of and from what reaches it, and when. What it is made of is the
//! head of a recording; what reaches it are its entries. Time needs no entries:
//! [`Machine::run`](crate::machine::Machine::run) does not care into how many runs a stretch is cut. Now and then a
//! digest of the machine's state is among the entries, and a replay compares.
//!
//! A recording contains what was received by the link in plain text, secrets too. Its file is readable by its owner
//! only.

mod format;
mod recorded_machine;
mod recorder;
mod replay;

use std::fmt;
use std::io;

use armv8m::Cycles;
pub use format::{Header, MAX_WIRING, wiring};
pub use recorded_machine::RecordedMachine;
pub use recorder::{Recorder, Status};
pub use replay::{Divergence, Ending, Replay, Turn, contains_debugger};
use ring::digest::{Context, SHA256};

use crate::events::DeviceEvent;
use crate::machine::{Input, Machine, RunState};

/// Bytes of a digest that are stored.
pub const DIGEST: usize = 16;

/// Instructions between two checks of the state.
pub const CHECK_INTERVAL: u64 = 1 << 24;

/// What a recording says of the machine.
#[derive(Debug, Clone, PartialEq)]
enum Record<'a> {
    /// This reached it.
    Input(Input<'a>),
    /// Its kernel was polled for what goes to the cloud, and gave this many bytes. This is no input, but polling
    /// changes the kernel: what has been sent is not sent again.
    Transmitted { length: u32, checksum: [u8; 4] },
    /// Its state is this.
    Check([u8; DIGEST]),
    /// The recording ends here, in this state.
    End([u8; DIGEST]),
}

/// Where in a machine's life something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    cycle: Cycles,
    run_state: RunState,
}

impl Position {
    fn of(machine: &Machine) -> Self {
        Self { cycle: machine.now(), run_state: machine.run_state() }
    }
}

/// A record with its position.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    position: Position,
    record: Record<'static>,
}

/// All events so far, as a running digest. What went to the cloud has checksums of its own.
#[derive(Clone)]
struct EventDigest(Context);

impl EventDigest {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds an event. Characters count one by one: into how many events they are divided depends on when the host asks.
    fn add(&mut self, event: &DeviceEvent) {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                for byte in bytes {
                    self.0.update(&[b'S', *port, *byte]);
                }
            }
            // Whether and how these are reported depends on the options of a run, on whether symbols are known, and on
            // the program's version.
            DeviceEvent::Called { .. }
            | DeviceEvent::Crashed(_)
            | DeviceEvent::CallRefused(_)
            | DeviceEvent::Logged { .. }
            | DeviceEvent::LineNotEnabled { .. }
            | DeviceEvent::Pin { .. } => {}
            event => self.0.update(format!("{event:?}\n").as_bytes()),
        }
    }

    /// The events so far and the state of `machine`, as one digest.
    fn with_state(&self, machine: &Machine) -> [u8; DIGEST] {
        let mut context = self.0.clone();
        machine.digest_into(&mut context);
        let digest = context.finish();
        *digest.as_ref().first_chunk().expect("SHA-256 is longer")
    }
}

/// A checksum by which transmitted bytes are compared.
fn checksum(bytes: &[u8]) -> [u8; 4] {
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
    /// A debugger is in the recording, so that another cannot be attached to its replay.
    Debugged,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Foreign => write!(f, "is no recording of a device"),
            Self::Version(found) => {
                write!(f, "is a recording of version {found}; this program reads version {}", format::VERSION)
            }
            Self::Damaged(how) => write!(f, "is a damaged recording: {how}"),
            Self::OtherImage => write!(f, "was recorded with another application image"),
            Self::Wiring(text) if text.is_empty() => {
                write!(f, "was recorded with nothing wired to the board")
            }
            Self::Wiring(text) => write!(f, "was recorded with this wired to the board: {text}"),
            Self::Debugged => write!(
                f,
                "contains what a debugger did: such a recording can be replayed, but not with another debugger"
            ),
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
pub(crate) mod tests;
