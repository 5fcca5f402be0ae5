//! A record of what an application does: system calls with their arguments, interrupts, notifications, the link.
//!
//! The device's thread notes entries (`entry`): numbers, and the bytes of memory that belong to them. It makes one of
//! those that are repeated (`fold`), and puts them into a queue (`queue`). A thread of the tracer's makes text of them
//! (`line`, `perfetto`) and writes it (`writer`). The device never waits for a disk: what does not fit into the queue
//! is lost, and the loss is in the trace.

pub mod decode;
mod entry;
mod filter;
mod fold;
mod line;
mod perfetto;
mod queue;
mod values;
mod writer;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use abi::Call;
use armv8m::Cycles;
pub(crate) use entry::{CallEntry, Entry, Part, What};
pub use entry::{Fields, Lane};
pub use filter::TraceFilter;
use fold::Folder;
pub use queue::QUEUE;
use queue::Queue;

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

/// Takes entries, and has them written by a thread of its own. Dropping it writes what is left, for a few seconds at
/// most.
pub struct Tracer {
    queue: Arc<Queue>,
    filter: TraceFilter,
    /// None if every entry is written by itself.
    folder: Option<Folder>,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl Tracer {
    /// Starts to write everything to `outputs`, with repetitions as one entry each.
    ///
    /// # Errors
    /// The operating system's: it starts no further thread. Later failures to write end the trace and not the device
    /// (D136).
    pub fn start(outputs: Vec<TraceSink>) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let ending = EndsWriter(queue.clone());
        std::thread::Builder::new().name("trace".into()).spawn(move || {
            writer::write_all(&ending.0, outputs);
        })?;
        Ok(Self { queue, filter: TraceFilter::ALL, folder: Some(Folder::default()) })
    }

    /// The same tracer with only those entries that `filter` selects.
    pub fn only(mut self, filter: TraceFilter) -> Self {
        self.filter = filter;
        self
    }

    /// The same tracer with every entry by itself, also those that are repeated.
    pub fn unfolded(mut self) -> Self {
        self.folder = None;
        self
    }

    /// The same tracer without losses: adding an entry waits for the disk. For what has no clock, such as a replay.
    pub fn lossless(self) -> Self {
        self.queue.set_lossless();
        self
    }

    /// Whether the trace has entries of this call.
    pub(crate) fn shows_call(&self, call: Call) -> bool {
        self.filter.shows_call(call)
    }

    /// Whether the trace has entries of this lane, which is not the application's.
    pub(crate) fn shows(&self, lane: Lane) -> bool {
        self.filter.shows(lane)
    }

    /// Adds an entry with what was captured of memory, or counts it as lost. Entries are in the order of their times.
    pub(crate) fn put(&mut self, entry: Entry, captured: &[u8]) {
        match &mut self.folder {
            Some(folder) => folder.add(entry, captured, &self.queue),
            None => self.queue.put(entry, captured),
        }
    }

    /// Nothing more happens before `now`: repetitions that have ended are written.
    pub(crate) fn pass_time(&mut self, now: Cycles) {
        if let Some(folder) = &mut self.folder {
            folder.end_if_over(now, &self.queue);
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Some(folder) = &mut self.folder {
            folder.end(&self.queue);
        }
        self.queue.close(FLUSH_LIMIT);
    }
}

/// Reports the end of the writer's thread, however it ends.
struct EndsWriter(Arc<Queue>);

impl Drop for EndsWriter {
    fn drop(&mut self) {
        self.0.writer_ended();
    }
}

#[cfg(test)]
mod tests;
