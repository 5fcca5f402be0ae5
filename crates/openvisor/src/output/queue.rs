//! What the process writes to its standard streams and to serial files, each from a thread of its own.
//!
//! A stopped terminal, a pager or a pipe that nobody reads takes no more bytes, and a write to it blocks. Tasks of the runtime and
//! the threads of devices must not wait for that (D170): they put their lines into a bounded queue, and only the thread of the queue
//! waits for the reader. When the queue is full, a line is either dropped and counted ([`Output::offer`]: logs, timelines), or its
//! producer waits without blocking a thread ([`Output::send`]: what has to be complete).

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

mod writer;

/// Bytes that may wait for the reader of one stream.
pub(crate) const QUEUE_BYTES: usize = 1024 * 1024;

/// How long the end of the process waits for a reader that takes nothing more.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Makes the line that stands where lines were dropped, from their number.
pub(crate) type DropNotice = Box<dyn Fn(u64) -> String + Send>;

/// A queue of lines and the thread that writes them. Clones share both.
#[derive(Clone)]
pub(crate) struct Output(Arc<Producers>);

/// The side of those who have something to write. When the last of them is gone, the thread writes what is queued and ends.
struct Producers(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    limit: usize,
    /// There is something to write, or nobody left to write for.
    work: Condvar,
    /// Something was written, or cannot be.
    progress: Condvar,
    /// The same for tasks.
    progress_async: Notify,
}

struct State {
    queued: Vec<u8>,
    /// Bytes the thread has taken and not yet written.
    writing: usize,
    /// Pieces written so far.
    pieces: u64,
    /// Lines dropped behind what is queued.
    dropped: u64,
    notice: DropNotice,
    reader: Reader,
    /// Nobody waits for room any more: the process is ending.
    ending: bool,
    /// There are no producers left.
    closed: bool,
}

/// What is known of the other end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Every write has succeeded.
    Reads,
    /// A write has failed; others may succeed.
    Failed,
    /// Nothing can be written any more.
    Gone,
}

impl Output {
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
            reader: Reader::Reads,
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

    /// Sets the line that stands where lines were dropped. It ends with a line feed.
    pub(crate) fn set_drop_notice(&self, notice: DropNotice) {
        self.lock().notice = notice;
    }

    /// Queues `line`, or drops and counts it when there is no room; whether it was queued. Never waits.
    ///
    /// After a drop everything is dropped until the thread has taken what is queued, so that the notice stands in one place.
    pub(crate) fn offer(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        let is_queued = self.0.0.try_queue(&mut state, line);
        if !is_queued && state.reader != Reader::Gone {
            state.dropped += 1;
        }
        is_queued
    }

    /// Queues `line` once there is room. Can be cancelled; then the line is not queued.
    ///
    /// # Errors
    /// A write has failed, because the reader is gone for instance. While the process ends, a line without room is dropped.
    pub(crate) async fn send(&self, line: &[u8]) -> io::Result<()> {
        self.0.0.until(|state| self.0.0.try_send(state, line)).await
    }

    /// The same for a thread that may wait.
    ///
    /// # Errors
    /// As [`Output::send`].
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

    /// Completes when everything queued is written, or cannot be.
    pub(crate) async fn drained(&self) {
        self.0.0.until(|state| state.is_drained().then_some(())).await;
    }

    /// Completes when a write has failed.
    pub(crate) async fn failed(&self) {
        self.0.0.until(|state| state.has_failed().then_some(())).await;
    }

    /// Whether a write has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed()
    }

    /// From now on nobody waits for room: lines that do not fit are dropped.
    pub(crate) fn stop_waiting(&self) {
        self.0.0.stop_waiting();
    }

    /// Waits until everything queued is written, at most `patience` from the last progress; whether it is.
    #[cfg(test)]
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        self.0.0.flush(patience)
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

/// As a `Write`: each write offers one line.
impl Write for Output {
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
        self.reader != Reader::Reads
    }

    fn is_drained(&self) -> bool {
        self.reader == Reader::Gone || (self.queued.is_empty() && self.writing == 0 && self.dropped == 0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `line` if there is room. One that is longer than the whole queue has room when nothing else is there.
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

    /// Asks again after every progress until there is an answer.
    async fn until<T>(&self, mut answer: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut progress = std::pin::pin!(self.progress_async.notified());
            // From here on no progress is missed.
            progress.as_mut().enable();
            if let Some(answer) = answer(&mut self.lock()) {
                return answer;
            }
            progress.await;
        }
    }

    fn stop_waiting(&self) {
        self.lock().ending = true;
        self.tell_progress();
    }

    fn flush(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        let (mut pieces, mut deadline) = (state.pieces, Instant::now() + patience);
        while !state.is_drained() {
            if state.pieces != pieces {
                (pieces, deadline) = (state.pieces, Instant::now() + patience);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn tell_progress(&self) {
        self.progress.notify_all();
        self.progress_async.notify_waiters();
    }
}

/// Standard output, without styles where no terminal reads.
pub(crate) fn stdout() -> &'static Output {
    static STDOUT: OnceLock<Output> = OnceLock::new();
    STDOUT.get_or_init(|| Output::new(Box::new(anstream::AutoStream::auto(io::stdout()))))
}

/// Standard output, byte by byte as it is given.
pub(crate) fn raw_stdout() -> &'static Output {
    static STDOUT: OnceLock<Output> = OnceLock::new();
    STDOUT.get_or_init(|| Output::new(Box::new(io::stdout())))
}

/// Standard error, without styles where no terminal reads.
pub(crate) fn stderr() -> &'static Output {
    static STDERR: OnceLock<Output> = OnceLock::new();
    STDERR.get_or_init(|| Output::new(Box::new(anstream::AutoStream::auto(io::stderr()))))
}

/// Every queue there is, to be flushed when the process ends.
static QUEUES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

fn register(shared: &Arc<Shared>) {
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    queues.retain(|queue| queue.strong_count() > 0);
    queues.push(Arc::downgrade(shared));
}

/// Writes what is queued anywhere, and waits at most [`FLUSH_TIMEOUT`] for a reader that takes nothing. For the end of the process.
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
