//! QoS 1 and 2 messages from the broker, from arrival to acknowledgement. QoS 2 ends here: the caller sees QoS 1,
//! because the guides have no QoS 2 and a broker's stored session may (D193, M34).

use alloc::collections::VecDeque;
use core::fmt;

use crate::limits::UNRELEASED;

/// Names a QoS 1 message until it is acknowledged. Unique among the unacknowledged messages of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(u32);

impl From<u32> for DeliveryId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<DeliveryId> for u32 {
    fn from(id: DeliveryId) -> Self {
        id.0
    }
}

/// The id names no unacknowledged message of this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDelivery;

impl fmt::Display for UnknownDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no unacknowledged message has this id")
    }
}

impl core::error::Error for UnknownDelivery {}

/// What distinguishes a message sent again from another one with the same packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Of a message's topic and payload. Not cryptographic: a broker that forges a collision harms only itself.
    pub(crate) fn of(topic: &str, payload: &[u8]) -> Self {
        let start = mix(mix(0xcbf2_9ce4_8422_2325, topic.len() as u64), payload.len() as u64);
        Self(absorb(absorb(start, topic.as_bytes()), payload))
    }
}

fn absorb(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// A step of the FNV-1a hash, eight bytes at a time.
fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
}

#[derive(Debug)]
struct Delivery {
    packet_id: u16,
    is_qos2: bool,
    acknowledged: bool,
    fingerprint: Fingerprint,
}

/// The acknowledgement of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledgement {
    PubAck(u16),
    PubRec(u16),
}

/// Messages in the order the broker sent them; PUBACKs and PUBRECs leave in the same order (MQTT-4.6.0-2,
/// MQTT-4.6.0-3).
///
/// A message remains here until its acknowledgement is handed to the connection, so one limit bounds both.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    queue: VecDeque<Delivery>,
    /// The id of the message at the front. Ids count up without gaps, so an id is also a position.
    front: u32,
    /// QoS 2 messages that were acknowledged and not yet released, oldest first.
    unreleased: VecDeque<u16>,
}

impl Deliveries {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The message of `packet_id` whose acknowledgement the broker is still waiting for.
    pub(crate) fn find(&self, packet_id: u16) -> Option<Fingerprint> {
        // The latest one, since a broker may have reused the identifier (D192).
        let same = self.queue.iter().rev().find(|delivery| delivery.packet_id == packet_id);
        same.map(|delivery| delivery.fingerprint)
    }

    /// Records a message that has arrived.
    pub(crate) fn arrive(&mut self, packet_id: u16, is_qos2: bool, fingerprint: Fingerprint) -> DeliveryId {
        let id = DeliveryId(self.front.wrapping_add(self.queue.len() as u32));
        self.queue.push_back(Delivery { packet_id, is_qos2, acknowledged: false, fingerprint });
        id
    }

    /// Marks a message as acknowledged by the application.
    pub(crate) fn acknowledge(&mut self, id: DeliveryId) -> Result<(), UnknownDelivery> {
        let position = id.0.wrapping_sub(self.front) as usize;
        let delivery = self.queue.get_mut(position).ok_or(UnknownDelivery)?;
        if delivery.acknowledged {
            return Err(UnknownDelivery);
        }
        delivery.acknowledged = true;
        Ok(())
    }

    /// Whether an acknowledgement may be sent now.
    pub(crate) fn is_due(&self) -> bool {
        self.queue.front().is_some_and(|delivery| delivery.acknowledged)
    }

    /// Takes the next acknowledgement; a later message waits for every earlier one.
    pub(crate) fn next_due(&mut self) -> Option<Acknowledgement> {
        let delivery = self.queue.pop_front_if(|delivery| delivery.acknowledged)?;
        self.front = self.front.wrapping_add(1);
        let packet_id = delivery.packet_id;
        if !delivery.is_qos2 {
            return Some(Acknowledgement::PubAck(packet_id));
        }
        // The oldest is forgotten: a broker that releases nothing must not make this grow.
        if self.unreleased.len() == UNRELEASED {
            self.unreleased.pop_front();
        }
        self.unreleased.push_back(packet_id);
        Some(Acknowledgement::PubRec(packet_id))
    }

    /// Whether a QoS 2 message of this identifier was acknowledged, and the broker has not released it.
    pub(crate) fn is_unreleased(&self, packet_id: u16) -> bool {
        self.unreleased.contains(&packet_id)
    }

    /// The broker has released a QoS 2 message: its identifier is free (MQTT-4.3.3-12).
    pub(crate) fn release(&mut self, packet_id: u16) {
        self.unreleased.retain(|other| *other != packet_id);
        if self.unreleased.is_empty() {
            self.unreleased = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_remain_valid_when_their_count_wraps() {
        let mut deliveries = Deliveries { front: u32::MAX, ..Deliveries::default() };
        let same = Fingerprint::of("t", b"");
        let ids = [7, 8, 9].map(|packet_id| deliveries.arrive(packet_id, false, same));
        assert_eq!(ids.map(u32::from), [u32::MAX, 0, 1]);
        for (id, packet_id) in ids.into_iter().zip(7..) {
            assert_eq!(deliveries.next_due(), None);
            assert_eq!(deliveries.acknowledge(id), Ok(()));
            assert_eq!(deliveries.next_due(), Some(Acknowledgement::PubAck(packet_id)));
            assert_eq!(deliveries.acknowledge(id), Err(UnknownDelivery));
        }
    }

    #[test]
    fn fingerprints_distinguish_topic_and_payload() {
        let all = [
            ("ab", "c"),
            ("a", "bc"),
            ("a", "bd"),
            ("abc", ""),
            ("a", "b"),
            ("a", "12345678"),
            ("a", "12345679"),
        ]
        .map(|(topic, payload)| Fingerprint::of(topic, payload.as_bytes()));
        for (index, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(index));
        }
    }

    #[test]
    fn messages_that_are_never_released_are_bounded() {
        let mut deliveries = Deliveries::default();
        for packet_id in 1..=UNRELEASED as u16 + 1 {
            let id = deliveries.arrive(packet_id, true, Fingerprint::of("t", b""));
            deliveries.acknowledge(id).expect("known");
            assert_eq!(deliveries.next_due(), Some(Acknowledgement::PubRec(packet_id)));
        }
        assert!(!deliveries.is_unreleased(1) && deliveries.is_unreleased(2));
        (2..=UNRELEASED as u16 + 1).for_each(|packet_id| deliveries.release(packet_id));
        assert!(!deliveries.is_unreleased(2));
        assert_eq!(deliveries.unreleased.capacity(), 0);
    }
}
