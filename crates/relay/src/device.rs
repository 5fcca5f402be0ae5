//! One device: its link on one side, its channels by number on the other.

use alloc::vec::Vec;
use core::{fmt, mem};

use link::channel::{ClosureReason, Open};
use link::cloud::{Event, Input as LinkInput};
use link::connection::ByeReason;
use link::kind::to_cloud;
use link::{CloudLink, Fragment, Violation};
use sansio::{Instant, StateMachine, WallTime};

use crate::channel::{Channel, Protocol};
use crate::context::{Context, Shared};
use crate::counts::Counts;
use crate::handler::{ClosingStep, Handler};
use crate::limits::{LINK_CHUNK, MAX_DEVICE_BYTES, WINDOW};
use crate::mqtt::MqttChannel;
use crate::outbox::shrink_if_empty;
use crate::protocol::{ConnectionId, Input, LogLine, Notice, Output, Settings};

/// Buffer for the control frames of one [`CloudLink::transmit`].
const CONTROL_BUFFER: usize = 512;

/// The relay of one connected device.
///
/// It is driven as every core is (see [`sansio`]): [`handle`](Self::handle) what happened, do what
/// [`poll`](Self::poll) returns until it is `None`, and wait for the next input or
/// [`next_timeout`](Self::next_timeout). After [`Output::Disconnect`] it is dropped.
pub struct DeviceRelay {
    link: CloudLink,
    state: LinkState,
    channels: Vec<Channel>,
    shared: Shared,
    /// The wall clock, and when it was set.
    wall_clock: (WallTime, Instant),
    /// The position of the channel that is the first to send in the next round.
    first_to_send: usize,
}

/// Whether the link has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    Open,
    /// It has; [`Output::Disconnect`] follows when everything else has been polled.
    Closing(ByeReason),
    Closed,
}

impl DeviceRelay {
    /// A relay for a device whose connection is established; it has not sent anything yet.
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self {
            link: CloudLink::new(now),
            state: LinkState::Open,
            channels: Vec::new(),
            shared: Shared::new(now, settings),
            wall_clock: (settings.wall_time, now),
            first_to_send: 0,
        }
    }

    /// Processes what happened.
    ///
    /// # Errors
    /// The device broke a rule of the link. A BYE with the reason is ready to be sent, and [`Output::Disconnect`]
    /// follows.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Violation> {
        self.shared.now = now;
        let outcome = match input {
            Input::LinkReceived(bytes) => self.on_link_bytes(bytes),
            other => {
                self.handle_input(other);
                Ok(())
            }
        };
        if outcome.is_err() {
            self.end(ByeReason::Violation);
        }
        self.advance_channels();
        outcome
    }

    /// The next thing to do; `None` when there is nothing until the next input.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        self.shared.now = now;
        // Sending to the device makes room for more messages from brokers, which can produce outputs in turn.
        let output = self.next_output().or_else(|| self.link_output()).or_else(|| self.next_output());
        output.or_else(|| self.disconnect())
    }

    fn next_output(&mut self) -> Option<Output> {
        let output = self.shared.outputs.pop_front();
        shrink_if_empty(&mut self.shared.outputs);
        output
    }

    /// When [`Input::Timeout`] is due, if ever.
    pub fn next_timeout(&self) -> Option<Instant> {
        let channels = self.channels.iter().filter_map(|channel| channel.handler().next_timeout());
        channels.chain(self.link.next_timeout()).min()
    }

    /// Bytes of items, messages and requests in memory, in either direction, including what [`Self::poll`] has not
    /// returned yet. A channel that has ended leaves nothing behind.
    pub fn buffered_bytes(&self) -> usize {
        let outputs: usize = self.shared.outputs.iter().map(Output::bytes).sum();
        outputs + self.channels.iter().map(Channel::buffered_bytes).sum::<usize>()
    }

    /// [`Self::buffered_bytes`] and the topic names of open channels, in bytes: all memory that grows with what a
    /// device and its brokers send.
    pub fn memory_bytes(&self) -> usize {
        let topics: usize = self.channels.iter().map(|channel| channel.handler().topic_bytes()).sum();
        self.buffered_bytes() + topics
    }

    /// Whether a response is pending that a stopping cloud should wait for: to a publish, a subscribe, an
    /// unsubscribe, a disconnect or a configuration fetch. A connect may take long, and the driver knows its HTTP
    /// exchanges.
    pub fn has_pending_requests(&self) -> bool {
        self.channels.iter().any(|channel| channel.handler().has_pending_requests())
    }

    /// What was done since the last call of [`Self::take_counts`].
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// What was done since the last call.
    pub fn take_counts(&mut self) -> Counts {
        mem::take(&mut self.shared.counts)
    }
}

/// What happens on the link.
impl DeviceRelay {
    fn on_link_bytes(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut input = LinkInput::Received(bytes);
        let violation = |error: link::Error| Violation::new(error.text());
        while let Some(event) = self.link.handle(self.shared.now, &mut input).map_err(violation)? {
            if let Err(violation) = self.on_link_event(event) {
                self.link.send_bye(ByeReason::Violation, violation.text());
                return Err(violation);
            }
        }
        if self.link.is_closing() {
            // A version this cloud does not speak: the link has sent the BYE itself.
            self.end(ByeReason::Version);
        }
        Ok(())
    }

    fn on_link_event(&mut self, event: Event<'_>) -> Result<(), Violation> {
        match event {
            Event::Hello(hello) => {
                let Settings { keepalive, logging, .. } = self.shared.settings;
                self.link.send_welcome(keepalive, WINDOW, self.wall_time(), logging);
                self.output(Output::Hello(hello.into()));
            }
            Event::Log(head) => {
                let text = self.link.log_text().to_vec();
                self.output(Output::Log(LogLine { sequence: head.sequence, clock: head.clock, text }));
            }
            Event::TimeQuery => self.link.send_time(self.wall_time()),
            Event::Bye { reason } => self.end(reason),
            Event::Open { channel, open } => self.open_channel(channel, open),
            Event::Close { channel } => self.on_close(channel),
            // The link knows the new room; what waits for it is sent by the next `poll`.
            Event::Credit { .. } => {}
            Event::Item(fragment) => self.on_fragment(&fragment)?,
        }
        Ok(())
    }

    fn open_channel(&mut self, number: u8, open: Open) {
        let Some(channel) = Channel::new(number, open, &self.shared) else {
            return self.link.close_channel(number, ClosureReason::ConnectionTerminated);
        };
        self.channels.push(channel);
        self.shared.counts.note_opened(open.channel_type);
        let kind = Counts::type_label(open.channel_type);
        self.shared.notice(|| Notice::ChannelOpened { channel: number, kind });
    }

    fn on_close(&mut self, number: u8) {
        if let Some(index) = self.channels.iter().position(|channel| channel.number == number) {
            let (protocol, mut cx) = self.channels[index].with_context(&mut self.shared);
            protocol.handler_mut().abandon(&mut cx);
            self.remove_channel(index);
        }
        self.shared.notice(|| Notice::ChannelClosed { channel: number, by_device: true });
    }

    /// The link knows the channel to be open; ours is missing only if its type is not supported.
    fn on_fragment(&mut self, fragment: &Fragment<'_>) -> Result<(), Violation> {
        let channel = self.channels.iter_mut().find(|channel| channel.number == fragment.channel);
        let Some(channel) = channel else { return Ok(()) };
        let is_complete = channel.on_fragment(fragment, &mut self.shared)?;
        // These two are what stays in memory; other items have been passed on.
        if !is_complete || fragment.kind == to_cloud::TOPIC {
            self.enforce_memory_limit();
        }
        Ok(())
    }

    /// Ends the link of a device for which more is in memory than any application needs.
    fn enforce_memory_limit(&mut self) {
        if self.memory_bytes() > MAX_DEVICE_BYTES {
            self.link
                .send_bye(ByeReason::Overloaded, "the device uses more memory than any application needs");
            self.end(ByeReason::Overloaded);
        }
    }
}

/// What else happens.
impl DeviceRelay {
    fn handle_input(&mut self, input: Input<'_>) {
        match input {
            Input::Timeout => self.on_timeout(),
            Input::WallClock(time) => self.wall_clock = (time, self.shared.now),
            Input::ConnectionOpened { connection } => self.with_mqtt(connection, MqttChannel::on_opened),
            Input::ConnectionFailed { connection, error } => {
                self.with_mqtt(connection, |mqtt, cx| mqtt.on_failed(error, cx));
            }
            Input::ConnectionReceived { connection, bytes } => {
                self.with_mqtt(connection, |mqtt, cx| mqtt.on_received(bytes, cx));
            }
            Input::ConnectionWritten { connection, bytes } => {
                self.with_mqtt(connection, |mqtt, cx| mqtt.on_written(bytes, cx));
            }
            Input::ConnectionClosed { connection, end } => {
                self.with_mqtt(connection, |mqtt, cx| mqtt.on_closed(end, cx));
            }
            Input::LookupFinished { lookup, values } => {
                self.with(|protocol| protocol.config(lookup), |config, cx| config.on_values(&values, cx));
            }
            Input::HttpFinished { exchange, outcome } => {
                self.with(|protocol| protocol.http(exchange), |http, cx| http.on_outcome(outcome, cx));
            }
            Input::LogStored { sequence } => self.link.acknowledge_logs(sequence),
            Input::Logging { enabled } => {
                self.shared.settings.logging = enabled;
                self.link.set_logging(enabled);
            }
            Input::Notices { enabled } => self.shared.settings.notices = enabled,
            Input::Throttle { enabled } => self.shared.is_throttled = enabled,
            Input::Shutdown { reason } => {
                self.link.send_bye(reason, bye_text(reason));
                self.end(reason);
            }
            Input::LinkReceived(_) => {}
        }
    }

    fn on_timeout(&mut self) {
        if self.link.handle(self.shared.now, &mut LinkInput::Timeout).is_err() {
            self.end(ByeReason::Keepalive);
        }
        self.for_each_channel(|handler, cx| handler.on_timeout(cx));
    }

    fn with_mqtt(&mut self, connection: ConnectionId, act: impl FnOnce(&mut MqttChannel, &mut Context<'_>)) {
        self.with(|protocol| protocol.mqtt(connection), act);
    }

    /// Does something with the channel that `select` finds; nothing if it has been closed meanwhile.
    fn with<T>(
        &mut self,
        select: impl Fn(&mut Protocol) -> Option<&mut T>,
        act: impl FnOnce(&mut T, &mut Context<'_>),
    ) {
        for channel in &mut self.channels {
            let (protocol, mut cx) = channel.with_context(&mut self.shared);
            if let Some(selected) = select(protocol) {
                return act(selected, &mut cx);
            }
        }
    }

    fn for_each_channel(&mut self, mut act: impl FnMut(&mut dyn Handler, &mut Context<'_>)) {
        for channel in &mut self.channels {
            let (protocol, mut cx) = channel.with_context(&mut self.shared);
            act(protocol.handler_mut(), &mut cx);
        }
    }

    fn wall_time(&self) -> WallTime {
        let (time, set_at) = self.wall_clock;
        time + self.shared.now.duration_since(set_at)
    }

    fn output(&mut self, output: Output) {
        self.shared.outputs.push_back(output);
    }
}

/// How channels and the link progress and end.
impl DeviceRelay {
    /// After every input: does what can be done now, and extends the device's windows where the broker keeps up.
    fn advance_channels(&mut self) {
        self.for_each_channel(|handler, cx| handler.advance(cx));
        for channel in &self.channels {
            let accepts_more = channel.accepts_more(self.shared.is_throttled);
            self.link.set_fragment_credit(channel.number, accepts_more);
            if accepts_more {
                self.link.consume(channel.number, u32::MAX);
            }
        }
    }

    /// Closes the channels whose broker has ended the connection, once everything before has been sent. Says whether
    /// that gives more to send.
    fn finish_closing(&mut self) -> bool {
        let mut has_more = false;
        // From the back, because channels are removed on the way.
        for index in (0..self.channels.len()).rev() {
            let channel = &mut self.channels[index];
            let number = channel.number;
            let (protocol, mut cx) = channel.with_context(&mut self.shared);
            match protocol.handler_mut().finish_closing(&mut cx) {
                ClosingStep::Waiting => {}
                ClosingStep::Responded => has_more = true,
                ClosingStep::Done(reason) => {
                    has_more = true;
                    self.link.close_channel(number, reason);
                    self.remove_channel(index);
                    self.shared.notice(|| Notice::ChannelClosed { channel: number, by_device: false });
                }
            }
        }
        has_more
    }

    fn remove_channel(&mut self, index: usize) {
        let channel = self.channels.remove(index);
        self.shared.counts.note_closed(channel.handler().channel_type());
    }

    /// The link has ended.
    fn end(&mut self, reason: ByeReason) {
        if self.state == LinkState::Open {
            self.state = LinkState::Closing(reason);
            self.for_each_channel(|handler, cx| handler.abandon(cx));
            // One by one, because each is counted as closed.
            while !self.channels.is_empty() {
                self.remove_channel(0);
            }
        }
    }

    fn disconnect(&mut self) -> Option<Output> {
        let LinkState::Closing(reason) = self.state else { return None };
        self.state = LinkState::Closed;
        Some(Output::Disconnect { reason })
    }
}

/// What is sent to the device.
impl DeviceRelay {
    /// Control frames, then a frame of each channel in turn, up to [`LINK_CHUNK`].
    fn link_output(&mut self) -> Option<Output> {
        let mut out = Vec::new();
        loop {
            self.write_control_frames(&mut out);
            let has_written = self.write_item_frames(&mut out);
            if has_written {
                self.advance_channels();
            }
            let has_more = self.finish_closing();
            if !(has_written || has_more) || out.len() >= LINK_CHUNK {
                break;
            }
        }
        self.write_control_frames(&mut out);
        (!out.is_empty()).then_some(Output::LinkSend(out))
    }

    fn write_control_frames(&mut self, out: &mut Vec<u8>) {
        let mut frames = [0; CONTROL_BUFFER];
        loop {
            let length = self.link.transmit(self.shared.now, &mut frames);
            if length == 0 {
                return;
            }
            out.extend_from_slice(&frames[..length]);
        }
    }

    /// Whether any were written.
    fn write_item_frames(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        while out.len() < LINK_CHUNK && self.write_round(out) {}
        out.len() > before
    }

    /// One frame of each channel, so that none stalls another; the next round starts with the next channel. Says
    /// whether anything was written.
    fn write_round(&mut self, out: &mut Vec<u8>) -> bool {
        let count = self.channels.len();
        let before = out.len();
        for step in 0..count {
            let channel = &mut self.channels[(self.first_to_send + step) % count];
            channel.write_frame(&mut self.link, out);
            if out.len() >= LINK_CHUNK {
                break;
            }
        }
        self.first_to_send = self.first_to_send.wrapping_add(1);
        out.len() > before
    }
}

impl StateMachine for DeviceRelay {
    type Time = Instant;
    type Input<'a> = Input<'a>;
    type Output = Output;
    type Error = Violation;

    const TIMEOUT: Input<'static> = Input::Timeout;

    fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Violation> {
        Self::handle(self, now, input)
    }

    fn poll(&mut self, now: Instant) -> Option<Output> {
        Self::poll(self, now)
    }

    fn next_timeout(&self) -> Option<Instant> {
        Self::next_timeout(self)
    }
}

impl fmt::Debug for DeviceRelay {
    /// Omits what is in memory: payloads, passwords and keys are among it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRelay")
            .field("state", &self.state)
            .field("channels", &self.channels.len())
            .field("outputs", &self.shared.outputs.len())
            .finish_non_exhaustive()
    }
}

/// The human-readable text of a `BYE`.
const fn bye_text(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::ShuttingDown => "the cloud is shutting down; reconnect later",
        ByeReason::Overloaded => {
            "the account has as many devices connected as it may, or the device uses too much memory"
        }
        ByeReason::Replaced => "the same device has a newer connection",
        ByeReason::Revoked => "the device's certificate is not accepted",
        _ => "",
    }
}

#[cfg(test)]
impl DeviceRelay {
    /// Capacity of the queue of outputs.
    pub(crate) fn output_capacity(&self) -> usize {
        self.shared.outputs.capacity()
    }
}
