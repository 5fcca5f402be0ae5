//! Requests to the broker: packet identifiers, what is in flight, and what waits for the broker's Receive Maximum.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// A QoS 1 publish that may not be sent yet (MQTT-3.3.4-7).
pub(crate) struct Waiting {
    pub(crate) token: u32,
    pub(crate) topic: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) retain: bool,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

/// Which acknowledgement ends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Publish,
    Subscribe,
    Unsubscribe,
}

/// A request the broker has not answered.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) kind: Kind,
    pub(crate) packet_id: u16,
    pub(crate) token: u32,
    /// Topic filters in the request.
    pub(crate) filters: usize,
}

/// The requests of one connection. Bounded by the caller through [`Self::open`].
#[derive(Default)]
pub(crate) struct Requests {
    in_flight: VecDeque<InFlight>,
    publishes_in_flight: usize,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    last_packet_id: u16,
    /// Requests whose outcome has not been polled.
    pub(crate) open: usize,
}

impl Requests {
    /// Starts a request with a packet identifier no other request uses (MQTT-2.2.1-3).
    pub(crate) fn start(&mut self, kind: Kind, token: u32, filters: usize) -> u16 {
        let packet_id = self.free_packet_id();
        self.publishes_in_flight += usize::from(kind == Kind::Publish);
        self.in_flight.push_back(InFlight { kind, packet_id, token, filters });
        packet_id
    }

    /// Ends the request of `kind` with this packet identifier, which is free again from here on.
    pub(crate) fn finish(&mut self, kind: Kind, packet_id: u16) -> Option<InFlight> {
        let matches = |entry: &InFlight| entry.packet_id == packet_id && entry.kind == kind;
        let index = self.in_flight.iter().position(matches)?;
        self.publishes_in_flight -= usize::from(kind == Kind::Publish);
        self.in_flight.remove(index)
    }

    /// The next identifier in 1 to 65 535, cyclically, that is not in use: one just released is reused as late as
    /// possible, in case the broker still sends something for it. There always is one, because requests are bounded by
    /// `MAXIMUM_REQUESTS`.
    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.iter().any(|entry| entry.packet_id == self.last_packet_id) {
                return self.last_packet_id;
            }
        }
    }

    /// QoS 1 publishes sent and not acknowledged.
    pub(crate) fn publishes_in_flight(&self) -> usize {
        self.publishes_in_flight
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(crate) fn wait(&mut self, publish: Waiting) {
        self.waiting_bytes += publish.bytes();
        self.waiting.push_back(publish);
    }

    pub(crate) fn next_waiting(&mut self) -> Option<Waiting> {
        let publish = self.waiting.pop_front()?;
        self.waiting_bytes -= publish.bytes();
        Some(publish)
    }

    /// Drops what will never be sent or answered, because the connection has ended.
    pub(crate) fn abandon(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
        self.in_flight = VecDeque::new();
        self.publishes_in_flight = 0;
    }
}

/// The codes of an acknowledgement that has none: success for each filter.
pub(crate) fn all_success(filters: usize) -> Vec<u8> {
    alloc::vec![crate::reason::SUCCESS; filters]
}
