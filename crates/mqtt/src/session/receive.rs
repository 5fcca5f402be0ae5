//! Packets from the broker.

use alloc::borrow::ToOwned;

use super::{Session, State};
use crate::broker::Broker;
use crate::codec::{self, Frame, Packet, Properties, Publish, violation};
use crate::error::ProtocolError;
use crate::event::{Event, Message};
use crate::reason;
use crate::requests::{Kind, all_success};

impl Session {
    /// Takes input up to the end of one packet, and acts on the packet if it is whole.
    pub(super) fn receive_packet(&mut self, input: &mut &[u8]) -> Result<(), ProtocolError> {
        let Some(frame) = self.framer.next(input)? else { return Ok(()) };
        let events = self.events.len();
        let outcome = self.frame(&frame);
        self.overhead.packets += u64::from(self.events.len() == events);
        outcome
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        if frame.dropped > 0 && self.is_connected() {
            let publish = codec::decode_beginning(frame.first, &frame.body)?;
            return self.lost(&publish, publish.payload.len() + frame.dropped);
        }
        let packet = codec::decode(self.version, frame.first, &frame.body)?;
        match (self.state, packet) {
            (State::Connecting { .. }, Packet::ConnAck { session_present, reason_code, properties }) => {
                self.connack(session_present, reason_code, &properties)
            }
            (State::Connected, packet) => self.packet(packet),
            _ => Err(violation("a packet before CONNACK (MQTT-3.2.0-1)")),
        }
    }

    fn packet(&mut self, packet: Packet<'_>) -> Result<(), ProtocolError> {
        match packet {
            Packet::ConnAck { .. } => Err(violation("a second CONNACK (MQTT-3.2.0-2)")),
            Packet::Publish(publish) => self.publish_received(&publish),
            Packet::PubAck { packet_id, reason_code } => {
                self.puback(packet_id, reason_code);
                Ok(())
            }
            Packet::SubAck { packet_id, reason_codes } => self.suback(packet_id, reason_codes),
            Packet::UnsubAck { packet_id, reason_codes } => self.unsuback(packet_id, reason_codes),
            Packet::PingResp => {
                self.keep_alive.answered();
                Ok(())
            }
            Packet::Disconnect { reason_code } => {
                self.events.push(Event::Disconnected { reason_code });
                self.close();
                Ok(())
            }
        }
    }

    fn connack(
        &mut self,
        session_present: bool,
        reason_code: u8,
        said: &Properties,
    ) -> Result<(), ProtocolError> {
        if reason_code != reason::SUCCESS {
            self.events.push(Event::ConnectRefused { reason_code });
            self.close();
            return Ok(());
        }
        if session_present && self.clean_start {
            return Err(violation("a session is present after a clean start (MQTT-3.2.2-2, MQTT-3.2.2-4)"));
        }
        self.broker = Broker::from(said);
        self.aliases.allow(self.broker.topic_alias_maximum.min(self.limits.topic_aliases));
        if let Some(seconds) = said.server_keep_alive {
            self.keep_alive.set_seconds(seconds);
        }
        self.state = State::Connected;
        self.events.push(Event::Connected { session_present });
        Ok(())
    }

    fn publish_received(&mut self, publish: &Publish<'_>) -> Result<(), ProtocolError> {
        if self.is_repeated(publish)? {
            return Ok(());
        }
        let delivery = publish.packet_id.map(|packet_id| self.deliveries.arrive(packet_id));
        self.events.push(Event::Message(Message {
            delivery,
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_owned(),
            qos: u8::from(delivery.is_some()),
            retain: publish.retain,
            dup: publish.dup,
        }));
        Ok(())
    }

    /// A message that was too large to keep. There is nothing for the application to acknowledge, so it is done here,
    /// in its turn (D49).
    fn lost(&mut self, publish: &Publish<'_>, length: usize) -> Result<(), ProtocolError> {
        if self.is_repeated(publish)? {
            return Ok(());
        }
        if let Some(packet_id) = publish.packet_id {
            let delivery = self.deliveries.arrive(packet_id);
            // Just arrived, so it is known and unacknowledged.
            let _ = self.deliveries.acknowledge(delivery);
        }
        self.events.push(Event::MessageLost { topic: publish.topic.to_owned(), length });
        Ok(())
    }

    /// Whether a QoS 1 message is the one already delivered under its identifier and not yet acknowledged
    /// (MQTT-4.3.2-5: only behind the PUBACK is it a new one).
    fn is_repeated(&self, publish: &Publish<'_>) -> Result<bool, ProtocolError> {
        let Some(packet_id) = publish.packet_id else { return Ok(false) };
        match (self.deliveries.contains(packet_id), publish.dup) {
            (true, true) => Ok(true),
            (true, false) => Err(violation("a packet identifier in use for a new message (MQTT-2.2.1-4)")),
            (false, _) => self.check_receive_maximum().map(|()| false),
        }
    }

    fn check_receive_maximum(&self) -> Result<(), ProtocolError> {
        let borne = usize::from(self.receive_maximum).saturating_add(self.limits.receive_maximum_excess);
        if self.version.has_properties() && self.deliveries.len() >= borne {
            let cause = "more unacknowledged messages than the receive maximum (MQTT-3.3.4-9)";
            return Err(ProtocolError { reason_code: reason::RECEIVE_MAXIMUM_EXCEEDED, cause });
        }
        Ok(())
    }

    /// An identifier that is not in flight is passed over: neither version calls it an error, and it must not raise
    /// the quota.
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
        let reason_codes = if self.version.has_properties() {
            reason_codes.to_owned()
        } else {
            all_success(unsubscribe.filters)
        };
        if reason_codes.len() != unsubscribe.filters {
            return Err(violation("not one reason code for each filter in UNSUBACK (MQTT 5, 3.11.3)"));
        }
        self.events.push(Event::Unsubscribed { token: unsubscribe.token, reason_codes });
        Ok(())
    }
}
