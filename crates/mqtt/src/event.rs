//! What a client reports, and the bounded queue of it.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::deliveries::DeliveryId;
use crate::limits::{Limits, RETAINED_EVENTS};
use crate::options::Omitted;

/// Something that happened on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The broker accepted the connection, so publishing and subscribing may proceed (M56).
    Connected {
        /// Whether the broker resumed a stored session.
        session_present: bool,
    },
    /// The broker refused the connection; the connection has ended.
    ConnectRefused {
        /// As the broker sent it in CONNACK, or on version 5 in a DISCONNECT before it: a 3.1.1 return code or a
        /// version 5 reason code (M55).
        reason_code: u8,
    },
    /// A publish is complete: QoS 0 when the connection has accepted its bytes, since the broker does not acknowledge
    /// it; QoS 1 when the broker answered (D47).
    Published {
        /// The token of the publish.
        token: u32,
        /// As the broker sent it; 0 for QoS 0 and on 3.1.1.
        reason_code: u8,
    },
    /// The broker answered a subscribe.
    Subscribed {
        /// The token of the subscribe.
        token: u32,
        /// As the broker sent them, one a filter, in the order of the request, which is how the caller assigns them
        /// (M78).
        reason_codes: Vec<u8>,
    },
    /// The broker answered an unsubscribe.
    Unsubscribed {
        /// The token of the unsubscribe.
        token: u32,
        /// As the broker sent them, one a filter; all 0 on 3.1.1, which has none.
        reason_codes: Vec<u8>,
    },
    /// A message arrived.
    Message(Message),
    /// A message larger than `maximum_packet_size` arrived; it was skipped, and acknowledged unless QoS 0.
    MessageLost {
        /// Its topic.
        topic: String,
        /// Bytes of its payload.
        length: usize,
    },
    /// The broker sent DISCONNECT; the connection has ended.
    Disconnected {
        /// As the broker sent it; 0 on 3.1.1.
        reason_code: u8,
    },
}

impl Event {
    /// Whether it is the outcome of a publish, subscribe or unsubscribe.
    pub(crate) fn ends_request(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Subscribed { .. } | Self::Unsubscribed { .. })
    }
}

/// A message from the broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message for [`Client::acknowledge`](crate::Client::acknowledge); `None` for QoS 0.
    pub delivery: Option<DeliveryId>,
    /// Not empty, without U+0000.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// 0 or 1; 1 also for a message the broker sent with QoS 2.
    pub qos: u8,
    /// Whether it is the topic's retained message, which may be old, rather than a new one (M85, M42).
    pub retain: bool,
    /// Whether the broker may have sent it before.
    pub dup: bool,
}

impl fmt::Debug for Message {
    /// Omits the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("delivery", &self.delivery)
            .field("topic", &self.topic)
            .field("payload", &Omitted(self.payload.len()))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .finish()
    }
}

/// Events in the order they happened.
#[derive(Default)]
pub(crate) struct EventQueue {
    queue: VecDeque<Event>,
    bytes: usize,
}

impl EventQueue {
    pub(crate) fn push(&mut self, event: Event) {
        self.bytes += weight(&event);
        self.queue.push_back(event);
    }

    /// Queues an event before all others.
    pub(crate) fn push_front(&mut self, event: Event) {
        self.bytes += weight(&event);
        self.queue.push_front(event);
    }

    /// Drops all events.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.remove(0)
    }

    /// The first event that is the outcome of a request.
    pub(crate) fn pop_outcome(&mut self) -> Option<Event> {
        let index = self.queue.iter().position(Event::ends_request)?;
        self.remove(index)
    }

    fn remove(&mut self, index: usize) -> Option<Event> {
        let event = self.queue.remove(index)?;
        self.bytes -= weight(&event);
        if self.queue.is_empty() && self.queue.capacity() > RETAINED_EVENTS {
            self.queue = VecDeque::new();
        }
        Some(event)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        self.queue.len() < limits.events && self.bytes < limits.event_bytes
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::Message(message) => message.topic.len() + message.payload.len(),
        Event::MessageLost { topic, .. } => topic.len(),
        Event::Subscribed { reason_codes, .. } | Event::Unsubscribed { reason_codes, .. } => {
            reason_codes.len()
        }
        _ => 0,
    }
}
