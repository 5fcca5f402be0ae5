//! An MQTT channel: requests on the link become packets of a client session, and what the broker says becomes answers
//! and messages on the link.

mod broker;
mod ending;
mod overhead_limit;
mod requests;

use alloc::boxed::Box;
use alloc::string::String;

pub(crate) use broker::Broker;
use ending::{Cause, Ending};
use link::channel::ClosureReason;
use link::kind::to_device;
use link::mqtt::{FilterCodes, Outcome, PublishSlots, Published, RequestState};
use link::{TOPIC_NUMBERS, Violation};
use mqtt::{ConnectOptions, Input};
use sansio::Instant;

use crate::channel::Context;
use crate::limits::FLOOD_SECONDS;
use crate::protocol::{ConnectError, ConnectionEnd, ConnectionId, Notice, Output, Target};
use crate::reconnects::Destination;
use crate::token_bucket::TokenBucket;

/// The tokens of requests other than publishes, whose tokens are their slots.
const SUBSCRIBE: u32 = 100;
const UNSUBSCRIBE: u32 = 101;

/// How far the channel is with its broker.
#[derive(Debug)]
enum Stage {
    /// No connect was asked for.
    New,
    /// A connect has to wait, because those before failed (D197).
    Waiting { until: Instant, target: Box<Target>, options: Box<ConnectOptions> },
    /// The connection is being made.
    Opening { connection: ConnectionId, options: Box<ConnectOptions> },
    /// There is a connection: MQTT is being spoken.
    Broker(Box<Broker>),
    /// The connect failed, or the connection is over.
    Over,
}

/// The requests in flight: each is owed exactly one answer (M12).
#[allow(clippy::struct_excessive_bools, reason = "each is one request, independent of the others")]
#[derive(Debug, Default)]
struct Owed {
    connect: bool,
    publishes: PublishSlots,
    subscribe: bool,
    unsubscribe: bool,
    disconnect: bool,
}

/// What [`MqttChannel::finish`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing: the broker has not ended, or there is something to be sent first.
    NotYet,
    /// The device is being told.
    Told,
    /// The channel is to be closed for this reason.
    Closed(ClosureReason),
}

/// A channel to one broker.
#[derive(Debug)]
pub(crate) struct MqttChannel {
    stage: Stage,
    /// The broker that was asked for.
    destination: Option<Destination>,
    owed: Owed,
    topics: [Option<Box<[u8]>>; TOPIC_NUMBERS as usize],
    /// Of each publish slot, whether the publish in it has QoS 1.
    qos1: u16,
    message_rate: TokenBucket,
    ending: Option<Ending>,
}

impl MqttChannel {
    /// A channel on which nothing was asked for yet.
    pub(crate) fn new(now: Instant, messages_per_second: u32) -> Self {
        Self {
            stage: Stage::New,
            destination: None,
            owed: Owed::default(),
            topics: Default::default(),
            qos1: 0,
            message_rate: TokenBucket::new(messages_per_second, FLOOD_SECONDS, now),
            ending: None,
        }
    }

    /// Whether the connection is this channel's.
    pub(crate) fn has(&self, id: ConnectionId) -> bool {
        self.connection() == Some(id)
    }

    fn connection(&self) -> Option<ConnectionId> {
        match &self.stage {
            Stage::Opening { connection, .. } => Some(*connection),
            Stage::Broker(broker) => Some(broker.connection),
            Stage::New | Stage::Waiting { .. } | Stage::Over => None,
        }
    }

    /// Whether an answer is owed that the broker or its connection will give.
    pub(crate) fn is_asked(&self) -> bool {
        let Owed { connect: _, publishes, subscribe, unsubscribe, disconnect } = &self.owed;
        publishes.iter().next().is_some() || *subscribe || *unsubscribe || *disconnect
    }

    /// Bytes of topic names.
    pub(crate) fn topics(&self) -> usize {
        self.topics.iter().flatten().map(|topic| topic.len()).sum()
    }

    /// Bytes held for it, its broker's and its own; without topic names, which have a place of their own.
    pub(crate) fn held(&self) -> usize {
        match &self.stage {
            Stage::Waiting { options, .. } | Stage::Opening { options, .. } => broker::length(options),
            Stage::Broker(broker) => broker.held(),
            Stage::New | Stage::Over => 0,
        }
    }

    /// A whole item came from the device.
    pub(crate) fn item(&mut self, kind: u8, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
        requests::item(self, kind, body, cx)?;
        self.advance(cx);
        Ok(())
    }

    /// The connection stands: CONNECT can go out.
    pub(crate) fn opened(&mut self, cx: &mut Context<'_>) {
        let Stage::Opening { connection, options } = &self.stage else { return };
        match Broker::new(*connection, options, cx.settings, cx.now) {
            Ok(broker) => self.stage = Stage::Broker(Box::new(broker)),
            Err(_) => self.refuse_connect(ConnectError::InvalidParameters, cx),
        }
        self.advance(cx);
    }

    /// Has the connection made.
    fn open(&mut self, target: Target, options: Box<ConnectOptions>, cx: &mut Context<'_>) {
        let connection = cx.new_connection();
        self.stage = Stage::Opening { connection, options };
        cx.outputs.push_back(Output::OpenConnection { connection, target });
    }

    /// The connection could not be made.
    pub(crate) fn failed(&mut self, cause: ConnectError, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Broker(_)) {
            return self.closed(ConnectionEnd::Failed(cause), cx);
        }
        self.stage = Stage::Over;
        self.refuse_connect(cause, cx);
    }

    /// Bytes from the broker.
    pub(crate) fn received(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if let Stage::Broker(broker) = &mut self.stage {
            broker.keep(bytes);
        }
        self.advance(cx);
    }

    /// The connection took bytes.
    pub(crate) fn written(&mut self, bytes: usize, cx: &mut Context<'_>) {
        if let Stage::Broker(broker) = &mut self.stage {
            broker.written(cx.now, bytes);
        }
        self.advance(cx);
    }

    /// The connection has ended. What it brought before is still used, as far as there is room for it.
    pub(crate) fn closed(&mut self, end: ConnectionEnd, cx: &mut Context<'_>) {
        match (&mut self.stage, end) {
            (Stage::Opening { .. }, ConnectionEnd::Closed) => return self.failed(ConnectError::Socket, cx),
            (Stage::Opening { .. }, ConnectionEnd::Failed(cause)) => return self.failed(cause, cx),
            (Stage::Broker(broker), end) => broker.gone = Some(end),
            (Stage::New | Stage::Waiting { .. } | Stage::Over, _) => {}
        }
        self.advance(cx);
    }

    /// The session's time has come.
    pub(crate) fn timeout(&mut self, cx: &mut Context<'_>) {
        if let Some((target, options)) = self.take_due(cx.now) {
            self.open(target, options, cx);
        }
        if let Stage::Broker(broker) = &mut self.stage
            && broker.gone.is_none()
        {
            if broker.is_out_of_patience(cx.now) {
                return self.give_up(cx);
            }
            if let Err(error) = broker.client.handle(cx.now, Input::Timeout) {
                return self.broken(error, cx);
            }
        }
        self.advance(cx);
    }

    /// The connect that has waited long enough.
    fn take_due(&mut self, now: Instant) -> Option<(Target, Box<ConnectOptions>)> {
        if !matches!(self.stage, Stage::Waiting { until, .. } if until <= now) {
            return None;
        }
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waiting { target, options, .. } => Some((*target, options)),
            _ => None,
        }
    }

    /// The connection did not take the application's DISCONNECT: it is dropped, and the disconnect did not succeed.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.tell_all(cx);
        self.release(true, cx);
        self.answer_all(RequestState::NotConnected, cx);
    }

    /// When [`Self::timeout`] is due, if ever.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Waiting { until, .. } => Some(*until),
            Stage::Broker(broker) => broker.next_timeout(),
            _ => None,
        }
    }

    /// Bytes that wait for the broker's connection; `None` without one.
    pub(crate) fn untransmitted(&self) -> Option<usize> {
        if let Stage::Broker(broker) = &self.stage { Some(broker.client.untransmitted()) } else { None }
    }

    /// The device has closed the channel, or is gone: the broker is left without DISCONNECT, so that it sends the will (D52).
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        self.release(true, cx);
    }

    /// Goes on with the channel's end, if its broker has ended: first `DISCONNECTED`, behind all messages, then the close.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) -> Finish {
        match &mut self.ending {
            Some(ending) if !ending.told && cx.outbox.waiting() == 0 => {
                ending.told = true;
                let outcome = ending.outcome;
                cx.answer(to_device::DISCONNECTED, outcome);
                Finish::Told
            }
            Some(ending) if ending.told && cx.outbox.is_empty() => Finish::Closed(ending.reason),
            _ => Finish::NotYet,
        }
    }

    /// Does all that can be done now: events to the device, kept bytes into the session, its bytes to the broker.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            self.tell_events(cx);
            let Stage::Broker(broker) = &mut self.stage else { return };
            let fed = broker.feed(cx.now);
            broker.note_deviations(cx);
            match fed {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.broken(error, cx),
            }
        }
        if let Stage::Broker(broker) = &mut self.stage {
            broker.send(cx);
            broker.pause_or_resume(cx);
        }
        self.finish_disconnect(cx);
        self.finish_gone(cx);
    }

    /// Once all that a closed connection brought has been used, the broker's end is over.
    fn finish_gone(&mut self, cx: &mut Context<'_>) {
        if let Stage::Broker(broker) = &self.stage
            && let Some(end) = &broker.gone
            && (broker.is_used_up() || self.owed.disconnect)
        {
            let cause = match end {
                ConnectionEnd::Closed => Cause::Closed,
                ConnectionEnd::Failed(cause) => Cause::Lost(cause.clone()),
            };
            self.tell_all(cx);
            self.end(cause, cx);
        }
    }

    /// Tells what happened as far as there is room for messages; answers need none and wait for none (D96).
    fn tell_events(&mut self, cx: &mut Context<'_>) {
        while let Stage::Broker(broker) = &mut self.stage {
            let (now, has_room) = (cx.now, cx.has_room_for_messages());
            let event = if has_room { broker.client.poll(now) } else { broker.client.poll_outcome(now) };
            let Some(event) = event else { return };
            self.tell(event, cx);
        }
    }

    /// Tells everything, room or not, before the session is gone: what it holds is bounded by its own limits.
    fn tell_all(&mut self, cx: &mut Context<'_>) {
        while let Stage::Broker(broker) = &mut self.stage
            && let Some(event) = broker.client.poll(cx.now)
        {
            self.tell(event, cx);
        }
    }

    fn tell(&mut self, event: mqtt::Event, cx: &mut Context<'_>) {
        match event {
            mqtt::Event::Connected { .. } => self.connected(cx),
            mqtt::Event::ConnectRefused { reason_code } => {
                self.refuse_connect(Cause::Disconnected(reason_code).connect_failure(self.is_version5()), cx);
            }
            mqtt::Event::Published { token, reason_code } => self.published(token as u8, reason_code, cx),
            mqtt::Event::Subscribed { reason_codes, .. } => {
                if core::mem::take(&mut self.owed.subscribe) {
                    cx.answer_codes(to_device::SUBSCRIBED, FilterCodes::completed(&reason_codes));
                }
            }
            mqtt::Event::Unsubscribed { reason_codes, .. } => {
                if core::mem::take(&mut self.owed.unsubscribe) {
                    cx.answer_codes(to_device::UNSUBSCRIBED, FilterCodes::completed(&reason_codes));
                }
            }
            mqtt::Event::Message(message) => self.message(&message, cx),
            mqtt::Event::MessageLost { topic, length } => cx.lost(&topic, length),
            mqtt::Event::Disconnected { reason_code } => self.end(Cause::Disconnected(reason_code), cx),
        }
    }

    fn is_version5(&self) -> bool {
        matches!(&self.stage, Stage::Broker(broker) if broker.is_version5)
    }

    fn connected(&mut self, cx: &mut Context<'_>) {
        self.owed.connect = false;
        if let Stage::Broker(broker) = &mut self.stage {
            broker.connected_at = Some(cx.now);
        }
        let channel = cx.number;
        cx.notice(|| Notice::BrokerConnected { channel });
        cx.counts.connected += 1;
        cx.answer(to_device::CONNECTED, Outcome { state: RequestState::Completed, reason: 0 });
    }

    /// Answers a connect that did not succeed; with the broker's code if it was the broker that refused (M55).
    fn refuse_connect(&mut self, cause: ConnectError, cx: &mut Context<'_>) {
        self.release(false, cx);
        if core::mem::take(&mut self.owed.connect) {
            let outcome = Outcome { state: cause.state(), reason: u32::from(cause.code()) };
            cx.answer(to_device::CONNECTED, outcome);
            let (channel, destination) = (cx.number, self.destination.clone());
            let is_worth_a_pause = cause != ConnectError::Withdrawn;
            if let Some(destination) = destination.as_ref().filter(|_| is_worth_a_pause) {
                cx.reconnects.failed(destination, cx.now);
            }
            let (host, port) = destination.map_or((String::new(), 0), |to| (to.host, to.port));
            cx.report(Notice::ConnectFailed { channel, host, port, error: cause });
        }
        self.answer_all(RequestState::NotConnected, cx);
    }

    fn published(&mut self, slot: u8, reason_code: u8, cx: &mut Context<'_>) {
        if self.owed.publishes.release(slot).is_ok() {
            // From 0x80 on the broker did not accept the message, and completed would say that it did (M64).
            let accepted = reason_code < 0x80;
            let state = if accepted { RequestState::Completed } else { RequestState::InvalidParameters };
            cx.answer_publish(self.is_qos1(slot), Published { slot, state, reason: u32::from(reason_code) });
        }
    }

    fn is_qos1(&self, slot: u8) -> bool {
        self.qos1 >> slot & 1 == 1
    }

    fn note_qos(&mut self, slot: u8, qos1: bool) {
        self.qos1 = self.qos1 & !(1 << slot) | u16::from(qos1) << slot;
    }

    fn message(&mut self, message: &mqtt::Message, cx: &mut Context<'_>) {
        if !self.message_rate.try_take(cx.now) {
            cx.counts.flooded += 1;
            return self.end(Cause::Flooded, cx);
        }
        if cx.deliver(message) {
            return;
        }
        // It could never fit, so the application cannot acknowledge it: the cloud does (D49).
        if let (Stage::Broker(broker), Some(delivery)) = (&mut self.stage, message.delivery) {
            let _ = broker.client.acknowledge(delivery);
        }
    }

    /// The broker broke the protocol, or went silent. What it said before counts.
    fn broken(&mut self, error: mqtt::Error, cx: &mut Context<'_>) {
        self.tell_all(cx);
        let Stage::Broker(broker) = &mut self.stage else { return };
        broker.send(cx);
        self.end(Cause::Broken(error), cx);
    }

    /// The broker's end is over. Before it ever was up, that is a failed connect; before the application's own disconnect
    /// has gone out, that one came too late (M18); else the channel ends with it (D50).
    fn end(&mut self, cause: Cause, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::New | Stage::Waiting { .. } | Stage::Over) {
            return;
        }
        let is_version5 = self.is_version5();
        if self.owed.connect {
            return self.refuse_connect(cause.connect_failure(is_version5), cx);
        }
        let asked_for = self.owed.disconnect;
        self.release(false, cx);
        self.answer_all(cause.state(), cx);
        if !asked_for {
            let channel = cx.number;
            cx.notice(|| Notice::BrokerLost { channel, reason: cause.text() });
            let (outcome, reason) = (cause.outcome(is_version5), cause.closure());
            self.ending = Some(Ending { outcome, reason, told: false });
        }
    }

    /// The application's disconnect is done when the broker's connection has taken it.
    fn finish_disconnect(&mut self, cx: &mut Context<'_>) {
        if self.owed.disconnect && self.is_all_written() {
            self.tell_all(cx);
        }
        // Telling can have been the end: too many messages.
        if self.owed.disconnect && self.is_all_written() {
            self.release(false, cx);
            self.owed.disconnect = false;
            self.answer_all(RequestState::NotConnected, cx);
            cx.answer(to_device::DISCONNECTED, Outcome { state: RequestState::Completed, reason: 0 });
        }
    }

    fn is_all_written(&self) -> bool {
        matches!(&self.stage, Stage::Broker(broker) if broker.is_all_written())
    }

    /// Ends the connection, if there still is one: at once, or when it has sent what it was given.
    fn release(&mut self, abort: bool, cx: &mut Context<'_>) {
        if let (Stage::Broker(broker), Some(destination)) = (&self.stage, &self.destination)
            && let Some(connected_at) = broker.connected_at
        {
            cx.reconnects.ended(destination, connected_at, self.owed.disconnect, cx.now);
        }
        let is_gone = matches!(&self.stage, Stage::Broker(broker) if broker.gone.is_some());
        if let (Some(connection), false) = (self.connection(), is_gone) {
            cx.close(connection, abort);
        }
        self.stage = Stage::Over;
    }

    /// Answers everything in flight (M12).
    fn answer_all(&mut self, state: RequestState, cx: &mut Context<'_>) {
        let owed = core::mem::take(&mut self.owed);
        for slot in owed.publishes.iter() {
            cx.answer_publish(self.is_qos1(slot), Published { slot, state, reason: 0 });
        }
        if owed.subscribe {
            cx.answer_codes(to_device::SUBSCRIBED, Some(FilterCodes::failed(state)));
        }
        if owed.unsubscribe {
            cx.answer_codes(to_device::UNSUBSCRIBED, Some(FilterCodes::failed(state)));
        }
        if owed.disconnect {
            cx.answer(to_device::DISCONNECTED, Outcome { state, reason: 0 });
        }
    }
}
