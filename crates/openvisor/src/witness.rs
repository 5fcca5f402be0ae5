//! The demo's own MQTT client: an outsider at the broker that sees every message and can send some.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::Event as Happening;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet, Qos, SubEntry, SubOpts, v5_0};
use mqtt_protocol_core::mqtt::result_code::{ConnectReasonCode, MqttError, SubackReasonCode};
use mqtt_protocol_core::mqtt::{Connection as Protocol, Version, role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the broker may take to answer CONNECT and SUBSCRIBE.
const PATIENCE: Duration = Duration::from_secs(5);
const CLIENT_ID: &str = "openvisor-demo-witness";
const READ_BUFFER: usize = 16 * 1024;
/// Messages waiting either way; the broker holds back what does not fit.
const QUEUE: usize = 256;

/// A message seen at the broker, published by someone else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
}

/// A client subscribed to everything. Dropping it closes its connection.
pub struct Witness {
    seen: mpsc::Receiver<Seen>,
    sending: mpsc::Sender<(String, String)>,
}

impl Witness {
    /// Connects, and subscribes to `#` without its own messages.
    pub async fn connect(broker: SocketAddr) -> io::Result<Self> {
        let (seen_in, seen) = mpsc::channel(QUEUE);
        let (sending, to_send) = mpsc::channel(QUEUE);
        let stream = TcpStream::connect(broker).await?;
        let mut client =
            Client { stream, protocol: Protocol::new(Version::V5_0), out: Vec::new(), arrived: Vec::new() };
        client.protocol.set_auto_pub_response(true);
        timeout(PATIENCE, client.open()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        tokio::spawn(client.work(seen_in, to_send));
        Ok(Self { seen, sending })
    }

    /// The next message; `None` when the broker is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await
    }

    /// Publishes with QoS 1.
    pub async fn publish(&self, topic: &str, text: &str) -> io::Result<()> {
        self.sending
            .send((topic.to_owned(), text.to_owned()))
            .await
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Client {
    stream: TcpStream,
    protocol: Protocol<role::Client>,
    out: Vec<u8>,
    arrived: Vec<Packet>,
}

impl Client {
    async fn open(&mut self) -> io::Result<()> {
        let connect = v5_0::Connect::builder().client_id(CLIENT_ID).map_err(told)?.clean_start(true).build();
        self.send(connect.map_err(told)?.into())?;
        match self.answer().await? {
            Packet::V5_0Connack(connack) if connack.reason_code() == ConnectReasonCode::Success => {}
            packet => return Err(io::Error::other(format!("the broker answered CONNECT with {packet}"))),
        }
        let id = self.protocol.acquire_packet_id().map_err(told)?;
        let options = SubOpts::new().set_qos(Qos::AtLeastOnce).set_nl(true).set_rap(true);
        let everything = SubEntry::new("#", options).map_err(told)?;
        let subscribe = v5_0::Subscribe::builder().packet_id(id).entries(vec![everything]).build();
        self.send(subscribe.map_err(told)?.into())?;
        match self.answer().await? {
            Packet::V5_0Suback(suback) if suback.reason_codes().iter().all(SubackReasonCode::is_success) => {
                Ok(())
            }
            packet => Err(io::Error::other(format!("the broker answered SUBSCRIBE with {packet}"))),
        }
    }

    async fn answer(&mut self) -> io::Result<Packet> {
        let mut buffer = vec![0; READ_BUFFER];
        while self.arrived.is_empty() {
            self.flush().await?;
            let length = self.stream.read(&mut buffer).await?;
            self.receive(&buffer[..length])?;
        }
        Ok(self.arrived.remove(0))
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
        self.flush().await?;
        for packet in std::mem::take(&mut self.arrived) {
            if let Packet::V5_0Publish(publish) = packet {
                let payload = publish.payload().as_slice().to_vec();
                let message = Seen { topic: publish.topic_name().to_owned(), payload };
                seen.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
        }
        tokio::select! {
            length = self.stream.read(buffer) => self.receive(&buffer[..length?]),
            message = to_send.recv() => {
                let (topic, text) = message.ok_or(io::ErrorKind::BrokenPipe)?;
                self.publish(&topic, text)
            }
        }
    }

    fn publish(&mut self, topic: &str, text: String) -> io::Result<()> {
        let id = self.protocol.acquire_packet_id().map_err(told)?;
        let publish = v5_0::Publish::builder().topic_name(topic).map_err(told)?;
        let publish = publish.qos(Qos::AtLeastOnce).packet_id(id).payload(text).build();
        self.send(publish.map_err(told)?.into())
    }

    fn send(&mut self, packet: Packet) -> io::Result<()> {
        let happenings = self.protocol.send(packet);
        self.take(happenings)
    }

    fn receive(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut cursor = Cursor::new(bytes);
        while (cursor.position() as usize) < bytes.len() {
            let happenings = self.protocol.recv(&mut cursor);
            self.take(happenings)?;
        }
        Ok(())
    }

    fn take(&mut self, happenings: Vec<Happening>) -> io::Result<()> {
        for happening in happenings {
            match happening {
                Happening::NotifyPacketReceived(packet) => self.arrived.push(packet),
                Happening::RequestSendPacket { packet, .. } => self.out.extend(packet.to_continuous_buffer()),
                Happening::NotifyError(error) => return Err(told(error)),
                Happening::RequestClose => return Err(io::ErrorKind::ConnectionAborted.into()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.out);
        self.stream.write_all(&bytes).await
    }
}

fn told(error: MqttError) -> io::Error {
    io::Error::other(format!("MQTT: {error:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::broker::Broker;

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
