//! QoS 1 messages from the broker, from arrival to PUBACK.

use alloc::collections::VecDeque;
use core::fmt;

/// Names a QoS 1 message until it is acknowledged. Unique among the unacknowledged messages of one session.
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

/// The id names no unacknowledged message of this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDelivery;

impl fmt::Display for UnknownDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no unacknowledged message has this id")
    }
}

impl core::error::Error for UnknownDelivery {}

#[derive(Debug)]
struct Delivery {
    packet_id: u16,
    acknowledged: bool,
}

/// Messages in the order the broker sent them; PUBACKs leave in the same order (MQTT-4.6.0-2).
///
/// A message stays here until its PUBACK is handed to the connection, so the table is the bound for both.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    queue: VecDeque<Delivery>,
    /// The id of the message at the front. Ids count up without gaps, so an id is also a position.
    front: u32,
}

impl Deliveries {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether the broker is still waiting for the PUBACK of `packet_id`.
    pub(crate) fn contains(&self, packet_id: u16) -> bool {
        self.queue.iter().any(|delivery| delivery.packet_id == packet_id)
    }

    /// Records a message that has arrived.
    pub(crate) fn arrive(&mut self, packet_id: u16) -> DeliveryId {
        let id = DeliveryId(self.front.wrapping_add(self.queue.len() as u32));
        self.queue.push_back(Delivery { packet_id, acknowledged: false });
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

    /// Whether a PUBACK may be sent now.
    pub(crate) fn is_due(&self) -> bool {
        self.queue.front().is_some_and(|delivery| delivery.acknowledged)
    }

    /// Takes the packet identifier of the next PUBACK; a later message waits for every earlier one.
    pub(crate) fn next_due(&mut self) -> Option<u16> {
        let delivery = self.queue.pop_front_if(|delivery| delivery.acknowledged)?;
        self.front = self.front.wrapping_add(1);
        Some(delivery.packet_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_right_when_their_count_wraps() {
        let mut deliveries = Deliveries { front: u32::MAX, ..Deliveries::default() };
        let ids = [7, 8, 9].map(|packet_id| deliveries.arrive(packet_id));
        assert_eq!(ids.map(u32::from), [u32::MAX, 0, 1]);
        for (id, packet_id) in ids.into_iter().zip(7..) {
            assert_eq!(deliveries.next_due(), None);
            assert_eq!(deliveries.acknowledge(id), Ok(()));
            assert_eq!(deliveries.next_due(), Some(packet_id));
            assert_eq!(deliveries.acknowledge(id), Err(UnknownDelivery));
        }
    }
}
