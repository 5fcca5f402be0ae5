//! What is on its way between device, cloud, broker and web server, in the order in which it arrives.

use std::collections::BTreeMap;

use relay::{ConnectionEnd, ConnectionId, ExchangeId, HttpOutcome};

/// The number of a connection between device and cloud.
pub(super) type LinkNumber = u32;

/// Something that arrives at its time.
pub(super) enum Delivery {
    /// An attempt to connect to the cloud ends.
    LinkAttempt,
    /// The link takes bytes of the device again.
    LinkWritable,
    /// The cloud has closed the link.
    LinkEnd,
    /// Bytes from the device.
    ToCloud(Vec<u8>),
    /// Bytes from the cloud.
    ToDevice(Vec<u8>),
    /// An attempt to connect to the broker ends: with an error, or without.
    BrokerAttempt(ConnectionId, Option<relay::ConnectError>),
    /// Bytes for the broker.
    ToBroker(ConnectionId, Vec<u8>),
    /// Bytes from the broker.
    FromBroker(ConnectionId, Vec<u8>),
    /// The broker has ended a connection.
    BrokerEnd(ConnectionId, ConnectionEnd),
    /// The web server's answer.
    Answer(ExchangeId, HttpOutcome),
    /// What the store answers.
    Values(relay::LookupId, Vec<relay::Value>),
}

/// Deliveries of links, by the cycle at which they arrive. Those of one cycle keep their order.
#[derive(Default)]
pub(super) struct Deliveries {
    waiting: BTreeMap<(u64, u64), (LinkNumber, Delivery)>,
    number: u64,
}

impl Deliveries {
    pub(super) fn add(&mut self, at: u64, link: LinkNumber, delivery: Delivery) {
        self.number += 1;
        self.waiting.insert((at, self.number), (link, delivery));
    }

    /// When the next one arrives.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next one that has arrived by `now`.
    pub(super) fn take_due(&mut self, now: u64) -> Option<(LinkNumber, Delivery)> {
        let first = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    /// The exchange is cancelled: its answer is not delivered.
    pub(super) fn cancel(&mut self, exchange: ExchangeId) {
        self.waiting
            .retain(|_, (_, delivery)| !matches!(delivery, Delivery::Answer(of, _) if *of == exchange));
    }

    /// The connection is closed: what is on its way to the broker, and nothing else of it is delivered.
    pub(super) fn take_for_broker(&mut self, connection: ConnectionId) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        self.waiting.retain(|_, (_, delivery)| match delivery {
            Delivery::ToBroker(of, bytes) if *of == connection => {
                sent.push(std::mem::take(bytes));
                false
            }
            Delivery::BrokerAttempt(of, _) | Delivery::FromBroker(of, _) | Delivery::BrokerEnd(of, _) => {
                *of != connection
            }
            _ => true,
        });
        sent
    }

    /// The link has ended: what was on its way is lost.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
