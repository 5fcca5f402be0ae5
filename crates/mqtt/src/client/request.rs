//! Requests of the application: publish, subscribe, unsubscribe.

use super::Client;
use crate::codec::{self, Naming, Outbound};
use crate::error::RequestError;
use crate::limits::MAXIMUM_REMAINING_LENGTH;
use crate::requests::{Kind, Waiting};
use crate::topic::{has_wildcard, is_shared, is_valid_share, is_valid_topic_filter, is_valid_topic_name};

/// One of the subscriptions of a request, each with its own options (M70). The last three matter on version 5 only,
/// because 3.1.1 has no bits for them (M71).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a> {
    /// The topic filter.
    pub topic: &'a [u8],
    /// The highest QoS, 0 or 1.
    pub qos: u8,
    /// Do not send back what this client publishes.
    pub no_local: bool,
    /// Keep the retain flag as the publisher set it.
    pub retain_as_published: bool,
    /// 0: send retained messages; 1: only for a new subscription; 2: do not.
    pub retain_handling: u8,
}

impl Client {
    /// Publishes a message. [`Event::Published`](crate::Event::Published) with `token` reports the outcome.
    ///
    /// A QoS 1 message beyond the broker's Receive Maximum waits for an earlier one to be acknowledged (MQTT-3.3.4-7).
    ///
    /// # Errors
    /// [`RequestError`]: not connected, not allowed by MQTT, not offered by the broker, too large for it, or too much
    /// is waiting. Then nothing was sent and no event follows.
    pub fn publish(
        &mut self,
        token: u32,
        topic: &[u8],
        payload: &[u8],
        qos: u8,
        retain: bool,
    ) -> Result<(), RequestError> {
        self.check_publish(topic, qos, retain)?;
        let packet_id = (qos > 0).then_some(1);
        let sized = Outbound { topic, payload, packet_id, retain, naming: Naming::Plain };
        self.admit(codec::publish_size(self.version, &sized))?;
        if qos == 0 {
            self.send_publish(topic, payload, None, retain);
            self.outgoing.mark(token);
        } else if self.requests.is_waiting() || !self.has_send_quota() {
            self.requests.wait(Waiting { token, topic: topic.into(), payload: payload.into(), retain });
        } else {
            self.send_qos1(token, topic, payload, retain);
        }
        Ok(())
    }

    fn check_publish(&self, topic: &[u8], qos: u8, retain: bool) -> Result<(), RequestError> {
        self.require_connected()?;
        if !is_valid_topic_name(topic) || qos > 1 {
            return Err(RequestError::Invalid);
        }
        if qos > self.broker.maximum_qos || (retain && !self.broker.retain) {
            return Err(RequestError::Unsupported);
        }
        Ok(())
    }

    /// Subscribes to one or more topic filters. [`Event::Subscribed`](crate::Event::Subscribed) reports the outcome.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn subscribe(&mut self, token: u32, filters: &[Filter<'_>]) -> Result<(), RequestError> {
        self.require_connected()?;
        if filters.is_empty() {
            return Err(RequestError::Invalid);
        }
        filters.iter().try_for_each(|filter| self.check_filter(filter))?;
        self.admit(codec::subscribe_size(self.version, filters))?;
        let packet_id = self.requests.start(Kind::Subscribe, token, filters.len());
        codec::subscribe(self.outgoing.buffer(), self.version, packet_id, filters);
        Ok(())
    }

    fn check_filter(&self, filter: &Filter<'_>) -> Result<(), RequestError> {
        if !is_valid_topic_filter(filter.topic) || filter.qos > 1 {
            return Err(RequestError::Invalid);
        }
        if self.version.has_properties() { self.check_v5_filter(filter) } else { Ok(()) }
    }

    fn check_v5_filter(&self, filter: &Filter<'_>) -> Result<(), RequestError> {
        let shared = is_shared(filter.topic);
        // MQTT-3.8.3-4: a shared subscription has no "local".
        let is_bad_share = shared && (filter.no_local || !is_valid_share(filter.topic));
        if is_bad_share || filter.retain_handling > 2 {
            return Err(RequestError::Invalid);
        }
        let wants_wildcard = has_wildcard(filter.topic) && !self.broker.wildcard_subscriptions;
        if wants_wildcard || (shared && !self.broker.shared_subscriptions) {
            return Err(RequestError::Unsupported);
        }
        Ok(())
    }

    /// Ends one or more subscriptions. [`Event::Unsubscribed`](crate::Event::Unsubscribed) reports the outcome.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn unsubscribe(&mut self, token: u32, topics: &[&[u8]]) -> Result<(), RequestError> {
        self.require_connected()?;
        if topics.is_empty() || !topics.iter().all(|topic| is_valid_topic_filter(topic)) {
            return Err(RequestError::Invalid);
        }
        self.admit(codec::unsubscribe_size(self.version, topics))?;
        let packet_id = self.requests.start(Kind::Unsubscribe, token, topics.len());
        codec::unsubscribe(self.outgoing.buffer(), self.version, packet_id, topics);
        Ok(())
    }

    fn require_connected(&self) -> Result<(), RequestError> {
        if self.is_connected() { Ok(()) } else { Err(RequestError::NotConnected) }
    }

    /// Opens a request whose packet has this size, if it is allowed and there is room (MQTT-3.2.2-15).
    fn admit(&mut self, size: usize) -> Result<(), RequestError> {
        let maximum = self.broker.maximum_packet_size.min(MAXIMUM_REMAINING_LENGTH);
        if size > maximum || size > self.limits.outgoing_bytes {
            return Err(RequestError::TooLarge);
        }
        let is_full = self.untransmitted() + size > self.limits.outgoing_bytes;
        if is_full || self.requests.open >= self.limits.requests {
            return Err(RequestError::QueueFull);
        }
        self.requests.open += 1;
        Ok(())
    }

    fn has_send_quota(&self) -> bool {
        self.requests.publishes_in_flight() < usize::from(self.broker.receive_maximum)
    }

    /// Sends waiting publishes, oldest first, as far as the broker's Receive Maximum allows.
    pub(super) fn send_waiting(&mut self) {
        while self.has_send_quota() {
            let Some(publish) = self.requests.next_waiting() else { return };
            self.send_qos1(publish.token, &publish.topic, &publish.payload, publish.retain);
        }
    }

    fn send_qos1(&mut self, token: u32, topic: &[u8], payload: &[u8], retain: bool) {
        let packet_id = self.requests.start(Kind::Publish, token, 0);
        self.send_publish(topic, payload, Some(packet_id), retain);
    }

    fn send_publish(&mut self, topic: &[u8], payload: &[u8], packet_id: Option<u16>, retain: bool) {
        let mut message = Outbound { topic, payload, packet_id, retain, naming: Naming::Plain };
        message.naming = self.naming(&message);
        codec::publish(self.outgoing.buffer(), self.version, &message);
    }

    /// How to name the topic of the next packet in the stream. Decided when it is encoded and not when it is
    /// requested, so that an alias is always defined before it is used.
    fn naming(&mut self, message: &Outbound<'_>) -> Naming {
        if !self.aliases.suits(message.topic) {
            return Naming::Plain;
        }
        if let Some(alias) = self.aliases.find(message.topic) {
            return Naming::Refer(alias);
        }
        let defining = Outbound { naming: Naming::Define(1), ..*message };
        if codec::publish_size(self.version, &defining) > self.broker.maximum_packet_size {
            return Naming::Plain;
        }
        Naming::Define(self.aliases.define(message.topic))
    }
}
