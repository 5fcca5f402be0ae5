//! Closing a connection in order: the rest is sent, the sending side is shut down, and what still arrives is read and
//! discarded until the cloud closes too. Closing earlier, with bytes unread, would make TCP reset the connection and
//! discard what was just sent.

use std::io::{self, Read};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use super::Stream;

/// Stack of the thread, which does nothing but read and write.
const STACK: usize = 128 * 1024;

/// Closes on a thread of its own.
pub(super) fn close_in_background(stream: Stream, time: Duration) {
    let _ = thread::Builder::new()
        .name("close".into())
        .stack_size(STACK)
        .spawn(move || close_and_wait(stream, time));
}

/// Closes, and waits until the cloud has closed its side, at most for `time`.
pub(super) fn close_and_wait(mut stream: Stream, time: Duration) -> io::Result<()> {
    let deadline = Instant::now() + time;
    stream.session.send_close_notify();
    stream.socket.set_nonblocking(false)?;
    while stream.session.wants_write() {
        stream.socket.set_write_timeout(Some(left(deadline)?))?;
        stream.session.write_tls(&mut stream.socket)?;
    }
    stream.socket.shutdown(Shutdown::Write)?;
    let mut buffer = [0; 1024];
    loop {
        stream.socket.set_read_timeout(Some(left(deadline)?))?;
        if stream.socket.read(&mut buffer)? == 0 {
            return Ok(());
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
