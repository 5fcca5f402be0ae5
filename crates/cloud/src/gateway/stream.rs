//! A device's TLS connection, which owns no buffer while it is idle: buffers would be most of the memory of many idle
//! devices. rustls's own streams keep four kilobytes each.
//!
//! Bytes are read into the worker's stack and decrypted from there. Kept are only incomplete records, plaintext that
//! has not been read yet, and encrypted bytes the network has not accepted.

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

/// Capacity an empty buffer keeps; the rest is freed.
const KEPT_CAPACITY: usize = 256;

/// Most plaintext in one record (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;

/// More than the bytes of a record beside its plaintext: header, type and tag.
const RECORD_OVERHEAD: usize = 64;

// Otherwise a record of greatest length could never be completed.
const _: () = assert!(UNFINISHED_TLS > RECORD + 256 + RECORD_OVERHEAD);

/// Encrypted bytes the network has not accepted above which nothing more is read: what is read may produce more of
/// them.
const MAX_OUTGOING: usize = 4 * RECORD;

/// The server's end of a TLS connection.
pub(crate) struct DeviceStream {
    tcp: TcpStream,
    tls: UnbufferedServerConnection,
    /// An incomplete record, or records with an incomplete handshake message, which rustls needs in one piece. At most
    /// [`UNFINISHED_TLS`].
    incoming: Vec<u8>,
    opened: Queue,
    outgoing: Queue,
    /// The peer has closed its direction.
    ended: bool,
    /// This end has closed its direction. Whatever still arrives is discarded undecrypted.
    closed: bool,
    /// The peer violated TLS. rustls must not be called again.
    failed: bool,
}

/// Bytes in transit, and how many at the front are done with.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    consumed: usize,
}

impl DeviceStream {
    /// Performs the handshake as a server.
    pub(crate) async fn accept(tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let tls = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
        let (incoming, opened, outgoing) = (Vec::new(), Queue::default(), Queue::default());
        let (ended, closed, failed) = (false, false, false);
        let mut stream = Self { tcp, tls, incoming, opened, outgoing, ended, closed, failed };
        poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }

    /// The negotiated protocol.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The peer's certificate.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls.peer_certificates().and_then(<[_]>::first)
    }

    fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let progress = self.decrypt_records();
            // Also after a failure, so that the alert is sent.
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
    fn decrypt_records(&mut self) -> io::Result<()> {
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
                    self.outgoing.append(|space| data.encode(space), too_small_to_encode).map(|()| true)
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
                // Early data is never offered to clients.
                Ok(_) => Err(io::ErrorKind::Unsupported.into()),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
            self.incoming.drain(..discard);
            release(&mut self.incoming);
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

    /// Queues the alert for a failure: one, because everything before it has been queued.
    fn queue_alert(&mut self) {
        if let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.tls.process_tls_records(&mut self.incoming).state
        {
            let _ = self.outgoing.append(|space| data.encode(space), too_small_to_encode);
        }
    }

    /// Reads from the network once and returns the number of bytes. Complete records have been removed before, so the
    /// buffer can only be full of a handshake message that is longer than any device's.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ_CHUNK];
        let left = if self.closed { READ_CHUNK } else { UNFINISHED_TLS - self.incoming.len() };
        if left == 0 {
            self.failed = true;
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a handshake message is too long",
            )));
        }
        let mut space = ReadBuf::uninit(&mut space[..left.min(READ_CHUNK)]);
        ready!(Pin::new(&mut self.tcp).poll_read(context, &mut space))?;
        if !self.closed {
            self.add_incoming(space.filled());
        }
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Adds received bytes. The buffer grows as any vector does, but no further than [`UNFINISHED_TLS`].
    fn add_incoming(&mut self, bytes: &[u8]) {
        let needed = self.incoming.len() + bytes.len();
        if needed > self.incoming.capacity() {
            let capacity = needed.max(2 * self.incoming.capacity()).min(UNFINISHED_TLS).max(needed);
            self.incoming.reserve_exact(capacity - self.incoming.len());
        }
        self.incoming.extend_from_slice(bytes);
    }

    /// Sends queued bytes until the network has accepted all of them.
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

    /// Queues the output of `encrypt`, which is given space for `length` bytes of plaintext.
    fn encrypt(
        &mut self,
        length: usize,
        mut encrypt: impl FnMut(&mut WriteTraffic<'_, ServerData>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> io::Result<()> {
        self.decrypt_records()?;
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.tls.process_tls_records(&mut self.incoming).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                self.outgoing.bytes.reserve(length + RECORD_OVERHEAD);
                self.outgoing.append(|space| encrypt(&mut traffic, space), too_small_to_encrypt)
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// rustls's type for the data of a server's connection, which [`WriteTraffic`] is generic over.
type ServerData = tokio_rustls::rustls::server::ServerConnectionData;

impl AsyncRead for DeviceStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        // Read to be discarded: closing with unread bytes would make TCP reset the connection.
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
            if stream.outgoing.rest().len() > MAX_OUTGOING {
                ready!(stream.poll_send(context))?;
            }
            if ready!(stream.poll_fill(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let progress = stream.decrypt_records();
            // Messages of TLS itself that cannot be sent now are sent with the next data.
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
        // One record is in transit at a time, so that the queue stays bounded.
        ready!(stream.poll_send(context))?;
        let bytes = &bytes[..bytes.len().min(RECORD)];
        stream.encrypt(bytes.len(), |traffic, space| traffic.encrypt(bytes, space))?;
        // A failure is returned by the next call.
        let _ = stream.poll_send(context);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if !stream.closed {
            let close_notify = stream.encrypt(0, write_close_notify);
            stream.closed = true;
            close_notify?;
        }
        ready!(stream.poll_send(context))?;
        Pin::new(&mut stream.tcp).poll_shutdown(context)
    }
}

impl Queue {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    fn advance(&mut self, count: usize) {
        self.consumed += count;
        if self.consumed == self.bytes.len() {
            self.consumed = 0;
            self.bytes.clear();
            release(&mut self.bytes);
        }
    }

    /// Appends what `write` writes into the given space, which is enlarged and offered again when `write` needs more.
    fn append<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
        too_small: impl Fn(&E) -> Option<usize>,
    ) -> io::Result<()> {
        let end = self.bytes.len();
        // All capacity is offered at once, so that most records need no second attempt.
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

fn write_close_notify(
    traffic: &mut WriteTraffic<'_, ServerData>,
    space: &mut [u8],
) -> Result<usize, EncryptError> {
    traffic.queue_close_notify(space)
}

/// Frees the memory of an empty buffer.
fn release(bytes: &mut Vec<u8>) {
    if bytes.is_empty() && bytes.capacity() > KEPT_CAPACITY {
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
