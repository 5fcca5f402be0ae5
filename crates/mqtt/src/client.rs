//! The client: one connection to one broker, bytes and events in and out.

mod receive;
mod request;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::{fmt, mem};

use sansio::{Instant, StateMachine};

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
    /// The CONNECT is being sent; the CONNACK must arrive before the deadline.
    Connecting {
        deadline: Instant,
    },
    Connected,
    /// No more input is accepted; what is queued may still be transmitted.
    Closed,
}

/// What can happen to a [`Client`].
pub enum Input<'a, 'b> {
    /// Bytes from the broker, split anywhere. The client takes them from the front of the slice; what it leaves must be
    /// offered again.
    ///
    /// Bytes are left when the client's queues are full: events have to be polled first, or, on 3.1.1, messages
    /// acknowledged. They stay with the caller, who can stop reading from the connection, so that a broker is held back
    /// by TCP and not buffered without limit.
    Received(&'a mut &'b [u8]),
    /// The connection has accepted this many more of the bytes [`Client::transmit`] gave. QoS 0 publishes among them
    /// are complete, since the broker never acknowledges them (D47), and the keepalive interval starts again.
    Transmitted(usize),
    /// [`Client::next_timeout`] has been reached. Sends a PINGREQ, or ends a connection whose broker did not answer.
    Timeout,
}

/// An MQTT client on one network connection.
///
/// It is driven as every core is (see [`sansio`]): [`handle`](Self::handle) what happened, [`poll`](Self::poll)
/// events until there are none, and wait for the next input or [`next_timeout`](Self::next_timeout).
///
/// Bytes leave by [`transmit`](Self::transmit) instead of `poll`, because they do not wait for events: a caller that
/// has no room for events must still be able to send acknowledgements and pings. For back-pressure, leave events in
/// the queue and keep the bytes [`Input::Received`] did not take; the keepalive allows for it.
pub struct Client {
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
    /// Input was refused since the keepalive was last checked, so a PINGRESP may be among it.
    was_blocked: bool,
    overhead: Overhead,
}

/// Input that produced no event: what a broker can send without end and without the caller noticing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Packets that produced no event, such as a PINGRESP, or a PUBACK for an identifier that is not in flight.
    pub packets: u64,
    /// Bytes received minus the topics and payloads in events and 16 bytes for each event. An incomplete packet
    /// counts as overhead, so this is negative when its event has just been queued.
    pub bytes: i64,
}

impl Client {
    /// Starts on a connection that has just been established; the CONNECT is ready to transmit.
    ///
    /// # Errors
    /// [`InvalidOptions`] for the first option that MQTT does not allow. No connection is needed to find that.
    pub fn new(options: &ConnectOptions, limits: Limits, now: Instant) -> Result<Self, InvalidOptions> {
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
            state: State::Connecting { deadline: now + limits.connect_timeout },
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
            was_blocked: false,
            overhead: Overhead::default(),
            limits,
        })
    }

    /// Processes what happened.
    ///
    /// # Errors
    /// The connection has ended: close it, after transmitting what is left. On version 5 that is a DISCONNECT with
    /// the reason. [`Input::Transmitted`] never fails.
    pub fn handle(&mut self, now: Instant, input: Input<'_, '_>) -> Result<(), Error> {
        match input {
            Input::Received(bytes) => self.receive(now, bytes),
            Input::Transmitted(bytes) => {
                self.transmitted(now, bytes);
                Ok(())
            }
            Input::Timeout => self.handle_timeout(now),
        }
    }

    fn receive(&mut self, now: Instant, input: &mut &[u8]) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Error::Closed);
        }
        let offered = input.len();
        while !input.is_empty() && self.can_receive() {
            let (before, queued) = (input.len(), self.queued());
            self.receive_packet(input).map_err(|error| self.fail(error))?;
            let useful = self.queued().saturating_sub(queued);
            let consumed = before - input.len();
            self.overhead.bytes += consumed.cast_signed() as i64 - useful.cast_signed() as i64;
        }
        if self.is_closed() {
            // Nothing behind a DISCONNECT or a refusal means anything, and no caller should offer it again.
            *input = &[];
            return Ok(());
        }
        if self.is_connecting() && !self.can_receive() {
            // The CONNACK behind all this could never be read.
            return Err(
                self.fail(violation("more messages before CONNACK than can wait for it (MQTT-3.2.0-1)"))
            );
        }
        self.was_blocked |= !self.can_receive();
        if input.len() < offered {
            self.keep_alive.received(now);
        }
        Ok(())
    }

    /// Bytes of events in the queue, including the fields every packet has.
    fn queued(&self) -> usize {
        self.events.bytes() + self.events.len() * USUAL_FIELDS
    }

    /// The input that produced no event since the last call, for a caller that limits it.
    pub fn take_overhead(&mut self) -> Overhead {
        mem::take(&mut self.overhead)
    }

    /// Whether [`Input::Received`] would take bytes: the connection has not ended and the queues have room.
    pub fn can_receive(&self) -> bool {
        !self.is_closed() && self.events.has_room(&self.limits) && self.can_deliver() && self.can_answer()
    }

    /// Whether the broker reads the answers to what it sends.
    fn can_answer(&self) -> bool {
        self.outgoing.unaccepted() <= self.limits.outgoing_bytes + UNREAD_ANSWERS
    }

    /// Version 3.1.1 has no Receive Maximum: only not reading keeps the broker from sending more QoS 1 messages.
    fn can_deliver(&self) -> bool {
        self.version.has_properties() || self.deliveries.len() < self.limits.unacknowledged
    }

    /// Appends all bytes ready to be sent to `out`. Report them with [`Input::Transmitted`] as the connection accepts
    /// them.
    ///
    /// An empty `out` is exchanged for the internal buffer, so that the bytes are not copied.
    pub fn transmit(&mut self, out: &mut Vec<u8>) {
        self.send_acknowledgements();
        self.outgoing.hand_out(out);
    }

    /// Whether [`transmit`](Self::transmit) would append bytes.
    pub fn wants_transmit(&self) -> bool {
        !self.outgoing.is_empty() || (self.is_connected() && self.deliveries.is_due())
    }

    fn transmitted(&mut self, now: Instant, bytes: usize) {
        if bytes > 0 {
            self.keep_alive.sent(now);
        }
        self.outgoing.accept(bytes);
        while let Some(token) = self.outgoing.next_complete() {
            self.events.push(Event::Published { token, reason_code: crate::reason::SUCCESS });
        }
    }

    /// The next event, in the order they happened. Messages the broker sent before its CONNACK follow
    /// [`Event::Connected`].
    pub fn poll(&mut self, _now: Instant) -> Option<Event> {
        if self.is_connecting() {
            return None;
        }
        let event = self.events.pop()?;
        self.requests.open -= usize::from(event.ends_request());
        Some(event)
    }

    /// The next outcome of a publish, subscribe or unsubscribe, ahead of all other events.
    ///
    /// For a caller that has no room for messages for now: an outcome needs none, and must not wait behind messages
    /// until the caller has room again (D96). Everything else keeps its order for [`poll`](Self::poll).
    pub fn poll_outcome(&mut self, _now: Instant) -> Option<Event> {
        let event = self.events.pop_outcome()?;
        self.requests.open -= 1;
        Some(event)
    }

    /// When [`Input::Timeout`] is due, if ever. Changes with every call of another method.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { deadline } => Some(deadline),
            State::Connected => self.keep_alive.next_timeout(),
            State::Closed => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.state {
            State::Connecting { deadline } if now >= deadline => Err(self.expire(Error::ConnectTimeout)),
            State::Connected => self.keep_alive_due(now),
            _ => Ok(()),
        }
    }

    fn keep_alive_due(&mut self, now: Instant) -> Result<(), Error> {
        match self.keep_alive.poll(now) {
            Due::Nothing => {}
            Due::Ping => codec::pingreq(self.outgoing.buffer()),
            Due::Dead if self.take_blocked() => self.keep_alive.extend(now),
            Due::Dead => return Err(self.expire(Error::KeepAliveTimeout)),
        }
        Ok(())
    }

    /// Whether the answer to a ping may be in input that was refused for want of room: then its absence is not the
    /// broker's fault (D54).
    fn take_blocked(&mut self) -> bool {
        let is_blocked = !self.can_receive();
        mem::replace(&mut self.was_blocked, is_blocked) || is_blocked
    }

    /// Whether [`take_deviations`](Self::take_deviations) would return any.
    pub fn has_deviations(&self) -> bool {
        !self.deviations.is_empty()
    }

    /// The deviations from MQTT that were tolerated since the last call.
    pub fn take_deviations(&mut self) -> Deviations {
        mem::take(&mut self.deviations)
    }

    /// Acknowledges a message for the application. The PUBACK, or the PUBREC of a QoS 2 message, is sent once every
    /// earlier message is acknowledged too, because the standard wants them in order (MQTT-4.6.0-2, D48).
    ///
    /// # Errors
    /// [`UnknownDelivery`]: the message is acknowledged already, or of an earlier connection (D97).
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

    /// Ends the connection with a DISCONNECT behind everything already queued, so that a clean end loses nothing that
    /// was accepted (M90). The broker drops the will, except for
    /// [`DISCONNECT_WITH_WILL`](crate::reason::DISCONNECT_WITH_WILL) on version 5 (M91); 3.1.1 has no reason code.
    /// Pending requests get no outcome, except QoS 0 publishes already queued.
    pub fn disconnect(&mut self, reason_code: u8) {
        if self.is_closed() {
            return;
        }
        self.send_acknowledgements();
        codec::disconnect(self.outgoing.buffer(), self.version, reason_code);
        self.close();
    }

    /// Whether the broker has accepted the connection, and it has not ended.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// Whether the connection has ended. What is queued may still be transmitted and polled.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Events waiting to be polled.
    pub fn pending_events(&self) -> usize {
        if self.is_connecting() { 0 } else { self.events.len() }
    }

    /// Topic and payload bytes in events waiting to be polled.
    pub fn pending_event_bytes(&self) -> usize {
        self.events.bytes()
    }

    /// Messages whose acknowledgement has not left by [`transmit`](Self::transmit).
    pub fn unacknowledged(&self) -> usize {
        self.deliveries.len()
    }

    /// Bytes the connection has not accepted, including publishes that wait for the broker's Receive Maximum.
    pub fn untransmitted(&self) -> usize {
        self.outgoing.unaccepted() + self.requests.waiting_bytes()
    }

    /// Ends the connection because the broker broke a rule. Version 5 sends it the reason (MQTT 5, 4.13.1); 3.1.1
    /// just closes the connection, because its DISCONNECT would make the broker drop the will (MQTT-4.8.0-1 of
    /// 3.1.1).
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
            // Messages that preceded a CONNACK: it never accepted the connection, so they were never valid.
            self.events.clear();
        }
        self.state = State::Closed;
        self.requests.abandon();
    }
}

impl fmt::Debug for Client {
    /// Omits what is buffered: payloads, and the CONNECT with its password, are among it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("version", &self.version)
            .field("state", &self.state)
            .field("pending_events", &self.pending_events())
            .field("untransmitted", &self.untransmitted())
            .finish_non_exhaustive()
    }
}

impl StateMachine for Client {
    type Time = Instant;
    type Input<'a> = Input<'a, 'a>;
    type Output = Event;
    type Error = Error;

    const TIMEOUT: Input<'static, 'static> = Input::Timeout;

    fn handle(&mut self, now: Instant, input: Input<'_, '_>) -> Result<(), Error> {
        Self::handle(self, now, input)
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        Self::poll(self, now)
    }

    fn next_timeout(&self) -> Option<Instant> {
        Self::next_timeout(self)
    }
}
