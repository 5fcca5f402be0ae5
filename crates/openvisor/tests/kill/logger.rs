//! A device that does nothing but log: after each loss of its connection it sends again what was not acknowledged, as
//! devices do.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cloud::{DeviceId, Identity};
use link::connection::{ByeReason, Hello, LogHead};
use link::device::{DeviceLink, Event, Input, LOG_FRAME};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The device's start; it lives through the whole run.
pub(crate) const BOOT: u32 = 77;
/// Lines sent and not acknowledged at most.
const WINDOW: u32 = 40;
/// How long a visit may take.
const VISIT: Duration = Duration::from_secs(20);
/// How long an answer is waited for before more is sent.
const TURN: Duration = Duration::from_millis(1);

/// A line's text; its length goes up and down.
pub(crate) fn text(sequence: u32) -> String {
    format!("line {sequence} {}", "x".repeat((sequence * 37 % 200) as usize))
}

/// The device, shared by its thread and the test.
pub(crate) struct Logger {
    pub id: DeviceId,
    tls: Arc<ClientConfig>,
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// What the thread should do, and what it has done.
#[derive(Default)]
struct Orders {
    /// The next cloud; taken by the thread.
    address: Option<String>,
    /// The last line it may send.
    last: u32,
    /// The last line that was acknowledged.
    acknowledged: u32,
    is_over: bool,
}

impl Logger {
    pub(crate) fn new(identity: &Identity) -> Arc<Self> {
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&identity.authority)).expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate(&identity.certificate)], key)
            .expect("they belong together");
        tls.alpn_protocols = vec![cloud::ALPN.to_vec()];
        let (orders, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { id: identity.device_id, tls: Arc::new(tls), orders, changed })
    }

    pub(crate) fn start(self: Arc<Self>) -> JoinHandle<()> {
        std::thread::spawn(move || {
            while let Some(address) = self.next_address() {
                // Every connection ends when the cloud is killed.
                let _ = Connection::open(&self, &address).and_then(|mut connection| connection.work());
            }
        })
    }

    /// Lets it connect to a new cloud and send `more` lines.
    pub(crate) fn go(&self, address: &str, more: u32) {
        let mut orders = self.orders.lock().expect("sound");
        orders.address = Some(address.to_owned());
        orders.last += more;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.orders.lock().expect("sound").is_over = true;
        self.changed.notify_all();
    }

    /// The last line that was acknowledged.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.orders.lock().expect("sound").acknowledged
    }

    /// Waits until every line it may send is acknowledged, or until `deadline`; returns whether they are.
    pub(crate) fn catch_up(&self, deadline: Instant) -> bool {
        let mut orders = self.orders.lock().expect("sound");
        while orders.acknowledged < orders.last {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            orders = self.changed.wait_timeout(orders, left).expect("sound").0;
        }
        true
    }

    /// Connects once in addition to its thread, until it is admitted.
    pub(crate) fn visit(&self, address: &str) -> io::Result<()> {
        let mut connection = Connection::open(self, address)?;
        connection.transmit()?;
        connection.stream.sock.set_read_timeout(Some(TURN))?;
        let deadline = Instant::now() + VISIT;
        while !connection.link.is_open() {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            connection.receive()?;
        }
        Ok(())
    }

    fn next_address(&self) -> Option<String> {
        let mut orders = self.orders.lock().expect("sound");
        while orders.address.is_none() && !orders.is_over {
            orders = self.changed.wait(orders).expect("sound");
        }
        orders.address.take()
    }
}

/// One connection of it.
struct Connection<'a> {
    logger: &'a Logger,
    stream: StreamOwned<ClientConnection, TcpStream>,
    link: DeviceLink,
    start: Instant,
    sent: u32,
}

impl<'a> Connection<'a> {
    fn open(logger: &'a Logger, address: &str) -> io::Result<Self> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(logger.tls.clone(), name).map_err(io::Error::other)?;
        let mut link = DeviceLink::new();
        let hello = Hello {
            version: link::limits::VERSION,
            boot: BOOT,
            wake_reason: 0,
            clock: sansio::Instant::ZERO,
            image: [3; 32],
        };
        let _ = link.handle(sansio::Instant::ZERO, &mut Input::Connected(&hello));
        let sent = logger.acknowledged();
        let stream = StreamOwned::new(tls, tcp);
        Ok(Connection { logger, stream, link, start: Instant::now(), sent })
    }

    fn work(&mut self) -> io::Result<()> {
        self.transmit()?;
        while !self.link.is_open() {
            self.receive()?;
        }
        self.stream.sock.set_read_timeout(Some(TURN))?;
        loop {
            self.log()?;
            self.receive()?;
            self.transmit()?;
        }
    }

    /// Sends a few more lines, if it may.
    fn log(&mut self) -> io::Result<()> {
        let last = {
            let orders = self.logger.orders.lock().expect("sound");
            orders.last.min(orders.acknowledged + WINDOW).min(self.sent + WINDOW / 4)
        };
        while self.sent < last {
            self.sent += 1;
            let text = text(self.sent);
            let mut frame = [0; LOG_FRAME];
            let head = LogHead { sequence: self.sent, clock: sansio::Instant::from_micros(self.sent.into()) };
            let now = self.now();
            let length = self.link.log_frame(now, &head, text.len(), &mut frame).expect("open");
            self.stream.write_all(&[&frame[..length], text.as_bytes()].concat())?;
        }
        self.stream.flush()
    }

    fn transmit(&mut self) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            let count = self.link.transmit(self.now(), &mut buffer);
            if count == 0 {
                return self.stream.flush();
            }
            self.stream.write_all(&buffer[..count])?;
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (now, mut input) = (self.now(), Input::Received(&buffer[..count]));
        while let Some(event) = self.link.handle(now, &mut input).expect("the cloud keeps the rules") {
            match event {
                Event::LogTaken { sequence } => {
                    assert!(sequence <= self.sent, "acknowledged before it was sent");
                    let mut orders = self.logger.orders.lock().expect("sound");
                    orders.acknowledged = orders.acknowledged.max(sequence);
                    self.logger.changed.notify_all();
                }
                Event::Bye { reason } => assert_ne!(reason, ByeReason::Revoked, "it is not revoked"),
                _ => {}
            }
        }
        Ok(())
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.start.elapsed().into()
    }
}
