//! Where debuggers connect: a port, and the threads that accept and read.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::waker::Waker;

/// The original's port, which existing project settings name.
pub const DEFAULT_PORT: u16 = 8001;

/// Most reads queued for the device's thread; beyond it the debugger is not read.
const QUEUE: usize = 64;

/// Bytes of one read.
const CHUNK: usize = 4096;

/// How long a debugger may leave a reply unread before it is disconnected.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection may take to begin its first packet: it excludes every other debugger.
const FIRST_PACKET: Duration = Duration::from_secs(10);

/// TCP keepalive: after this time without a byte the system probes the debugger's host, this many times at this
/// interval. A debugger that is there may be silent for any time.
const SILENCE: Duration = Duration::from_mins(1);
const PROBES: u32 = 4;
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Time between two attempts to accept while the system refuses.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that is bound, for a device that is about to start.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The operating system's: the port is in use, or the address is not of this machine.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to accept; what arrives uses `waker`.
    pub(crate) fn open(self, waker: Waker) -> io::Result<Listener> {
        let (sender, events) = sync_channel(QUEUE);
        let closing = Arc::new(AtomicBool::new(false));
        let acceptor = Acceptor { sender, waker, closing: closing.clone(), busy: Arc::default() };
        let listener = self.listener;
        let thread = std::thread::Builder::new().name("debugger".into()).spawn(move || {
            for _ in listener.incoming().take_while(|tcp| acceptor.keep_going(tcp.as_ref())) {}
        })?;
        Ok(Listener { events, closing, address: self.address, thread: Some(thread) })
    }
}

/// What happens at the server.
pub(crate) enum ServerEvent {
    Connected(Writer),
    Bytes(Vec<u8>),
    Closed,
}

/// The device's end of the queue. Dropping it closes the server.
pub(crate) struct Listener {
    events: Receiver<ServerEvent>,
    closing: Arc<AtomicBool>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub(crate) fn next(&mut self) -> Option<ServerEvent> {
        self.events.try_recv().ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Only a connection ends an accept that waits.
        let woken = TcpStream::connect_timeout(&reachable(self.address), WRITE_LIMIT).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// A listener on every address is reached on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Admits one debugger at a time.
struct Acceptor {
    sender: SyncSender<ServerEvent>,
    waker: Waker,
    closing: Arc<AtomicBool>,
    busy: Arc<AtomicBool>,
}

impl Acceptor {
    /// False when the listener closes.
    fn keep_going(&self, tcp: Result<&TcpStream, &io::Error>) -> bool {
        tcp.map_or_else(
            |_| {
                // Out of file descriptors, perhaps; another attempt at once would not help.
                std::thread::sleep(PAUSE);
                !self.closing.load(Ordering::SeqCst)
            },
            |tcp| self.admit(tcp),
        )
    }

    /// False when the listener closes.
    fn admit(&self, tcp: &TcpStream) -> bool {
        if self.closing.load(Ordering::SeqCst) {
            return false;
        }
        if self.busy.swap(true, Ordering::SeqCst) {
            // A second debugger sees its connection close, rather than wait forever.
            return true;
        }
        if self.start_reader(tcp).is_err() {
            self.busy.store(false, Ordering::SeqCst);
        }
        true
    }

    fn start_reader(&self, tcp: &TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(WRITE_LIMIT))?;
        watch_for_silence(tcp)?;
        let mut reader = Reader {
            tcp: tcp.try_clone()?,
            sender: self.sender.clone(),
            waker: self.waker.clone(),
            busy: self.busy.clone(),
        };
        let writer = Writer { tcp: tcp.try_clone()? };
        std::thread::Builder::new().name("debugger reader".into()).spawn(move || reader.run(writer))?;
        Ok(())
    }
}

/// A debugger whose host has vanished must not keep the application halted, and other debuggers out, forever.
fn watch_for_silence(tcp: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, SILENCE)?;
    sockopt::set_tcp_keepintvl(tcp, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(tcp, PROBES)?;
    Ok(())
}

/// Reads what one debugger sends.
struct Reader {
    tcp: TcpStream,
    sender: SyncSender<ServerEvent>,
    waker: Waker,
    busy: Arc<AtomicBool>,
}

impl Reader {
    fn run(&mut self, writer: Writer) {
        let mut keep_going = self.send(ServerEvent::Connected(writer));
        let mut chunk = [0; CHUNK];
        let deadline = Instant::now() + FIRST_PACKET;
        let mut has_begun = false;
        while keep_going {
            let patience = (!has_begun).then(|| deadline.saturating_duration_since(Instant::now()));
            if patience.is_some_and(|patience| patience.is_zero())
                || self.tcp.set_read_timeout(patience).is_err()
            {
                break;
            }
            match self.tcp.read(&mut chunk) {
                Ok(length) if length > 0 => {
                    has_begun |= chunk[..length].contains(&b'$');
                    keep_going = self.send(ServerEvent::Bytes(chunk[..length].to_vec()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.send(ServerEvent::Closed);
        self.busy.store(false, Ordering::SeqCst);
    }

    /// False when the device has stopped.
    fn send(&self, event: ServerEvent) -> bool {
        let sent = self.sender.send(event).is_ok();
        self.waker.wake();
        sent
    }
}

/// The sending half of the connection. Dropping it closes the connection.
pub(crate) struct Writer {
    tcp: TcpStream,
}

impl Writer {
    /// Sends `bytes`, which the debugger must read within [`WRITE_LIMIT`].
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tcp.write_all(bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }
}
