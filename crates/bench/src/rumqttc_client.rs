//! The client most Rust programs use: rumqttc, used as efficiently as its interface allows. Publishing and its event
//! loop share one task on a runtime of one thread, so that no message passes between threads; its own window is never
//! reached.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS, TlsConfiguration,
    Transport,
};

use crate::Error;
use crate::direct_client::{Security, tls_config};
use crate::scale::{PAYLOAD, TOPIC, WINDOW};

/// Long enough that there are no pings during a measurement.
const KEEP_ALIVE: Duration = Duration::from_mins(10);

/// A connected client.
pub(crate) struct Client {
    requests: AsyncClient,
    events: EventLoop,
}

impl Client {
    /// Connects to a broker and waits until it has accepted.
    pub(crate) async fn connect(
        name: &str,
        address: SocketAddr,
        security: Security<'_>,
    ) -> Result<Self, Error> {
        let mut options = MqttOptions::new(name, address.ip().to_string(), address.port());
        options.set_keep_alive(KEEP_ALIVE);
        if let Security::Tls(authority) = security {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls_config(authority)?)));
        }
        let (requests, mut events) = AsyncClient::new(options, WINDOW);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
        Ok(Self { requests, events })
    }

    /// Publishes one at a time, and returns how long each took until it was acknowledged.
    pub(crate) async fn latencies(&mut self, count: u32) -> Result<Vec<Duration>, Error> {
        let mut latencies = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let start = Instant::now();
            self.publish(QoS::AtLeastOnce)?;
            self.await_one(QoS::AtLeastOnce).await?;
            latencies.push(start.elapsed());
        }
        Ok(latencies)
    }

    /// As [`crate::direct_client::Client::publish_all`]. A message of quality of service 0 counts as under way until it
    /// is written.
    pub(crate) async fn publish_all(&mut self, count: u32, qos: u8) -> Result<Duration, Error> {
        let start = Instant::now();
        let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let (mut sent, mut done) = (0, 0);
        while done < count - 1 {
            while sent < count - 1 && sent - done < WINDOW as u32 {
                self.publish(qos)?;
                sent += 1;
            }
            self.await_one(qos).await?;
            done += 1;
        }
        self.publish(QoS::AtLeastOnce)?;
        self.await_one(QoS::AtLeastOnce).await?;
        Ok(start.elapsed())
    }

    fn publish(&mut self, qos: QoS) -> Result<(), Error> {
        Ok(self.requests.try_publish(TOPIC, qos, false, [b'0'; PAYLOAD])?)
    }

    /// Runs the event loop until a message is acknowledged, or with quality of service 0 written.
    async fn await_one(&mut self, qos: QoS) -> Result<(), Error> {
        loop {
            match (self.events.poll().await?, qos) {
                (Event::Incoming(Packet::PubAck(_)), QoS::AtLeastOnce)
                | (Event::Outgoing(Outgoing::Publish(_)), QoS::AtMostOnce) => return Ok(()),
                _ => {}
            }
        }
    }
}
