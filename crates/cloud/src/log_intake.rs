//! The way of log lines into the store: every device has a lane of its own, the writer takes from all of them by turns, many lines to
//! a transaction, and tells each device when its lines are safe.
//!
//! A device that floods fills its own lane and is read from no more; the others' lines go on with the next transaction (D119).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::device_id::DeviceId;
use crate::limits::{
    LOG_BACKLOG, LOG_BACKLOG_BYTES, LOG_BATCH, LOG_LEFT_BEHIND, SEEN_BACKLOG, TROUBLE_REPORT_INTERVAL,
};
use crate::lock::lock;
use crate::metrics::{self, Metrics};
use crate::store::{LogLine, LogRun, RunLines, Store};

/// Pause after the store refused lines, before they are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the sessions hold of the queue; the writer ends when the last of these has gone and nothing is left to write.
#[derive(Clone)]
pub(crate) struct LogIntake(Arc<CloseGuard>);

struct CloseGuard(Arc<IntakeQueue>);

/// What a device said of its start when it connected last.
#[derive(Debug, Clone, Copy)]
struct DeviceStart {
    boot: u32,
    /// Microseconds since the start; 0 is unknown.
    clock: u64,
    at: Instant,
}

/// A device's clock may go so many times slower than the cloud's without being taken for that of another run.
const SLOWEST: u128 = 8;

/// Between connections that follow each other sooner nothing is concluded from the clock's rate.
const TOO_SOON: Duration = Duration::from_millis(500);

impl DeviceStart {
    /// Whether this is another run under the same number: a device that has only lost its connection has a clock that has gone on
    /// meanwhile. One that says the same each time has no clock (D165).
    fn repeats(self, before: Self) -> bool {
        if self.boot != before.boot || self.clock == before.clock || self.clock == 0 {
            return false;
        }
        let passed = self.at.saturating_duration_since(before.at);
        let advance = u128::from(self.clock.saturating_sub(before.clock));
        self.clock < before.clock || (passed >= TOO_SOON && advance < passed.as_micros() / SLOWEST)
    }
}

/// What is on its way.
pub(crate) struct IntakeQueue {
    /// Of each device that has connected since the cloud started.
    starts: Mutex<HashMap<DeviceId, DeviceStart>>,
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// Lines in all lanes, those being written included.
    lines: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// Lanes that have lines, each once, in the order of their turns.
    queues: VecDeque<Arc<DeviceLines>>,
    /// Devices that have started or connected anew, each with its application.
    seen: Vec<(DeviceId, [u8; 32])>,
    is_closed: bool,
}

/// A session's end of its lane.
pub(crate) struct LogQueue {
    intake: LogIntake,
    lines_of: Arc<DeviceLines>,
}

/// A lane's lines, and what is told back.
#[derive(Default)]
struct DeviceLines(Mutex<LineState>);

#[derive(Default)]
struct LineState {
    lines: VecDeque<LogLine>,
    /// Lines and bytes that are not safe yet, also those the writer has taken.
    unsafe_lines: usize,
    unsafe_bytes: usize,
    /// Whether the lane is among those whose turn comes.
    is_waiting: bool,
    /// The last line stored, told once.
    stored: Option<u32>,
    /// What the store knows of the device's start.
    run: LogRun,
    waker: Option<Waker>,
}

/// What one transaction takes. Dropped before it was stored, as when the writer panics, it gives the lines back.
#[derive(Default)]
struct Batch {
    lines: Vec<LogLine>,
    /// Whose, in the same order.
    parts: Vec<BatchPart>,
    seen: Vec<(DeviceId, [u8; 32])>,
}

/// A lane's part of a batch.
struct BatchPart {
    lines_of: Arc<DeviceLines>,
    lines: usize,
    bytes: usize,
    /// Number of the last line.
    sequence: u32,
    run: LogRun,
}

/// Makes the queue: the sessions' end, and the writer's.
pub(crate) fn queue() -> (LogIntake, Arc<IntakeQueue>) {
    let queue = IntakeQueue {
        starts: Mutex::default(),
        waiting: Mutex::default(),
        filled: Notify::new(),
        lines: AtomicUsize::new(0),
    };
    let queue = Arc::new(queue);
    (LogIntake(Arc::new(CloseGuard(queue.clone()))), queue)
}

/// Stores what comes until every session is gone and nothing is left. A line is never dropped: while the store refuses, the lanes
/// fill and the devices are held back.
pub(crate) async fn run(store: Arc<Store>, queue: Arc<IntakeQueue>, metrics: Arc<Metrics>) {
    let mut taken = BatchGuard { queue, batch: Batch::default() };
    while taken.queue.take(&mut taken.batch).await {
        store_batch(&store, &mut taken.batch, &metrics).await;
        taken.queue.lines.fetch_sub(taken.batch.lines.len(), Ordering::Relaxed);
        taken.batch.acknowledge();
    }
}

/// A batch that goes back to the queue when it is dropped.
struct BatchGuard {
    queue: Arc<IntakeQueue>,
    batch: Batch,
}

impl Drop for BatchGuard {
    fn drop(&mut self) {
        self.queue.give_back(&mut self.batch);
    }
}

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
                    tracing::error!(%error, lines, "log lines cannot be stored, trying again");
                }
                sleep(RETRY).await;
            }
        }
    };
    if !batch.lines.is_empty() {
        metrics::observe(&metrics.store_seconds.write_logs, start.elapsed());
        metrics.log_lines.taken.inc_by((batch.lines.len() as u64).saturating_sub(duplicates));
        metrics.log_lines.duplicate.inc_by(duplicates);
    }
    if let Err(error) = store.record_seen(&batch.seen).await {
        tracing::error!(%error, devices = batch.seen.len(), "it cannot be noted that devices have connected");
    }
}

impl LogIntake {
    /// The queue, for who only counts.
    pub(crate) fn downgrade(&self) -> Weak<IntakeQueue> {
        Arc::downgrade(&self.0.0)
    }
}

impl Drop for CloseGuard {
    fn drop(&mut self) {
        self.0.waiting().is_closed = true;
        self.0.filled.notify_one();
    }
}

impl IntakeQueue {
    /// Lines between devices and store.
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Takes back what was not stored, before all that has come since.
    fn give_back(&self, batch: &mut Batch) {
        let mut end = batch.lines.len();
        let mut waiting = self.waiting();
        for share in batch.parts.drain(..).rev() {
            let from = end - share.lines;
            let mut state = share.lines_of.state();
            for line in batch.lines.drain(from..).rev() {
                state.lines.push_front(line);
            }
            end = from;
            if !std::mem::replace(&mut state.is_waiting, true) {
                waiting.queues.push_front(share.lines_of.clone());
            }
        }
        waiting.seen.append(&mut batch.seen);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until there is something; `false` when nothing will come any more.
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
            self.filled.notified().await;
        }
    }
}

impl Waiting {
    /// Moves lines by turns, so that every lane that waits has its share in the batch, and then what is left of its room.
    fn fill(&mut self, batch: &mut Batch) {
        batch.seen.append(&mut self.seen);
        let share = (LOG_BATCH / self.queues.len().max(1)).max(1);
        while batch.lines.len() < LOG_BATCH
            && let Some(lines_of) = self.queues.pop_front()
        {
            if batch.take_from(&lines_of, share) {
                self.queues.push_back(lines_of);
            }
        }
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.seen.is_empty()
    }

    /// Takes a lane's share; whether the lane has more.
    fn take_from(&mut self, lines_of: &Arc<DeviceLines>, share: usize) -> bool {
        let mut state = lines_of.state();
        let count = share.min(LOG_BATCH - self.lines.len()).min(state.lines.len());
        let from = self.lines.len();
        self.lines.extend(state.lines.drain(..count));
        let taken = &self.lines[from..];
        if let Some(last) = taken.last() {
            let bytes = taken.iter().map(|line| line.text.len()).sum();
            let (sequence, run) = (last.sequence, state.run);
            self.parts.push(BatchPart { lines_of: lines_of.clone(), lines: count, bytes, sequence, run });
        }
        state.is_waiting = !state.lines.is_empty();
        state.is_waiting
    }

    /// The lines of each lane with what is known of their device's start.
    fn groups(&mut self) -> Vec<RunLines<'_>> {
        let mut rest = &self.lines[..];
        let mut groups = Vec::with_capacity(self.parts.len());
        for share in &mut self.parts {
            let (lines, behind) = rest.split_at(share.lines);
            groups.push(RunLines { run: &mut share.run, lines });
            rest = behind;
        }
        groups
    }

    /// Says that everything is safe, and is empty again.
    fn acknowledge(&mut self) {
        for BatchPart { lines_of, lines, bytes, sequence, run } in self.parts.drain(..) {
            let mut state = lines_of.state();
            state.unsafe_lines -= lines;
            state.unsafe_bytes -= bytes;
            state.stored = Some(sequence);
            state.run = run;
            let waker = state.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
        self.lines.clear();
        self.seen.clear();
    }
}

impl DeviceLines {
    fn state(&self) -> MutexGuard<'_, LineState> {
        lock(&self.0)
    }
}

impl LogQueue {
    pub(crate) fn new(intake: LogIntake) -> Self {
        Self { intake, lines_of: Arc::default() }
    }

    fn queue(&self) -> &IntakeQueue {
        &self.intake.0.0
    }

    /// The device has started or come back, with its clock at this many microseconds since its start.
    pub(crate) fn start_run(&self, device: DeviceId, boot: u32, clock: u64) {
        let start = DeviceStart { boot, clock, at: Instant::now() };
        let before = lock(&self.queue().starts).insert(device, start);
        let is_repeat = before.is_some_and(|before| start.repeats(before));
        self.lines_of.state().run = LogRun::new(clock, is_repeat);
    }

    /// Takes a line along.
    pub(crate) fn push(&mut self, line: LogLine) {
        self.queue().lines.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lines_of.state();
        state.unsafe_lines += 1;
        state.unsafe_bytes += line.text.len();
        state.lines.push_back(line);
        if !std::mem::replace(&mut state.is_waiting, true) {
            drop(state);
            self.queue().waiting().queues.push_back(self.lines_of.clone());
            self.queue().filled.notify_one();
        }
    }

    /// Has it noted that the device is there. While the store is far behind it is not noted, rather than held back for.
    pub(crate) fn note_seen(&self, device: DeviceId, image: [u8; 32]) {
        let mut waiting = self.queue().waiting();
        if waiting.seen.len() < SEEN_BACKLOG {
            waiting.seen.push((device, image));
            drop(waiting);
            self.queue().filled.notify_one();
        }
    }

    /// Whether the device must be held back.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.lines_of.state();
        state.unsafe_lines >= LOG_BACKLOG || state.unsafe_bytes >= LOG_BACKLOG_BYTES
    }

    /// The number of the last line that is safe, once for each time that changes.
    pub(crate) fn poll_stored(&self, context: &mut Context<'_>) -> Option<u32> {
        let mut state = self.lines_of.state();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        state.stored.take()
    }
}

/// What a session leaves behind is stored, but not without bound: devices that come and go while the store refuses send it again.
impl Drop for LogQueue {
    fn drop(&mut self) {
        if self.queue().lines() > LOG_LEFT_BEHIND {
            let dropped = std::mem::take(&mut self.lines_of.state().lines).len();
            self.queue().lines.fetch_sub(dropped, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tempfile::tempdir;

    use super::*;
    use crate::data::DataFolder;

    fn line(device: DeviceId, sequence: u32) -> LogLine {
        LogLine {
            device,
            boot: 1,
            sequence,
            clock: 0,
            received: crate::clock::wall_millis(),
            text: vec![b'x'],
        }
    }

    fn flood(log_queue: &mut LogQueue, device: DeviceId) -> u32 {
        let mut sequence = 0;
        while !log_queue.is_full() {
            sequence += 1;
            log_queue.push(line(device, sequence));
        }
        sequence
    }

    async fn stored(log_queue: &LogQueue) -> u32 {
        poll_fn(|context| log_queue.poll_stored(context).map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Shows D70.
    #[tokio::test]
    async fn a_line_is_told_as_safe_after_it_is_in_the_store() {
        let directory = tempdir().expect("a folder");
        let store = Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
        let (store, device) = (Arc::new(store), DeviceId::random());
        store.add_device(device, None, [1; 32]).await.expect("added");
        let (intake, queue) = queue();
        let running = tokio::spawn(run(store.clone(), queue, Arc::new(Metrics::new())));
        let mut log_queue = LogQueue::new(intake);
        for sequence in 1..=3 {
            log_queue.push(line(device, sequence));
        }
        while stored(&log_queue).await < 3 {}
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 3);
        log_queue.push(line(device, 4));
        drop(log_queue);
        running.await.expect("ends when the last session has gone");
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 4, "what it left behind is stored");
    }

    /// Shows D119.
    #[tokio::test]
    async fn a_flood_of_one_device_delays_another_by_no_batch() {
        let (intake, queue) = queue();
        let (loud, quiet) = (DeviceId::random(), DeviceId::random());
        let mut floods: Vec<_> =
            (0..2 * LOG_BATCH / LOG_BACKLOG).map(|_| LogQueue::new(intake.clone())).collect();
        for log_queue in &mut floods {
            assert_eq!(flood(log_queue, loud) as usize, LOG_BACKLOG);
        }
        let mut log_queue = LogQueue::new(intake);
        log_queue.push(line(quiet, 1));
        let mut batch = Batch::default();
        assert!(queue.take(&mut batch).await);
        assert!(
            batch.lines.iter().any(|line| line.device == quiet),
            "it came last and is in the first batch"
        );
        assert_eq!(batch.lines.len(), LOG_BATCH, "and no room is left empty");
        let parts = |log_queue: &LogQueue| -> usize {
            let own = batch.parts.iter().filter(|share| Arc::ptr_eq(&share.lines_of, &log_queue.lines_of));
            own.map(|share| share.lines).sum()
        };
        let counts: Vec<_> = floods.iter().map(parts).collect();
        assert!(
            counts.iter().min() > Some(&0)
                && counts[0] - counts.last().expect("some") <= LOG_BATCH / counts.len()
        );
    }

    /// Shows D119.
    #[tokio::test]
    async fn a_full_lane_holds_its_device_back_until_lines_are_safe_and_keeps_their_order() {
        let (intake, queue) = queue();
        let mut log_queue = LogQueue::new(intake);
        let count = flood(&mut log_queue, DeviceId::random());
        let (mut batch, mut next) = (Batch::default(), 1);
        while next <= count {
            assert!(queue.take(&mut batch).await);
            assert!(log_queue.is_full() || next > 1, "taken is not safe yet");
            for line in &batch.lines {
                assert_eq!(line.sequence, next);
                next += 1;
            }
            batch.acknowledge();
        }
        assert!(!log_queue.is_full());
        assert_eq!(stored(&log_queue).await, count);
    }

    /// Shows D165.
    #[test]
    fn a_run_is_another_when_its_clock_has_not_gone_on() {
        let now = Instant::now();
        let start =
            |boot, clock, seconds| DeviceStart { boot, clock, at: now + Duration::from_secs(seconds) };
        let first = start(1, 500_000, 0);
        for (second, repeats) in [
            (start(1, 10_600_000, 10), false),
            (start(1, 1_800_000, 10), false),
            (start(1, 510_000, 10), true),
            (start(1, 400_000, 0), true),
            (start(1, 510_000, 0), false),
            (start(1, 500_000, 10), false),
            (start(1, 0, 10), false),
            (start(2, 510_000, 10), false),
        ] {
            assert_eq!(second.repeats(first), repeats, "{second:?}");
        }
    }

    /// Shows D165.
    #[tokio::test]
    async fn a_run_repeated_before_its_first_connection_ends_is_stored_twice() {
        let directory = tempdir().expect("a folder");
        let store = Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
        let (store, device) = (Arc::new(store), DeviceId::random());
        store.add_device(device, None, [1; 32]).await.expect("added");
        let (intake, queue) = queue();
        let running = tokio::spawn(run(store.clone(), queue, Arc::new(Metrics::new())));
        // The lines were logged before either run had a connection: their clocks tell nothing.
        for clock in [500_000, 499_000] {
            let mut log_queue = LogQueue::new(intake.clone());
            log_queue.start_run(device, 1, clock);
            for sequence in 1..=3 {
                log_queue.push(line(device, sequence));
            }
            while stored(&log_queue).await < 3 {}
        }
        drop(intake);
        running.await.expect("ends when the last session has gone");
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 6);
    }

    /// Shows D166.
    #[tokio::test]
    async fn what_a_writer_that_panics_had_taken_is_written_by_the_next() {
        let (intake, queue) = queue();
        let (device, mut log_queue) = (DeviceId::random(), LogQueue::new(intake.clone()));
        let mut other = LogQueue::new(intake);
        (1..=5).for_each(|sequence| log_queue.push(line(device, sequence)));
        other.push(line(DeviceId::random(), 1));
        let dying = queue.clone();
        let writer = tokio::spawn(async move {
            let mut taken = BatchGuard { queue: dying, batch: Batch::default() };
            assert!(taken.queue.take(&mut taken.batch).await);
            panic!("a writer with {} lines", taken.batch.lines.len());
        });
        assert!(writer.await.is_err());
        log_queue.push(line(device, 6));
        let mut batch = Batch::default();
        let mut found = Vec::new();
        while found.len() < 7 {
            assert!(queue.take(&mut batch).await);
            found.append(&mut batch.lines.clone());
            batch.acknowledge();
        }
        let own = found.iter().filter(|line| line.device == device).map(|line| line.sequence);
        assert_eq!(own.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "in order, each once");
        assert_eq!(stored(&log_queue).await, 6);
        assert!(!log_queue.is_full());
    }

    #[tokio::test]
    async fn devices_that_come_and_go_while_the_store_refuses_leave_a_bounded_number_of_lines() {
        let (intake, queue) = queue();
        for _ in 0..2 * LOG_LEFT_BEHIND / LOG_BACKLOG {
            flood(&mut LogQueue::new(intake.clone()), DeviceId::random());
        }
        assert!(queue.lines() <= LOG_LEFT_BEHIND + LOG_BACKLOG);
        let (mut batch, mut found) = (Batch::default(), 0);
        drop(intake);
        while queue.take(&mut batch).await {
            found += batch.lines.len();
            batch.acknowledge();
        }
        assert!(found > 0 && found <= LOG_LEFT_BEHIND + LOG_BACKLOG);
    }
}
