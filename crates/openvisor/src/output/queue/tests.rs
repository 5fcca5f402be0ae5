//! A reader that does not read, one that is gone, and one that is slow.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A stream that takes a write only when the test lets it.
struct Gate {
    let_through: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.let_through.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.written.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gate(limit: usize) -> (OutputQueue, Sender<()>, Arc<Mutex<Vec<u8>>>) {
    let (open, let_through) = channel();
    let written = Arc::<Mutex<Vec<u8>>>::default();
    let output = OutputQueue::with_limit(Box::new(Gate { let_through, written: written.clone() }), limit);
    (output, open, written)
}

/// Waits until the thread holds the first line and the queue is empty.
fn until_taken(output: &OutputQueue) {
    while !output.lock().queued.is_empty() {
        std::thread::yield_now();
    }
}

fn text(written: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(written.lock().unwrap().clone()).unwrap()
}

/// Shows D170.
#[test]
fn lines_that_are_not_read_are_dropped_and_replaced_by_their_number() {
    let (output, open, written) = gate(32);
    assert!(output.offer(b"first\n"));
    until_taken(&output);
    let queued = (0..100).filter(|_| output.offer(b"12345678\n")).count();
    assert_eq!(queued, 2, "32 bytes, of which 6 are being written");
    assert!(!output.offer(b"x\n"), "what would fit is dropped too, or the order would be wrong");
    assert!(!output.flush(Duration::from_millis(10)), "nothing was read");
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    assert!(output.flush(SOON));
    let expected = "first\n12345678\n12345678\n99 lines were dropped: they were not read in time\n";
    assert_eq!(text(&written), expected);
    assert!(output.offer(b"last\n"), "there is room again");
    open.send(()).unwrap();
    assert!(output.flush(SOON));
    assert!(text(&written).ends_with("time\nlast\n"));
}

/// Shows D170.
#[tokio::test]
async fn what_has_to_be_complete_waits_without_a_thread_and_nothing_is_lost() {
    let (output, open, written) = gate(8);
    output.send(b"one\n").await.unwrap();
    until_taken(&output);
    output.send(b"two\n").await.unwrap();
    let waiting = output.send(b"three\n");
    assert!(
        tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err(),
        "no room, and cancelled"
    );
    let sender = output.clone();
    let sending = tokio::spawn(async move { sender.send(b"four\n").await });
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    tokio::time::timeout(SOON, sending).await.unwrap().unwrap().unwrap();
    tokio::time::timeout(SOON, output.drained()).await.unwrap();
    assert_eq!(text(&written), "one\ntwo\nfour\n");
}

/// Shows D170.
#[tokio::test]
async fn a_reader_that_is_gone_is_noticed_by_all_who_wait() {
    let (output, open, _) = gate(8);
    output.send(b"one\n").await.unwrap();
    until_taken(&output);
    output.send(b"two\n").await.unwrap();
    let (task, thread) = (output.clone(), output.clone());
    let task = tokio::spawn(async move { task.send(b"three\n").await.map_err(|error| error.kind()) });
    let thread = std::thread::spawn(move || thread.send_blocking(b"four\n").map_err(|error| error.kind()));
    drop(open);
    tokio::time::timeout(SOON, output.failed()).await.unwrap();
    assert_eq!(tokio::time::timeout(SOON, task).await.unwrap().unwrap(), Err(io::ErrorKind::BrokenPipe));
    assert_eq!(thread.join().unwrap(), Err(io::ErrorKind::BrokenPipe));
    assert!(output.has_failed() && output.flush(SOON), "there is nothing to wait for");
}

/// Shows D170.
#[test]
fn a_thread_that_waits_for_room_is_released_when_the_process_ends() {
    let (output, _open, _) = gate(4);
    output.send_blocking(b"one\n").unwrap();
    // Otherwise the thread could take the count of dropped lines together with the first line.
    until_taken(&output);
    let sender = output.clone();
    let waiting = std::thread::spawn(move || sender.send_blocking(b"two\n").is_ok());
    output.stop_waiting();
    assert!(waiting.join().unwrap());
    assert_eq!(output.lock().dropped, 1);
}

/// A full disk: what could not be written is counted, and later lines are written again.
#[test]
fn a_write_that_fails_for_a_time_is_counted_as_dropped() {
    struct Full(bool, Arc<Mutex<Vec<u8>>>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.0) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = Arc::<Mutex<Vec<u8>>>::default();
    let output = OutputQueue::new(Box::new(Full(true, written.clone())));
    output.offer(b"lost\n");
    assert!(output.flush(SOON));
    output.offer(b"kept\n");
    assert!(output.flush(SOON));
    assert_eq!(text(&written), "1 lines were dropped: they were not read in time\nkept\n");
    assert!(output.has_failed());
}

/// Notes the lengths of what is written.
struct Lengths(Arc<Mutex<Vec<usize>>>);

impl Write for Lengths {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn pieces_end_where_lines_end() {
    let bytes = [b"short\n", &[b'x'; 5000][..], b"\nend\n"].concat();
    let lengths = Arc::<Mutex<Vec<usize>>>::default();
    let queue = OutputQueue::new(Box::new(Lengths(lengths.clone())));
    queue.offer(&bytes);
    assert!(queue.flush(SOON));
    assert_eq!(*lengths.lock().unwrap(), [6, 5001, 4]);
}
