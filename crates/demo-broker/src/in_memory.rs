//! The broker without sockets, tasks and clocks: bytes in, actions out. For tests of applications in virtual time.
//!
//! It speaks the same MQTT as the broker with sockets, by the same codec. It differs in what needs a clock: a keepalive
//! never expires, and neither does a message. The order of everything is that of its calls, so that equal calls have
//! equal results.

use std::collections::{BTreeMap, VecDeque};

use super::client_state::ClientState;
use super::codec::{
    self, CONNECTION_REFUSED_IDENTIFIER, CONNECTION_REFUSED_VERSION, Connect, Framer, Incoming, Packet,
    ProtocolError, Publish, Version, kind, reason,
};
use super::hub::{self, Message, Subscription};
use super::requirements::Requirements;
use super::{Event, MAX_RETAINED, MAX_RETAINED_BYTES, MAX_SUBSCRIPTIONS, MAX_WAITING, filter};

const PINGRESP: [u8; 2] = [0xd0, 0];

/// What the broker does, in the order in which it does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends bytes on a connection.
    Send(u32, Vec<u8>),
    /// Closes a connection, once everything before is sent.
    Close(u32),
    /// Something to report.
    Report(Event),
}

/// A broker whose connections are numbered by its driver.
#[derive(Default)]
pub struct InMemoryBroker {
    connections: BTreeMap<u32, Connection>,
    retained: BTreeMap<String, Message>,
    requirements: Requirements,
    actions: VecDeque<Action>,
}

#[derive(Default)]
struct Connection {
    framer: Framer,
    client: Option<Client>,
}

/// A client whose CONNECT was accepted.
struct Client {
    id: String,
    state: ClientState,
    will: Option<Message>,
    is_clean: bool,
    subscriptions: Vec<Subscription>,
    waiting: VecDeque<Message>,
}

/// Why a connection ends: the code for a client of version 5, if it is sent one, and the reason to report.
enum End {
    Closed,
    Refused(Option<u8>, &'static str),
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        Self::Refused(Some(error.code), error.why)
    }
}

impl InMemoryBroker {
    /// The next action; `None` when there is nothing until the next input.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Requires this of clients that connect from now on.
    pub fn require(&mut self, requirements: Requirements) {
        self.requirements = requirements;
    }

    /// A connection is established.
    pub fn connected(&mut self, connection: u32) {
        self.connections.insert(connection, Connection::default());
    }

    /// A connection is lost, or closed by the client.
    pub fn disconnected(&mut self, connection: u32) {
        if let Some(removed) = self.connections.remove(&connection) {
            self.report_end(removed);
        }
    }

    /// Bytes arrive on a connection.
    pub fn receive(&mut self, connection: u32, bytes: &[u8]) {
        let Some(found) = self.connections.get_mut(&connection) else { return };
        found.framer.push(bytes);
        if let Err(end) = self.take_packets(connection) {
            self.end(connection, &end);
        }
    }

    /// Publishes a message, as a client elsewhere would.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        let message = Message {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos: qos.min(1),
            retain,
            properties: Vec::new(),
            expires: None,
            identifiers: Vec::new(),
        };
        self.distribute(&message, None);
    }

    /// Ends all connections, as a power failure would. What is retained is lost too.
    pub fn stop(&mut self) {
        self.retained.clear();
        for (number, connection) in std::mem::take(&mut self.connections) {
            self.actions.push_back(Action::Close(number));
            if let Some(client) = connection.client {
                self.report(Event::Disconnected { client: client.id, clean: false });
            }
        }
    }

    fn report(&mut self, event: Event) {
        self.actions.push_back(Action::Report(event));
    }

    fn send(&mut self, connection: u32, bytes: Vec<u8>) {
        self.actions.push_back(Action::Send(connection, bytes));
    }

    fn end(&mut self, connection: u32, end: &End) {
        let Some(removed) = self.connections.remove(&connection) else { return };
        let is_version5 = removed.client.as_ref().is_some_and(|client| client.state.version == Version::V5);
        if let End::Refused(code, why) = end {
            if let Some(code) = code.filter(|_| is_version5) {
                self.send(connection, codec::disconnect(code));
            }
            self.report(Event::Refused { why: (*why).to_owned() });
        }
        self.actions.push_back(Action::Close(connection));
        self.report_end(removed);
    }

    /// Publishes the will of a client that did not disconnect (M37).
    fn report_end(&mut self, connection: Connection) {
        let Some(client) = connection.client else { return };
        if let Some(message) = client.will.filter(|_| !client.is_clean) {
            self.distribute(&message, None);
            self.report(Event::Published { client: client.id.clone(), message });
        }
        self.report(Event::Disconnected { client: client.id, clean: client.is_clean });
    }

    fn take_packets(&mut self, connection: u32) -> Result<(), End> {
        while let Some(found) = self.connections.get_mut(&connection) {
            let Some(packet) = found.framer.next()? else { break };
            self.take(connection, &packet)?;
        }
        Ok(())
    }

    fn take(&mut self, connection: u32, packet: &Packet) -> Result<(), End> {
        let client = self.connections.get(&connection).and_then(|found| found.client.as_ref());
        let Some(client) = client else {
            return match codec::connect(packet) {
                Ok(connect) => self.connect(connection, connect),
                Err(refused) => Err(self.refuse(connection, &refused)),
            };
        };
        let incoming = codec::packet(client.state.version, packet)?;
        self.act(connection, incoming)
    }

    fn refuse(&mut self, connection: u32, refused: &codec::ConnectError) -> End {
        match refused.answer {
            Some(Version::V3) => {
                self.send(connection, codec::refusal(Version::V3, CONNECTION_REFUSED_VERSION));
            }
            Some(Version::V5) => self.send(connection, codec::refusal(Version::V5, refused.fault.code)),
            None => {}
        }
        End::Refused(None, refused.fault.why)
    }

    fn connect(&mut self, connection: u32, mut connect: Connect) -> Result<(), End> {
        if let Some(refusal) = self.requirements.refusal_of(connect.login.as_ref()) {
            let code = match connect.version {
                Version::V3 => refusal.return_code,
                Version::V5 => refusal.reason,
            };
            self.send(connection, codec::refusal(connect.version, code));
            return Err(End::Refused(None, refusal.name));
        }
        let is_anonymous = connect.client.is_empty();
        if is_anonymous && connect.version == Version::V3 && !connect.clean {
            self.send(connection, codec::refusal(Version::V3, CONNECTION_REFUSED_IDENTIFIER)); // MQTT-3.1.3-8
            return Err(End::Refused(None, "an empty client id in a client that is to last"));
        }
        let id = if is_anonymous {
            format!("anonymous-{connection}")
        } else {
            std::mem::take(&mut connect.client)
        };
        self.replace(&id);
        self.send(connection, codec::connack(&connect, is_anonymous.then_some(id.as_str())));
        self.report(Event::Connected { client: id.clone(), version: connect.version.name() });
        if let Some(found) = self.connections.get_mut(&connection) {
            found.client = Some(Client {
                id,
                state: ClientState::new(&connect),
                will: connect.will,
                is_clean: false,
                subscriptions: Vec::new(),
                waiting: VecDeque::new(),
            });
        }
        Ok(())
    }

    /// A new connection with the same client id ends the older one (MQTT-3.1.4-3).
    fn replace(&mut self, id: &str) {
        let older = self
            .connections
            .iter()
            .find(|(_, found)| found.client.as_ref().is_some_and(|client| client.id == id));
        if let Some((&older, _)) = older {
            self.end(
                older,
                &End::Refused(Some(reason::SESSION_TAKEN_OVER), "replaced by a newer connection"),
            );
        }
    }

    fn client(&mut self, connection: u32) -> Result<&mut Client, End> {
        self.connections.get_mut(&connection).and_then(|found| found.client.as_mut()).ok_or(End::Closed)
    }

    fn act(&mut self, connection: u32, incoming: Incoming) -> Result<(), End> {
        let version = self.client(connection)?.state.version;
        match incoming {
            Incoming::Publish(publish) => return self.published(connection, publish),
            Incoming::Puback { id } => {
                self.client(connection)?.state.release_id(id);
                self.deliver_waiting(connection);
            }
            Incoming::Pubrec { id, code } if code < reason::UNSPECIFIED_ERROR => {
                let code = reason::PACKET_IDENTIFIER_NOT_FOUND;
                self.send(connection, codec::acknowledgement(version, kind::PUBREL, id, code));
            }
            Incoming::Pubrec { .. } | Incoming::Pubcomp { .. } => {}
            Incoming::Pubrel { id } => {
                let is_known = self.client(connection)?.state.complete(id);
                let code = if is_known { reason::SUCCESS } else { reason::PACKET_IDENTIFIER_NOT_FOUND };
                self.send(connection, codec::acknowledgement(version, kind::PUBCOMP, id, code));
            }
            Incoming::Subscribe { id, wanted } => return self.subscribe(connection, id, wanted),
            Incoming::Unsubscribe { id, filters } => {
                let client = self.client(connection)?;
                let codes: Vec<u8> = filters.iter().map(|filter| client.unsubscribe(filter)).collect();
                self.send(connection, codec::unsuback(version, id, &codes));
            }
            Incoming::Pingreq => self.send(connection, PINGRESP.to_vec()),
            Incoming::Disconnect { code, .. } => {
                self.client(connection)?.is_clean = code == reason::SUCCESS;
                return Err(End::Closed);
            }
        }
        Ok(())
    }

    fn published(&mut self, connection: u32, mut publish: Publish) -> Result<(), End> {
        let client = self.client(connection)?;
        let (version, from) = (client.state.version, client.id.clone());
        let (qos, id) = (publish.qos, publish.id);
        client.state.resolve_alias(&mut publish)?;
        if qos != 2 || client.state.receive_exactly_once(id)? {
            publish.message.expires = None;
            self.report(Event::Published { client: from, message: publish.message.clone() });
            self.distribute(&publish.message, Some(connection));
        }
        match qos {
            0 => {}
            1 => self.send(connection, codec::acknowledgement(version, kind::PUBACK, id, reason::SUCCESS)),
            _ => self.send(connection, codec::acknowledgement(version, kind::PUBREC, id, reason::SUCCESS)),
        }
        Ok(())
    }

    fn subscribe(&mut self, connection: u32, id: u16, wanted: Vec<Subscription>) -> Result<(), End> {
        let mut codes = Vec::new();
        let mut retained = Vec::new();
        for wanted in wanted {
            let client = self.connections.get_mut(&connection).and_then(|found| found.client.as_mut());
            let client = client.ok_or(End::Closed)?;
            let event = Event::Subscribed { client: client.id.clone(), filter: wanted.filter.clone() };
            let (code, is_new) = client.subscribe(wanted.clone());
            codes.push(code);
            if code < reason::UNSPECIFIED_ERROR {
                self.actions.push_back(Action::Report(event));
                if hub::sends_retained(wanted.retain_handling, is_new) {
                    retained.extend(retained_for(&self.retained, &wanted));
                }
            }
        }
        let version = self.client(connection)?.state.version;
        self.send(connection, codec::suback(version, id, &codes));
        self.client(connection)?.waiting.extend(retained);
        self.deliver_waiting(connection);
        Ok(())
    }

    /// Sends a message to every subscriber. A client for which too much waits is disconnected.
    fn distribute(&mut self, message: &Message, from: Option<u32>) {
        if message.retain {
            self.retain(message);
        }
        for connection in self.connections.keys().copied().collect::<Vec<_>>() {
            let Ok(client) = self.client(connection) else { continue };
            let Some(copy) = hub::copy_for(&client.subscriptions, message, from == Some(connection)) else {
                continue;
            };
            if client.waiting.len() == MAX_WAITING {
                self.end(
                    connection,
                    &End::Refused(Some(reason::QUOTA_EXCEEDED), "more messages waiting than it takes"),
                );
                continue;
            }
            client.waiting.push_back(copy);
            self.deliver_waiting(connection);
        }
    }

    fn retain(&mut self, message: &Message) {
        self.retained.remove(&message.topic);
        let bytes: usize = self.retained.values().map(Message::size).sum();
        let has_room = self.retained.len() < MAX_RETAINED && bytes + message.size() <= MAX_RETAINED_BYTES;
        if !message.payload.is_empty() && has_room {
            self.retained.insert(message.topic.clone(), message.clone());
        }
    }

    /// Sends what the client's window allows.
    fn deliver_waiting(&mut self, connection: u32) {
        while let Ok(client) = self.client(connection)
            && client.state.may_deliver()
            && let Some(message) = client.waiting.pop_front()
        {
            let id = (message.qos > 0).then(|| client.state.assign_id());
            let largest = client.state.maximum_packet_size as usize;
            let packet = codec::publish(client.state.version, &message, id);
            match packet.filter(|packet| packet.len() <= largest) {
                Some(packet) => self.send(connection, packet),
                None => id.into_iter().for_each(|id| client.state.release_id(id)),
            }
        }
    }
}

impl Client {
    /// The code of the answer, and whether the subscription is new.
    fn subscribe(&mut self, wanted: Subscription) -> (u8, bool) {
        if wanted.filter.starts_with(filter::SHARED) {
            return (reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, false);
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|known| known.filter != wanted.filter);
        let is_new = self.subscriptions.len() == before;
        if is_new && before == MAX_SUBSCRIPTIONS {
            return (reason::QUOTA_EXCEEDED, false);
        }
        let qos = wanted.qos;
        self.subscriptions.push(wanted);
        (qos, is_new)
    }

    fn unsubscribe(&mut self, filter: &str) -> u8 {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|known| known.filter != filter);
        if self.subscriptions.len() < before { reason::SUCCESS } else { reason::NO_SUBSCRIPTION_EXISTED }
    }
}

/// Copies of the retained messages that a new subscription is sent.
fn retained_for(retained: &BTreeMap<String, Message>, wanted: &Subscription) -> Vec<Message> {
    let matching = retained.values().filter(|message| filter::matches(&wanted.filter, &message.topic));
    matching
        .map(|message| Message {
            qos: message.qos.min(wanted.qos),
            retain: true,
            identifiers: wanted.identifier.into_iter().collect(),
            ..message.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests;
