//! One client's connection, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::accepted_client::AcceptedClient;
use super::codec::{
    self, CONNECTION_REFUSED_IDENTIFIER, CONNECTION_REFUSED_VERSION, Connect, ConnectError, Framer, Incoming,
    Packet, ProtocolError, Publish, Version, kind, reason,
};
use super::hub::{Message, Registration, Subscription};
use super::{Event, Shared, filter};

/// How long a connection may take to send CONNECT, and a client to take bytes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection that has ended is kept open for its last bytes.
const LINGER: Duration = Duration::from_secs(1);
const READ_BUFFER: usize = 16 * 1024;
const PINGRESP: [u8; 2] = [0xd0, 0];

/// Why a connection ends.
enum End {
    /// The client closed it, or sent DISCONNECT.
    Closed,
    /// It is ended by the broker, for this reason.
    Refused(&'static str),
    /// Another connection has the same client id.
    Replaced,
}

type Step = Result<(), End>;

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    framer: Framer,
    /// Bytes to be written before anything else happens.
    out: Vec<u8>,
    /// When the client has been silent for too long.
    silence: Option<Instant>,
    /// How long it may be silent; `None` without keepalive.
    keep_alive: Option<Duration>,
    client: Option<AcceptedClient>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Packets are small and answers expected at once; a failure costs only latency.
    let _ = stream.set_nodelay(true);
    let silence = Some(Instant::now() + PATIENCE);
    let (framer, out) = (Framer::default(), Vec::new());
    let mut connection = Connection { shared, stream, framer, out, silence, keep_alive: None, client: None };
    let mut buffer = vec![0; READ_BUFFER];
    let end = loop {
        if let Err(end) = connection.process_next(&mut buffer).await {
            break end;
        }
    };
    // The client is unregistered, and its will published, before the last bytes are sent.
    drop(connection.client.take());
    if let End::Refused(why) = end {
        (connection.shared.watch)(Event::Refused { why: why.to_owned() });
    }
    let _ = timeout(LINGER, connection.close(&mut buffer)).await;
}

impl Connection {
    /// Waits for the next event, processes it, and writes the answer.
    async fn process_next(&mut self, buffer: &mut [u8]) -> Step {
        let silence = self.silence;
        tokio::select! {
            read = self.stream.read(buffer) => match read {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(length) => self.receive(&buffer[..length])?,
            },
            order = next_order(&mut self.client) => self.follow(order)?,
            () = sleep_until(silence.unwrap_or_else(Instant::now)), if silence.is_some() => {
                return Err(self.end(reason::KEEP_ALIVE_TIMEOUT, "silent for too long"));
            }
        }
        timeout(PATIENCE, self.flush()).await.map_err(|_| End::Refused("takes no bytes"))?
    }

    /// Sends what is left and waits for the client to close. Closing while bytes of the client are unread would reset
    /// the connection, and the reason just sent would be lost with it.
    async fn close(&mut self, buffer: &mut [u8]) {
        if self.flush().await.is_ok() && self.stream.shutdown().await.is_ok() {
            while self.stream.read(buffer).await.is_ok_and(|length| length > 0) {}
        }
    }

    async fn flush(&mut self) -> Step {
        let bytes = std::mem::take(&mut self.out);
        self.stream.write_all(&bytes).await.map_err(|_| End::Closed)
    }

    fn receive(&mut self, bytes: &[u8]) -> Step {
        self.framer.push(bytes);
        while let Some(packet) = self.framer.next().map_err(|fault| self.fault(fault))? {
            self.take(&packet)?;
            self.silence = self.keep_alive.map(|limit| Instant::now() + limit);
        }
        Ok(())
    }

    /// Ends the connection; version 5 is sent the reason.
    fn end(&mut self, code: u8, why: &'static str) -> End {
        if self.client.as_ref().is_some_and(|client| client.state.version == Version::V5) {
            self.out.extend(codec::disconnect(code));
        }
        End::Refused(why)
    }

    fn fault(&mut self, fault: ProtocolError) -> End {
        self.end(fault.code, fault.why)
    }

    fn take(&mut self, packet: &Packet) -> Step {
        let Some(client) = &self.client else {
            return match codec::connect(packet) {
                Ok(connect) => self.connect(connect),
                Err(fault) => Err(self.refuse(&fault)),
            };
        };
        let incoming = codec::packet(client.state.version, packet).map_err(|fault| self.fault(fault))?;
        self.act(incoming)
    }

    fn refuse(&mut self, refused: &ConnectError) -> End {
        match refused.answer {
            Some(Version::V3) => self.out.extend(codec::refusal(Version::V3, CONNECTION_REFUSED_VERSION)),
            Some(Version::V5) => self.out.extend(codec::refusal(Version::V5, refused.fault.code)),
            None => {}
        }
        End::Refused(refused.fault.why)
    }

    fn connect(&mut self, mut connect: Connect) -> Step {
        let version = connect.version;
        let is_anonymous = connect.client.is_empty();
        if is_anonymous && version == Version::V3 && !connect.clean {
            self.out.extend(codec::refusal(Version::V3, CONNECTION_REFUSED_IDENTIFIER)); // M31, MQTT-3.1.3-8
            return Err(End::Refused("an empty client id in a client that is to last"));
        }
        let client = if is_anonymous { self.made_up_id() } else { std::mem::take(&mut connect.client) };
        // A client may be silent for one and a half times the keepalive (MQTT-3.1.2-22).
        let keep_alive = connect.keep_alive;
        self.keep_alive = (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500));
        let connack = codec::connack(&connect, is_anonymous.then_some(client.as_str()));
        if connack.len() > connect.maximum_packet_size as usize {
            return Err(End::Refused("takes no packet as large as CONNACK")); // MQTT-3.1.2-24
        }
        self.out.extend(connack);
        self.client = Some(AcceptedClient::new(self.shared.clone(), client, connect));
        Ok(())
    }

    fn made_up_id(&self) -> String {
        self.stream
            .peer_addr()
            .map_or_else(|_| "anonymous".into(), |peer| format!("anonymous-{}", peer.port()))
    }

    fn client(&mut self) -> Result<&mut AcceptedClient, End> {
        self.client.as_mut().ok_or(End::Refused("no CONNECT yet"))
    }

    fn act(&mut self, incoming: Incoming) -> Step {
        match incoming {
            Incoming::Publish(publish) => self.publish(publish),
            Incoming::Puback { id } => {
                self.client()?.state.release_id(id);
                Ok(())
            }
            Incoming::Pubrec { id, code } => self.pubrec(id, code),
            Incoming::Pubrel { id } => {
                let is_known = self.client()?.state.complete(id);
                let code = if is_known { reason::SUCCESS } else { reason::PACKET_IDENTIFIER_NOT_FOUND };
                self.acknowledge(kind::PUBCOMP, id, code)
            }
            Incoming::Pubcomp { id } => self.not_in_flight(id),
            Incoming::Subscribe { id, wanted } => self.subscribe(id, wanted),
            Incoming::Unsubscribe { id, filters } => self.unsubscribe(id, &filters),
            Incoming::Pingreq => {
                self.out.extend(PINGRESP);
                Ok(())
            }
            Incoming::Disconnect { code, sets_session_expiry } => {
                let noted = self.client()?.disconnect(code, sets_session_expiry);
                Err(noted.map_or_else(|fault| self.fault(fault), |()| End::Closed))
            }
        }
    }

    fn acknowledge(&mut self, kind: u8, id: u16, code: u8) -> Step {
        let version = self.client()?.state.version;
        self.out.extend(codec::acknowledgement(version, kind, id, code));
        Ok(())
    }

    fn publish(&mut self, mut publish: Publish) -> Step {
        let client = self.client()?;
        let (qos, id) = (publish.qos, publish.id);
        let taken = client
            .state
            .resolve_alias(&mut publish)
            .and_then(|()| if qos == 2 { client.state.receive_exactly_once(id) } else { Ok(true) });
        // A QoS 2 message sent again is acknowledged again, but published once (MQTT-4.3.3).
        if taken.map_err(|fault| self.fault(fault))? {
            let client = self.client()?.id.clone();
            self.shared.hub().publish(&client, &publish.message);
            (self.shared.watch)(Event::Published { client, message: publish.message });
        }
        match qos {
            0 => Ok(()),
            1 => self.acknowledge(kind::PUBACK, id, reason::SUCCESS),
            _ => self.acknowledge(kind::PUBREC, id, reason::SUCCESS),
        }
    }

    /// Nothing is sent with QoS 2, so a PUBREC can only belong to an earlier connection. It is answered, so that the
    /// client can complete its exchange (MQTT-4.3.3-4).
    fn pubrec(&mut self, id: u16, code: u8) -> Step {
        self.not_in_flight(id)?;
        if code >= reason::UNSPECIFIED_ERROR {
            return Ok(());
        }
        self.acknowledge(kind::PUBREL, id, reason::PACKET_IDENTIFIER_NOT_FOUND)
    }

    /// A QoS 1 message has one acknowledgement, PUBACK (MQTT-4.3.2-3).
    fn not_in_flight(&mut self, id: u16) -> Step {
        if self.client()?.state.is_in_flight(id) {
            return Err(self.fault(ProtocolError::protocol("a QoS 2 acknowledgement of a QoS 1 message")));
        }
        Ok(())
    }

    fn subscribe(&mut self, id: u16, wanted: Vec<Subscription>) -> Step {
        let codes: Vec<u8> =
            wanted.into_iter().map(|wanted| self.subscribe_one(wanted)).collect::<Result<_, _>>()?;
        let version = self.client()?.state.version;
        self.answer(&codec::suback(version, id, &codes))
    }

    /// The granted QoS, or why not.
    fn subscribe_one(&mut self, wanted: Subscription) -> Result<u8, End> {
        // Declared in CONNACK; 3.1.1 clients cannot read that.
        if wanted.filter.starts_with(filter::SHARED) {
            return Ok(reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        let client = self.client()?.id.clone();
        let (qos, filter) = (wanted.qos, wanted.filter.clone());
        if !self.shared.hub().subscribe(&client, wanted) {
            return Ok(reason::QUOTA_EXCEEDED);
        }
        (self.shared.watch)(Event::Subscribed { client, filter });
        Ok(qos)
    }

    fn unsubscribe(&mut self, id: u16, filters: &[String]) -> Step {
        let AcceptedClient { id: client, state, .. } = self.client.as_ref().ok_or(End::Closed)?;
        let version = state.version;
        let mut hub = self.shared.hub();
        let mut code = |filter: &String| {
            let existed = hub.unsubscribe(client, filter);
            if existed { reason::SUCCESS } else { reason::NO_SUBSCRIPTION_EXISTED }
        };
        let codes: Vec<u8> = filters.iter().map(&mut code).collect();
        // The lock is released before the answer is written: other connections publish by it.
        drop(hub);
        self.answer(&codec::unsuback(version, id, &codes))
    }

    /// Sends an answer that grows with the request. One that is larger than the client takes must not be sent
    /// (MQTT-3.1.2-24), so the connection ends.
    fn answer(&mut self, packet: &[u8]) -> Step {
        if packet.len() > self.client()?.state.maximum_packet_size as usize {
            return Err(self.end(reason::PACKET_TOO_LARGE, "an answer larger than it takes"));
        }
        self.out.extend_from_slice(packet);
        Ok(())
    }

    fn follow(&mut self, order: Order) -> Step {
        match order {
            Order::Deliver(message) => self.deliver(&message),
            Order::TooSlow => Err(self.end(reason::QUOTA_EXCEEDED, "more messages waiting than it takes")),
            Order::GiveWay => {
                if self.client()?.state.version == Version::V5 {
                    self.out.extend(codec::disconnect(reason::SESSION_TAKEN_OVER));
                }
                Err(End::Replaced)
            }
        }
    }

    /// Sends a message, unless it has expired or the client takes no packet of its size: then it counts as sent
    /// (MQTT-3.1.2-25).
    fn deliver(&mut self, message: &Message) -> Step {
        let client = self.client()?;
        let id = (message.qos > 0).then(|| client.state.assign_id());
        let fits = |packet: &Vec<u8>| packet.len() <= client.state.maximum_packet_size as usize;
        match codec::publish(client.state.version, message, id).filter(fits) {
            Some(packet) => self.out.extend(packet),
            None => id.into_iter().for_each(|id| client.state.release_id(id)),
        }
        Ok(())
    }
}

/// What the hub wants of a connection.
enum Order {
    Deliver(Message),
    GiveWay,
    TooSlow,
}

/// The next order, once there is a client. Messages wait while the client has acknowledged too little.
async fn next_order(client: &mut Option<AcceptedClient>) -> Order {
    let Some(client) = client else { return std::future::pending().await };
    let may_deliver = client.state.may_deliver();
    let Registration { lost, messages, .. } = &mut client.registration;
    tokio::select! {
        lost = lost => match lost {
            Ok(()) => Order::GiveWay,
            Err(_) => Order::TooSlow,
        },
        Some(message) = messages.next(), if may_deliver => Order::Deliver(message),
    }
}
