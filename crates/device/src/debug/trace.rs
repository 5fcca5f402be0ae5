//! A record of what an application does: system calls with their arguments, interrupts, notifications, the link.
//!
//! The device's thread makes [`Entry`]s and hands them to a thread of the tracer's, which writes them (`writer`). The
//! device never waits for a disk: what does not fit into the queue is lost, and the loss is in the trace.

pub mod decode;
mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use armv8m::Cycles;

/// Entries that may wait to be written; more are lost.
pub const QUEUE: usize = 1 << 16;

/// Most bytes of one trace; what comes after is not written.
pub const MAX_BYTES: u64 = 1 << 30;

/// How long the end of a device waits for its trace to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How a trace is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of text for each entry.
    Text,
    /// Chrome's trace events in JSON, which Perfetto shows too.
    Perfetto,
}

/// Where a trace goes.
pub struct TraceSink {
    /// How it is written.
    pub format: Format,
    /// Where to.
    pub to: Box<dyn Write + Send>,
}

/// Who an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The application and its calls.
    Application,
    /// Exceptions and interrupts.
    Interrupts,
    /// What the kernel posts.
    Kernel,
    /// The link to the cloud.
    Link,
    /// The device: starts, faults, pins.
    Device,
}

/// Names and values, as they are shown.
pub type Fields = Vec<(&'static str, String)>;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A system call, written when it has returned.
    Call {
        /// Its name.
        name: &'static str,
        /// What was passed.
        arguments: Fields,
        /// The status, by name; none if the call does not return.
        status: Option<&'static str>,
        /// What was given back.
        results: Fields,
        /// Cycles from call to return.
        cycles: Cycles,
    },
    /// An exception was entered.
    Entered(String),
    /// It was left.
    Left(String),
    /// Something at one moment.
    Mark {
        /// Its name.
        name: String,
        /// What belongs to it.
        fields: Fields,
    },
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The processor's cycle at its beginning.
    pub at: Cycles,
    /// Who it is about.
    pub lane: Lane,
    /// What it is.
    pub what: What,
}

/// Writes entries, on a thread of its own. Dropping it writes what is left, for a few seconds at most.
pub struct Tracer {
    queue: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    /// Adding an entry waits until there is room.
    is_lossless: bool,
    done: Receiver<()>,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Tracer {
    /// Starts to write to `outputs`.
    ///
    /// # Errors
    /// The operating system's: it starts no further thread. Later failures to write end the trace and not the device
    /// (D136).
    pub fn start(outputs: Vec<TraceSink>) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let lost: Arc<AtomicU64> = Arc::default();
        let counted = lost.clone();
        std::thread::Builder::new().name("trace".into()).spawn(move || {
            writer::write_all(&entries, &counted, outputs);
            let _ = finished.send(());
        })?;
        Ok(Self { queue: Some(queue), lost, is_lossless: false, done })
    }

    /// The same tracer without losses: adding an entry waits for the disk. For what has no clock, such as a replay.
    pub fn lossless(mut self) -> Self {
        self.is_lossless = true;
        self
    }

    /// Adds an entry, or counts it as lost.
    pub fn put(&self, entry: Entry) {
        let add = |queue: &SyncSender<Entry>| {
            if self.is_lossless { queue.send(entry).is_ok() } else { queue.try_send(entry).is_ok() }
        };
        if !self.queue.as_ref().is_some_and(add) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.queue = None;
        let _ = self.done.recv_timeout(FLUSH_LIMIT);
    }
}

#[cfg(test)]
mod tests;
