//! The demo's own MQTT client, which receives every message at the broker and sends commands.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt::{ConnectOptions, Event, Filter, Input, Limits, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the broker may take to answer CONNECT and SUBSCRIBE.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const CLIENT_ID: &[u8] = b"openvisor-demo-monitor";
const READ_BUFFER: usize = 16 * 1024;
/// Most messages in the queue of each direction; the broker waits when one is full.
const QUEUE_LENGTH: usize = 256;
/// The token of all requests: their results are not distinguished.
const TOKEN: u32 = 0;

/// A message that another client has published at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MonitoredMessage {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

/// A client subscribed to all topics. Dropping it closes its connection.
pub(crate) struct BrokerMonitor {
    received: mpsc::Receiver<MonitoredMessage>,
    publishes: mpsc::Sender<Publish>,
}

impl BrokerMonitor {
    /// Connects, and subscribes to `#` except for its own messages.
    pub(crate) async fn connect(broker: SocketAddr) -> io::Result<Self> {
        let (sender, received) = mpsc::channel(QUEUE_LENGTH);
        let (publishes, to_publish) = mpsc::channel(QUEUE_LENGTH);
        let stream = TcpStream::connect(broker).await?;
        let options = ConnectOptions {
            maximum_packet_size: demo_broker::MAX_PACKET,
            ..ConnectOptions::new(Version::V5, CLIENT_ID)
        };
        let mqtt = mqtt::Client::new(&options, Limits::default(), sansio::Instant::ZERO)
            .map_err(io::Error::other)?;
        let mut task = MonitorTask { stream, mqtt, started: Instant::now(), unread: Vec::new() };
        timeout(ANSWER_TIMEOUT, task.subscribe()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        tokio::spawn(task.run(sender, to_publish));
        Ok(Self { received, publishes })
    }

    /// The next message; `None` when the broker is gone. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<MonitoredMessage> {
        self.received.recv().await
    }

    /// Publishes with QoS 1.
    pub(crate) async fn publish(&self, topic: &str, text: &str) -> io::Result<()> {
        let publish = Publish { topic: topic.to_owned(), payload: text.to_owned() };
        self.publishes.send(publish).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A message to be published.
struct Publish {
    topic: String,
    payload: String,
}

/// Owns the connection.
struct MonitorTask {
    stream: TcpStream,
    mqtt: mqtt::Client,
    started: Instant,
    /// Bytes that the MQTT client has not taken yet.
    unread: Vec<u8>,
}

impl MonitorTask {
    /// Awaits the connection, and subscribes to all topics.
    async fn subscribe(&mut self) -> io::Result<()> {
        match self.next_event().await? {
            Event::Connected { .. } => {}
            event => return Err(io::Error::other(format!("the broker answered CONNECT with {event:?}"))),
        }
        let everything =
            Filter { topic: b"#", qos: 1, no_local: true, retain_as_published: true, retain_handling: 0 };
        self.mqtt.subscribe(TOKEN, &[everything]).map_err(io::Error::other)?;
        match self.next_event().await? {
            Event::Subscribed { reason_codes, .. } if reason_codes.iter().all(|&code| code <= 1) => Ok(()),
            event => Err(io::Error::other(format!("the broker answered SUBSCRIBE with {event:?}"))),
        }
    }

    async fn next_event(&mut self) -> io::Result<Event> {
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

    /// Ends when the broker or the [`BrokerMonitor`] is gone.
    async fn run(mut self, sender: mpsc::Sender<MonitoredMessage>, mut to_publish: mpsc::Receiver<Publish>) {
        let mut buffer = vec![0; READ_BUFFER];
        while self.step(&mut buffer, &sender, &mut to_publish).await.is_ok() {}
    }

    async fn step(
        &mut self,
        buffer: &mut [u8],
        sender: &mpsc::Sender<MonitoredMessage>,
        to_publish: &mut mpsc::Receiver<Publish>,
    ) -> io::Result<()> {
        self.forward_messages(sender).await?;
        self.flush().await?;
        tokio::select! {
            length = self.stream.read(buffer) => self.receive(&buffer[..length?]),
            publish = to_publish.recv() => {
                let Publish { topic, payload } = publish.ok_or(io::ErrorKind::BrokenPipe)?;
                self.mqtt.publish(TOKEN, topic.as_bytes(), payload.as_bytes(), 1, false).map_err(io::Error::other)
            }
        }
    }

    /// Forwards and acknowledges every message that has arrived.
    async fn forward_messages(&mut self, sender: &mpsc::Sender<MonitoredMessage>) -> io::Result<()> {
        loop {
            while let Some(event) = self.mqtt.poll(self.now()) {
                let Event::Message(message) = event else { continue };
                if let Some(delivery) = message.delivery {
                    // Unknown only if the connection has ended, which the next read reports.
                    let _ = self.mqtt.acknowledge(delivery);
                }
                let message = MonitoredMessage { topic: message.topic, payload: message.payload };
                sender.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
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
        let mut first = BrokerMonitor::connect(broker.address()).await.unwrap();
        first.publish("own", "unseen").await.unwrap();
        let outsider = TcpStream::connect(broker.address()).await.unwrap();
        publish_plainly(outsider).await;
        let message = timeout(ANSWER_TIMEOUT, first.next()).await.unwrap().unwrap();
        assert_eq!(message, MonitoredMessage { topic: "t".into(), payload: b"hi".to_vec() });
    }

    /// CONNECT and PUBLISH of version 3.1.1 as literal bytes.
    async fn publish_plainly(mut stream: TcpStream) {
        stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c").await.unwrap();
        stream.write_all(b"\x30\x05\x00\x01thi").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_of_the_broker_is_noticed() {
        let broker = Broker::start(Arc::new(|_| ())).await.unwrap();
        let mut monitor = BrokerMonitor::connect(broker.address()).await.unwrap();
        broker.stop().await;
        assert_eq!(timeout(ANSWER_TIMEOUT, monitor.next()).await.unwrap(), None);
    }
}
