//! A broker scripted by a test, byte by byte, on a real socket.

use std::net::Ipv4Addr;
use std::sync::Arc;

use link::bytes::Writer;
use link::channel::ChannelType;
use link::kind::to_cloud;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::{Device, MAX_WAIT};

/// Bytes both ways, with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The broker before anyone has come.
pub(crate) struct Scripted {
    listener: TcpListener,
    pub port: u16,
}

/// A connection at the broker.
pub(crate) struct Peer(Box<dyn Stream>);

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        Self { listener, port }
    }

    /// The next connection.
    pub(crate) async fn tcp(&self) -> TcpStream {
        timeout(MAX_WAIT, self.listener.accept()).await.expect("somebody comes").expect("accepted").0
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer(Box::new(self.tcp().await))
    }

    /// The next connection with TLS; none if the handshake fails.
    pub(crate) async fn accept_tls(&self, config: Arc<ServerConfig>) -> Option<Peer> {
        let tcp = self.tcp().await;
        let stream = TlsAcceptor::from(config).accept(tcp).await.ok()?;
        Some(Peer(Box::new(stream)))
    }
}

impl Peer {
    pub(crate) fn over(tcp: TcpStream) -> Self {
        Self(Box::new(tcp))
    }

    /// The next packet, whole.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        timeout(MAX_WAIT, self.read_packet()).await.expect("a packet comes").expect("whole")
    }

    async fn read_packet(&mut self) -> std::io::Result<Vec<u8>> {
        let mut packet = vec![self.0.read_u8().await?];
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.0.read_u8().await?;
            packet.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let start = packet.len();
        packet.resize(start + length, 0);
        self.0.read_exact(&mut packet[start..]).await?;
        Ok(packet)
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
        self.0.flush().await.expect("sent");
    }

    /// Takes CONNECT and accepts it: version 3.1.1.
    pub(crate) async fn let_in(&mut self) {
        assert_eq!(self.packet().await[0], 0x10);
        self.send(&[0x20, 2, 0, 0]).await;
    }

    /// Closes its direction and continues to read.
    pub(crate) async fn half_close(&mut self) {
        self.0.shutdown().await.expect("closed");
    }

    /// Waits for the cloud to close the connection, and returns what it sent before.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(MAX_WAIT, self.0.read_to_end(&mut rest)).await.expect("it is ended");
        rest
    }
}

/// `CONNECT` on the link: version 3.1.1 or 5, clean start, no more; with authorities for TLS if there are any.
pub(crate) fn connect_item(
    version_5: bool,
    host: &str,
    port: u16,
    authorities: Option<&[Vec<u8>]>,
) -> Vec<u8> {
    let mut body = vec![0; 4000];
    let mut writer = Writer::new(&mut body);
    writer.u8(u8::from(version_5) | 1 << 1 | u8::from(authorities.is_some()) << 4);
    writer.varint32(u32::from(port));
    writer.varint32(60);
    writer.str(host.as_bytes());
    writer.str(b"scripted");
    if let Some(authorities) = authorities {
        writer.u8(authorities.len() as u8);
        for authority in authorities {
            writer.str(authority);
        }
        writer.u8(0);
        writer.str(b"");
    }
    let length = writer.finish().expect("fits");
    body.truncate(length);
    body
}

/// `PUBLISH` on the link.
pub(crate) fn publish_item(slot: u8, qos: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    [&[slot | qos << 4, topic.len() as u8], topic.as_bytes(), payload].concat()
}

/// Asks for the broker at `port` on a new channel, version 3.1.1 without TLS.
pub(crate) async fn ask_for(device: &mut Device, port: u16) -> u8 {
    let channel = device.open(ChannelType::Mqtt, 2048).await;
    device.item(channel, to_cloud::CONNECT, &connect_item(false, "127.0.0.1", port, None)).await;
    channel
}
