//! Connections to the cloud: TCP and TLS 1.3 on a thread of their own, bytes and news handed over in bounded queues.
//!
//! Both ends show certificates of the cloud's authority, and both must name the protocol (link.md, section 1). A
//! [`Connection`] that is dropped says what it was still given to say and then ends by itself.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kernel::LinkLoss;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bell::Bell;
use crate::identity::Identity;

/// The protocol's name in the TLS handshake.
pub const ALPN: &[u8] = b"openvisor/1";

/// Port a cloud listens at unless told otherwise.
pub const DEFAULT_PORT: u16 = 7883;

/// Most bytes in one chunk, either way.
pub const CHUNK: usize = 16 * 1024;

/// Chunks that wait in each direction before the other side has to.
pub const QUEUE: usize = 8;

/// Time a connection may take to be made: name, TCP and TLS.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Time a connection has to say its last words.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// Where a cloud listens: a host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Address {
    /// Reads `host`, `host:port`, `1.2.3.4:port` or `[::1]:port`.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let port = port.map_or(Ok(DEFAULT_PORT), str::parse).map_err(|_| wrong())?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_: InvalidDnsNameError| wrong())?;
        if port == 0 { Err(wrong()) } else { Ok(Address { host: host.to_owned(), port, name }) }
    }
}

/// Splits host and port; an IPv6 address with a port stands in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text that names no host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address of a cloud; expected host or host:port", self.0)
    }
}

impl std::error::Error for AddressError {}

/// News of a connection, in order: at most one `Connected`, then bytes, and one `Lost` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// TLS stands.
    Connected,
    /// Bytes from the cloud, at most [`CHUNK`].
    Bytes(Vec<u8>),
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

/// Makes connections to one cloud, on a thread of its own. Keeps TLS session tickets between them.
pub struct Dialler {
    runtime: tokio::runtime::Handle,
    route: Arc<Route>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What every connection needs to know.
struct Route {
    tls: TlsConnector,
    address: Address,
    bell: Bell,
}

impl Dialler {
    /// A dialler to the cloud at `address`, for the device with `identity`. `bell` rings at news and at new room.
    pub fn start(identity: &Identity, address: Address, bell: Bell) -> io::Result<Dialler> {
        let tls = TlsConnector::from(Arc::new(tls_config(identity).map_err(io::Error::other)?));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("link".into()).spawn(move || {
            // Ends when told, and also when whoever could tell is gone.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_timeout(Duration::ZERO);
        })?;
        let route = Arc::new(Route { tls, address, bell });
        Ok(Dialler { runtime: handle, route, stop: Some(stop), thread: Some(thread) })
    }

    /// Starts to make a connection.
    pub fn dial(&self) -> Connection {
        let (outbound, to_send) = mpsc::channel(QUEUE);
        let (told, news) = mpsc::channel(QUEUE);
        let short_of_room = Arc::new(AtomicBool::new(false));
        let ends = Ends { to_send, told, short_of_room: short_of_room.clone() };
        self.runtime.spawn(carry(self.route.clone(), ends));
        Connection { outbound: Some(outbound), news, short_of_room }
    }

    /// Says `words` on `connection` and ends it. Waits until the other end has taken note, but not longer than a
    /// farewell takes.
    pub fn finish(&self, mut connection: Connection, words: Vec<u8>) {
        if let Some(outbound) = connection.outbound.take() {
            // Waits for room; dropping the sender then closes this side.
            self.runtime.spawn(async move { outbound.send(words).await });
        }
        let (done, finished) = std::sync::mpsc::channel();
        self.runtime.spawn(async move {
            // What still arrives is of no interest; taking it lets the connection reach its end.
            while !matches!(connection.news.recv().await, None | Some(News::Lost(_))) {}
            let _ = done.send(());
        });
        let _ = finished.recv_timeout(FAREWELL_TIME);
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tls_config(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in identity.authority() {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.certificates(), identity.key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The device's end of one connection.
pub struct Connection {
    outbound: Option<mpsc::Sender<Vec<u8>>>,
    news: mpsc::Receiver<News>,
    short_of_room: Arc<AtomicBool>,
}

impl Connection {
    /// What happened next, if anything did.
    pub fn news(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Whether a chunk can be sent. If not, the bell rings when one can.
    pub fn has_room(&self) -> bool {
        let room = || self.outbound.as_ref().is_some_and(|outbound| outbound.capacity() > 0);
        if room() {
            return true;
        }
        self.short_of_room.store(true, Ordering::SeqCst);
        // Room made before the flag was up rang no bell.
        room()
    }

    /// Sends a chunk; without room, or after the connection's end, it is lost.
    pub fn send(&self, chunk: Vec<u8>) -> bool {
        self.outbound.as_ref().is_some_and(|outbound| outbound.try_send(chunk).is_ok())
    }
}

/// The transport's end of one connection.
struct Ends {
    to_send: mpsc::Receiver<Vec<u8>>,
    told: mpsc::Sender<News>,
    short_of_room: Arc<AtomicBool>,
}

/// One connection from its first attempt to its end.
async fn carry(route: Arc<Route>, ends: Ends) {
    let told = ends.told.clone();
    let attempt = async {
        tokio::select! {
            opened = open(&route) => opened,
            () = told.closed() => Err(asked()),
        }
    };
    let opened = match timeout(CONNECT_TIME, attempt).await {
        Ok(opened) => opened,
        Err(_) => Err(unreachable(&route, &format!("no answer within {} s", CONNECT_TIME.as_secs()))),
    };
    let loss = match opened {
        Ok(stream) => pump(&route, stream, ends).await,
        Err(loss) => loss,
    };
    let _ = told.send(News::Lost(loss)).await;
    route.bell.ring();
}

async fn open(route: &Route) -> Result<TlsStream<TcpStream>, Loss> {
    let Address { host, port, name } = &route.address;
    let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| judge(route, &error))?;
    // Frames are small and someone waits for each; the kernel has gathered what belongs together.
    tcp.set_nodelay(true).map_err(|error| judge(route, &error))?;
    let stream = route.tls.connect(name.clone(), tcp).await.map_err(|error| judge(route, &error))?;
    match stream.get_ref().1.alpn_protocol() {
        Some(ALPN) => Ok(stream),
        _ => Err(unreachable(route, "it does not speak openvisor/1")),
    }
}

/// Carries bytes both ways until either end has had enough.
async fn pump(route: &Arc<Route>, stream: TlsStream<TcpStream>, ends: Ends) -> Loss {
    let Ends { to_send, told, short_of_room } = ends;
    if told.send(News::Connected).await.is_err() {
        return asked();
    }
    route.bell.ring();
    let (reader, writer) = tokio::io::split(stream);
    let mut reading = Box::pin(read(route, reader, told));
    tokio::select! {
        loss = &mut reading => loss,
        result = write(route, writer, to_send, &short_of_room) => {
            if let Err(error) = result {
                return judge(route, &error);
            }
            // The farewell is out; the cloud closes its side, or has had its time.
            let _ = timeout(FAREWELL_TIME, reading).await;
            asked()
        }
    }
}

async fn read(route: &Route, mut stream: ReadHalf<TlsStream<TcpStream>>, told: mpsc::Sender<News>) -> Loss {
    let mut buffer = vec![0; CHUNK];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return unreachable(route, "it closed the connection"),
            Ok(length) => {
                // Nobody may listen any more while the last words go out; then the bytes are dropped.
                if told.send(News::Bytes(buffer[..length].to_vec())).await.is_ok() {
                    route.bell.ring();
                }
            }
            Err(error) => return judge(route, &error),
        }
    }
}

/// Sends chunks until there will be no more, then closes this side.
async fn write(
    route: &Route,
    mut stream: WriteHalf<TlsStream<TcpStream>>,
    mut to_send: mpsc::Receiver<Vec<u8>>,
    short_of_room: &AtomicBool,
) -> io::Result<()> {
    while let Some(chunk) = to_send.recv().await {
        if short_of_room.swap(false, Ordering::SeqCst) {
            route.bell.ring();
        }
        stream.write_all(&chunk).await?;
        if to_send.is_empty() {
            stream.flush().await?;
        }
    }
    timeout(FAREWELL_TIME, stream.shutdown()).await.unwrap_or(Ok(()))
}

fn asked() -> Loss {
    Loss { kind: LinkLoss::Asked, text: "closed by the device".into() }
}

fn unreachable(route: &Route, why: &str) -> Loss {
    Loss { kind: LinkLoss::Unreachable, text: format!("cloud at {}: {why}", route.address) }
}

fn judge(route: &Route, error: &io::Error) -> Loss {
    use io::ErrorKind as Kind;
    let kind = match error.kind() {
        Kind::NetworkDown | Kind::NetworkUnreachable => LinkLoss::NoCarrier,
        _ => LinkLoss::Unreachable,
    };
    let why = match error.kind() {
        Kind::ConnectionRefused => "nothing listens there".to_owned(),
        Kind::ConnectionReset | Kind::BrokenPipe => "it broke the connection".to_owned(),
        Kind::UnexpectedEof => "it closed the connection without a farewell".to_owned(),
        _ => error.to_string(),
    };
    Loss { kind, ..unreachable(route, &why) }
}

#[cfg(test)]
mod tests;
