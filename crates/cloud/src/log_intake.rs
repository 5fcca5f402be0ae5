//! The way of log lines into the store: from every session through one queue, many lines to a transaction, and word back to the
//! session when a line is safe.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::{Instant, sleep};

use crate::device_id::DeviceId;
use crate::limits::{LOG_BACKLOG, LOG_BATCH, LOG_QUEUE};
use crate::metrics::{self, Metrics};
use crate::store::{LogLine, Store};

/// Pause after the store refused lines, before they are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Something to keep.
pub(crate) enum Entry {
    /// A line on its way, and where to say that it has arrived.
    Line(LogLine, Arc<Stored>),
    /// A device has started or connected anew, with this application.
    Seen(DeviceId, [u8; 32]),
}

/// The queue all sessions put their entries in.
pub(crate) type Intake = mpsc::Sender<Entry>;

/// Room for one entry, or word that the store has closed.
type Room = Result<OwnedPermit<Entry>, SendError<()>>;

/// A session's end: lines waiting for room in the queue, and the number of the last one that is safe.
pub(crate) struct Lane {
    intake: Intake,
    waiting: VecDeque<LogLine>,
    room: Option<Pin<Box<dyn Future<Output = Room> + Send>>>,
    stored: Arc<Stored>,
}

/// The last line stored, told once.
#[derive(Default)]
pub(crate) struct Stored(Mutex<(Option<u32>, Option<Waker>)>);

/// Makes the queue.
pub(crate) fn queue() -> (Intake, mpsc::Receiver<Entry>) {
    mpsc::channel(LOG_QUEUE)
}

/// Stores what comes through the queue until every sender is gone and it is empty. A line is never dropped: while the store
/// refuses, the queue fills and the devices are held back.
pub(crate) async fn run(store: Arc<Store>, mut queue: mpsc::Receiver<Entry>, metrics: Arc<Metrics>) {
    let mut batch = Vec::with_capacity(LOG_BATCH);
    while queue.recv_many(&mut batch, LOG_BATCH).await > 0 {
        let (mut lines, mut told, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for entry in batch.drain(..) {
            match entry {
                Entry::Line(line, stored) => {
                    told.push((line.sequence, stored));
                    lines.push(line);
                }
                Entry::Seen(device, image) => seen.push((device, image)),
            }
        }
        keep(&store, &lines, &seen, &metrics).await;
        for (sequence, stored) in told {
            stored.tell(sequence);
        }
    }
}

async fn keep(store: &Store, lines: &[LogLine], seen: &[(DeviceId, [u8; 32])], metrics: &Metrics) {
    let start = Instant::now();
    while let Err(error) = store.add_logs(lines).await {
        metrics.store_failures.with_label_values(&["write_logs"]).inc();
        tracing::error!(%error, lines = lines.len(), "log lines cannot be stored, trying again");
        sleep(RETRY).await;
    }
    if !lines.is_empty() {
        metrics::observe(&metrics.store_seconds.write_logs, start.elapsed());
        metrics.log_lines.taken.inc_by(lines.len() as u64);
    }
    if let Err(error) = store.devices_seen(seen).await {
        tracing::error!(%error, devices = seen.len(), "it cannot be noted that devices have connected");
    }
}

impl Lane {
    pub(crate) fn new(intake: Intake) -> Lane {
        Lane { intake, waiting: VecDeque::new(), room: None, stored: Arc::default() }
    }

    /// Takes a line along.
    pub(crate) fn push(&mut self, line: LogLine) {
        self.waiting.push_back(line);
    }

    /// Has it noted that the device is there. While the store is far behind it is not noted, rather than held back for.
    pub(crate) fn note_seen(&self, device: DeviceId, image: [u8; 32]) {
        let _ = self.intake.try_send(Entry::Seen(device, image));
    }

    /// Whether the device must be held back.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= LOG_BACKLOG
    }

    /// Moves lines into the queue as there is room; whether any moved.
    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        while !self.waiting.is_empty() {
            let Poll::Ready(permit) = self.poll_room(context) else { break };
            let line = self.waiting.pop_front().expect("not empty");
            moved = true;
            // Without a permit the store has closed, which it does last: nobody is there to hear of the line.
            if let Ok(permit) = permit {
                permit.send(Entry::Line(line, self.stored.clone()));
            }
        }
        moved
    }

    /// The number of the last line that is safe, once for each time that changes.
    pub(crate) fn poll_stored(&self, context: &mut Context<'_>) -> Option<u32> {
        let mut stored = self.stored.0.lock().expect("nothing panics while it is held");
        if !stored.1.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            stored.1 = Some(context.waker().clone());
        }
        stored.0.take()
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Room> {
        if self.room.is_none() {
            match self.intake.clone().try_reserve_owned() {
                Ok(permit) => return Poll::Ready(Ok(permit)),
                Err(TrySendError::Closed(_)) => return Poll::Ready(Err(SendError(()))),
                Err(TrySendError::Full(intake)) => self.room = Some(Box::pin(intake.reserve_owned())),
            }
        }
        let room = self.room.as_mut().expect("just made");
        let ready = room.as_mut().poll(context);
        if ready.is_ready() {
            self.room = None;
        }
        ready
    }
}

impl Stored {
    fn tell(&self, sequence: u32) {
        let mut stored = self.0.lock().expect("nothing panics while it is held");
        stored.0 = Some(sequence);
        if let Some(waker) = stored.1.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

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

    async fn stored(lane: &Lane) -> u32 {
        poll_fn(|context| lane.poll_stored(context).map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Shows D70.
    #[tokio::test]
    async fn a_line_is_told_as_safe_after_it_is_in_the_store() {
        let directory = tempdir().expect("a folder");
        let store = Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
        let (store, device) = (Arc::new(store), DeviceId::random());
        let (intake, queue) = queue();
        let running = tokio::spawn(run(store.clone(), queue, Arc::new(Metrics::new())));
        let mut lane = Lane::new(intake);
        for sequence in 1..=3 {
            lane.push(line(device, sequence));
        }
        assert!(poll_fn(|context| Poll::Ready(lane.poll_send(context))).await);
        while stored(&lane).await < 3 {}
        assert_eq!(store.logs(device, 10).await.expect("read").len(), 3);
        drop(lane);
        running.await.expect("ends when the last session has gone");
    }

    #[tokio::test]
    async fn a_full_queue_holds_lines_back_and_lets_them_on_in_order() {
        let (intake, mut queue) = mpsc::channel(1);
        let mut lane = Lane::new(intake);
        let device = DeviceId::random();
        for sequence in 1..=LOG_BACKLOG as u32 + 1 {
            lane.push(line(device, sequence));
        }
        assert!(poll_fn(|context| Poll::Ready(lane.poll_send(context))).await);
        assert!(lane.is_full(), "one has moved, the others wait");
        for sequence in 1..=LOG_BACKLOG as u32 + 1 {
            let Some(Entry::Line(line, _)) = queue.recv().await else { panic!("no line") };
            assert_eq!(line.sequence, sequence);
            poll_fn(|context| Poll::Ready(lane.poll_send(context))).await;
        }
        assert!(!lane.is_full() && lane.waiting.is_empty());
    }
}
