//! A connection with a send queue: bytes are read on request, and queued bytes are sent as the peer accepts them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Capacity the empty queue keeps. The rest is freed, so that an idle connection owns little memory.
const KEPT_CAPACITY: usize = 512;

/// A connection and its send queue.
pub(crate) struct Pipe<S> {
    stream: S,
    queue: Vec<u8>,
    /// Bytes at the front of the queue that the transport has accepted.
    taken: usize,
    /// Bytes the transport has accepted and not yet given to the network.
    unflushed: usize,
    reading: bool,
    shut: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, queue: Vec::new(), taken: 0, unflushed: 0, reading: true, shut: false }
    }

    /// Queues bytes. Bytes queued between two writes are sent in one write, and so in as few TLS records as possible.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.queue.extend_from_slice(bytes);
    }

    /// Bytes queued that the transport has not accepted yet.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len() - self.taken
    }

    /// Turns reading on or off; while it is off, TCP holds back the peer.
    pub(crate) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// Reads available bytes into `buffer`; an empty slice is the end of the stream. Pending while reading is off.
    pub(crate) fn poll_read<'b>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &'b mut [u8],
    ) -> Poll<io::Result<&'b [u8]>> {
        if !self.reading {
            return Poll::Pending;
        }
        let mut filled = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut filled))?;
        let length = filled.filled().len();
        Poll::Ready(Ok(&buffer[..length]))
    }

    /// Writes queued bytes. Ready with the number of bytes the network has accepted since the last time, which is not
    /// zero, or with an error; pending when there is nothing to do or the peer does not accept more.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.backlog() > 0 {
            match Pin::new(&mut self.stream).poll_write(context, &self.queue[self.taken..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.advance(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // What has been accepted is flushed below even if no more is.
                Poll::Pending => break,
            }
        }
        if self.unflushed > 0 {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            return Poll::Ready(Ok(std::mem::take(&mut self.unflushed)));
        }
        Poll::Pending
    }

    /// Closes the connection in order: sends what is queued, closes this direction, and discards what still arrives
    /// until the peer closes too. Closing with unread bytes would make TCP reset the connection and lose what was just
    /// sent.
    pub(crate) fn poll_close(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<()> {
        while self.backlog() > 0 || self.unflushed > 0 {
            if ready!(self.poll_write(context)).is_err() {
                return Poll::Ready(());
            }
        }
        if !self.shut {
            if ready!(Pin::new(&mut self.stream).poll_shutdown(context)).is_err() {
                return Poll::Ready(());
            }
            self.shut = true;
        }
        self.reading = true;
        while !matches!(ready!(self.poll_read(context, buffer)), Ok([]) | Err(_)) {}
        Poll::Ready(())
    }

    fn advance(&mut self, count: usize) {
        self.taken += count;
        self.unflushed += count;
        if self.backlog() == 0 {
            self.taken = 0;
            self.queue.clear();
            self.queue.shrink_to(KEPT_CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn written(pipe: &mut Pipe<tokio::io::DuplexStream>) -> usize {
        poll_fn(|context| pipe.poll_write(context)).await.expect("written")
    }

    /// Polls once.
    async fn is_pending<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> bool {
        poll_fn(|context| Poll::Ready(poll(context).is_pending())).await
    }

    /// Shows D47.
    #[tokio::test]
    async fn bytes_are_reported_as_written_when_the_transport_has_accepted_them() {
        let (near, mut far) = duplex(4);
        let mut pipe = Pipe::new(near);
        pipe.push(b"abc");
        pipe.push(b"def");
        assert_eq!(written(&mut pipe).await, 4);
        assert_eq!(pipe.backlog(), 2);
        assert!(is_pending(|context| pipe.poll_write(context)).await);
        let mut read = [0; 4];
        far.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"abcd");
        assert_eq!(written(&mut pipe).await, 2);
        assert_eq!(pipe.backlog(), 0);
    }

    #[tokio::test]
    async fn a_paused_pipe_leaves_bytes_where_they_are() {
        let (near, mut far) = duplex(64);
        let mut pipe = Pipe::new(near);
        far.write_all(b"hello").await.expect("written");
        let mut buffer = [0; 16];
        pipe.set_reading(false);
        assert!(is_pending(|context| pipe.poll_read(context, &mut buffer).map(|_| ())).await);
        pipe.set_reading(true);
        let read =
            poll_fn(|context| pipe.poll_read(context, &mut buffer).map(|read| read.map(<[u8]>::to_vec)));
        assert_eq!(read.await.expect("read"), b"hello");
    }

    #[tokio::test]
    async fn closing_sends_the_rest_and_waits_for_the_peer() {
        let (near, mut far) = duplex(64);
        let mut pipe = Pipe::new(near);
        far.write_all(b"not yet read").await.expect("written");
        pipe.push(b"farewell");
        let mut buffer = [0; 4];
        assert!(is_pending(|context| pipe.poll_close(context, &mut buffer)).await);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.expect("read");
        assert_eq!(all, b"farewell");
        drop(far);
        poll_fn(|context| pipe.poll_close(context, &mut buffer)).await;
    }

    #[tokio::test]
    async fn an_emptied_queue_frees_its_memory() {
        let (near, _far) = duplex(1 << 20);
        let mut pipe = Pipe::new(near);
        pipe.push(&vec![0; 100_000]);
        while pipe.backlog() > 0 {
            written(&mut pipe).await;
        }
        assert!(pipe.queue.capacity() <= KEPT_CAPACITY);
    }

    #[tokio::test]
    async fn a_peer_that_has_closed_is_an_error() {
        let (near, far) = duplex(4);
        let mut pipe = Pipe::new(near);
        drop(far);
        pipe.push(b"abc");
        assert!(poll_fn(|context| pipe.poll_write(context)).await.is_err());
    }
}
