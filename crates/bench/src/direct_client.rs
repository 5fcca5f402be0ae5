//! The baseline: an MQTT client that connects to the broker directly.
//!
//! Our own client on a blocking socket is the fastest we can make, and so the hardest to compare with: one thread, no
//! queue, no runtime, everything ready in one write. Users run clients like [`crate::rumqttc_client`]. Because these
//! write each message by itself, it can do that too ([`Writes::Each`]).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mqtt::{ConnectOptions, Event, Input, Limits, Version};
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Error;
use crate::scale::{PAYLOAD, TOPIC, WINDOW};

/// Longer than anything takes on loopback.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Number of clients so far, for their client ids.
static CLIENTS: AtomicU32 = AtomicU32::new(0);

/// How a client connects to its broker.
#[derive(Clone, Copy)]
pub(crate) enum Security<'a> {
    /// TCP.
    Plain,
    /// TLS, trusting this authority (DER).
    Tls(&'a [u8]),
}

/// How messages are written to the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// All that the window allows in one write.
    Gathered,
    /// Each by itself, when it is published.
    Each,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connected client.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    mqtt: mqtt::Client,
    writes: Writes,
    start: Instant,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// Connects to a broker and waits until it has accepted.
    pub(crate) fn connect(
        address: SocketAddr,
        security: Security<'_>,
        writes: Writes,
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let stream: Box<dyn Stream> = match security {
            Security::Plain => Box::new(stream),
            Security::Tls(authority) => Box::new(secure(stream, authority, address)?),
        };
        let name = format!("bench-direct-{}", CLIENTS.fetch_add(1, Ordering::Relaxed));
        let options = ConnectOptions::new(Version::V3_1_1, name.as_bytes());
        let mqtt = mqtt::Client::new(&options, Limits::default(), sansio::Instant::ZERO)
            .map_err(|error| format!("{error:?}"))?;
        let (input, output) = (Vec::new(), Vec::new());
        let mut client = Self { stream, mqtt, writes, start: Instant::now(), input, output };
        while !client.mqtt.is_connected() {
            client.send()?;
            client.receive()?;
        }
        client.take_answers()?;
        Ok(client)
    }

    /// Publishes one at a time, and returns how long each took until it was acknowledged.
    pub(crate) fn latencies(&mut self, count: u32) -> Result<Vec<Duration>, Error> {
        let mut latencies = Vec::with_capacity(count as usize);
        for token in 0..count {
            let start = Instant::now();
            self.publish(token, 1)?;
            self.await_answers(1)?;
            latencies.push(start.elapsed());
        }
        Ok(latencies)
    }

    /// Publishes `count` messages with at most [`WINDOW`] unanswered, the last of them at quality of service 1; returns
    /// the time until that one was acknowledged.
    pub(crate) fn publish_all(&mut self, count: u32, qos: u8) -> Result<Duration, Error> {
        let start = Instant::now();
        let (mut sent, mut answered) = (0, 0);
        while answered < count - 1 {
            while sent < count - 1 && sent - answered < WINDOW as u32 {
                self.publish(sent, qos)?;
                sent += 1;
            }
            answered += self.await_answers(1)?;
        }
        self.publish(sent, 1)?;
        self.await_answers(1)?;
        Ok(start.elapsed())
    }

    fn publish(&mut self, token: u32, qos: u8) -> Result<(), Error> {
        let payload = [b'0'; PAYLOAD];
        self.mqtt
            .publish(token, TOPIC.as_bytes(), &payload, qos, false)
            .map_err(|refused| format!("publish: {refused:?}"))?;
        if self.writes == Writes::Each { self.send() } else { Ok(()) }
    }

    /// Sends what is ready, and reads until at least `least` publishes are answered. Returns how many were.
    fn await_answers(&mut self, least: u32) -> Result<u32, Error> {
        self.send()?;
        let mut answers = self.take_answers()?;
        while answers < least {
            self.receive()?;
            answers += self.take_answers()?;
        }
        Ok(answers)
    }

    fn take_answers(&mut self) -> Result<u32, Error> {
        let mut answers = 0;
        while let Some(event) = self.mqtt.poll(self.now()) {
            match event {
                Event::Published { reason_code: 0, .. } => answers += 1,
                Event::Connected { .. } => {}
                other => return Err(format!("the broker: {other:?}").into()),
            }
        }
        Ok(answers)
    }

    fn send(&mut self) -> Result<(), Error> {
        self.output.clear();
        self.mqtt.transmit(&mut self.output);
        self.stream.write_all(&self.output)?;
        self.stream.flush()?;
        let now = self.now();
        self.mqtt.handle(now, Input::Transmitted(self.output.len())).map_err(|error| format!("{error:?}"))?;
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err("the broker closed the connection".into());
        }
        self.input.extend_from_slice(&buffer[..count]);
        let now = self.now();
        let mut rest = &self.input[..];
        self.mqtt.handle(now, Input::Received(&mut rest)).map_err(|error| format!("{error:?}"))?;
        let taken = self.input.len() - rest.len();
        self.input.drain(..taken);
        Ok(())
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.start.elapsed().into()
    }
}

fn secure(
    stream: TcpStream,
    authority: &[u8],
    address: SocketAddr,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let name = ServerName::IpAddress(IpAddr::from(address.ip()));
    Ok(StreamOwned::new(ClientConnection::new(tls_config(authority)?, name)?, stream))
}

/// TLS of a client that trusts one authority (DER).
pub(crate) fn tls_config(authority: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec()))?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
