//! A device reduced to its link over TLS, without processor and kernel. Many fit on one thread, so that a measurement
//! with many devices measures the cloud.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use link::channel::ChannelType;
use link::connection::Hello;
use link::device::{Answer, DeviceLink, Event, Input};
use link::kind::to_cloud;
use link::mqtt::{ConnectHead, PublishHead, RequestState, TopicHead};
use link::varint;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Error;
use crate::direct_client::Security;
use crate::scale::{PAYLOAD, TOPIC, WINDOW};

/// Longer than anything takes on loopback.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Receive buffer. There are few answers, since nothing is subscribed to.
const RING: u32 = 512;
/// To the broker, in seconds.
const KEEP_ALIVE: u32 = 600;
/// The number of the only topic.
const TOPIC_NUMBER: u8 = 0;

/// A device's identity as a TLS configuration.
pub(crate) type Tls = Arc<ClientConfig>;

/// Makes the TLS configuration of a device from its identity.
pub(crate) fn tls(identity: &cloud::Identity) -> Result<Tls, Error> {
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes());
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&identity.authority)?)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(&identity.certificate)?], key)?;
    config.alpn_protocols = vec![cloud::ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::in_memory_sessions(1);
    Ok(Arc::new(config))
}

/// A connected device.
pub(crate) struct LinkDevice {
    stream: TlsStream<TcpStream>,
    link: DeviceLink,
    start: Instant,
    output: Vec<u8>,
}

impl LinkDevice {
    /// Connects, and waits for `WELCOME`.
    pub(crate) async fn connect(cloud: SocketAddr, tls: Tls, boot: u32) -> Result<Self, Error> {
        timeout(TIMEOUT, Self::connect_and_await_welcome(cloud, tls, boot)).await?
    }

    async fn connect_and_await_welcome(cloud: SocketAddr, tls: Tls, boot: u32) -> Result<Self, Error> {
        let tcp = TcpStream::connect(cloud).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
        let stream = TlsConnector::from(tls).connect(name, tcp).await?;
        let mut link = DeviceLink::new();
        let hello = Hello {
            version: link::limits::VERSION,
            boot,
            wake_reason: 0,
            clock: sansio::Instant::ZERO,
            image: [0; 32],
        };
        let _ = link.handle(sansio::Instant::ZERO, &mut Input::Connected(&hello));
        let mut device = Self { stream, link, start: Instant::now(), output: Vec::new() };
        while !device.link.is_open() {
            device.send().await?;
            device.receive().await?;
        }
        Ok(device)
    }

    /// Opens a channel and connects it to a broker.
    pub(crate) async fn open(
        &mut self,
        name: &str,
        broker: SocketAddr,
        security: Security<'_>,
    ) -> Result<u8, Error> {
        let channel = self.link.open_channel(ChannelType::Mqtt, RING).map_err(|_| "no channel")?;
        self.queue_pending();
        self.item(channel, to_cloud::CONNECT, &connect(name, broker, security))?;
        self.item(channel, to_cloud::TOPIC, &[&[TOPIC_NUMBER], TOPIC.as_bytes()].concat())?;
        self.send().await?;
        let (mut connected, mut outcome) = (false, None);
        while !connected {
            outcome = self.receive().await?.1;
            connected = outcome.is_some();
        }
        if outcome == Some(RequestState::Completed) {
            Ok(channel)
        } else {
            Err(format!("connect: {outcome:?}").into())
        }
    }

    /// Opens a channel and requests a connection to a broker, without waiting for the result. `None` if there is no
    /// free channel number because the cloud has not closed one yet.
    pub(crate) async fn request_connect(&mut self, host: &str, port: u16) -> Result<Option<u8>, Error> {
        let Ok(channel) = self.link.open_channel(ChannelType::Mqtt, RING) else { return Ok(None) };
        self.queue_pending();
        self.item(channel, to_cloud::CONNECT, &connect_to(host, port, "bench", None))?;
        self.send().await?;
        Ok(Some(channel))
    }

    /// Closes a channel.
    pub(crate) async fn close(&mut self, channel: u8) -> Result<(), Error> {
        self.link.close_channel(channel);
        self.send().await
    }

    /// Reads once, for at most `span`.
    pub(crate) async fn read_for(&mut self, span: Duration) -> Result<(), Error> {
        let mut buffer = [0; 4096];
        let Ok(read) = timeout(span, self.stream.read(&mut buffer)).await else { return Ok(()) };
        let (now, mut input) = (self.now(), Input::Received(&buffer[..read?]));
        while self.link.handle(now, &mut input)?.is_some() {}
        self.send().await
    }

    /// Publishes `count` messages of quality of service 1, at most [`WINDOW`] unanswered, and waits for the last
    /// answer.
    pub(crate) async fn publish_all(&mut self, channel: u8, count: u32) -> Result<(), Error> {
        let mut free: Vec<u8> = (0..WINDOW as u8).collect();
        let mut unsent = count;
        while unsent > 0 || free.len() < WINDOW {
            while unsent > 0
                && let Some(slot) = free.pop()
            {
                self.publish(channel, slot)?;
                unsent -= 1;
            }
            self.send().await?;
            free.extend(self.receive().await?.0);
        }
        Ok(())
    }

    fn publish(&mut self, channel: u8, slot: u8) -> Result<(), Error> {
        let topic = TopicHead::Number(TOPIC_NUMBER);
        let head = PublishHead { slot, qos1: true, retain: false, qos_out_of_range: false, topic };
        let mut bytes = [0; PublishHead::MAX];
        let length = head.encode(&mut bytes);
        self.item(channel, to_cloud::PUBLISH, &[&bytes[..length], &[b'0'; PAYLOAD]].concat())
    }

    /// Queues an item that fits into a frame.
    fn item(&mut self, channel: u8, kind: u8, body: &[u8]) -> Result<(), Error> {
        let now = self.now();
        let header = self.link.channel_frame(now, channel, kind, body.len() as u16, false);
        self.output.extend_from_slice(header.map_err(|refused| format!("{refused:?}"))?.as_slice());
        self.output.extend_from_slice(body);
        Ok(())
    }

    /// Queues the link's pending control frames.
    fn queue_pending(&mut self) {
        let mut frames = [0; 256];
        loop {
            let count = self.link.transmit(self.now(), &mut frames);
            if count == 0 {
                return;
            }
            self.output.extend_from_slice(&frames[..count]);
        }
    }

    async fn send(&mut self) -> Result<(), Error> {
        self.queue_pending();
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads once: returns the slots that are free again, and the answer to a connect request.
    async fn receive(&mut self) -> Result<(Vec<u8>, Option<RequestState>), Error> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).await?;
        if count == 0 {
            return Err("the cloud closed the connection".into());
        }
        let (now, mut input) = (self.now(), Input::Received(&buffer[..count]));
        let (mut free, mut connected) = (Vec::new(), None);
        while let Some(event) = self.link.handle(now, &mut input)? {
            match event {
                Event::Answer { answer: Answer::Published(published), .. } => {
                    if published.state != RequestState::Completed || published.reason != 0 {
                        return Err(format!("publish: {published:?}").into());
                    }
                    free.push(published.slot);
                }
                Event::Answer { answer: Answer::Connected(outcome), .. } => connected = Some(outcome.state),
                Event::Closed { .. } | Event::Bye { .. } => return Err(format!("{event:?}").into()),
                _ => {}
            }
        }
        Ok((free, connected))
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.start.elapsed().into()
    }
}

/// A whole `CONNECT`.
fn connect(name: &str, broker: SocketAddr, security: Security<'_>) -> Vec<u8> {
    let authority = match security {
        Security::Plain => None,
        Security::Tls(authority) => Some(authority),
    };
    connect_to(&broker.ip().to_string(), broker.port(), name, authority)
}

fn connect_to(host: &str, port: u16, name: &str, authority: Option<&[u8]>) -> Vec<u8> {
    let tls = authority.is_some();
    let head = ConnectHead { clean_start: true, tls, port, keepalive: KEEP_ALIVE, ..ConnectHead::default() };
    let mut bytes = [0; ConnectHead::MAX];
    let length = head.encode(&mut bytes);
    let mut body = bytes[..length].to_vec();
    string(&mut body, host.as_bytes());
    string(&mut body, name.as_bytes());
    if let Some(authority) = authority {
        // One authority, no certificates and no key of its own.
        body.push(1);
        string(&mut body, authority);
        body.extend([0, 0]);
    }
    body
}

/// Writes a length and the bytes.
fn string(body: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = [0; varint::MAX_64];
    let count = varint::encode(bytes.len() as u64, &mut length);
    body.extend_from_slice(&length[..count]);
    body.extend_from_slice(bytes);
}
