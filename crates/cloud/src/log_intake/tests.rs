use std::future::poll_fn;
use std::task::Poll;

use tempfile::tempdir;

use super::*;
use crate::data::DataFolder;

fn line(device: DeviceId, sequence: u32) -> LogLine {
    LogLine { device, boot: 1, sequence, clock: 0, received: crate::clock::wall_millis(), text: vec![b'x'] }
}

fn flood(queue: &mut LogQueue, device: DeviceId) -> u32 {
    let mut sequence = 0;
    while !queue.is_full() {
        sequence += 1;
        queue.push(line(device, sequence));
    }
    sequence
}

async fn stored(queue: &LogQueue) -> u32 {
    poll_fn(|context| queue.poll_stored(context).map_or(Poll::Pending, Poll::Ready)).await
}

/// Shows D70.
#[tokio::test]
async fn a_line_is_acknowledged_after_it_is_in_the_store() {
    let directory = tempdir().expect("a folder");
    let store = Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
    let (store, device) = (Arc::new(store), DeviceId::random());
    store.add_device(device, None, [1; 32]).await.expect("added");
    let (log_intake, intake) = intake();
    let running = tokio::spawn(run(store.clone(), intake, Arc::new(Metrics::new())));
    let mut queue = LogQueue::new(log_intake);
    for sequence in 1..=3 {
        queue.push(line(device, sequence));
    }
    while stored(&queue).await < 3 {}
    assert_eq!(store.logs(device, 10).await.expect("read").len(), 3);
    queue.push(line(device, 4));
    drop(queue);
    running.await.expect("ends when the last session has gone");
    assert_eq!(store.logs(device, 10).await.expect("read").len(), 4, "what it left behind is stored");
}

/// Shows D119.
#[tokio::test]
async fn a_flood_of_one_device_delays_another_by_no_batch() {
    let (log_intake, intake) = intake();
    let (loud, quiet) = (DeviceId::random(), DeviceId::random());
    let mut floods: Vec<_> =
        (0..2 * LOG_BATCH / LOG_BACKLOG).map(|_| LogQueue::new(log_intake.clone())).collect();
    for queue in &mut floods {
        assert_eq!(flood(queue, loud) as usize, LOG_BACKLOG);
    }
    let mut queue = LogQueue::new(log_intake);
    queue.push(line(quiet, 1));
    let mut batch = Batch::default();
    assert!(intake.take(&mut batch).await);
    assert!(
        batch.lines.iter().any(|line| line.device == quiet),
        "it was added last and is in the first batch"
    );
    assert_eq!(batch.lines.len(), LOG_BATCH, "and no room is left empty");
    let parts = |queue: &LogQueue| -> usize {
        let own = batch.parts.iter().filter(|part| Arc::ptr_eq(&part.queue, &queue.queue));
        own.map(|part| part.lines).sum()
    };
    let counts: Vec<_> = floods.iter().map(parts).collect();
    assert!(
        counts.iter().min() > Some(&0)
            && counts[0] - counts.last().expect("some") <= LOG_BATCH / counts.len()
    );
}

/// Shows D119.
#[tokio::test]
async fn a_full_queue_holds_its_device_back_until_lines_are_stored_and_keeps_their_order() {
    let (log_intake, intake) = intake();
    let mut queue = LogQueue::new(log_intake);
    let count = flood(&mut queue, DeviceId::random());
    let (mut batch, mut next) = (Batch::default(), 1);
    while next <= count {
        assert!(intake.take(&mut batch).await);
        assert!(queue.is_full() || next > 1, "taken is not stored yet");
        for line in &batch.lines {
            assert_eq!(line.sequence, next);
            next += 1;
        }
        batch.acknowledge();
    }
    assert!(!queue.is_full());
    assert_eq!(stored(&queue).await, count);
}

/// Shows D165.
#[test]
fn a_run_is_another_when_its_clock_has_not_advanced() {
    let now = Instant::now();
    let start = |boot, clock, seconds| BootInfo { boot, clock, at: now + Duration::from_secs(seconds) };
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
        assert_eq!(second.is_repeat_of(first), repeats, "{second:?}");
    }
}

/// Shows D165.
#[tokio::test]
async fn a_run_repeated_before_its_first_connection_ends_is_stored_twice() {
    let directory = tempdir().expect("a folder");
    let store = Store::open(&DataFolder::open(directory.path()).expect("made")).await.expect("opened");
    let (store, device) = (Arc::new(store), DeviceId::random());
    store.add_device(device, None, [1; 32]).await.expect("added");
    let (log_intake, intake) = intake();
    let running = tokio::spawn(run(store.clone(), intake, Arc::new(Metrics::new())));
    // The lines were logged before either run had a connection: their clocks show nothing.
    for clock in [500_000, 499_000] {
        let mut queue = LogQueue::new(log_intake.clone());
        queue.start_run(device, 1, clock);
        for sequence in 1..=3 {
            queue.push(line(device, sequence));
        }
        while stored(&queue).await < 3 {}
    }
    drop(log_intake);
    running.await.expect("ends when the last session has gone");
    assert_eq!(store.logs(device, 10).await.expect("read").len(), 6);
}

/// Shows D166.
#[tokio::test]
async fn what_a_writer_that_panics_had_taken_is_written_by_the_next() {
    let (log_intake, intake) = intake();
    let (device, mut queue) = (DeviceId::random(), LogQueue::new(log_intake.clone()));
    let mut other = LogQueue::new(log_intake);
    (1..=5).for_each(|sequence| queue.push(line(device, sequence)));
    other.push(line(DeviceId::random(), 1));
    let dying = intake.clone();
    let writer = tokio::spawn(async move {
        let mut guard = BatchGuard { intake: dying, batch: Batch::default() };
        assert!(guard.intake.take(&mut guard.batch).await);
        panic!("a writer with {} lines", guard.batch.lines.len());
    });
    assert!(writer.await.is_err());
    queue.push(line(device, 6));
    let mut batch = Batch::default();
    let mut found = Vec::new();
    while found.len() < 7 {
        assert!(intake.take(&mut batch).await);
        found.append(&mut batch.lines.clone());
        batch.acknowledge();
    }
    let own = found.iter().filter(|line| line.device == device).map(|line| line.sequence);
    assert_eq!(own.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6], "in order, each once");
    assert_eq!(stored(&queue).await, 6);
    assert!(!queue.is_full());
}

#[tokio::test]
async fn devices_that_come_and_go_while_the_store_refuses_leave_a_bounded_number_of_lines() {
    let (log_intake, intake) = intake();
    for _ in 0..2 * MAX_ORPHANED_LOG_LINES / LOG_BACKLOG {
        flood(&mut LogQueue::new(log_intake.clone()), DeviceId::random());
    }
    assert!(intake.lines() <= MAX_ORPHANED_LOG_LINES + LOG_BACKLOG);
    let (mut batch, mut found) = (Batch::default(), 0);
    drop(log_intake);
    while intake.take(&mut batch).await {
        found += batch.lines.len();
        batch.acknowledge();
    }
    assert!(found > 0 && found <= MAX_ORPHANED_LOG_LINES + LOG_BACKLOG);
}
