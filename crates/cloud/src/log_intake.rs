//! The path of log lines into the store: each device has its own queue, and one writer takes lines from all queues in
//! turn, many to a transaction, and acknowledges them when they are stored.
//!
//! A device that floods fills its own queue and is not read from until that has room; the lines of other devices are in
//! the next transaction, because each waiting queue has a share of it (D119).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::id::DeviceId;
use crate::limits::{
    LOG_BACKLOG, LOG_BACKLOG_BYTES, LOG_BATCH, MAX_ORPHANED_LOG_LINES, SEEN_BACKLOG, TROUBLE_REPORT_INTERVAL,
};
use crate::lock::lock;
use crate::metrics::{self, Metrics};
use crate::store::{LogLine, LogRun, RunLines, Store};

/// Pause before lines that the store refused are written again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The sessions' end of the intake. The writer ends when the last clone is dropped and nothing is left to write.
#[derive(Clone)]
pub(crate) struct LogIntake(Arc<CloseOnDrop>);

struct CloseOnDrop(Arc<Intake>);

/// A device's boot, as of its latest `HELLO`.
#[derive(Debug, Clone, Copy)]
struct BootInfo {
    boot: u32,
    /// Microseconds since the boot; 0 is unknown.
    clock: u64,
    at: Instant,
}

/// How many times slower than the cloud's a device's clock may run without being taken for the clock of another run.
const MAX_SLOWDOWN: u128 = 8;

/// Connections that follow each other faster say nothing about the rate of the device's clock.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

impl BootInfo {
    /// Whether this is another run with the same boot number. The clock of a device that only lost its connection has
    /// advanced in the meantime; one that always says the same has no clock (D165).
    fn is_repeat_of(self, before: Self) -> bool {
        if self.boot != before.boot || self.clock == before.clock || self.clock == 0 {
            return false;
        }
        let passed = self.at.saturating_duration_since(before.at);
        let advance = u128::from(self.clock.saturating_sub(before.clock));
        self.clock < before.clock || (passed >= MIN_INTERVAL && advance < passed.as_micros() / MAX_SLOWDOWN)
    }
}

/// The state that sessions and writer share.
pub(crate) struct Intake {
    /// The latest boot of each device that has connected since the cloud started.
    boots: Mutex<HashMap<DeviceId, BootInfo>>,
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// Lines in all queues, including those being written.
    lines: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// Queues with lines, each once, in the order of their turns.
    queues: VecDeque<Arc<DeviceQueue>>,
    /// Devices that have connected, each with its application's hash.
    seen: Vec<(DeviceId, [u8; 32])>,
    is_closed: bool,
}

/// A session's end of its device's queue.
pub(crate) struct LogQueue {
    intake: LogIntake,
    queue: Arc<DeviceQueue>,
}

/// The lines of one device.
#[derive(Default)]
struct DeviceQueue(Mutex<QueueState>);

#[derive(Default)]
struct QueueState {
    lines: VecDeque<LogLine>,
    /// Lines and bytes that are not stored yet, including those the writer has taken.
    unstored_lines: usize,
    unstored_bytes: usize,
    /// Whether the queue is in [`Waiting::queues`].
    is_waiting: bool,
    /// The last line stored, until the session takes it.
    stored: Option<u32>,
    /// What the store knows of the device's boot.
    run: LogRun,
    waker: Option<Waker>,
}

/// The content of one transaction.
#[derive(Default)]
struct Batch {
    lines: Vec<LogLine>,
    /// The queues they are from, in the same order.
    parts: Vec<BatchPart>,
    seen: Vec<(DeviceId, [u8; 32])>,
}

/// The part of one queue in a batch.
struct BatchPart {
    queue: Arc<DeviceQueue>,
    lines: usize,
    bytes: usize,
    /// Number of the last line.
    sequence: u32,
    run: LogRun,
}

/// Creates the intake: the sessions' end and the writer's.
pub(crate) fn intake() -> (LogIntake, Arc<Intake>) {
    let intake = Arc::new(Intake {
        boots: Mutex::default(),
        waiting: Mutex::default(),
        filled: Notify::new(),
        lines: AtomicUsize::new(0),
    });
    (LogIntake(Arc::new(CloseOnDrop(intake.clone()))), intake)
}

/// Stores lines until every session is gone and nothing is left. No line is ever dropped here: while the store refuses
/// lines, the queues fill up and the devices are held back.
pub(crate) async fn run(store: Arc<Store>, intake: Arc<Intake>, metrics: Arc<Metrics>) {
    let mut guard = BatchGuard { intake, batch: Batch::default() };
    while guard.intake.take(&mut guard.batch).await {
        store_batch(&store, &mut guard.batch, &metrics).await;
        guard.intake.lines.fetch_sub(guard.batch.lines.len(), Ordering::Relaxed);
        guard.batch.acknowledge();
    }
}

/// A batch that is returned to its queues when it is dropped before it was stored, as when the writer panics (D166).
struct BatchGuard {
    intake: Arc<Intake>,
    batch: Batch,
}

impl Drop for BatchGuard {
    fn drop(&mut self) {
        self.intake.put_back(&mut self.batch);
    }
}

/// Writes a batch, and retries until that succeeds.
async fn store_batch(store: &Store, batch: &mut Batch, metrics: &Metrics) {
    let start = Instant::now();
    let mut reported: Option<Instant> = None;
    let duplicates = loop {
        match store.add_run_logs(&mut batch.groups()).await {
            Ok(duplicates) => break duplicates,
            Err(error) => {
                metrics.store_failures.with_label_values(&["write_logs"]).inc();
                if reported.is_none_or(|reported| reported.elapsed() >= TROUBLE_REPORT_INTERVAL) {
                    reported = Some(Instant::now());
                    let lines = batch.lines.len();
                    tracing::error!(name: "log_write_failed", %error, lines, "cannot store log lines; retrying");
                }
                sleep(RETRY_INTERVAL).await;
            }
        }
    };
    if !batch.lines.is_empty() {
        metrics::observe(&metrics.store_seconds.write_logs, start.elapsed());
        metrics.log_lines.taken.inc_by((batch.lines.len() as u64).saturating_sub(duplicates));
        metrics.log_lines.duplicate.inc_by(duplicates);
    }
    // Not tried again: it is information for operators, and lines must not wait for it.
    if let Err(error) = store.record_seen(&batch.seen).await {
        tracing::error!(name: "seen_not_recorded", %error, devices = batch.seen.len(), "cannot record that devices have connected");
    }
}

impl LogIntake {
    /// The intake without keeping it open, for metrics.
    pub(crate) fn downgrade(&self) -> Weak<Intake> {
        Arc::downgrade(&self.0.0)
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.waiting().is_closed = true;
        self.0.filled.notify_one();
    }
}

impl Intake {
    /// Number of lines between devices and store.
    pub(crate) fn lines(&self) -> usize {
        // Nothing is synchronised by this count: metrics and a coarse limit use it.
        self.lines.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Returns a batch to its queues, in front of newer lines.
    fn put_back(&self, batch: &mut Batch) {
        let mut end = batch.lines.len();
        let mut waiting = self.waiting();
        for part in batch.parts.drain(..).rev() {
            let from = end - part.lines;
            let mut state = part.queue.state();
            for line in batch.lines.drain(from..).rev() {
                state.lines.push_front(line);
            }
            end = from;
            if !std::mem::replace(&mut state.is_waiting, true) {
                waiting.queues.push_front(part.queue.clone());
            }
        }
        waiting.seen.append(&mut batch.seen);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until there is something to store; `false` when nothing will come any more.
    async fn take(&self, batch: &mut Batch) -> bool {
        loop {
            {
                let mut waiting = self.waiting();
                waiting.fill(batch);
                if !batch.is_empty() {
                    return true;
                }
                if waiting.is_closed {
                    return false;
                }
            }
            // Without the lock. Nothing is missed: `notify_one` stores a permit when no task waits.
            self.filled.notified().await;
        }
    }
}

impl Waiting {
    /// Moves lines in turn, so that every waiting queue has a share of the batch, and then fills the rest of it.
    fn fill(&mut self, batch: &mut Batch) {
        batch.seen.append(&mut self.seen);
        // At least one line, also when more queues wait than a batch has lines.
        let share = (LOG_BATCH / self.queues.len().max(1)).max(1);
        while batch.lines.len() < LOG_BATCH
            && let Some(queue) = self.queues.pop_front()
        {
            if batch.take_from(&queue, share) {
                self.queues.push_back(queue);
            }
        }
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.seen.is_empty()
    }

    /// Takes at most `share` lines of a queue. Whether the queue has more.
    fn take_from(&mut self, queue: &Arc<DeviceQueue>, share: usize) -> bool {
        let mut state = queue.state();
        let count = share.min(LOG_BATCH - self.lines.len()).min(state.lines.len());
        let from = self.lines.len();
        self.lines.extend(state.lines.drain(..count));
        let taken = &self.lines[from..];
        if let Some(last) = taken.last() {
            let bytes = taken.iter().map(|line| line.text.len()).sum();
            let (sequence, run) = (last.sequence, state.run);
            self.parts.push(BatchPart { queue: queue.clone(), lines: count, bytes, sequence, run });
        }
        state.is_waiting = !state.lines.is_empty();
        state.is_waiting
    }

    /// The lines of each queue, with what is known of their device's boot.
    fn groups(&mut self) -> Vec<RunLines<'_>> {
        let mut rest = &self.lines[..];
        let mut groups = Vec::with_capacity(self.parts.len());
        for part in &mut self.parts {
            let (lines, remaining) = rest.split_at(part.lines);
            groups.push(RunLines { run: &mut part.run, lines });
            rest = remaining;
        }
        groups
    }

    /// Acknowledges every line to its session, and empties the batch.
    fn acknowledge(&mut self) {
        for BatchPart { queue, lines, bytes, sequence, run } in self.parts.drain(..) {
            let mut state = queue.state();
            state.unstored_lines -= lines;
            state.unstored_bytes -= bytes;
            state.stored = Some(sequence);
            state.run = run;
            let waker = state.waker.take();
            drop(state);
            // After the lock is released, which the session takes as soon as it is woken.
            waker.into_iter().for_each(Waker::wake);
        }
        self.lines.clear();
        self.seen.clear();
    }
}

impl DeviceQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        lock(&self.0)
    }
}

impl LogQueue {
    pub(crate) fn new(intake: LogIntake) -> Self {
        Self { intake, queue: Arc::default() }
    }

    fn intake(&self) -> &Intake {
        &self.intake.0.0
    }

    /// The device has booted or reconnected, with its clock at this many microseconds since its boot.
    pub(crate) fn start_run(&self, device: DeviceId, boot: u32, clock: u64) {
        let info = BootInfo { boot, clock, at: Instant::now() };
        let before = lock(&self.intake().boots).insert(device, info);
        let is_repeat = before.is_some_and(|before| info.is_repeat_of(before));
        self.queue.state().run = LogRun::new(clock, is_repeat);
    }

    /// Adds a line.
    pub(crate) fn push(&mut self, line: LogLine) {
        self.intake().lines.fetch_add(1, Ordering::Relaxed);
        let mut state = self.queue.state();
        state.unstored_lines += 1;
        state.unstored_bytes += line.text.len();
        state.lines.push_back(line);
        if !std::mem::replace(&mut state.is_waiting, true) {
            drop(state);
            // The writer locks `waiting` before a queue; holding the queue here could deadlock.
            self.intake().waiting().queues.push_back(self.queue.clone());
            self.intake().filled.notify_one();
        }
    }

    /// Has the writer record that the device has connected. While the store is far behind this is skipped: it is
    /// information for operators, not worth holding back a device for.
    pub(crate) fn record_seen(&self, device: DeviceId, image: [u8; 32]) {
        let mut waiting = self.intake().waiting();
        if waiting.seen.len() < SEEN_BACKLOG {
            waiting.seen.push((device, image));
            drop(waiting);
            self.intake().filled.notify_one();
        }
    }

    /// Whether the device must be held back.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.queue.state();
        state.unstored_lines >= LOG_BACKLOG || state.unstored_bytes >= LOG_BACKLOG_BYTES
    }

    /// The number of the last line stored, once for each time that changes.
    pub(crate) fn poll_stored(&self, context: &mut Context<'_>) -> Option<u32> {
        let mut state = self.queue.state();
        // Every round of the session comes here; usually the waker is still the right one and need not be cloned.
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        state.stored.take()
    }
}

/// Lines outlive their session until they are stored, but not in any number: devices that reconnect while the store
/// refuses lines send theirs again.
impl Drop for LogQueue {
    fn drop(&mut self) {
        if self.intake().lines() > MAX_ORPHANED_LOG_LINES {
            let dropped = std::mem::take(&mut self.queue.state().lines).len();
            self.intake().lines.fetch_sub(dropped, Ordering::Relaxed);
        }
    }
}

/// Takes the place of the writer in tests without a store.
#[cfg(test)]
pub(crate) struct TestWriter(Arc<Intake>);

#[cfg(test)]
impl TestWriter {
    pub(crate) fn new() -> (LogIntake, Self) {
        let (log_intake, intake) = intake();
        (log_intake, Self(intake))
    }

    /// Acknowledges every line as stored.
    pub(crate) fn store_all(&self) {
        let mut batch = Batch::default();
        self.0.waiting().fill(&mut batch);
        self.0.lines.fetch_sub(batch.lines.len(), Ordering::Relaxed);
        batch.acknowledge();
    }
}

#[cfg(test)]
mod tests;
