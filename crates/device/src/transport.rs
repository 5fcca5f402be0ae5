//! Connections to the cloud: TCP and TLS 1.3, driven by the device's own thread.
//!
//! Both ends show certificates of the cloud's authority, and both must name the protocol (link.md, section 1). Between the
//! application and the cloud's socket there is no thread and no queue: [`Connection::send`] seals and writes, and
//! [`Connection::news`] reads and opens, as far as the socket allows at once; the device's thread waits for the socket
//! together with its waker. Two things that can only be waited for have a thread for as long as they take: finding and
//! reaching the cloud (`opening.rs`), and the farewell of a connection the device has no more use for (`farewell.rs`).

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

/// Port a cloud listens at unless told otherwise.
pub const DEFAULT_PORT: u16 = 7883;

/// Most bytes in one chunk, either way: as many as a TLS record holds.
pub const CHUNK: usize = 16 * 1024;

/// Time a connection may take to be made: name, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Time a connection has to say its last words.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Clouds whose session tickets are kept: a device has one.
const MAX_TLS_TICKETS: usize = 8;

/// TransportEvent of a connection, in order: at most one `Connected`, then bytes, and one `Lost` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// TLS stands.
    Connected,
    /// So many bytes from the cloud, at the front of the buffer.
    Bytes(usize),
    /// The attempt failed, or the connection is gone.
    Lost(Loss),
}

/// Why a connection ended or never was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What it means to the kernel.
    pub kind: LinkLoss,
    /// One line for people.
    pub text: String,
}

/// Makes connections to one cloud. Keeps TLS session tickets between them.
pub struct Connector {
    tls: Arc<ClientConfig>,
    address: Arc<Address>,
    waker: Waker,
}

impl Connector {
    /// A connector to the cloud at `address`, for the device with `identity`. `waker` rings when the cloud has been reached, or
    /// cannot be.
    ///
    /// # Errors
    /// An identity TLS cannot use.
    pub fn new(identity: &Identity, address: Address, waker: Waker) -> io::Result<Self> {
        let tls = Arc::new(tls_config(identity).map_err(io::Error::other)?);
        Ok(Self { tls, address: Arc::new(address), waker })
    }

    /// Starts to make a connection.
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

/// The time by which the cloud's certificate is judged: always within its validity. The cloud's authority issues certificates that
/// hold until they are revoked, and a device whose clock is not set yet must reach the cloud to set it (D164).
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
    /// When it must stand.
    deadline: Instant,
    /// The socket may have something to read. Asking it when it has nothing costs a system call.
    is_readable: bool,
}

enum Stage {
    /// The name is looked up, TCP is connecting.
    TcpConnect(Receiver<io::Result<TcpStream>>),
    /// The ends shake hands.
    TlsHandshake(Box<Stream>),
    /// TLS stands.
    Open(Box<Stream>),
    /// Its loss has been told.
    Closed,
}

/// A socket that never blocks, and the TLS session on it.
struct Stream {
    socket: TcpStream,
    session: ClientConnection,
}

impl Connection {
    /// What happened next, if anything did. Bytes are read into `buffer`, which is not empty.
    pub fn poll(&mut self, buffer: &mut [u8]) -> Option<TransportEvent> {
        match self.advance(buffer) {
            Ok(news) => news,
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
            return Err(io::Error::other("it does not speak openvisor/1"));
        }
        self.stage = Stage::Open(stream);
        Ok(Some(TransportEvent::Connected))
    }

    /// Whether a chunk can be sent: everything before it has left. If not, the wait for [`Connection::interest`] ends when one
    /// can.
    pub fn has_room(&mut self) -> bool {
        let Stage::Open(stream) = &mut self.stage else { return false };
        // A socket that has failed says so when it is read.
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

    /// What to wait for, besides the waker.
    pub fn interest(&self) -> Option<Interest<'_>> {
        match &self.stage {
            Stage::TlsHandshake(stream) | Stage::Open(stream) => {
                Some(Interest { socket: stream.socket.as_fd(), writes: stream.session.wants_write() })
            }
            Stage::TcpConnect(_) | Stage::Closed => None,
        }
    }

    /// When to look for news at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::TcpConnect(_) | Stage::TlsHandshake(_) => Some(self.deadline),
            Stage::Open(_) | Stage::Closed => None,
        }
    }

    /// Notes that the socket may have something to read: its wait said so, or nobody has looked for a while.
    pub fn mark_readable(&mut self) {
        self.is_readable = true;
    }

    /// Whether bytes may be there that no wait would end for.
    pub fn has_more(&self) -> bool {
        self.is_readable && matches!(self.stage, Stage::Open(_))
    }

    /// Says `words` and ends. Waits until the other end has taken note, but not longer than a farewell takes.
    pub fn close(mut self, words: &[u8]) {
        if let Stage::Open(stream) = &mut self.stage {
            let _ = stream.session.writer().write_all(words);
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
    /// Whoever drops a connection that stands has no time for its farewell; it says what it was still given to say, and ends by
    /// itself.
    fn drop(&mut self) {
        if let Stage::Open(stream) = std::mem::replace(&mut self.stage, Stage::Closed) {
            close::close_in_background(*stream, CLOSE_TIMEOUT);
        }
    }
}

impl Stream {
    fn start(connection: &Connection, socket: TcpStream) -> io::Result<Self> {
        // Frames are small and someone waits for each; the kernel has gathered what belongs together.
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let session = ClientConnection::new(connection.tls.clone(), connection.address.name.clone());
        Ok(Self { socket, session: session.map_err(io::Error::other)? })
    }

    /// Goes on with the handshake as far as the socket allows; whether it is done.
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

    /// Reads bytes into `buffer`, from the socket if there are none yet. `None` when there are none now.
    fn read(&mut self, is_readable: &mut bool, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.session.reader().read(buffer) {
                Ok(0) => return Err(io::Error::other("it closed the connection")),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if !*is_readable => return Ok(None),
                Err(_) => {}
            }
            match self.read_tls() {
                // Less than was asked for: the socket is empty, and its wait ends when it is not.
                Ok(count) => *is_readable = count == 0 || count >= READ_SIZE,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_readable = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads from the socket once. What is wrong with it is told to the other end.
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

/// Most bytes the TLS session takes from the socket at a time; less means that there were no more.
const READ_SIZE: usize = 4096;

/// Does what a signal kept from being done.
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
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "it broke the connection".to_owned(),
        io::ErrorKind::UnexpectedEof => "it closed the connection without a farewell".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
