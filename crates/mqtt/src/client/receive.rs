//! Packets from the broker.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::{Client, State};
use crate::broker::Broker;
use crate::codec::{self, Frame, Packet, Properties, Publish, malformed, packet_type, violation};
use crate::deliveries::{DeliveryId, Fingerprint};
use crate::deviation::Deviation;
use crate::error::ProtocolError;
use crate::event::{Event, Message};
use crate::reason;
use crate::requests::{Kind, all_success};

impl Client {
    /// Takes input up to the end of one packet, and processes the packet if it is complete.
    pub(super) fn receive_packet(&mut self, input: &mut &[u8]) -> Result<(), ProtocolError> {
        if self.is_connecting()
            && self.framer.is_at_start()
            && let Some(first) = input.first()
        {
            check_first_byte(*first)?;
        }
        let Some(frame) = self.framer.next(input)? else { return Ok(()) };
        let events = self.events.len();
        let outcome = self.frame(&frame);
        // A packet that yields no event costs work without effect, which the caller limits (D180).
        self.overhead.packets += u64::from(self.events.len() == events);
        outcome
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let packet = codec::decode(self.version, frame.first, &frame.body, &mut self.deviations)?;
        match (self.state, packet) {
            (State::Connecting { .. }, packet) => self.first_packet(packet, frame.dropped),
            (_, packet) => self.packet(packet, frame.dropped),
        }
    }

    /// A packet before the connection is accepted: CONNACK, or what a broker may send too early without harm: its
    /// meaning does not depend on the CONNACK (D192).
    fn first_packet(&mut self, packet: Packet<'_>, dropped: usize) -> Result<(), ProtocolError> {
        match packet {
            Packet::ConnAck { session_present, reason_code, properties } => {
                self.connack(session_present, reason_code, &properties);
                return Ok(());
            }
            Packet::Publish(publish) => self.publish_received(&publish, dropped)?,
            Packet::PubRel { packet_id } => self.pubrel(packet_id),
            Packet::Disconnect { reason_code } if reason_code >= reason::UNSPECIFIED_ERROR => {
                self.refused(reason_code);
            }
            _ => return Err(violation("a packet before CONNACK (MQTT-3.2.0-1)")),
        }
        self.deviations.note(Deviation::BeforeConnack);
        Ok(())
    }

    /// A packet of an accepted connection; only a message can have `dropped` bytes, because the framer refuses any
    /// other packet above the maximum size.
    fn packet(&mut self, packet: Packet<'_>, dropped: usize) -> Result<(), ProtocolError> {
        match packet {
            Packet::ConnAck { reason_code: reason::SUCCESS, .. } => {
                self.deviations.note(Deviation::SecondConnack);
            }
            Packet::ConnAck { reason_code, .. } | Packet::Disconnect { reason_code } => {
                self.events.push(Event::Disconnected { reason_code });
                self.close();
            }
            Packet::Publish(publish) => self.publish_received(&publish, dropped)?,
            Packet::PubAck { packet_id, reason_code } => self.puback(packet_id, reason_code),
            Packet::PubRec { packet_id, reason_code } => self.pubrec(packet_id, reason_code),
            Packet::PubRel { packet_id } => self.pubrel(packet_id),
            Packet::SubAck { packet_id, reason_codes } => self.suback(packet_id, reason_codes)?,
            Packet::UnsubAck { packet_id, reason_codes } => self.unsuback(packet_id, reason_codes)?,
            Packet::PingResp => self.keep_alive.answered(),
            Packet::Ignored => {}
        }
        Ok(())
    }

    fn connack(&mut self, session_present: bool, reason_code: u8, properties: &Properties) {
        if reason_code != reason::SUCCESS {
            return self.refused(reason_code);
        }
        if session_present && self.clean_start {
            self.deviations.note(Deviation::SessionPresent);
        }
        self.broker = Broker::from(properties);
        self.aliases.allow(self.broker.topic_alias_maximum.min(self.limits.topic_aliases));
        if let Some(seconds) = properties.server_keep_alive {
            self.keep_alive.set_seconds(seconds);
        }
        self.state = State::Connected;
        // In front, because messages may have come before the CONNACK (D192).
        self.events.push_front(Event::Connected { session_present });
    }

    fn refused(&mut self, reason_code: u8) {
        self.close();
        self.events.push(Event::ConnectRefused { reason_code });
    }

    /// A message, of which `dropped` bytes at the end exceeded the maximum packet size.
    fn publish_received(&mut self, publish: &Publish<'_>, dropped: usize) -> Result<(), ProtocolError> {
        let topic = self.topic(publish)?;
        let delivery = match publish.packet_id {
            Some(packet_id) => {
                let fingerprint = Fingerprint::of(&topic, publish.payload);
                if self.is_repeated(publish, packet_id, fingerprint)? {
                    return Ok(());
                }
                Some(self.deliveries.arrive(packet_id, publish.qos == 2, fingerprint))
            }
            None => None,
        };
        if dropped > 0 {
            self.lost(topic, publish.payload.len() + dropped, delivery);
        } else {
            self.events.push(Event::Message(Message {
                delivery,
                topic,
                payload: publish.payload.to_owned(),
                qos: u8::from(delivery.is_some()),
                retain: publish.retain,
                dup: publish.dup,
            }));
        }
        Ok(())
    }

    /// A message that was too large. The application has nothing to acknowledge, so it is acknowledged here, in its
    /// turn (D49).
    fn lost(&mut self, topic: String, length: usize, delivery: Option<DeliveryId>) {
        if self.version.has_properties() {
            self.deviations.note(Deviation::PacketTooLarge);
        }
        if let Some(delivery) = delivery {
            // Just arrived, so it is known and unacknowledged.
            let _ = self.deliveries.acknowledge(delivery);
        }
        self.events.push(Event::MessageLost { topic, length });
    }

    /// The topic of a message, which may have been given as an alias.
    fn topic(&mut self, publish: &Publish<'_>) -> Result<String, ProtocolError> {
        let Some(alias) = publish.topic_alias else { return Ok(publish.topic.to_owned()) };
        self.deviations.note(Deviation::TopicAlias);
        if !publish.topic.is_empty() {
            self.received_aliases.define(alias, publish.topic);
            return Ok(publish.topic.to_owned());
        }
        let cause = "a topic alias that stands for no known topic, and none is allowed (MQTT-3.1.2-27)";
        let unknown = ProtocolError { reason_code: reason::TOPIC_ALIAS_INVALID, cause };
        self.received_aliases.find(alias).map(ToOwned::to_owned).ok_or(unknown)
    }

    /// Whether a QoS 1 or 2 message is one that was delivered under its identifier before and is not done with
    /// (MQTT-4.3.2-5, MQTT-4.3.3-10). Some brokers send a message again without DUP; only its content then
    /// distinguishes it from another one, which must not be lost.
    fn is_repeated(
        &mut self,
        publish: &Publish<'_>,
        packet_id: u16,
        fingerprint: Fingerprint,
    ) -> Result<bool, ProtocolError> {
        if publish.qos == 2 && self.deliveries.is_unreleased(packet_id) {
            codec::pubrec(self.outgoing.buffer(), packet_id);
            return Ok(true);
        }
        match self.deliveries.find(packet_id) {
            Some(_) if publish.dup => Ok(true),
            Some(same) if same == fingerprint => {
                self.deviations.note(Deviation::ResentWithoutDup);
                Ok(true)
            }
            other => {
                if other.is_some() {
                    self.deviations.note(Deviation::PacketIdReused);
                }
                self.check_receive_maximum().map(|()| false)
            }
        }
    }

    fn check_receive_maximum(&mut self) -> Result<(), ProtocolError> {
        let (count, maximum) = (self.deliveries.len(), usize::from(self.receive_maximum));
        if !self.version.has_properties() || count < maximum {
            return Ok(());
        }
        if count >= maximum.saturating_add(self.limits.receive_maximum_excess) {
            let cause = "more unacknowledged messages than the receive maximum (MQTT-3.3.4-9)";
            return Err(ProtocolError { reason_code: reason::RECEIVE_MAXIMUM_EXCEEDED, cause });
        }
        self.deviations.note(Deviation::ReceiveMaximumExceeded);
        Ok(())
    }

    /// PUBCOMP is the answer whether the message is known or was acknowledged on an earlier connection (MQTT-4.3.3-11).
    fn pubrel(&mut self, packet_id: u16) {
        self.deliveries.release(packet_id);
        codec::pubcomp(self.outgoing.buffer(), packet_id);
    }

    /// No publish of this client has QoS 2. A broker that answers one of QoS 1 like this has accepted it; any other
    /// is left over from an earlier client of the same id. Both exchanges are completed.
    fn pubrec(&mut self, packet_id: u16, reason_code: u8) {
        self.deviations.note(Deviation::UnexpectedPacket);
        self.puback(packet_id, reason_code);
        if reason_code < reason::UNSPECIFIED_ERROR {
            codec::pubrel(self.outgoing.buffer(), packet_id);
        }
    }

    /// An identifier that is not in flight is ignored: neither version calls it an error, and it must not raise the
    /// quota.
    fn puback(&mut self, packet_id: u16, reason_code: u8) {
        if let Some(publish) = self.requests.finish(Kind::Publish, packet_id) {
            self.events.push(Event::Published { token: publish.token, reason_code });
            self.send_waiting();
        }
    }

    fn suback(&mut self, packet_id: u16, reason_codes: &[u8]) -> Result<(), ProtocolError> {
        let Some(subscribe) = self.requests.finish(Kind::Subscribe, packet_id) else { return Ok(()) };
        if reason_codes.len() != subscribe.filters {
            return Err(violation("not one reason code for each filter in SUBACK (MQTT-3.8.4-6)"));
        }
        self.events.push(Event::Subscribed { token: subscribe.token, reason_codes: reason_codes.to_owned() });
        Ok(())
    }

    fn unsuback(&mut self, packet_id: u16, reason_codes: &[u8]) -> Result<(), ProtocolError> {
        let Some(unsubscribe) = self.requests.finish(Kind::Unsubscribe, packet_id) else { return Ok(()) };
        let has_codes = self.version.has_properties() && !reason_codes.is_empty();
        if self.version.has_properties() && !has_codes {
            self.deviations.note(Deviation::MissingReasonCodes);
        }
        // UNSUBACK of 3.1.1 has no codes: its arrival is the success.
        let reason_codes = if has_codes { reason_codes.to_owned() } else { all_success(unsubscribe.filters) };
        if reason_codes.len() != unsubscribe.filters {
            return Err(violation("not one reason code for each filter in UNSUBACK (MQTT 5, 3.11.3)"));
        }
        self.events.push(Event::Unsubscribed { token: unsubscribe.token, reason_codes });
        Ok(())
    }
}

/// Checks the first byte of a packet before CONNACK, so that what is not MQTT is detected at once: its second byte
/// would be taken for a length, and the rest waited for.
fn check_first_byte(first: u8) -> Result<(), ProtocolError> {
    match (first >> 4, first) {
        (packet_type::CONNACK | packet_type::PUBLISH | packet_type::PUBREL | packet_type::DISCONNECT, _) => {
            Ok(())
        }
        // Alert and handshake (RFC 8446, 5.1).
        (_, 0x15 | 0x16) => Err(malformed("TLS instead of MQTT: on this port the broker expects TLS")),
        (_, b'H') => Err(malformed("HTTP instead of MQTT, by its first byte")),
        (0 | packet_type::AUTH, _) => Err(malformed("a reserved packet type")),
        _ => Err(violation("a packet before CONNACK (MQTT-3.2.0-1)")),
    }
}
