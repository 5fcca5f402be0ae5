//! One connection as a session sees it: bytes read when asked for, and a queue of bytes that leave as the other end takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Room the queue keeps once it is empty. Beyond it the memory is given back, so that a connection at rest owns little.
const KEPT: usize = 512;

/// A connection and what is on its way out.
pub(crate) struct Pipe<S> {
    stream: S,
    queue: Vec<u8>,
    /// Bytes of the queue the transport has.
    taken: usize,
    /// Bytes the transport has and has not given to the network.
    unflushed: usize,
    reading: bool,
    shut: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, queue: Vec::new(), taken: 0, unflushed: 0, reading: true, shut: false }
    }

    /// Queues bytes. What is queued in one round leaves in one write, hence in as few TLS records as there can be.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.queue.extend_from_slice(bytes);
    }

    /// Bytes queued and not yet taken by the transport.
    pub(crate) fn backlog(&self) -> usize {
        self.queue.len() - self.taken
    }

    /// Whether to read at all; the peer is held back by TCP while not.
    pub(crate) fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// Reads what is there into `buffer`; the empty slice is the end of the stream. Pending for ever while reading is off.
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

    /// Writes what is queued. Ready with the number of bytes the network took since the last time, which is not zero, or with the
    /// failure; pending when there is nothing to do or the other end does not take more.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.backlog() > 0 {
            match Pin::new(&mut self.stream).poll_write(context, &self.queue[self.taken..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.note_taken(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if self.unflushed > 0 {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            return Poll::Ready(Ok(std::mem::take(&mut self.unflushed)));
        }
        Poll::Pending
    }

    /// Ends the connection in good order: what is queued leaves, the way out is closed, and what still comes in is read and thrown
    /// away until the other end closes too. Closing earlier, with bytes unread, would make TCP tear down what was just sent.
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

    fn note_taken(&mut self, count: usize) {
        self.taken += count;
        self.unflushed += count;
        if self.backlog() == 0 {
            self.taken = 0;
            self.queue.clear();
            self.queue.shrink_to(KEPT);
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

    /// Polls once, for what must not be ready.
    async fn is_pending<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> bool {
        poll_fn(|context| Poll::Ready(poll(context).is_pending())).await
    }

    /// Shows D47.
    #[tokio::test]
    async fn bytes_are_told_as_written_when_the_transport_has_taken_them() {
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
    async fn closing_sends_the_rest_and_waits_for_the_other_end() {
        let (near, mut far) = duplex(64);
        let mut pipe = Pipe::new(near);
        far.write_all(b"not yet read").await.expect("written");
        pipe.push(b"last words");
        let mut buffer = [0; 4];
        assert!(is_pending(|context| pipe.poll_close(context, &mut buffer)).await);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.expect("read");
        assert_eq!(all, b"last words");
        drop(far);
        poll_fn(|context| pipe.poll_close(context, &mut buffer)).await;
    }

    #[tokio::test]
    async fn an_emptied_queue_gives_its_memory_back() {
        let (near, _far) = duplex(1 << 20);
        let mut pipe = Pipe::new(near);
        pipe.push(&vec![0; 100_000]);
        while pipe.backlog() > 0 {
            written(&mut pipe).await;
        }
        assert!(pipe.queue.capacity() <= KEPT);
    }

    #[tokio::test]
    async fn a_peer_that_has_gone_is_an_error() {
        let (near, far) = duplex(4);
        let mut pipe = Pipe::new(near);
        drop(far);
        pipe.push(b"abc");
        assert!(poll_fn(|context| pipe.poll_write(context)).await.is_err());
    }
}
