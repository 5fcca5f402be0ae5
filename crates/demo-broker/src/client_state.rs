//! What the broker keeps of a client whose CONNECT was accepted, without I/O: packet identifiers and topic aliases.

use std::collections::{BTreeSet, HashMap};

use super::codec::{Connect, ProtocolError, Publish, Version, reason};
use super::{MAX_IN_FLIGHT, MAX_TOPIC_ALIAS};

/// The protocol state of one connection.
pub(super) struct ClientState {
    pub version: Version,
    /// Largest packet the client accepts, in bytes.
    pub maximum_packet_size: u32,
    pub has_session_expiry: bool,
    receive_maximum: u16,
    /// QoS 1 messages sent and not acknowledged.
    in_flight: BTreeSet<u16>,
    last_id: u16,
    /// QoS 2 messages accepted whose PUBREL has not arrived.
    unreleased: BTreeSet<u16>,
    aliases: HashMap<u16, String>,
}

impl ClientState {
    /// The state after an accepted CONNECT.
    pub(crate) fn new(connect: &Connect) -> Self {
        Self {
            version: connect.version,
            maximum_packet_size: connect.maximum_packet_size,
            has_session_expiry: connect.has_session_expiry,
            receive_maximum: connect.receive_maximum.min(MAX_IN_FLIGHT),
            in_flight: BTreeSet::new(),
            last_id: 0,
            unreleased: BTreeSet::new(),
            aliases: HashMap::new(),
        }
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
}
