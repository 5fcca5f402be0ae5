//! What the tests of a running cloud share: the cloud, and a device that speaks the link without a kernel.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cloud::{Cloud, Config, Identity, Limits};
use link::connection::{ByeReason, Hello, LogHead};
use link::device::{Answer, DeviceLink, Event, Input, LOG_FRAME};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, crypto};

pub(crate) mod https;
pub(crate) mod mosquitto;
pub(crate) mod scrape;
pub(crate) mod scripted;

/// Longest time a test waits for an event.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(20);

/// A cloud with a temporary data folder.
pub(crate) struct TestCloud {
    pub cloud: Cloud,
    pub directory: TempDir,
}

impl TestCloud {
    pub(crate) async fn open() -> Self {
        // Devices of the tests rarely read the `BYE`.
        Self::with(Limits { farewell_timeout: Duration::from_millis(300), ..Limits::default() }).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        // Tests connect again after failures at once; the delays have tests of their own (D197).
        let limits = Limits { channels_a_second: 0, reconnect_delay: Duration::ZERO, ..limits };
        let cloud = Cloud::start(Config { limits, ..config(&directory) }).await.expect("started");
        Self { cloud, directory }
    }

    /// Connects a device with a new identity.
    pub(crate) async fn device(&self) -> Device {
        let identity = self.cloud.provision(None).await.expect("an identity");
        let mut device = Device::connect(self.cloud.address(), &identity).await;
        device.welcome().await;
        device
    }
}

/// The configuration of a cloud on a free port of this machine.
pub(crate) fn config(directory: &TempDir) -> Config {
    let mut config = Config::local(directory.path(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    // Devices of the tests open channels faster than a kernel would; `outbound.rs` tests the limit.
    config.limits.channels_a_second = 0;
    config
}

/// A message from the cloud, reassembled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Welcome {
        logging: bool,
    },
    Time,
    LogTaken(u32),
    Logging(bool),
    Bye(ByeReason),
    Closed {
        channel: u8,
    },
    Answer {
        channel: u8,
        answer: Answer,
    },
    Item {
        channel: u8,
        kind: u8,
        body: Vec<u8>,
    },
    /// The connection ended.
    End,
}

/// A device: a TLS connection and the link, no kernel.
pub(crate) struct Device {
    pub id: cloud::DeviceId,
    stream: TlsStream<TcpStream>,
    link: DeviceLink,
    start: Instant,
    parts: Vec<(u8, Vec<u8>)>,
    received: VecDeque<Received>,
    put_back_list: Vec<Received>,
}

/// The TLS a device uses.
pub(crate) fn tls(identity: &Identity) -> Arc<ClientConfig> {
    let certificates = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificates(&identity.authority)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificates(&identity.certificate)], key)
        .expect("they belong together");
    config.alpn_protocols = vec![cloud::ALPN.to_vec()];
    Arc::new(config)
}

impl Device {
    /// Connects and sends `HELLO`.
    pub(crate) async fn connect(address: SocketAddr, identity: &Identity) -> Self {
        Self::connect_as(address, identity, 7).await
    }

    /// The same with the boot number `boot`.
    pub(crate) async fn connect_as(address: SocketAddr, identity: &Identity, boot: u32) -> Self {
        Self::connect_with(address, identity.device_id, tls(identity), boot).await
    }

    /// The same with TLS that may resume an earlier session.
    pub(crate) async fn connect_with(
        address: SocketAddr,
        id: cloud::DeviceId,
        tls: Arc<ClientConfig>,
        boot: u32,
    ) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the port is open");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(tls).connect(name, tcp).await.expect("admitted");
        let mut link = DeviceLink::new();
        let hello = Hello {
            version: link::limits::VERSION,
            boot,
            wake_reason: 0,
            clock: sansio::Instant::ZERO,
            image: [3; 32],
        };
        let _ = link.handle(sansio::Instant::ZERO, &mut Input::Connected(&hello));
        let mut device = Self {
            id,
            stream,
            link,
            start: Instant::now(),
            parts: Vec::new(),
            received: VecDeque::new(),
            put_back_list: Vec::new(),
        };
        device.transmit().await;
        device
    }

    /// Whether the connection resumed an earlier TLS session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Waits for `WELCOME`. Whether logging is on.
    pub(crate) async fn welcome(&mut self) -> bool {
        match self.next().await {
            Received::Welcome { logging } => logging,
            other => panic!("{other:?} instead of WELCOME"),
        }
    }

    /// The next message; panics when there is none in time.
    pub(crate) async fn next(&mut self) -> Received {
        timeout(MAX_WAIT, self.wait()).await.expect("a message")
    }

    /// Puts a message aside until [`Device::release`].
    pub(crate) fn put_back(&mut self, received: Received) {
        self.put_back_list.push(received);
    }

    /// Number of messages put aside.
    pub(crate) fn put_back_count(&self) -> usize {
        self.put_back_list.len()
    }

    /// Receives the messages put aside again, before all others.
    pub(crate) fn release(&mut self) {
        for received in self.put_back_list.drain(..).rev() {
            self.received.push_front(received);
        }
    }

    /// Whether no message arrives for a while.
    pub(crate) async fn is_quiet(&mut self, span: Duration) -> bool {
        timeout(span, self.wait()).await.is_err()
    }

    async fn wait(&mut self) -> Received {
        loop {
            if let Some(received) = self.received.pop_front() {
                return received;
            }
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                return Received::End;
            }
            self.receive(&buffer[..read]);
            self.transmit().await;
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let (now, mut input) = (self.now(), Input::Received(bytes));
        while let Some(event) = self.link.handle(now, &mut input).expect("the cloud follows the protocol") {
            let received = match event {
                Event::Welcome { logging, .. } => Received::Welcome { logging },
                Event::Time { .. } => Received::Time,
                Event::LogTaken { sequence } => Received::LogTaken(sequence),
                Event::Logging { enabled } => Received::Logging(enabled),
                Event::Bye { reason } => Received::Bye(reason),
                Event::Closed { channel, .. } => Received::Closed { channel },
                Event::Answer { channel, answer } => Received::Answer { channel, answer },
                Event::Window { .. } => continue,
                Event::Item(fragment) => {
                    if fragment.first {
                        self.parts.retain(|(channel, _)| *channel != fragment.channel);
                        self.parts.push((fragment.channel, Vec::new()));
                    }
                    let at = self.parts.iter().position(|(channel, _)| *channel == fragment.channel);
                    let (_, body) = &mut self.parts[at.expect("begun")];
                    body.extend_from_slice(fragment.bytes);
                    if !fragment.last {
                        continue;
                    }
                    Received::Item {
                        channel: fragment.channel,
                        kind: fragment.kind,
                        body: std::mem::take(body),
                    }
                }
            };
            self.received.push_back(received);
        }
    }

    /// Sends what the link has to send.
    pub(crate) async fn transmit(&mut self) {
        let mut buffer = [0; 1024];
        loop {
            let count = self.link.transmit(self.now(), &mut buffer);
            if count == 0 {
                break;
            }
            self.send(&buffer[..count]).await;
        }
    }

    /// Sends raw bytes. A closed connection is noticed when reading.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Logs a line.
    pub(crate) async fn log(&mut self, sequence: u32, text: &str) {
        let mut frame = [0; LOG_FRAME];
        let head = LogHead { sequence, clock: sansio::Instant::from_millis(sequence.into()) };
        let count = self.link.log_frame(self.now(), &head, text.len(), &mut frame).expect("open");
        let bytes = [&frame[..count], text.as_bytes()].concat();
        self.send(&bytes).await;
    }

    /// Opens a channel.
    pub(crate) async fn open(&mut self, channel_type: link::channel::ChannelType, ring: u32) -> u8 {
        let channel = self.link.open_channel(channel_type, ring).expect("a number");
        self.transmit().await;
        channel
    }

    /// Opens a channel as soon as a number is free: that of a closed channel is, once the cloud has acknowledged it.
    pub(crate) async fn open_patiently(&mut self, channel_type: link::channel::ChannelType, ring: u32) -> u8 {
        loop {
            if let Ok(channel) = self.link.open_channel(channel_type, ring) {
                self.transmit().await;
                return channel;
            }
            // Other messages do not matter here.
            let _ = self.is_quiet(Duration::from_millis(20)).await;
        }
    }

    /// Closes a channel.
    pub(crate) async fn close(&mut self, channel: u8) {
        self.link.close_channel(channel);
        self.transmit().await;
    }

    /// Returns credit for a channel's ring.
    pub(crate) async fn credit(&mut self, channel: u8, bytes: u32, items: u32) {
        self.link.store(channel, bytes).expect("the cloud keeps to the ring");
        self.link.return_credit(channel, bytes, items);
        self.transmit().await;
    }

    /// Sends a short item of a channel.
    pub(crate) async fn item(&mut self, channel: u8, kind: u8, body: &[u8]) {
        let length = body.len() as u16;
        let header =
            self.link.channel_frame(self.now(), channel, kind, length, false).expect("within the window");
        let bytes = [header.as_slice(), body].concat();
        self.send(&bytes).await;
    }

    /// Sends an item without its end, as far as the window allows, and returns the number of bytes sent.
    pub(crate) async fn send_unfinished(&mut self, channel: u8, kind: u8, length: usize) -> usize {
        let mut sent = 0;
        while sent + 4096 < length {
            let Some((piece, true)) = self.link.next_fragment(channel, (length - sent) as u32, 4096) else {
                // The window is exhausted; credit arrives soon or never.
                let mut buffer = [0; 4096];
                let read = timeout(Duration::from_secs(1), self.stream.read(&mut buffer)).await;
                let Ok(Ok(read @ 1..)) = read else { return sent };
                self.receive(&buffer[..read]);
                continue;
            };
            let header = self.link.channel_frame(self.now(), channel, kind, piece, true);
            let header = header.expect("within the window");
            let bytes = [header.as_slice(), &vec![b'x'; usize::from(piece)]].concat();
            self.send(&bytes).await;
            sent += usize::from(piece);
        }
        sent
    }

    /// Sends `BYE` done.
    pub(crate) async fn bye(&mut self) {
        self.link.send_bye(ByeReason::Done, "");
        self.transmit().await;
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.start.elapsed().into()
    }
}
