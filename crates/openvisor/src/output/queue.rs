//! Queues in front of the standard streams and serial files, each with a thread that writes.
//!
//! A write to a stopped terminal, a pager or a full pipe blocks. Tasks of the runtime and the threads of devices must
//! not wait for that (D170): they put their lines into a bounded queue, and only the thread of the queue waits for the
//! reader. When the queue is full, a line is either dropped and counted ([`OutputQueue::offer`]: logs, timelines), or
//! its producer waits without blocking a thread ([`OutputQueue::send`]: output that has to be complete).

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

mod writer;

/// Size of a queue.
pub(crate) const QUEUE_BYTES: usize = 1024 * 1024;

/// How long the process waits at its end for a reader that makes no progress.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Formats the line in place of dropped ones, from their number.
pub(crate) type DropNotice = Box<dyn Fn(u64) -> String + Send>;

/// A queue of lines and the thread that writes them. Clones share both.
#[derive(Clone)]
pub(crate) struct OutputQueue(Arc<Producers>);

/// The producers' side. When the last one is dropped, the thread writes what is queued and ends.
struct Producers(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    limit: usize,
    /// Notified when there is something to write, or when the last producer is dropped.
    work: Condvar,
    /// Notified when bytes were written, or when a write has failed.
    progress: Condvar,
    /// The same for tasks.
    progress_async: Notify,
}

struct State {
    queued: Vec<u8>,
    /// Bytes the thread has taken and not yet written.
    writing: usize,
    /// Writes completed so far, by which a flush sees progress.
    pieces: u64,
    /// Lines dropped since `queued` was last full; their notice follows it.
    dropped: u64,
    notice: DropNotice,
    reader: Reader,
    /// The process is ending: producers no longer wait for room.
    ending: bool,
    /// The last producer was dropped.
    closed: bool,
}

/// The state of the reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Every write has succeeded.
    Reading,
    /// A write has failed; later ones may succeed.
    Failed,
    /// The other end is closed.
    Gone,
}

impl OutputQueue {
    /// A queue of [`QUEUE_BYTES`] in front of `to`.
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self::with_limit(to, QUEUE_BYTES)
    }

    fn with_limit(to: Box<dyn Write + Send>, limit: usize) -> Self {
        let state = State {
            queued: Vec::new(),
            writing: 0,
            pieces: 0,
            dropped: 0,
            notice: Box::new(|count| format!("{count} lines were dropped: they were not read in time\n")),
            reader: Reader::Reading,
            ending: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            limit,
            work: Condvar::new(),
            progress: Condvar::new(),
            progress_async: Notify::new(),
        });
        register(&shared);
        let writer = shared.clone();
        let thread = std::thread::Builder::new().name("output".into());
        thread.spawn(move || writer::run(&writer, to)).expect("the system can start one more thread");
        Self(Arc::new(Producers(shared)))
    }

    /// Sets the line in place of dropped ones. It ends with a newline.
    pub(crate) fn set_drop_notice(&self, notice: DropNotice) {
        self.lock().notice = notice;
    }

    /// Queues `line`, or drops and counts it if there is no room; returns whether it was queued. Never waits.
    ///
    /// After a drop all lines are dropped until the thread has taken the queue, so that one notice covers them.
    pub(crate) fn offer(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        let is_queued = self.0.0.try_queue(&mut state, line);
        if !is_queued && state.reader != Reader::Gone {
            state.dropped += 1;
        }
        is_queued
    }

    /// Queues `line` once there is room. Cancel-safe: the line is then not queued.
    ///
    /// # Errors
    /// A write has failed, for instance because the reader is gone. While the process is ending, a line without room is
    /// dropped.
    pub(crate) async fn send(&self, line: &[u8]) -> io::Result<()> {
        self.0.0.wait_until(|state| self.0.0.try_send(state, line)).await
    }

    /// The same for a thread that may block.
    ///
    /// # Errors
    /// As [`OutputQueue::send`].
    pub(crate) fn send_blocking(&self, line: &[u8]) -> io::Result<()> {
        let shared = &self.0.0;
        let mut state = self.lock();
        loop {
            if let Some(result) = shared.try_send(&mut state, line) {
                return result;
            }
            state = shared.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Completes when everything queued is written, or can no longer be.
    pub(crate) async fn drained(&self) {
        self.0.0.wait_until(|state| state.is_drained().then_some(())).await;
    }

    /// Completes when a write has failed.
    pub(crate) async fn failed(&self) {
        self.0.0.wait_until(|state| state.has_failed().then_some(())).await;
    }

    /// Completes when the reader is gone, as in `| head`. A full disk is no such end: it may have room again.
    pub(crate) async fn closed(&self) {
        self.0.0.wait_until(|state| (state.reader == Reader::Gone).then_some(())).await;
    }

    /// Whether the reader is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().reader == Reader::Gone
    }

    /// Whether a write has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed()
    }

    /// From now on lines without room are dropped instead of waited for.
    pub(crate) fn stop_waiting(&self) {
        self.0.0.stop_waiting();
    }

    /// Waits until everything queued is written, at most `timeout` without progress; returns whether it is.
    #[cfg(test)]
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        self.0.0.flush(timeout)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock()
    }
}

impl Drop for Producers {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

/// Each write offers one line.
impl Write for OutputQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_failed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.offer(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn has_failed(&self) -> bool {
        self.reader != Reader::Reading
    }

    fn is_drained(&self) -> bool {
        self.reader == Reader::Gone || (self.queued.is_empty() && self.writing == 0 && self.dropped == 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `line` if there is room. A line longer than the queue fits when the queue is empty.
    fn try_queue(&self, state: &mut State, line: &[u8]) -> bool {
        let waiting = state.queued.len() + state.writing;
        let has_room = waiting == 0 || waiting + line.len() <= self.limit;
        if state.reader == Reader::Gone || state.dropped > 0 || !has_room {
            return false;
        }
        state.queued.extend_from_slice(line);
        self.work.notify_one();
        true
    }

    /// `None`: there is no room yet.
    fn try_send(&self, state: &mut State, line: &[u8]) -> Option<io::Result<()>> {
        if state.has_failed() {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.try_queue(state, line) {
            return Some(Ok(()));
        }
        if state.ending {
            state.dropped += 1;
            return Some(Ok(()));
        }
        None
    }

    /// Calls `attempt` after every progress until it returns a value.
    async fn wait_until<T>(&self, mut attempt: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut progress = std::pin::pin!(self.progress_async.notified());
            // Registered before the attempt, so that progress between the two is not missed.
            progress.as_mut().enable();
            if let Some(value) = attempt(&mut self.lock()) {
                return value;
            }
            progress.await;
        }
    }

    fn stop_waiting(&self) {
        self.lock().ending = true;
        self.notify_progress();
    }

    fn flush(&self, timeout: Duration) -> bool {
        let mut state = self.lock();
        let (mut pieces, mut deadline) = (state.pieces, Instant::now() + timeout);
        while !state.is_drained() {
            if state.pieces != pieces {
                (pieces, deadline) = (state.pieces, Instant::now() + timeout);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn notify_progress(&self) {
        self.progress.notify_all();
        self.progress_async.notify_waiters();
    }
}

/// Standard output, without styles unless it is a terminal.
pub(crate) fn stdout() -> &'static OutputQueue {
    static STDOUT: OnceLock<OutputQueue> = OnceLock::new();
    STDOUT.get_or_init(|| OutputQueue::new(Box::new(anstream::AutoStream::auto(io::stdout()))))
}

/// Standard output, byte for byte.
pub(crate) fn raw_stdout() -> &'static OutputQueue {
    static STDOUT: OnceLock<OutputQueue> = OnceLock::new();
    STDOUT.get_or_init(|| OutputQueue::new(Box::new(io::stdout())))
}

/// Standard error, without styles unless it is a terminal.
pub(crate) fn stderr() -> &'static OutputQueue {
    static STDERR: OnceLock<OutputQueue> = OnceLock::new();
    STDERR.get_or_init(|| OutputQueue::new(Box::new(anstream::AutoStream::auto(io::stderr()))))
}

/// All queues, to be flushed when the process ends.
static QUEUES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

fn register(shared: &Arc<Shared>) {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|queue| queue.strong_count() > 0);
    queues.push(Arc::downgrade(shared));
}

/// Writes what all queues contain, except to a reader that makes no progress for a second. For the end of the process.
pub fn finish() {
    let queues = std::mem::take(&mut *QUEUES.lock().unwrap_or_else(PoisonError::into_inner));
    let queues: Vec<_> = queues.iter().filter_map(Weak::upgrade).collect();
    for queue in &queues {
        queue.stop_waiting();
    }
    for queue in &queues {
        queue.flush(FLUSH_TIMEOUT);
    }
}

#[cfg(test)]
mod tests;
