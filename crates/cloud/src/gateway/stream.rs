//! A device's connection under TLS, owning no buffer while nothing is on its way: with very many devices that have nothing to say,
//! buffers are what they would cost. The TLS library's own connections keep four kilobytes each.
//!
//! Bytes are read into the worker's stack and opened from there; what is kept is a record that has not come whole, plaintext nobody
//! has asked for yet, and sealed bytes the network has not taken.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::UnbufferedServerConnection;
use tokio_rustls::rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};

use crate::limits::{READ_CHUNK, UNFINISHED_TLS};

/// Room a buffer keeps once it is empty; beyond it the memory is given back.
const KEPT: usize = 256;

/// Most plaintext in one record (RFC 8446 5.1).
const RECORD: usize = 16 * 1024;

/// Bytes a record has at most beside its plaintext: its header, its type, its tag, and some to spare.
const RECORD_OVERHEAD: usize = 64;

// Else a record could never come whole.
const _: () = assert!(UNFINISHED_TLS > RECORD + 256 + RECORD_OVERHEAD);

/// Sealed bytes the network has not taken above which nothing more is read: what comes could make more of them.
const OUTGOING: usize = 4 * RECORD;

/// The server's end of a TLS connection.
pub(crate) struct DeviceStream {
    tcp: TcpStream,
    tls: UnbufferedServerConnection,
    /// Sealed bytes that make no whole record yet, or records that make no whole handshake message: the library wants those together.
    /// At most [`UNFINISHED_TLS`].
    incoming: Vec<u8>,
    opened: Queue,
    outgoing: Queue,
    /// The other end has said that no more will come.
    ended: bool,
    /// We have said so. What still comes is thrown away unopened.
    closed: bool,
    /// The other end broke a rule of TLS. The library is not asked again.
    failed: bool,
}

/// Bytes on their way, and how many at the front have gone on.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    gone: usize,
}

impl DeviceStream {
    /// Shakes hands as a server.
    pub(crate) async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let (incoming, opened, outgoing) = (Vec::new(), Queue::default(), Queue::default());
        let (ended, closed, failed) = (false, false, false);
        let mut stream = Self { tcp, tls, incoming, opened, outgoing, ended, closed, failed };
        poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }

    /// The protocol both ends agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The certificate the other end has shown.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls.peer_certificates().and_then(<[_]>::first)
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let progress = self.open_records();
            // Also when it failed: the other end is to hear why.
            ready!(self.poll_send(context))?;
            progress?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.ended || ready!(self.poll_fill(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Opens the records that have come whole, and queues what the protocol itself has to say.
    fn open_records(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::ErrorKind::InvalidData.into());
        }
        loop {
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(&mut self.incoming);
            let outcome = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.opened.bytes.extend_from_slice(record.payload);
                    }
                    Ok(true)
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.outgoing.append(|room| data.encode(room), too_small_to_encode).map(|()| true)
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    Ok(true)
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = true;
                    Ok(false)
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Ok(false),
                // Data before the handshake's end is never offered.
                Ok(_) => Err(io::ErrorKind::Unsupported.into()),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
            self.incoming.drain(..discard);
            give_back(&mut self.incoming);
            match outcome {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.failed = true;
                    self.queue_alert();
                    return Err(error);
                }
            }
        }
    }

    /// Queues what the library says to the other end about a failure: one alert, as everything before it has been queued.
    fn queue_alert(&mut self) {
        if let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.tls.process_tls_records(&mut self.incoming).state
        {
            let _ = self.outgoing.append(|room| data.encode(room), too_small_to_encode);
        }
    }

    /// Reads from the network once; how much. What has been opened leaves room for a whole record, so that a peer for whose bytes there
    /// is no room has sent a handshake message that is longer than any device's.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); READ_CHUNK];
        let left = if self.closed { READ_CHUNK } else { UNFINISHED_TLS - self.incoming.len() };
        if left == 0 {
            self.failed = true;
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a handshake message is too long",
            )));
        }
        let mut room = ReadBuf::uninit(&mut room[..left.min(READ_CHUNK)]);
        ready!(Pin::new(&mut self.tcp).poll_read(context, &mut room))?;
        if !self.closed {
            self.keep(room.filled());
        }
        Poll::Ready(Ok(room.filled().len()))
    }

    /// Keeps bytes for the library. The buffer grows as any vector does, but no further than [`UNFINISHED_TLS`].
    fn keep(&mut self, bytes: &[u8]) {
        let needed = self.incoming.len() + bytes.len();
        if needed > self.incoming.capacity() {
            let capacity = needed.max(2 * self.incoming.capacity()).min(UNFINISHED_TLS).max(needed);
            self.incoming.reserve_exact(capacity - self.incoming.len());
        }
        self.incoming.extend_from_slice(bytes);
    }

    /// Gives the network what is queued, until it has all of it.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.rest().is_empty() {
            let count = ready!(Pin::new(&mut self.tcp).poll_write(context, self.outgoing.rest()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Queues what `seal` makes, which is given room for `length` bytes of plaintext.
    fn seal(
        &mut self,
        length: usize,
        mut seal: impl FnMut(&mut WriteTraffic<'_, ServerData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        self.open_records()?;
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.tls.process_tls_records(&mut self.incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                self.outgoing.bytes.reserve(length + RECORD_OVERHEAD);
                self.outgoing.append(|room| seal(&mut traffic, room), too_small_to_encrypt)
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// What the library calls the data of a server's connection, which it does not name in public.
type ServerData = tokio_rustls::rustls::server::ServerConnectionData;

impl AsyncRead for DeviceStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        while stream.closed {
            if ready!(stream.poll_fill(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            let opened = stream.opened.rest();
            if !opened.is_empty() {
                let count = opened.len().min(buffer.remaining());
                buffer.put_slice(&opened[..count]);
                stream.opened.advance(count);
                return Poll::Ready(Ok(()));
            }
            if stream.ended {
                return Poll::Ready(Ok(()));
            }
            if stream.outgoing.rest().len() > OUTGOING {
                ready!(stream.poll_send(context))?;
            }
            if ready!(stream.poll_fill(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let progress = stream.open_records();
            // What the protocol has to say leaves with what is said next, if it cannot leave now.
            if let Poll::Ready(Err(error)) = stream.poll_send(context) {
                return Poll::Ready(Err(error));
            }
            progress?;
        }
    }
}

impl AsyncWrite for DeviceStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        // One record at a time is on its way.
        ready!(stream.poll_send(context))?;
        let bytes = &bytes[..bytes.len().min(RECORD)];
        stream.seal(bytes.len(), |traffic, room| traffic.encrypt(bytes, room))?;
        // Its failure is told by whatever is done next.
        let _ = stream.poll_send(context);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.closed {
            let sealed = stream.seal(0, farewell);
            stream.closed = true;
            sealed?;
        }
        ready!(stream.poll_send(context))?;
        Pin::new(&mut stream.tcp).poll_shutdown(context)
    }
}

impl Queue {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    fn advance(&mut self, count: usize) {
        self.gone += count;
        if self.gone == self.bytes.len() {
            self.gone = 0;
            self.bytes.clear();
            give_back(&mut self.bytes);
        }
    }

    /// Appends what `write` writes into the room it is given; it is asked again with more when it says that it needs more.
    fn append<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
        too_small: impl Fn(&E) -> Option<usize>,
    ) -> io::Result<()> {
        let end = self.bytes.len();
        self.bytes.resize(self.bytes.capacity(), 0);
        loop {
            match write(&mut self.bytes[end..]) {
                Ok(count) => {
                    self.bytes.truncate(end + count);
                    return Ok(());
                }
                Err(error) => match too_small(&error) {
                    Some(required) if required > self.bytes.len() - end => {
                        self.bytes.resize(end + required, 0);
                    }
                    _ => {
                        self.bytes.truncate(end);
                        return Err(io::Error::other(error));
                    }
                },
            }
        }
    }
}

fn farewell(traffic: &mut WriteTraffic<'_, ServerData>, room: &mut [u8]) -> Result<usize, EncryptError> {
    traffic.queue_close_notify(room)
}

/// Empty buffers own little.
fn give_back(bytes: &mut Vec<u8>) {
    if bytes.is_empty() && bytes.capacity() > KEPT {
        *bytes = Vec::new();
    }
}

fn too_small_to_encode(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(error) => Some(error.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn too_small_to_encrypt(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(error) => Some(error.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

#[cfg(test)]
mod tests;
