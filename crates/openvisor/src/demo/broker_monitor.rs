//! The demo's own MQTT client: an outsider at the broker that sees every message and can send some.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt::{ConnectOptions, Event, Filter, Input, Limits, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the broker may take to answer CONNECT and SUBSCRIBE.
const PATIENCE: Duration = Duration::from_secs(5);
const CLIENT_ID: &[u8] = b"openvisor-demo-witness";
const READ_BUFFER: usize = 16 * 1024;
/// Messages waiting either way; the broker holds back what does not fit.
const QUEUE: usize = 256;
/// Of its requests; the outcome of a publish is not waited for.
const TOKEN: u32 = 0;

/// A message seen at the broker, published by someone else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it was published.
    pub(crate) topic: String,
    /// What it says.
    pub(crate) payload: Vec<u8>,
}

/// A client subscribed to everything. Dropping it closes its connection.
pub(crate) struct Witness {
    seen: mpsc::Receiver<Seen>,
    sending: mpsc::Sender<(String, String)>,
}

impl Witness {
    /// Connects, and subscribes to `#` without its own messages.
    pub(crate) async fn connect(broker: SocketAddr) -> io::Result<Self> {
        let (seen_in, seen) = mpsc::channel(QUEUE);
        let (sending, to_send) = mpsc::channel(QUEUE);
        let stream = TcpStream::connect(broker).await?;
        let options = ConnectOptions {
            maximum_packet_size: demo_broker::MAX_PACKET,
            ..ConnectOptions::new(Version::V5, CLIENT_ID)
        };
        let mqtt = mqtt::Client::new(&options, Limits::default(), sansio::Instant::ZERO)
            .map_err(io::Error::other)?;
        let mut client = Client { stream, mqtt, started: Instant::now(), unread: Vec::new() };
        timeout(PATIENCE, client.open()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        tokio::spawn(client.work(seen_in, to_send));
        Ok(Self { seen, sending })
    }

    /// The next message; `None` when the broker is gone. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }

    /// Publishes with QoS 1.
    pub(crate) async fn publish(&self, topic: &str, text: &str) -> io::Result<()> {
        self.sending
            .send((topic.to_owned(), text.to_owned()))
            .await
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Client {
    stream: TcpStream,
    mqtt: mqtt::Client,
    started: Instant,
    /// What the MQTT client did not take yet.
    unread: Vec<u8>,
}

impl Client {
    async fn open(&mut self) -> io::Result<()> {
        match self.answer().await? {
            Event::Connected { .. } => {}
            event => return Err(io::Error::other(format!("the broker answered CONNECT with {event:?}"))),
        }
        let everything =
            Filter { topic: b"#", qos: 1, no_local: true, retain_as_published: true, retain_handling: 0 };
        self.mqtt.subscribe(TOKEN, &[everything]).map_err(io::Error::other)?;
        match self.answer().await? {
            Event::Subscribed { reason_codes, .. } if reason_codes.iter().all(|&code| code <= 1) => Ok(()),
            event => Err(io::Error::other(format!("the broker answered SUBSCRIBE with {event:?}"))),
        }
    }

    async fn answer(&mut self) -> io::Result<Event> {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            if let Some(event) = self.mqtt.poll(self.now()) {
                return Ok(event);
            }
            self.flush().await?;
            let length = self.stream.read(&mut buffer).await?;
            self.receive(&buffer[..length])?;
        }
    }

    /// Ends when the broker or the [`Witness`] is gone.
    async fn work(mut self, seen: mpsc::Sender<Seen>, mut to_send: mpsc::Receiver<(String, String)>) {
        let mut buffer = vec![0; READ_BUFFER];
        while self.turn(&mut buffer, &seen, &mut to_send).await.is_ok() {}
    }

    async fn turn(
        &mut self,
        buffer: &mut [u8],
        seen: &mpsc::Sender<Seen>,
        to_send: &mut mpsc::Receiver<(String, String)>,
    ) -> io::Result<()> {
        self.hand_on(seen).await?;
        self.flush().await?;
        tokio::select! {
            length = self.stream.read(buffer) => self.receive(&buffer[..length?]),
            message = to_send.recv() => {
                let (topic, text) = message.ok_or(io::ErrorKind::BrokenPipe)?;
                self.mqtt.publish(TOKEN, topic.as_bytes(), text.as_bytes(), 1, false).map_err(io::Error::other)
            }
        }
    }

    /// Passes on every message that has arrived, and acknowledges it.
    async fn hand_on(&mut self, seen: &mpsc::Sender<Seen>) -> io::Result<()> {
        loop {
            while let Some(event) = self.mqtt.poll(self.now()) {
                let Event::Message(message) = event else { continue };
                if let Some(delivery) = message.delivery {
                    // Unknown only if the connection has ended, which the next read reports.
                    let _ = self.mqtt.acknowledge(delivery);
                }
                let message = Seen { topic: message.topic, payload: message.payload };
                seen.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            if self.unread.is_empty() || !self.consume()? {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(bytes);
        self.consume()?;
        Ok(())
    }

    /// Gives the MQTT client what it takes; whether it took any.
    fn consume(&mut self) -> io::Result<bool> {
        let now = self.now();
        let mut rest = &self.unread[..];
        self.mqtt.handle(now, Input::Received(&mut rest)).map_err(io::Error::other)?;
        let count = self.unread.len() - rest.len();
        self.unread.drain(..count);
        Ok(count > 0)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.mqtt.transmit(&mut bytes);
        self.stream.write_all(&bytes).await?;
        let now = self.now();
        self.mqtt.handle(now, Input::Transmitted(bytes.len())).map_err(io::Error::other)
    }

    fn now(&self) -> sansio::Instant {
        sansio::Instant::ZERO + self.started.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use demo_broker::Broker;

    #[tokio::test]
    async fn two_clients_see_each_others_messages_and_not_their_own() {
        let broker = Broker::start(Arc::new(|_| ())).await.unwrap();
        let mut first = Witness::connect(broker.address()).await.unwrap();
        first.publish("own", "unseen").await.unwrap();
        let outsider = TcpStream::connect(broker.address()).await.unwrap();
        publish_plainly(outsider).await;
        let message = timeout(PATIENCE, first.next()).await.unwrap().unwrap();
        assert_eq!(message, Seen { topic: "t".into(), payload: b"hi".to_vec() });
    }

    /// CONNECT and PUBLISH of version 3.1.1 as literal bytes.
    async fn publish_plainly(mut stream: TcpStream) {
        stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c").await.unwrap();
        stream.write_all(b"\x30\x05\x00\x01thi").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
    }

    #[tokio::test]
    async fn the_brokers_end_is_noticed() {
        let broker = Broker::start(Arc::new(|_| ())).await.unwrap();
        let mut witness = Witness::connect(broker.address()).await.unwrap();
        broker.stop().await;
        assert_eq!(timeout(PATIENCE, witness.next()).await.unwrap(), None);
    }
}
