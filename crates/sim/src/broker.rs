//! A model broker: both versions, persistent sessions, QoS 1 both ways. It works correctly; its connections do not.

use std::collections::{BTreeMap, VecDeque};

use crate::ledger::{Ledger, Message};
use crate::packet::{Reader, next, packet, text};

/// What the broker does to a connection.
#[derive(Debug)]
pub enum Action {
    /// Sends these bytes.
    Send(u32, Vec<u8>),
    /// Ends it.
    Close(u32),
}

/// One connection.
#[derive(Default)]
struct Client {
    buffer: Vec<u8>,
    version5: bool,
    /// The client id, once CONNECT was received.
    id: Option<String>,
    aliases: BTreeMap<u16, String>,
}

#[derive(Default)]
struct MqttSession {
    /// Its connection.
    client: Option<u32>,
    persistent: bool,
    filters: Vec<String>,
    queue: VecDeque<Delivery>,
    in_flight: Vec<(u16, Delivery)>,
    next_id: u16,
    receive_maximum: usize,
}

#[derive(Clone)]
struct Delivery {
    serial: u64,
    topic: String,
    payload: Vec<u8>,
}

/// The broker of all devices.
#[derive(Default)]
pub struct Broker {
    clients: BTreeMap<u32, Client>,
    sessions: BTreeMap<String, MqttSession>,
    actions: VecDeque<Action>,
    /// Topic aliases a client of version 5 may use.
    aliases: u16,
}

impl Broker {
    /// A broker that offers this many topic aliases.
    pub fn new(aliases: u16) -> Self {
        Self { aliases, ..Self::default() }
    }

    /// The next action.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// A connection was accepted.
    pub fn connected(&mut self, connection: u32) {
        self.clients.insert(connection, Client::default());
    }

    /// A connection has ended, from either side.
    pub fn disconnected(&mut self, connection: u32) {
        let Some(id) = self.clients.remove(&connection).and_then(|client| client.id) else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // An older connection that ends late: the session belongs to a newer one.
        if session.client != Some(connection) {
            return;
        }
        session.client = None;
        if !session.persistent {
            self.sessions.remove(&id);
        }
    }

    /// Restarts: all connections end, persistent sessions remain.
    pub fn restart(&mut self) {
        for connection in self.clients.keys().copied().collect::<Vec<_>>() {
            self.end(connection);
        }
    }

    /// Messages that are not acknowledged, or wait for their client.
    pub fn waiting(&self) -> Vec<u64> {
        let sessions = self.sessions.values().filter(|session| session.persistent);
        let waiting = sessions.flat_map(|session| {
            let in_flight = session.in_flight.iter().map(|(_, delivery)| delivery.serial);
            in_flight.chain(session.queue.iter().map(|delivery| delivery.serial))
        });
        waiting.collect()
    }

    /// Bytes from a connection.
    pub fn receive(&mut self, connection: u32, bytes: &[u8], ledger: &mut Ledger) {
        let Some(client) = self.clients.get_mut(&connection) else { return };
        client.buffer.extend_from_slice(bytes);
        while let Some((first, body)) = self.clients.get_mut(&connection).and_then(|c| next(&mut c.buffer)) {
            self.packet(connection, first, &body, ledger);
        }
    }

    /// Publishes to a topic of one device, as another client would. Returns how many sessions receive it.
    pub fn publish(
        &mut self,
        device: usize,
        topic: &str,
        length: usize,
        qos: u8,
        ledger: &mut Ledger,
    ) -> usize {
        let matches =
            |session: &&mut MqttSession| session.filters.iter().any(|filter| is_match(filter, topic));
        let mut taken = 0;
        let mut direct = Vec::new();
        for session in self.sessions.values_mut().filter(matches) {
            let serial = ledger.serial();
            let payload = Ledger::payload(device, serial, length);
            let size = payload.len() + topic.len();
            ledger.messages.insert(serial, Message { device, size, read: 0, acknowledged: false });
            taken += 1;
            if qos > 0 {
                session.queue.push_back(Delivery { serial, topic: topic.to_owned(), payload });
            } else if let Some(connection) = session.client {
                direct.push((connection, payload));
            }
        }
        for (connection, payload) in direct {
            let properties: &[u8] = if self.clients[&connection].version5 { &[0] } else { &[] };
            self.send(connection, packet(0x30, &[&text(topic), properties, &payload]));
        }
        self.push();
        taken
    }

    fn packet(&mut self, connection: u32, first: u8, body: &[u8], ledger: &mut Ledger) {
        let is_connected = self.clients[&connection].id.is_some();
        assert_eq!(is_connected, first >> 4 != 1, "MQTT: CONNECT comes first, and once");
        let mut body = Reader(body);
        match first {
            0x10 => self.connect(connection, &mut body),
            0x30..=0x3f => self.published(connection, first, &mut body, ledger),
            0x40 => self.acknowledged(connection, &mut body, ledger),
            0x82 => self.subscribe(connection, &mut body),
            0xa2 => self.unsubscribe(connection, &mut body),
            0xc0 => self.send(connection, vec![0xd0, 0]),
            0xe0 => self.end(connection),
            _ => panic!("MQTT: the relay has no reason to send packet {first:#x}"),
        }
        // An acknowledgement may have made room in a window, or a client may have found a session with messages.
        self.push();
    }

    fn connect(&mut self, connection: u32, body: &mut Reader<'_>) {
        assert_eq!(body.text(), "MQTT");
        let version5 = body.u8() == 5;
        let flags = body.u8();
        let _keepalive = body.u16();
        let properties = if version5 { body.properties() } else { Vec::new() };
        let find = |wanted| properties.iter().find(|(id, _)| *id == wanted).map(|(_, value)| *value);
        let id = body.text();
        let clean = flags & 2 != 0;
        // Session Expiry Interval on version 5; on 3.1.1 the session persists unless it starts clean.
        let persistent = if version5 { find(0x11).unwrap_or(0) > 0 } else { !clean };
        self.take_over(&id, clean);
        let known = self.sessions.contains_key(&id);
        let session = self.sessions.entry(id.clone()).or_default();
        session.client = Some(connection);
        session.persistent = persistent;
        // Receive Maximum; 3.1.1 has none, and TCP alone holds the broker back.
        session.receive_maximum = find(0x21).unwrap_or(20).min(20) as usize;
        let client = self.clients.get_mut(&connection).expect("it sent this");
        (client.version5, client.id) = (version5, Some(id.clone()));
        let alias: &[u8] = if self.aliases > 0 { &[3, 0x22, 0, self.aliases as u8] } else { &[0] };
        self.send(connection, packet(0x20, &[&[u8::from(known), 0], if version5 { alias } else { &[] }]));
        self.deliver_again(connection, &id);
    }

    /// What was sent and not acknowledged is sent again, in its order.
    fn deliver_again(&mut self, connection: u32, id: &str) {
        for (packet_id, delivery) in self.sessions[id].in_flight.clone() {
            self.deliver(connection, packet_id, &delivery, 0x3a);
        }
    }

    /// A client that connects again ends its older connection, and with a clean start its session too.
    fn take_over(&mut self, id: &str, clean: bool) {
        if let Some(older) = self.sessions.get_mut(id).and_then(|session| session.client.take()) {
            if self.clients[&older].version5 {
                // DISCONNECT with *session taken over*; 3.1.1 has no DISCONNECT from a broker.
                self.send(older, vec![0xe0, 1, 0x8e]);
            }
            self.end(older);
        }
        if clean {
            self.sessions.remove(id);
        }
    }

    fn published(&mut self, connection: u32, first: u8, body: &mut Reader<'_>, ledger: &mut Ledger) {
        let mut topic = body.text();
        let qos = first >> 1 & 3;
        assert!(qos < 2, "MQTT: no QoS 2 is offered");
        let packet_id = (qos > 0).then(|| body.u16());
        let client = self.clients.get_mut(&connection).expect("it sent this");
        let properties = if client.version5 { body.properties() } else { Vec::new() };
        if let Some((_, alias)) = properties.iter().find(|(id, _)| *id == 0x23) {
            let alias = *alias as u16;
            assert!((1..=self.aliases).contains(&alias), "MQTT: an alias beyond the maximum");
            if topic.is_empty() {
                topic.clone_from(client.aliases.get(&alias).expect("MQTT: an alias never given"));
            } else {
                client.aliases.insert(alias, topic.clone());
            }
        }
        let (device, serial) = Ledger::read(body.0);
        let publish = ledger.publishes.get_mut(&serial).expect("a publish that was made");
        assert_eq!((publish.device, publish.qos), (device, qos), "publish {serial} changed on its way");
        assert!(topic.starts_with(&format!("d{device}/out/")), "publish {serial} to {topic:?}");
        publish.arrived += 1;
        if let Some(packet_id) = packet_id {
            self.send(connection, packet(0x40, &[&packet_id.to_be_bytes()]));
        }
    }

    /// Only what the application has acknowledged, or could never have taken, is acknowledged to the broker; otherwise
    /// a message would be lost with a device that fails in between (D48).
    fn acknowledged(&mut self, connection: u32, body: &mut Reader<'_>, ledger: &Ledger) {
        let packet_id = body.u16();
        let session = self.session(connection);
        let (first, delivery) = session.in_flight.first().expect("MQTT: an acknowledgement of nothing");
        assert_eq!(
            *first, packet_id,
            "MQTT: acknowledgements come in the order of the messages (MQTT-4.6.0-2)"
        );
        let message = &ledger.messages[&delivery.serial];
        let fits = message.size <= crate::application::RING as usize;
        assert!(
            message.acknowledged || !fits,
            "message {} was not acknowledged by its application",
            delivery.serial
        );
        session.in_flight.remove(0);
    }

    fn subscribe(&mut self, connection: u32, body: &mut Reader<'_>) {
        let version5 = self.clients[&connection].version5;
        let packet_id = body.u16();
        if version5 {
            body.properties();
        }
        let mut codes = Vec::new();
        while !body.0.is_empty() {
            let filter = body.text();
            codes.push(body.u8() & 3);
            let session = self.session(connection);
            // Another subscription with the same filter replaces the first (MQTT-3.8.4-3).
            session.filters.retain(|known| *known != filter);
            session.filters.push(filter);
        }
        let properties: &[u8] = if version5 { &[0] } else { &[] };
        self.send(connection, packet(0x90, &[&packet_id.to_be_bytes(), properties, &codes]));
    }

    fn unsubscribe(&mut self, connection: u32, body: &mut Reader<'_>) {
        let version5 = self.clients[&connection].version5;
        let packet_id = body.u16();
        if version5 {
            body.properties();
        }
        let mut codes = Vec::new();
        while !body.0.is_empty() {
            let filter = body.text();
            self.session(connection).filters.retain(|known| *known != filter);
            codes.push(0);
        }
        let rest = if version5 { [vec![0], codes].concat() } else { Vec::new() };
        self.send(connection, packet(0xb0, &[&packet_id.to_be_bytes(), &rest]));
    }

    fn session(&mut self, connection: u32) -> &mut MqttSession {
        let id = self.clients[&connection].id.as_ref().expect("CONNECT is the first packet");
        self.sessions.get_mut(id).expect("a connected client has a session")
    }

    /// Sends what the sessions' windows allow.
    fn push(&mut self) {
        let mut ready = Vec::new();
        for session in self.sessions.values_mut() {
            let Some(connection) = session.client else { continue };
            while session.in_flight.len() < session.receive_maximum
                && let Some(delivery) = session.queue.pop_front()
            {
                // 0 is no packet identifier.
                session.next_id = session.next_id % 0xffff + 1;
                session.in_flight.push((session.next_id, delivery.clone()));
                ready.push((connection, session.next_id, delivery));
            }
        }
        for (connection, packet_id, delivery) in ready {
            self.deliver(connection, packet_id, &delivery, 0x32);
        }
    }

    fn deliver(&mut self, connection: u32, packet_id: u16, delivery: &Delivery, first: u8) {
        let properties: &[u8] = if self.clients[&connection].version5 { &[0] } else { &[] };
        let parts = [&text(&delivery.topic)[..], &packet_id.to_be_bytes(), properties, &delivery.payload];
        self.send(connection, packet(first, &parts));
    }

    fn send(&mut self, connection: u32, bytes: Vec<u8>) {
        self.actions.push_back(Action::Send(connection, bytes));
    }

    fn end(&mut self, connection: u32) {
        self.actions.push_back(Action::Close(connection));
        self.disconnected(connection);
    }
}

/// Filters of the simulation are topics, or end in `/#`.
fn is_match(filter: &str, topic: &str) -> bool {
    filter.strip_suffix('#').map_or(filter == topic, |start| topic.starts_with(start))
}
