//! Connections to the cloud: TCP and TLS 1.3, driven by the device's own thread.
//!
//! Both ends show certificates of the cloud's authority, and both must name the protocol (link.md, section 1). Between
//! the application and the cloud's socket there is no thread and no queue: [`Connection::send`] encrypts and writes,
//! and [`Connection::poll`] reads and decrypts, as far as the socket allows without blocking; the device's thread waits
//! for the socket together with its waker. Two operations that block have a thread of their own while they last:
//! resolving the name and connecting (`tcp_connect.rs`), and closing in order a connection that is no longer used
//! (`close.rs`).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kernel::LinkLoss;
use rustls::client::Resumption;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::identity::Identity;
use crate::waker::{Interest, Waker};

mod address;
mod close;
mod tcp_connect;

pub use address::{Address, AddressError};

/// The protocol's name in the TLS handshake.
pub const ALPN: &[u8] = b"openvisor/1";

/// Port a cloud listens on by default.
pub const DEFAULT_PORT: u16 = 7883;

/// Most bytes in one chunk, either way: as many as a TLS record holds.
pub const CHUNK: usize = 16 * 1024;

/// Time a connection may take to be made: name, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Time a connection has to send its last bytes and to be closed by the cloud.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Servers whose TLS session tickets are stored: a device has one cloud.
const MAX_TLS_TICKETS: usize = 8;

/// What happens to a connection, in order: at most one `Connected`, then bytes, and one `Lost` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// The TLS handshake is complete.
    Connected,
    /// This many bytes from the cloud are at the front of the buffer.
    Bytes(usize),
    /// The attempt failed, or the connection is lost.
    Lost(Loss),
}

/// Why a connection was lost or could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What it means to the kernel.
    pub kind: LinkLoss,
    /// The cause in one line.
    pub text: String,
}

/// Makes connections to one cloud. Stores TLS session tickets between them.
pub struct Connector {
    tls: Arc<ClientConfig>,
    address: Arc<Address>,
    waker: Waker,
}

impl Connector {
    /// A connector to the cloud at `address`, for the device with `identity`. `waker` wakes the device when TCP is
    /// connected, or cannot be.
    ///
    /// # Errors
    /// An identity TLS cannot use.
    pub fn new(identity: &Identity, address: Address, waker: Waker) -> io::Result<Self> {
        let tls = Arc::new(tls_config(identity).map_err(io::Error::other)?);
        Ok(Self { tls, address: Arc::new(address), waker })
    }

    /// Starts a connection.
    pub fn connect(&self) -> Connection {
        let opened = tcp_connect::start(self.address.clone(), self.waker.clone(), CONNECT_TIMEOUT);
        Connection {
            tls: self.tls.clone(),
            address: self.address.clone(),
            stage: Stage::TcpConnect(opened),
            deadline: Instant::now() + CONNECT_TIMEOUT,
            is_readable: true,
        }
    }
}

fn tls_config(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in identity.authority() {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(CertificateTime))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.certificates(), identity.key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::in_memory_sessions(MAX_TLS_TICKETS);
    Ok(config)
}

/// The time by which the cloud's certificate is verified: always within its validity. The cloud's authority issues
/// certificates that are valid until they are revoked, and a device whose clock is not set yet must reach the cloud to
/// set it (D164).
#[derive(Debug)]
struct CertificateTime;

impl TimeProvider for CertificateTime {
    fn current_time(&self) -> Option<UnixTime> {
        /// 2020-01-02 and 9999-12-30: within the validity of every certificate an authority of this cloud has issued.
        const FIRST: Duration = Duration::from_hours(438_312);
        const LAST: Duration = Duration::from_hours(70_389_480);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(now.clamp(FIRST, LAST)))
    }
}

/// One connection, from the first attempt to its end.
pub struct Connection {
    tls: Arc<ClientConfig>,
    address: Arc<Address>,
    stage: Stage,
    /// When it must be established.
    deadline: Instant,
    /// The socket may have bytes to read. Reading when it has none costs a system call.
    is_readable: bool,
}

enum Stage {
    /// The name is looked up, TCP is connecting.
    TcpConnect(Receiver<io::Result<TcpStream>>),
    /// The TLS handshake is under way.
    TlsHandshake(Box<Stream>),
    /// Application data can be exchanged.
    Open(Box<Stream>),
    /// Its loss has been reported.
    Closed,
}

/// A socket that never blocks, and the TLS session on it.
struct Stream {
    socket: TcpStream,
    session: ClientConnection,
}

impl Connection {
    /// The next event, if there is one. Bytes are read into `buffer`, which must not be empty.
    pub fn poll(&mut self, buffer: &mut [u8]) -> Option<TransportEvent> {
        match self.advance(buffer) {
            Ok(event) => event,
            Err(error) => {
                self.stage = Stage::Closed;
                Some(TransportEvent::Lost(self.loss(&error)))
            }
        }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<Option<TransportEvent>> {
        if let Stage::TcpConnect(opened) = &self.stage {
            match opened.try_recv() {
                Ok(socket) => self.stage = Stage::TlsHandshake(Box::new(Stream::start(self, socket?)?)),
                Err(TryRecvError::Empty) => return self.check_deadline(),
                Err(TryRecvError::Disconnected) => return Err(io::ErrorKind::OutOfMemory.into()),
            }
        }
        match &mut self.stage {
            Stage::TlsHandshake(stream) => {
                if stream.handshake()? {
                    self.finish_handshake()
                } else {
                    self.check_deadline()
                }
            }
            Stage::Open(stream) => Ok(stream.read(&mut self.is_readable, buffer)?.map(TransportEvent::Bytes)),
            Stage::TcpConnect(_) | Stage::Closed => Ok(None),
        }
    }

    fn check_deadline(&self) -> io::Result<Option<TransportEvent>> {
        if self.deadline > Instant::now() { Ok(None) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    fn finish_handshake(&mut self) -> io::Result<Option<TransportEvent>> {
        let Stage::TlsHandshake(stream) = std::mem::replace(&mut self.stage, Stage::Closed) else {
            return Ok(None);
        };
        if stream.session.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::other("its protocol is not openvisor/1"));
        }
        self.stage = Stage::Open(stream);
        Ok(Some(TransportEvent::Connected))
    }

    /// Whether a chunk can be sent: everything before it has been written. If not, the wait for
    /// [`Connection::interest`] ends when one can.
    pub fn has_room(&mut self) -> bool {
        let Stage::Open(stream) = &mut self.stage else { return false };
        // An error of the socket is reported when it is read.
        stream.flush().is_ok() && !stream.session.wants_write()
    }

    /// Sends a chunk, of [`CHUNK`] bytes at most. Without room, or after the connection's end, it is lost.
    pub fn send(&mut self, chunk: &[u8]) -> bool {
        if !self.has_room() {
            return false;
        }
        let Stage::Open(stream) = &mut self.stage else { return false };
        stream.session.writer().write_all(chunk).is_ok() && stream.flush().is_ok()
    }

    /// The socket to wait for, besides the waker.
    pub fn interest(&self) -> Option<Interest<'_>> {
        match &self.stage {
            Stage::TlsHandshake(stream) | Stage::Open(stream) => {
                Some(Interest { socket: stream.socket.as_fd(), writes: stream.session.wants_write() })
            }
            Stage::TcpConnect(_) | Stage::Closed => None,
        }
    }

    /// When to call [`Connection::poll`] at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::TcpConnect(_) | Stage::TlsHandshake(_) => Some(self.deadline),
            Stage::Open(_) | Stage::Closed => None,
        }
    }

    /// Marks the socket as possibly readable: its wait ended, or it has not been read for a while.
    pub fn mark_readable(&mut self) {
        self.is_readable = true;
    }

    /// Whether there may be bytes for which a wait would not end: TLS has read them from the socket already.
    pub fn has_more(&self) -> bool {
        self.is_readable && matches!(self.stage, Stage::Open(_))
    }

    /// Sends `last` and closes. Waits until the cloud has closed its side, for `CLOSE_TIMEOUT` at most.
    pub fn close(mut self, last: &[u8]) {
        if let Stage::Open(stream) = &mut self.stage {
            let _ = stream.session.writer().write_all(last);
        }
        if let Stage::Open(stream) = std::mem::replace(&mut self.stage, Stage::Closed) {
            let _ = close::close_and_wait(*stream, CLOSE_TIMEOUT);
        }
    }

    fn loss(&self, error: &io::Error) -> Loss {
        let why = match error.kind() {
            io::ErrorKind::TimedOut => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            _ => reason(error),
        };
        Loss { kind: kind(error), text: format!("cloud at {}: {why}", self.address) }
    }
}

impl Drop for Connection {
    /// A connection that is dropped while it is established sends what it was given, and closes on a thread of its own,
    /// so that the device does not wait.
    fn drop(&mut self) {
        if let Stage::Open(stream) = std::mem::replace(&mut self.stage, Stage::Closed) {
            close::close_in_background(*stream, CLOSE_TIMEOUT);
        }
    }
}

impl Stream {
    fn start(connection: &Connection, socket: TcpStream) -> io::Result<Self> {
        // Frames are small and each is waited for: the kernel has put together what belongs together, Nagle would only
        // delay.
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let session = ClientConnection::new(connection.tls.clone(), connection.address.name.clone());
        Ok(Self { socket, session: session.map_err(io::Error::other)? })
    }

    /// Continues the handshake as far as the socket allows. Returns whether it is complete.
    fn handshake(&mut self) -> io::Result<bool> {
        while self.session.is_handshaking() {
            self.flush()?;
            match self.read_tls() {
                Ok(0) if self.session.is_handshaking() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Reads bytes into `buffer`, from the socket if none are decrypted yet. `None` when there are none now.
    fn read(&mut self, is_readable: &mut bool, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.session.reader().read(buffer) {
                Ok(0) => return Err(io::Error::other("closed by the cloud")),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if !*is_readable => return Ok(None),
                Err(_) => {}
            }
            match self.read_tls() {
                // A short read: the socket is empty, and its wait ends when it is not. This saves the read that would
                // fail.
                Ok(count) => *is_readable = count == 0 || count >= READ_SIZE,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads from the socket once. A TLS error is sent to the cloud as an alert.
    fn read_tls(&mut self) -> io::Result<usize> {
        let count = retry_interrupted(|| self.session.read_tls(&mut self.socket))?;
        if let Err(error) = self.session.process_new_packets() {
            let _ = self.flush();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }

    /// Writes as much as the socket takes.
    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match retry_interrupted(|| self.session.write_tls(&mut self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Most bytes that rustls reads from the socket at a time; fewer means that there were no more.
const READ_SIZE: usize = 4096;

/// Repeats a system call that a signal has interrupted.
fn retry_interrupted<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn kind(error: &io::Error) -> LinkLoss {
    match error.kind() {
        io::ErrorKind::NetworkDown | io::ErrorKind::NetworkUnreachable => LinkLoss::NoCarrier,
        _ => LinkLoss::Unreachable,
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        io::ErrorKind::UnexpectedEof => "closed without TLS close_notify".to_owned(),
        io::ErrorKind::InvalidData => tls_reason(error),
        _ => error.to_string(),
    }
}

/// Certificate errors in terms of what the operator can change: the TLS library names the rule that failed, not which
/// identity is the wrong one (D323).
fn tls_reason(error: &io::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        return error.to_string();
    };
    match tls {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "this is not the cloud that made this device's identity: its certificate is of another authority"
                .into()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown,
        ) => "the cloud refuses this device's certificate: another cloud made this device's identity".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
