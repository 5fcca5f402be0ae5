//! One client from its accepted CONNECT to its end, whatever ends it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::codec::{Connect, ProtocolError, Publish, Version, reason};
use super::hub::{Message, Registration};
use super::{Event, MAX_IN_FLIGHT, MAX_TOPIC_ALIAS, Shared};

/// A client whose CONNECT was accepted. Dropping it unregisters the client and, unless it disconnected, publishes its
/// will (M37): also when the connection's task panics.
pub(super) struct AcceptedClient {
    shared: Arc<Shared>,
    /// The client id.
    pub id: String,
    pub registration: Registration,
    pub version: Version,
    /// Largest packet the client accepts, in bytes.
    pub maximum_packet_size: u32,
    will: Option<Message>,
    is_clean: bool,
    has_session_expiry: bool,
    receive_maximum: u16,
    /// QoS 1 messages sent and not acknowledged.
    in_flight: BTreeSet<u16>,
    last_id: u16,
    /// QoS 2 messages accepted whose PUBREL has not arrived.
    unreleased: BTreeSet<u16>,
    aliases: HashMap<u16, String>,
}

impl AcceptedClient {
    /// Registers a client, in place of an older connection with the same id.
    pub(crate) fn new(shared: Arc<Shared>, id: String, connect: Connect) -> Self {
        let registration = shared.hub().register(&id);
        let name = connect.version.name();
        let accepted = Self {
            shared,
            id,
            registration,
            version: connect.version,
            maximum_packet_size: connect.maximum_packet_size,
            will: connect.will,
            is_clean: false,
            has_session_expiry: connect.has_session_expiry,
            receive_maximum: connect.receive_maximum.min(MAX_IN_FLIGHT),
            in_flight: BTreeSet::new(),
            last_id: 0,
            unreleased: BTreeSet::new(),
            aliases: HashMap::new(),
        };
        accepted.emit(Event::Connected { client: accepted.id.clone(), version: name });
        accepted
    }

    /// Emits an event to the broker's observer.
    pub(crate) fn emit(&self, event: Event) {
        (self.shared.watch)(event);
    }

    /// Whether the client may be sent another message that it has to acknowledge.
    pub(crate) fn may_deliver(&self) -> bool {
        self.in_flight.len() < usize::from(self.receive_maximum)
    }

    /// A packet identifier for a QoS 1 message; at most [`MAX_IN_FLIGHT`] are in use.
    pub(crate) fn assign_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.in_flight.insert(self.last_id) {
                return self.last_id;
            }
        }
    }

    /// The client acknowledged a message, or it was not sent after all.
    pub(crate) fn release_id(&mut self, id: u16) {
        self.in_flight.remove(&id);
    }

    /// Whether a QoS 1 message with this identifier waits for its PUBACK.
    pub(crate) fn is_in_flight(&self, id: u16) -> bool {
        self.in_flight.contains(&id)
    }

    /// Notes a QoS 2 message. False: it was received before and only needs to be confirmed again (MQTT-4.3.3-10).
    pub(crate) fn receive_exactly_once(&mut self, id: u16) -> Result<bool, ProtocolError> {
        let is_new = self.unreleased.insert(id);
        let is_over = self.version == Version::V5 && self.unreleased.len() > usize::from(MAX_IN_FLIGHT);
        if is_over {
            let why = "more QoS 2 messages than the Receive Maximum"; // MQTT-3.3.4-7
            return Err(ProtocolError { code: reason::RECEIVE_MAXIMUM_EXCEEDED, why });
        }
        Ok(is_new)
    }

    /// Ends a QoS 2 delivery. False: there was none.
    pub(crate) fn complete(&mut self, id: u16) -> bool {
        self.unreleased.remove(&id)
    }

    /// Puts the topic of an alias into the message, or learns the alias (MQTT 5, 3.3.2.3.4).
    pub(crate) fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), ProtocolError> {
        let Some(alias) = publish.topic_alias else { return Ok(()) };
        let topic = &mut publish.message.topic;
        let invalid = |why| ProtocolError { code: reason::TOPIC_ALIAS_INVALID, why };
        if alias > MAX_TOPIC_ALIAS {
            return Err(invalid("a topic alias above the maximum"));
        }
        if topic.is_empty() {
            topic.clone_from(
                self.aliases.get(&alias).ok_or(ProtocolError::protocol("a topic alias never defined"))?,
            );
        } else {
            self.aliases.insert(alias, topic.clone());
        }
        Ok(())
    }

    /// The client sent DISCONNECT: its will is published only if it says so (MQTT-3.14.4-3).
    pub(crate) fn disconnect(&mut self, code: u8, sets_session_expiry: bool) -> Result<(), ProtocolError> {
        if sets_session_expiry && !self.has_session_expiry {
            return Err(ProtocolError::protocol("a session expiry where CONNECT had none")); // MQTT 5, 3.14.2.2.2
        }
        self.is_clean = code == reason::SUCCESS;
        Ok(())
    }
}

impl Drop for AcceptedClient {
    fn drop(&mut self) {
        self.shared.hub().unregister(&self.id, self.registration.number);
        let client = std::mem::take(&mut self.id);
        if let Some(message) = self.will.take().filter(|_| !self.is_clean) {
            self.shared.hub().publish(&client, &message);
            self.emit(Event::Published { client: client.clone(), message });
        }
        self.emit(Event::Disconnected { client, clean: self.is_clean });
    }
}
