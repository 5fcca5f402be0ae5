//! One client's connection, from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, Event as Happening, TimerKind};
use mqtt_protocol_core::mqtt::packet::Packet;
use mqtt_protocol_core::mqtt::{Connection as Protocol, Version as AnyVersion, role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::hub::{Message, Seat, Subscription};
use super::packets::{self, Connect, Incoming, Verdict, Version};
use super::{Event, MAX_IN_FLIGHT, MAX_PACKET, Shared, filter};

/// How long a connection may take to say CONNECT, and a client to take bytes off our hands.
const PATIENCE: Duration = Duration::from_secs(10);
const READ_BUFFER: usize = 16 * 1024;

/// Why a connection ends.
enum End {
    /// DISCONNECT, or a takeover: no will.
    Clean,
    /// Anything else, with what was wrong if the client is to blame.
    Broken(Option<String>),
}

type Step = Result<(), End>;

fn to_blame(why: impl std::fmt::Debug) -> End {
    End::Broken(Some(format!("{why:?}")))
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    protocol: Protocol<role::Server>,
    /// Bytes to be written before anything else happens.
    out: Vec<u8>,
    /// When the client has been silent for too long.
    silence: Option<Instant>,
    in_flight: u16,
    closing: bool,
    session: Option<Session>,
}

/// What exists once CONNECT was accepted.
struct Session {
    client: String,
    seat: Seat,
    version: Version,
    will: Option<Message>,
}

/// Serves one connection until it ends.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let options =
        ConnectionOptions::new().maximum_packet_size_recv(MAX_PACKET).receive_maximum(MAX_IN_FLIGHT);
    let mut protocol = Protocol::with_options(AnyVersion::Undetermined, options);
    protocol.set_auto_pub_response(true);
    protocol.set_auto_ping_response(true);
    let silence = Some(Instant::now() + PATIENCE);
    let (out, session) = (Vec::new(), None);
    let mut connection =
        Connection { shared, stream, protocol, out, silence, in_flight: 0, closing: false, session };
    let end = connection.work().await;
    let _ = timeout(PATIENCE, connection.flush()).await;
    connection.leave(&end);
}

impl Connection {
    async fn work(&mut self) -> End {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            if let Err(end) = self.turn(&mut buffer).await {
                return end;
            }
        }
    }

    /// Waits for the one next thing, acts on it, and writes what that gave.
    async fn turn(&mut self, buffer: &mut [u8]) -> Step {
        let silence = self.silence;
        let may_deliver = self.has_room();
        tokio::select! {
            read = self.stream.read(buffer) => match read {
                Ok(0) | Err(_) => return Err(End::Broken(None)),
                Ok(length) => self.receive(&buffer[..length])?,
            },
            order = next_order(&mut self.session, may_deliver) => match order {
                Order::Deliver(message) => self.deliver(message)?,
                Order::GiveWay => self.give_way()?,
                Order::TooSlow => return Err(to_blame("more messages waiting than it takes")),
            },
            () = sleep_until(silence.unwrap_or_else(Instant::now)), if silence.is_some() => self.silent()?,
        }
        timeout(PATIENCE, self.flush()).await.map_err(|_| End::Broken(Some("takes no bytes".into())))?
    }

    /// Whether the client may be sent another message that it has to acknowledge.
    fn has_room(&self) -> bool {
        let own_limit = self.protocol.get_receive_maximum_vacancy_for_send();
        self.in_flight < MAX_IN_FLIGHT && own_limit.is_none_or(|vacancy| vacancy > 0)
    }

    async fn flush(&mut self) -> Step {
        let bytes = std::mem::take(&mut self.out);
        self.stream.write_all(&bytes).await.map_err(|_| End::Broken(None))
    }

    fn receive(&mut self, bytes: &[u8]) -> Step {
        let mut cursor = Cursor::new(bytes);
        while (cursor.position() as usize) < bytes.len() {
            let happenings = self.protocol.recv(&mut cursor);
            self.take(happenings)?;
        }
        Ok(())
    }

    fn silent(&mut self) -> Step {
        if self.session.is_some() {
            let happenings = self.protocol.notify_timer_fired(TimerKind::PingreqRecv);
            self.take(happenings)?;
        }
        Err(End::Broken(Some("silent for too long".into())))
    }

    fn send(&mut self, packet: Packet) -> Step {
        let happenings = self.protocol.send(packet);
        self.take(happenings)
    }

    /// Acts on what the protocol library says has happened.
    fn take(&mut self, happenings: Vec<Happening>) -> Step {
        for happening in happenings {
            match happening {
                Happening::NotifyPacketReceived(packet) => self.act(packets::read(&packet))?,
                Happening::RequestSendPacket { packet, .. } => self.out.extend(packets::bytes(&packet)),
                Happening::NotifyPacketIdReleased(_) => self.in_flight = self.in_flight.saturating_sub(1),
                Happening::RequestTimerReset { kind: TimerKind::PingreqRecv, duration_ms } => {
                    self.silence = Some(Instant::now() + Duration::from_millis(duration_ms));
                }
                Happening::RequestTimerCancel(TimerKind::PingreqRecv) => self.silence = None,
                Happening::RequestTimerReset { .. } | Happening::RequestTimerCancel(_) => {}
                Happening::NotifyError(error) => return Err(to_blame(error)),
                Happening::RequestClose => self.closing = true,
            }
        }
        if self.closing { Err(End::Broken(None)) } else { Ok(()) }
    }

    fn act(&mut self, incoming: Incoming) -> Step {
        match incoming {
            Incoming::Connect(connect) => self.connect(connect),
            Incoming::Publish(message) => self.publish(message),
            Incoming::Subscribe { id, wanted } => self.subscribe(id, wanted),
            Incoming::Unsubscribe { id, filters } => self.unsubscribe(id, &filters),
            Incoming::Disconnect { keep_will: true } => Err(End::Broken(None)),
            Incoming::Disconnect { keep_will: false } => Err(End::Clean),
            Incoming::Other => Ok(()),
        }
    }

    fn connect(&mut self, connect: Connect) -> Step {
        let version = connect.version;
        let anonymous = connect.client.is_empty();
        if anonymous && version == Version::V3 && !connect.clean {
            self.send(packets::identifier_rejected().map_err(to_blame)?)?;
            return Err(to_blame("an empty client id in a session that is to last"));
        }
        let client = if anonymous { self.made_up_id() } else { connect.client };
        let seat = self.shared.hub().enter(&client);
        let connack = packets::connack(version, anonymous.then_some(client.as_str())).map_err(to_blame)?;
        (self.shared.watch)(Event::Connected { client: client.clone(), version: version.name() });
        self.session = Some(Session { client, seat, version, will: connect.will });
        if connect.keep_alive == 0 {
            self.silence = None;
        }
        self.send(connack)
    }

    fn made_up_id(&self) -> String {
        self.stream
            .peer_addr()
            .map_or_else(|_| "anonymous".into(), |peer| format!("anonymous-{}", peer.port()))
    }

    fn session(&self) -> Result<&Session, End> {
        self.session.as_ref().ok_or_else(|| to_blame("no CONNECT yet"))
    }

    fn publish(&mut self, message: Message) -> Step {
        if !filter::is_topic(&message.topic) {
            return Err(to_blame("a topic name that is empty or holds a wildcard"));
        }
        let client = self.session()?.client.clone();
        self.shared.hub().publish(&client, &message);
        (self.shared.watch)(Event::Published { client, message });
        Ok(())
    }

    fn subscribe(&mut self, id: u16, wanted: Vec<Subscription>) -> Step {
        let Session { client, version, .. } = self.session()?;
        let verdicts: Vec<_> = wanted.into_iter().map(|wanted| self.subscribe_one(client, wanted)).collect();
        let suback = packets::suback(*version, id, &verdicts).map_err(to_blame)?;
        self.send(suback)
    }

    fn subscribe_one(&self, client: &str, wanted: Subscription) -> Verdict {
        if wanted.filter.starts_with("$share/") {
            return Verdict::Shared;
        }
        if !filter::is_valid(&wanted.filter) {
            return Verdict::Invalid;
        }
        let (qos, filter) = (wanted.qos, wanted.filter.clone());
        if !self.shared.hub().subscribe(client, wanted) {
            return Verdict::TooMany;
        }
        (self.shared.watch)(Event::Subscribed { client: client.to_owned(), filter });
        Verdict::Granted(qos)
    }

    fn unsubscribe(&mut self, id: u16, filters: &[String]) -> Step {
        let Session { client, version, .. } = self.session()?;
        let verdict = |known: bool| if known { Verdict::Granted(0) } else { Verdict::Unknown };
        let mut hub = self.shared.hub();
        let verdicts: Vec<_> =
            filters.iter().map(|filter| verdict(hub.unsubscribe(client, filter))).collect();
        drop(hub);
        let unsuback = packets::unsuback(*version, id, &verdicts).map_err(to_blame)?;
        self.send(unsuback)
    }

    /// Ends the connection in favour of another with the same client id.
    fn give_way(&mut self) -> Step {
        if self.session()?.version == Version::V5 {
            self.send(packets::taken_over().map_err(to_blame)?)?;
        }
        Err(End::Clean)
    }

    fn deliver(&mut self, message: Message) -> Step {
        let version = self.session()?.version;
        let id = match message.qos {
            0 => None,
            _ => Some(self.protocol.acquire_packet_id().map_err(to_blame)?),
        };
        self.in_flight += u16::from(id.is_some());
        let publish = packets::publish(version, message, id).map_err(to_blame)?;
        self.send(publish)
    }

    /// Takes the client out and, unless it said goodbye, sends its will (M37).
    fn leave(self, end: &End) {
        if let End::Broken(Some(why)) = end {
            (self.shared.watch)(Event::Refused { why: why.clone() });
        }
        let Some(Session { client, seat, will, .. }) = self.session else { return };
        let clean = matches!(end, End::Clean);
        self.shared.hub().leave(&client, seat.number);
        if let Some(message) = will.filter(|will| !clean && filter::is_topic(&will.topic)) {
            self.shared.hub().publish(&client, &message);
            (self.shared.watch)(Event::Published { client: client.clone(), message });
        }
        (self.shared.watch)(Event::Disconnected { client, clean });
    }
}

/// What the hub wants of a connection.
enum Order {
    Deliver(Message),
    GiveWay,
    TooSlow,
}

/// The next order, once there is a session. Messages wait while the client has acknowledged too little.
async fn next_order(session: &mut Option<Session>, may_deliver: bool) -> Order {
    let Some(Session { seat, .. }) = session else { return std::future::pending().await };
    tokio::select! {
        lost = &mut seat.lost => match lost {
            Ok(()) => Order::GiveWay,
            Err(_) => Order::TooSlow,
        },
        Some(message) = seat.messages.recv(), if may_deliver => Order::Deliver(message),
    }
}
