//! The session: one connection to one broker, bytes and events in and out.

mod receive;
mod request;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

pub use request::Filter;

use crate::alias::{ReceivedAliases, TopicAliases};
use crate::broker::Broker;
use crate::codec::{self, Framer, violation};
use crate::deliveries::{Acknowledgement, Deliveries, DeliveryId, UnknownDelivery};
use crate::deviation::Deviations;
use crate::error::{Error, ProtocolError};
use crate::event::{Event, EventQueue};
use crate::keep_alive::{Due, KeepAlive};
use crate::limits::{Limits, UNREAD_ANSWERS, USUAL_FIELDS};
use crate::options::{ConnectOptions, InvalidOptions, Version};
use crate::outgoing::Outgoing;
use crate::requests::Requests;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// CONNECT is under way; the CONNACK must come before this time.
    Connecting {
        before: u64,
    },
    Connected,
    /// Nothing more is taken; what is queued may still be transmitted.
    Closed,
}

/// An MQTT client on one network connection.
///
/// Times are milliseconds from any epoch of the caller's, and must not go back.
///
/// The caller's loop: offer what the connection gave to [`receive`](Self::receive); drain
/// [`poll_event`](Self::poll_event); write what [`transmit`](Self::transmit) gives and report it with
/// [`transmitted`](Self::transmitted); at [`next_timeout`](Self::next_timeout) call
/// [`handle_timeout`](Self::handle_timeout). To hold the broker back, leave events in the queue and keep the bytes
/// `receive` did not consume; the keepalive allows for it.
#[derive(Debug)]
pub struct Session {
    version: Version,
    clean_start: bool,
    receive_maximum: u16,
    limits: Limits,
    state: State,
    broker: Broker,
    framer: Framer,
    events: EventQueue,
    requests: Requests,
    deliveries: Deliveries,
    aliases: TopicAliases,
    received_aliases: ReceivedAliases,
    deviations: Deviations,
    outgoing: Outgoing,
    keep_alive: KeepAlive,
    /// Input was held back since the last look at the keepalive, so a PINGRESP may be among it.
    was_held_back: bool,
    overhead: Overhead,
}

/// Input that gave the caller nothing: what a broker can send without end and without any event coming of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Packets no event came of, such as a PINGRESP, or a PUBACK for an identifier that is not in flight.
    pub packets: u64,
    /// Bytes received less the topics and payloads in events and 16 bytes for each event. A packet in progress counts as
    /// overhead until it is whole, so this is negative when its event has just been queued.
    pub bytes: i64,
}

impl Session {
    /// Starts a session on a connection that has just been made; the CONNECT is ready to transmit.
    pub fn new(options: &ConnectOptions, limits: Limits, now: u64) -> Result<Self, InvalidOptions> {
        options.check()?;
        if !limits.are_usable() {
            return Err(InvalidOptions::Limits);
        }
        let mut outgoing = Outgoing::default();
        codec::connect(outgoing.buffer(), options);
        Ok(Self {
            version: options.version,
            clean_start: options.clean_start,
            receive_maximum: options.receive_maximum,
            state: State::Connecting { before: now.saturating_add(limits.connect_timeout) },
            broker: Broker::default(),
            framer: Framer::new(options.maximum_packet_size),
            events: EventQueue::default(),
            requests: Requests::default(),
            deliveries: Deliveries::default(),
            aliases: TopicAliases::default(),
            received_aliases: ReceivedAliases::default(),
            deviations: Deviations::default(),
            outgoing,
            keep_alive: KeepAlive::new(options.keep_alive, limits.ping_timeout, now),
            was_held_back: false,
            overhead: Overhead::default(),
            limits,
        })
    }

    /// Takes bytes from the broker, in any pieces, and returns how many were consumed.
    ///
    /// Fewer than offered means that the events are to be polled, or on 3.1.1 messages to be acknowledged, before the
    /// rest is offered again. After an error the session has ended and, on version 5, a DISCONNECT with the reason is
    /// ready to transmit.
    pub fn receive(&mut self, now: u64, bytes: &[u8]) -> Result<usize, Error> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.can_receive() {
            let (before, queued) = (rest.len(), self.queued());
            self.receive_packet(&mut rest).map_err(|error| self.fail(error))?;
            let useful = self.queued().saturating_sub(queued);
            let consumed = before - rest.len();
            self.overhead.bytes += consumed.cast_signed() as i64 - useful.cast_signed() as i64;
        }
        if self.is_closed() {
            return Ok(bytes.len());
        }
        if self.is_connecting() && !self.can_receive() {
            // The CONNACK behind all this would never be read.
            return Err(
                self.fail(violation("more messages before CONNACK than can wait for it (MQTT-3.2.0-1)"))
            );
        }
        self.was_held_back |= !self.can_receive();
        let consumed = bytes.len() - rest.len();
        if consumed > 0 {
            self.keep_alive.received(now);
        }
        Ok(consumed)
    }

    /// Bytes of events in the queue, the fields every packet has included.
    fn queued(&self) -> usize {
        self.events.bytes() + self.events.len() * USUAL_FIELDS
    }

    /// What of the input gave no event since this was asked last, for a caller that bounds it.
    pub fn take_overhead(&mut self) -> Overhead {
        core::mem::take(&mut self.overhead)
    }

    /// Whether [`receive`](Self::receive) would take input: the session has not ended and its queues have room.
    pub fn can_receive(&self) -> bool {
        !self.is_closed() && self.events.has_room(&self.limits) && self.can_deliver() && self.can_answer()
    }

    /// Whether the broker reads what it is answered.
    fn can_answer(&self) -> bool {
        self.outgoing.untaken() <= self.limits.outgoing_bytes + UNREAD_ANSWERS
    }

    /// On 3.1.1 nothing but not reading keeps the broker from sending more QoS 1 messages.
    fn can_deliver(&self) -> bool {
        self.version.has_properties() || self.deliveries.len() < self.limits.unacknowledged
    }

    /// Appends to `out` all bytes that are to be sent. Report with [`transmitted`](Self::transmitted) as the
    /// connection takes them.
    pub fn transmit(&mut self, out: &mut Vec<u8>) {
        self.send_acknowledgements();
        self.outgoing.hand_out(out);
    }

    /// Whether [`transmit`](Self::transmit) would give bytes.
    pub fn wants_transmit(&self) -> bool {
        !self.outgoing.is_empty() || (self.is_connected() && self.deliveries.is_due())
    }

    /// Notes that the connection has taken `bytes` more of what [`transmit`](Self::transmit) gave. QoS 0 publishes
    /// among them are done (D47), and the keepalive counts from here.
    pub fn transmitted(&mut self, now: u64, bytes: usize) {
        if bytes > 0 {
            self.keep_alive.sent(now);
        }
        self.outgoing.take(bytes);
        while let Some(token) = self.outgoing.next_done() {
            self.events.push(Event::Published { token, reason_code: crate::reason::SUCCESS });
        }
    }

    /// The next event, in the order they happened. What the broker sent before it accepted the connection comes after
    /// [`Event::Connected`].
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.is_connecting() {
            return None;
        }
        let event = self.events.pop()?;
        self.requests.open -= usize::from(event.ends_request());
        Some(event)
    }

    /// The next outcome of a publish, subscribe or unsubscribe, ahead of what else waits: for a caller that has no room
    /// for messages but would not keep an answer waiting behind them.
    pub fn poll_answer(&mut self) -> Option<Event> {
        let event = self.events.pop_answer()?;
        self.requests.open -= 1;
        Some(event)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if ever. Changes with every other call.
    pub fn next_timeout(&self) -> Option<u64> {
        match self.state {
            State::Connecting { before } => Some(before),
            State::Connected => self.keep_alive.next_timeout(),
            State::Closed => None,
        }
    }

    /// Does what is due: a PINGREQ is queued, or the session ends because the broker did not answer.
    pub fn handle_timeout(&mut self, now: u64) -> Result<(), Error> {
        match self.state {
            State::Connecting { before } if now >= before => Err(self.expire(Error::ConnectTimeout)),
            State::Connected => self.keep_alive_due(now),
            _ => Ok(()),
        }
    }

    fn keep_alive_due(&mut self, now: u64) -> Result<(), Error> {
        match self.keep_alive.poll(now) {
            Due::Nothing => {}
            Due::Ping => codec::pingreq(self.outgoing.buffer()),
            Due::Dead if self.take_held_back() => self.keep_alive.extend(now),
            Due::Dead => return Err(self.expire(Error::KeepAliveTimeout)),
        }
        Ok(())
    }

    /// Whether the answer to a ping may be in input this session did not take.
    fn take_held_back(&mut self) -> bool {
        let is_held_back = !self.can_receive();
        core::mem::replace(&mut self.was_held_back, is_held_back) || is_held_back
    }

    /// Whether [`take_deviations`](Self::take_deviations) would give any.
    pub fn has_deviations(&self) -> bool {
        !self.deviations.is_empty()
    }

    /// The deviations from MQTT that were tolerated since the last call.
    pub fn take_deviations(&mut self) -> Deviations {
        core::mem::take(&mut self.deviations)
    }

    /// Acknowledges a message for the application. The PUBACK, or PUBREC of a QoS 2 message, leaves when every message the broker sent before
    /// is acknowledged too (MQTT-4.6.0-2, D48).
    pub fn acknowledge(&mut self, delivery: DeliveryId) -> Result<(), UnknownDelivery> {
        if self.is_connected() { self.deliveries.acknowledge(delivery) } else { Err(UnknownDelivery) }
    }

    fn send_acknowledgements(&mut self) {
        if !self.is_connected() {
            return;
        }
        while let Some(due) = self.deliveries.next_due() {
            match due {
                Acknowledgement::PubAck(packet_id) => codec::puback(self.outgoing.buffer(), packet_id),
                Acknowledgement::PubRec(packet_id) => codec::pubrec(self.outgoing.buffer(), packet_id),
            }
        }
    }

    /// Ends the session with a DISCONNECT behind everything already queued (M90). The broker drops the will, except for
    /// [`DISCONNECT_WITH_WILL`](crate::reason::DISCONNECT_WITH_WILL) on version 5 (M91); 3.1.1 has no reason code.
    /// Requests without an outcome stay without one, except QoS 0 publishes already queued.
    pub fn disconnect(&mut self, reason_code: u8) {
        if self.is_closed() {
            return;
        }
        self.send_acknowledgements();
        codec::disconnect(self.outgoing.buffer(), self.version, reason_code);
        self.close();
    }

    /// Whether the broker has accepted the connection and it has not ended.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// Whether the session has ended. What is queued may still be transmitted and polled.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Events waiting to be polled.
    pub fn undelivered(&self) -> usize {
        if self.is_connecting() { 0 } else { self.events.len() }
    }

    /// Topic and payload bytes in events waiting to be polled.
    pub fn undelivered_bytes(&self) -> usize {
        self.events.bytes()
    }

    /// Messages whose acknowledgement has not been handed to [`transmit`](Self::transmit)'s caller.
    pub fn unacknowledged(&self) -> usize {
        self.deliveries.len()
    }

    /// Bytes the connection has not taken, publishes that wait for the broker's Receive Maximum included.
    pub fn untransmitted(&self) -> usize {
        self.outgoing.untaken() + self.requests.waiting_bytes()
    }

    /// Ends the session because the broker broke a rule; version 5 tells it which (MQTT 5, 4.13.1), 3.1.1 just closes
    /// (MQTT-4.8.0-1 of 3.1.1), so that the will is published.
    fn fail(&mut self, error: ProtocolError) -> Error {
        if self.version.has_properties() {
            codec::disconnect(self.outgoing.buffer(), self.version, error.reason_code);
        }
        self.expire(error.into())
    }

    fn expire(&mut self, error: Error) -> Error {
        self.close();
        error
    }

    fn close(&mut self) {
        if self.is_connecting() {
            // Messages before a CONNACK that never accepted them.
            self.events.clear();
        }
        self.state = State::Closed;
        self.requests.abandon();
    }
}
