//! The thread of a queue, which writes.

use std::io::{self, ErrorKind, Write};
use std::sync::PoisonError;
use std::time::Duration;

use super::{Reader, Shared};

/// Bytes per write, more only for a longer line. A flush sees progress in these steps.
const PIECE: usize = 4096;

/// Pause before another attempt at a full descriptor that another process has made non-blocking.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Pause after a write that failed although the reader is there: a full disk may have room again later.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// What the thread took from the queue.
struct Batch {
    bytes: Vec<u8>,
    /// Where the notice about dropped lines begins, and how many it is about.
    notice: usize,
    dropped: u64,
}

/// Runs until there are no producers and the queue is empty, or until the reader is gone.
pub(super) fn run(shared: &Shared, mut to: Box<dyn Write + Send>) {
    while let Some(batch) = next_batch(shared) {
        let mut start = 0;
        while start < batch.bytes.len() {
            let end = start + piece_length(&batch.bytes[start..]);
            let mut result = write_all(&mut *to, &batch.bytes[start..end]);
            // Flushed once for each batch: the writer may have a buffer of its own.
            if end == batch.bytes.len() {
                result = result.and_then(|()| flush(&mut *to));
            }
            match result {
                Ok(()) => note_written(shared, end - start),
                Err(error) if is_final(&error) => return note_broken(shared),
                Err(_) => note_failed(shared, &batch, start, end),
            }
            start = end;
        }
        shared.notify_progress();
    }
}

/// Waits for a non-empty queue and takes it, followed by the notice of dropped lines.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut state = shared.lock();
    while state.queued.is_empty() && (state.dropped == 0 || (state.closed && state.has_failed())) {
        if state.closed {
            return None;
        }
        state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let mut bytes = std::mem::take(&mut state.queued);
    let (notice, dropped) = (bytes.len(), std::mem::take(&mut state.dropped));
    if dropped > 0 {
        bytes.extend_from_slice((state.notice)(dropped).as_bytes());
    }
    state.writing = bytes.len();
    Some(Batch { bytes, notice, dropped })
}

impl Batch {
    /// Number of lines in a piece, including those that its notice reports.
    fn lines_between(&self, start: usize, end: usize) -> u64 {
        let lines = &self.bytes[start..end.min(self.notice).max(start)];
        let count = lines.split_inclusive(|byte| *byte == b'\n').count();
        count as u64 + if end > self.notice { self.dropped } else { 0 }
    }
}

/// As many whole lines as fit, at least one: other processes may write to the same file, and lines should not be mixed.
fn piece_length(bytes: &[u8]) -> usize {
    let end_of_line = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n');
    if bytes.len() <= PIECE {
        return bytes.len();
    }
    if let Some(end) = end_of_line(&bytes[..PIECE]) {
        return end + 1;
    }
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1)
}

/// Whether the reader is gone.
fn is_final(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::WriteZero)
}

fn note_written(shared: &Shared, length: usize) {
    let mut state = shared.lock();
    state.writing -= length;
    state.pieces += 1;
    drop(state);
    shared.notify_progress();
}

fn note_broken(shared: &Shared) {
    let mut state = shared.lock();
    state.reader = Reader::Gone;
    state.queued = Vec::new();
    drop(state);
    shared.notify_progress();
}

/// Drops the lines of the piece. This does not count as progress, so that a flush does not wait for a full disk.
fn note_failed(shared: &Shared, batch: &Batch, start: usize, end: usize) {
    let mut state = shared.lock();
    state.reader = Reader::Failed;
    state.writing -= end - start;
    state.dropped += batch.lines_between(start, end);
    drop(state);
    shared.notify_progress();
    std::thread::sleep(FAILURE_PAUSE);
}

fn write_all(to: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retry(|| to.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

fn flush(to: &mut dyn Write) -> io::Result<()> {
    retry(|| to.flush())
}

fn retry<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(RETRY_PAUSE),
            result => return result,
        }
    }
}
