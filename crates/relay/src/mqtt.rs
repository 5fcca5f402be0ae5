//! An MQTT channel: requests on the link become packets of an MQTT client, and what the broker sends becomes
//! responses and messages on the link.
//!
//! - `connect.rs`: whether a connect is allowed. `stage.rs`: how far it is. `broker_connection.rs`: the connection.
//! - `requests.rs`: publishes, subscribes and unsubscribes. `messages.rs`: messages from the broker.
//! - `end_cause.rs`: why a connection ended. `overhead_limit.rs`: a broker that sends what has no effect.

mod broker_connection;
mod connect;
mod end_cause;
mod messages;
mod overhead_limit;
mod requests;
mod stage;

use alloc::boxed::Box;
use alloc::string::String;
use core::mem;

use link::channel::ChannelType;
use link::kind::{to_cloud, to_device};
use link::mqtt::{Acknowledge, Connect, Outcome, RequestState};
use link::{Violation, violation};
use mqtt::{ConnectOptions, Event, Input, Message};
use sansio::Instant;

pub(crate) use broker_connection::BrokerConnection;
use connect::ConnectRequest;
use end_cause::{Closing, EndCause};
use requests::Requests;
use stage::Stage;

use crate::context::{Context, Shared};
use crate::handler::{ClosingStep, Handler};
use crate::limits::MESSAGE_BURST_SECONDS;
use crate::protocol::{ConnectError, ConnectionEnd, ConnectionId, Notice, Output, Target};
use crate::reconnect_delays::{Delay, Destination};
use crate::token_bucket::TokenBucket;

/// A channel to one broker.
pub(crate) struct MqttChannel {
    stage: Stage,
    /// The broker the application named.
    destination: Option<Destination>,
    is_connect_pending: bool,
    is_disconnect_pending: bool,
    requests: Requests,
    message_rate: TokenBucket,
    closing: Option<Closing>,
}

impl MqttChannel {
    /// No connect has been requested.
    pub(crate) fn new(shared: &Shared) -> Self {
        let rate = shared.settings.messages_per_second;
        Self {
            stage: Stage::Idle,
            destination: None,
            is_connect_pending: false,
            is_disconnect_pending: false,
            requests: Requests::default(),
            message_rate: TokenBucket::new(rate, MESSAGE_BURST_SECONDS, shared.now),
            closing: None,
        }
    }

    /// The channel's connection, if there is one or one is being established.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.stage.connection()
    }
}

impl Handler for MqttChannel {
    fn channel_type(&self) -> ChannelType {
        ChannelType::Mqtt
    }

    fn on_item(&mut self, kind: u8, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
        match kind {
            to_cloud::TOPIC => self.requests.on_topic(body)?,
            to_cloud::PUBLISH => self.requests.on_publish(body, &mut self.stage, cx)?,
            to_cloud::SUBSCRIBE => self.requests.on_subscribe(body, &mut self.stage, cx)?,
            to_cloud::UNSUBSCRIBE => self.requests.on_unsubscribe(body, &mut self.stage, cx)?,
            to_cloud::CONNECT => self.on_connect(&Connect::decode(body)?, cx),
            to_cloud::DISCONNECT => self.on_disconnect(cx),
            to_cloud::ACKNOWLEDGE => self.on_acknowledge(Acknowledge::decode(body)?),
            _ => return Err(violation::WRONG_CHANNEL_TYPE),
        }
        self.advance(cx);
        Ok(())
    }

    /// The broker's connection is dropped without DISCONNECT, so that the broker sends the will (D52).
    fn abandon(&mut self, cx: &mut Context<'_>) {
        self.close_connection(true, cx);
    }

    fn on_timeout(&mut self, cx: &mut Context<'_>) {
        let now = cx.now();
        if let Some((target, options)) = self.stage.take_due(now) {
            self.open(target, options, cx);
        }
        if let Stage::Open(broker) = &mut self.stage
            // A connection that has ended can no longer time out; only what it received is still processed.
            && broker.end.is_none()
        {
            if broker.has_disconnect_timed_out(now) {
                return self.fail_disconnect(cx);
            }
            if let Err(error) = broker.client.handle(now, Input::Timeout) {
                return self.on_client_error(error, cx);
            }
        }
        self.advance(cx);
    }

    /// Moves everything as far as it goes: events to the device, received bytes to the client, its bytes to the broker.
    fn advance(&mut self, cx: &mut Context<'_>) {
        loop {
            self.process_events(cx);
            let Stage::Open(broker) = &mut self.stage else { return };
            let fed = broker.feed_client(cx.now());
            broker.report_deviations(cx);
            match fed {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.on_client_error(error, cx),
            }
        }
        if let Stage::Open(broker) = &mut self.stage {
            broker.send(cx);
            broker.pause_or_resume(cx);
        }
        self.complete_disconnect(cx);
        self.process_end(cx);
    }

    /// First the disconnect response, behind all messages, then the end of the channel: the application closes the
    /// channel at its end and would not read what follows (D50, D94).
    fn finish_closing(&mut self, cx: &mut Context<'_>) -> ClosingStep {
        match &mut self.closing {
            Some(closing) if !closing.has_responded && cx.outbox.queued_items() == 0 => {
                closing.has_responded = true;
                respond(to_device::DISCONNECTED, closing.outcome, cx);
                ClosingStep::Responded
            }
            Some(closing) if closing.has_responded && cx.outbox.is_empty() => {
                ClosingStep::Done(closing.reason)
            }
            _ => ClosingStep::Waiting,
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.stage.next_timeout()
    }

    /// A connect does not count: it may take long.
    fn has_pending_requests(&self) -> bool {
        self.requests.are_pending() || self.is_disconnect_pending
    }

    fn unsent_bytes(&self) -> usize {
        self.stage.broker().map_or(0, |broker| broker.client.untransmitted())
    }

    fn buffered_bytes(&self) -> usize {
        self.stage.buffered_bytes()
    }

    fn topic_bytes(&self) -> usize {
        self.requests.topic_bytes()
    }
}

/// What the device requests.
impl MqttChannel {
    fn on_connect(&mut self, request: &Connect<'_>, cx: &mut Context<'_>) {
        if !matches!(self.stage, Stage::Idle) {
            let outcome = Outcome { state: RequestState::AlreadyConnected, reason: 0 };
            return respond(to_device::CONNECTED, outcome, cx);
        }
        self.is_connect_pending = true;
        match ConnectRequest::check(request, cx.settings()) {
            Ok(request) => self.connect(request, cx),
            Err(error) => self.fail_connect(error, cx),
        }
    }

    fn connect(&mut self, request: ConnectRequest, cx: &mut Context<'_>) {
        let ConnectRequest { target, security, options } = request;
        let (host, port) = (target.host.clone(), target.port);
        cx.notice(|channel| Notice::BrokerConnecting { channel, host, port, security });
        let destination = Destination { host: target.host.clone(), port: target.port };
        let now = cx.now();
        let delay = cx.shared.reconnect_delays.delay(&destination, now);
        self.destination = Some(destination);
        match delay {
            Some(delay) => self.delay(delay, target, options, cx),
            None => self.open(target, Box::new(options), cx),
        }
    }

    /// Delays a connect, which is answered later and not refused (D197).
    fn delay(&mut self, delay: Delay, target: Target, options: ConnectOptions, cx: &mut Context<'_>) {
        cx.counts().delayed += 1;
        if delay.is_first {
            let (channel, host, port) = (cx.channel, target.host.clone(), target.port);
            let max_delay = cx.settings().reconnect_delay;
            cx.report(Notice::ConnectDelayed { channel, host, port, max_delay });
        }
        let (target, options) = (Box::new(target), Box::new(options));
        self.stage = Stage::Delayed { until: delay.until, target, options };
    }

    fn open(&mut self, target: Target, options: Box<ConnectOptions>, cx: &mut Context<'_>) {
        let connection = cx.new_connection();
        self.stage = Stage::Opening { connection, options };
        cx.output(Output::OpenConnection { connection, target });
    }

    fn on_disconnect(&mut self, cx: &mut Context<'_>) {
        self.is_disconnect_pending = true;
        match &mut self.stage {
            // The end of the connection waits to be reported, and will be the response to this.
            Stage::Open(broker) if broker.client.is_closed() => self.process_all_events(cx),
            Stage::Open(broker) if broker.client.is_connected() => broker.disconnect(cx.now()),
            // A connect in progress is cancelled: both get a response.
            Stage::Delayed { .. } | Stage::Opening { .. } | Stage::Open(_) => {
                self.fail_connect(ConnectError::Withdrawn, cx);
            }
            Stage::Idle | Stage::Ended => self.fail_requests(RequestState::NotConnected, cx),
        }
    }

    /// An acknowledgement for a message of a connection that has ended is ignored.
    fn on_acknowledge(&mut self, acknowledge: Acknowledge) {
        if let Ok(client) = self.stage.client() {
            let _ = client.acknowledge(acknowledge.delivery.into());
        }
    }
}

/// What happens to the connection.
impl MqttChannel {
    /// The connection is established: CONNECT can be sent.
    pub(crate) fn on_opened(&mut self, cx: &mut Context<'_>) {
        let Stage::Opening { connection, options } = &self.stage else { return };
        match BrokerConnection::new(*connection, options, cx.settings(), cx.now()) {
            Ok(broker) => self.stage = Stage::Open(Box::new(broker)),
            Err(_) => self.fail_connect(ConnectError::InvalidParameters, cx),
        }
        self.advance(cx);
    }

    /// The connection could not be established.
    pub(crate) fn on_failed(&mut self, error: ConnectError, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Open(_)) {
            return self.on_closed(ConnectionEnd::Failed(error), cx);
        }
        self.stage = Stage::Ended;
        self.fail_connect(error, cx);
    }

    /// Bytes from the broker.
    pub(crate) fn on_received(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        if let Some(broker) = self.stage.broker_mut() {
            broker.receive(bytes);
        }
        self.advance(cx);
    }

    /// The connection has accepted bytes.
    pub(crate) fn on_written(&mut self, bytes: usize, cx: &mut Context<'_>) {
        if let Some(broker) = self.stage.broker_mut() {
            broker.on_written(cx.now(), bytes);
        }
        self.advance(cx);
    }

    /// The connection has ended. What it received before is still processed, as far as there is room for it.
    pub(crate) fn on_closed(&mut self, end: ConnectionEnd, cx: &mut Context<'_>) {
        match (&mut self.stage, end) {
            (Stage::Opening { .. }, ConnectionEnd::Closed) => {
                return self.on_failed(ConnectError::Socket, cx);
            }
            (Stage::Opening { .. }, ConnectionEnd::Failed(error)) => return self.on_failed(error, cx),
            (Stage::Open(broker), end) => broker.end = Some(end),
            (Stage::Idle | Stage::Delayed { .. } | Stage::Ended, _) => {}
        }
        self.advance(cx);
    }

    /// Once everything that a closed connection received has been processed, its end is.
    fn process_end(&mut self, cx: &mut Context<'_>) {
        if let Stage::Open(broker) = &self.stage
            && let Some(end) = &broker.end
            && (broker.is_all_processed() || self.is_disconnect_pending)
        {
            let cause = match end {
                ConnectionEnd::Closed => EndCause::Closed,
                ConnectionEnd::Failed(error) => EndCause::Lost(error.clone()),
            };
            self.process_all_events(cx);
            self.end(cause, cx);
        }
    }

    /// The broker broke the protocol, or fell silent. What it sent before counts: a publish that it has acknowledged is
    /// published, whatever it sends afterwards (D95).
    fn on_client_error(&mut self, error: mqtt::Error, cx: &mut Context<'_>) {
        self.process_all_events(cx);
        let Stage::Open(broker) = &mut self.stage else { return };
        broker.send(cx);
        self.end(EndCause::Broken(error), cx);
    }
}

/// What the broker sends.
impl MqttChannel {
    /// Processes events as far as there is room for messages. Outcomes of requests need none, and do not wait for it
    /// (D96).
    fn process_events(&mut self, cx: &mut Context<'_>) {
        while let Stage::Open(broker) = &mut self.stage {
            let (client, now) = (&mut broker.client, cx.now());
            let has_room = cx.has_room_for_messages();
            let event = if has_room { client.poll(now) } else { client.poll_outcome(now) };
            let Some(event) = event else { return };
            self.on_event(event, cx);
        }
    }

    /// Processes all events, room or not, before the client is dropped; its own limits bound them.
    fn process_all_events(&mut self, cx: &mut Context<'_>) {
        while let Stage::Open(broker) = &mut self.stage
            && let Some(event) = broker.client.poll(cx.now())
        {
            self.on_event(event, cx);
        }
    }

    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Connected { .. } => self.on_connected(cx),
            Event::ConnectRefused { reason_code } => {
                let error = EndCause::Disconnected(reason_code).connect_error(self.is_version5());
                self.fail_connect(error, cx);
            }
            Event::Published { token, reason_code } => self.requests.on_published(token, reason_code, cx),
            Event::Subscribed { reason_codes, .. } => self.requests.on_subscribed(&reason_codes, cx),
            Event::Unsubscribed { reason_codes, .. } => self.requests.on_unsubscribed(&reason_codes, cx),
            Event::Message(message) => self.on_message(&message, cx),
            Event::MessageLost { topic, length } => messages::report_lost(&topic, length, cx),
            Event::Disconnected { reason_code } => self.end(EndCause::Disconnected(reason_code), cx),
        }
    }

    fn is_version5(&self) -> bool {
        self.stage.broker().is_some_and(|broker| broker.is_version5)
    }

    fn on_connected(&mut self, cx: &mut Context<'_>) {
        self.is_connect_pending = false;
        if let Some(broker) = self.stage.broker_mut() {
            broker.connected_at = Some(cx.now());
        }
        cx.notice(|channel| Notice::BrokerConnected { channel });
        cx.counts().connected += 1;
        respond(to_device::CONNECTED, Outcome { state: RequestState::Completed, reason: 0 }, cx);
    }

    fn on_message(&mut self, message: &Message, cx: &mut Context<'_>) {
        if !self.message_rate.try_take(cx.now()) {
            cx.counts().flooded += 1;
            return self.end(EndCause::Flooded, cx);
        }
        if messages::deliver(message, cx).is_ok() {
            return;
        }
        // The application will never see it and cannot acknowledge it, so the cloud does: the broker would otherwise
        // hold back the messages behind it (D49).
        if let (Ok(client), Some(delivery)) = (self.stage.client(), message.delivery) {
            let _ = client.acknowledge(delivery);
        }
    }
}

/// How it ends.
impl MqttChannel {
    /// The connection has ended. Before the broker accepted it, that is a failed connect; if the application's own
    /// disconnect was pending, it was too late (M18); otherwise the channel is closed (D50).
    fn end(&mut self, cause: EndCause, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Idle | Stage::Delayed { .. } | Stage::Ended) {
            return;
        }
        let is_version5 = self.is_version5();
        if self.is_connect_pending {
            return self.fail_connect(cause.connect_error(is_version5), cx);
        }
        let was_requested = self.is_disconnect_pending;
        self.close_connection(false, cx);
        self.fail_requests(cause.state(), cx);
        if !was_requested {
            cx.notice(|channel| Notice::BrokerLost { channel, reason: cause.text() });
            let (outcome, reason) = (cause.outcome(is_version5), cause.closure());
            self.closing = Some(Closing { outcome, reason, has_responded: false });
        }
    }

    /// Responds to a connect that failed; with the broker's code if it was the broker that refused (M55).
    fn fail_connect(&mut self, error: ConnectError, cx: &mut Context<'_>) {
        self.close_connection(false, cx);
        if mem::take(&mut self.is_connect_pending) {
            let outcome = Outcome { state: error.state(), reason: u32::from(error.code()) };
            respond(to_device::CONNECTED, outcome, cx);
            let (channel, now, destination) = (cx.channel, cx.now(), self.destination.clone());
            // A connect that was cancelled says nothing about the broker.
            let is_failure = error != ConnectError::Withdrawn;
            if let Some(destination) = destination.as_ref().filter(|_| is_failure) {
                cx.shared.reconnect_delays.on_failure(destination, now);
            }
            let (host, port) = destination.map_or((String::new(), 0), |to| (to.host, to.port));
            cx.report(Notice::ConnectFailed { channel, host, port, error });
        }
        self.fail_requests(RequestState::NotConnected, cx);
    }

    /// The disconnect is complete when the broker's connection has accepted it: only then have the publishes before
    /// it left, too (D93).
    fn complete_disconnect(&mut self, cx: &mut Context<'_>) {
        if self.is_disconnect_pending && self.is_all_written() {
            self.process_all_events(cx);
        }
        // Those events can have ended the connection: too many messages.
        if self.is_disconnect_pending && self.is_all_written() {
            self.close_connection(false, cx);
            self.is_disconnect_pending = false;
            self.fail_requests(RequestState::NotConnected, cx);
            respond(to_device::DISCONNECTED, Outcome { state: RequestState::Completed, reason: 0 }, cx);
        }
    }

    /// The connection did not accept the DISCONNECT in time: it is dropped, and the disconnect did not succeed.
    fn fail_disconnect(&mut self, cx: &mut Context<'_>) {
        self.process_all_events(cx);
        self.close_connection(true, cx);
        self.fail_requests(RequestState::NotConnected, cx);
    }

    fn is_all_written(&self) -> bool {
        self.stage.broker().is_some_and(BrokerConnection::is_all_written)
    }

    /// Closes the connection, if there still is one: at once (`abort`), or when it has sent what it was given.
    fn close_connection(&mut self, abort: bool, cx: &mut Context<'_>) {
        let now = cx.now();
        if let (Stage::Open(broker), Some(destination)) = (&self.stage, &self.destination)
            && let Some(connected_at) = broker.connected_at
        {
            let was_requested = self.is_disconnect_pending;
            cx.shared.reconnect_delays.on_end(destination, connected_at, was_requested, now);
        }
        let has_ended = self.stage.broker().is_some_and(|broker| broker.end.is_some());
        if let (Some(connection), false) = (self.connection(), has_ended) {
            cx.output(Output::CloseConnection { connection, abort });
        }
        self.stage = Stage::Ended;
    }

    /// Responds to everything in flight with this state (M12).
    fn fail_requests(&mut self, state: RequestState, cx: &mut Context<'_>) {
        self.requests.fail_all(state, cx);
        if mem::take(&mut self.is_disconnect_pending) {
            respond(to_device::DISCONNECTED, Outcome { state, reason: 0 }, cx);
        }
    }
}

fn respond(kind: u8, outcome: Outcome, cx: &mut Context<'_>) {
    let mut body = [0; Outcome::MAX];
    let length = outcome.encode(&mut body);
    cx.respond(kind, &body[..length]);
}
