//! One device: its link on one side, its channels by number on the other.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use link::channel::{ClosureReason, Open};
use link::cloud::{CloudLink, Event, Input as LinkInput};
use link::connection::ByeReason;
use link::kind::to_cloud;
use link::{Fragment, Violation, violation};
use sansio::{Instant, StateMachine, WallTime};

use crate::channel::{self, Channel, Context, Purpose};
use crate::counts::Counts;
use crate::limits::{DEVICE_HELD, LINK_CHUNK, WINDOW};
use crate::mqtt::{Finish, MqttChannel};
use crate::outbox::give_back;
use crate::protocol::{
    ConnectionId, ExchangeId, HttpOutcome, Input, LogLine, LookupId, Notice, Output, Settings, Value,
};
use crate::reconnects::Reconnects;

/// Room for the control frames of one [`CloudLink::transmit`].
const CONTROL: usize = 512;

/// The relay of one connected device.
#[derive(Debug)]
pub struct DeviceRelay {
    link: CloudLink,
    settings: Settings,
    /// The time of the last input.
    now: Instant,
    channels: Vec<Channel>,
    outputs: VecDeque<Output>,
    next_connection: u32,
    next_lookup: u32,
    next_exchange: u32,
    /// The wall clock, and when it was set.
    wall_clock: (WallTime, Instant),
    /// The channel whose turn it is to send.
    turn: usize,
    /// Whether as little as possible is to be held (D183).
    throttled: bool,
    end: End,
    counts: Counts,
    reconnects: Reconnects,
}

/// Whether the link is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    No,
    Because(ByeReason),
    Told,
}

impl DeviceRelay {
    /// A relay for a device whose connection stands; it has not said anything yet.
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self {
            link: CloudLink::new(now),
            settings,
            now,
            channels: Vec::new(),
            outputs: VecDeque::new(),
            next_connection: 1,
            next_lookup: 1,
            next_exchange: 1,
            wall_clock: (settings.wall_time, now),
            turn: 0,
            throttled: false,
            end: End::No,
            counts: Counts::default(),
            reconnects: Reconnects::new(settings.reconnect_delay),
        }
    }

    /// Takes what happened.
    ///
    /// # Errors
    /// The device broke a rule of the link. It is told so, and [`Output::Disconnect`] follows.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), Violation> {
        self.now = now;
        let outcome = match input {
            Input::LinkReceived(bytes) => self.link(bytes),
            Input::Timeout => {
                self.timeout();
                Ok(())
            }
            other => {
                self.other(other);
                Ok(())
            }
        };
        if outcome.is_err() {
            self.over(ByeReason::Violation);
        }
        self.settle();
        outcome
    }

    /// The next thing to do; `None` when there is nothing until the next input.
    pub fn poll(&mut self, now: Instant) -> Option<Output> {
        self.now = now;
        // What goes to the device makes room, so that more can come of it than there was before.
        let output = self.next_output().or_else(|| self.link_output()).or_else(|| self.next_output());
        output.or_else(|| self.disconnect())
    }

    fn next_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        give_back(&mut self.outputs);
        output
    }

    /// When [`Input::Timeout`] is due, if ever.
    pub fn next_timeout(&self) -> Option<Instant> {
        let channels = self.channels.iter().filter_map(|channel| match &channel.purpose {
            Purpose::Mqtt(mqtt) => mqtt.next_timeout(),
            Purpose::Http(_) | Purpose::Config(_) => None,
        });
        channels.chain(self.link.next_timeout()).min()
    }

    /// Bytes of items, messages and requests held now, in either direction; what [`Self::poll`] has not given yet included.
    /// For those who watch over memory; nothing of a channel remains when it has ended.
    pub fn held(&self) -> usize {
        let given: usize = self.outputs.iter().map(Output::bytes).sum();
        given + self.channels.iter().map(Channel::held).sum::<usize>()
    }

    /// [`Self::held`] and the topic names of open channels, in bytes: all that grows with what a device and its brokers send.
    pub fn memory(&self) -> usize {
        self.held() + self.channels.iter().map(Channel::topics).sum::<usize>()
    }

    /// Whether the device waits for an answer that can come by itself: to a publish, a subscribe, an unsubscribe, a disconnect or
    /// a configuration fetch. A connect may take long, and an HTTP exchange is its carrier's to know.
    pub fn is_asked(&self) -> bool {
        self.channels.iter().any(|channel| match &channel.purpose {
            Purpose::Mqtt(mqtt) => mqtt.is_asked(),
            Purpose::Config(config) => config.is_asked(),
            Purpose::Http(_) => false,
        })
    }

    /// What was done since [`Self::take_counts`] was last called.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What was done since this was asked last.
    pub fn take_counts(&mut self) -> Counts {
        core::mem::take(&mut self.counts)
    }

    fn link(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut input = LinkInput::Received(bytes);
        let broken = |error: link::Error| Violation::new(error.text());
        while let Some(event) = self.link.handle(self.now, &mut input).map_err(broken)? {
            if let Err(broken) = self.event(event) {
                self.link.send_bye(ByeReason::Violation, broken.text());
                return Err(broken);
            }
        }
        if self.link.is_closing() {
            // A version this cloud does not speak: the link has sent the BYE itself.
            self.over(ByeReason::Version);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), Violation> {
        match event {
            Event::Hello(hello) => {
                let (keepalive, logging) = (self.settings.keepalive, self.settings.logging);
                self.link.send_welcome(keepalive, WINDOW, self.wall_time(), logging);
                self.outputs.push_back(Output::Hello(hello.into()));
            }
            Event::Log(head) => self.outputs.push_back(Output::Log(LogLine {
                sequence: head.sequence,
                clock: head.clock,
                text: self.link.log_text().to_vec(),
            })),
            Event::TimeQuery => self.link.send_time(self.wall_time()),
            Event::Bye { reason } => self.over(reason),
            Event::Open { channel, open } => self.open(channel, open),
            Event::Close { channel } => self.close(channel),
            Event::Credit { .. } => {}
            Event::Item(fragment) => self.item(&fragment)?,
        }
        Ok(())
    }

    fn open(&mut self, number: u8, open: Open) {
        let Some(channel) = Channel::new(number, open, self.now, self.settings.messages_per_second) else {
            return self.link.close_channel(number, ClosureReason::ConnectionTerminated);
        };
        self.channels.push(channel);
        self.counts.note_opened(open.channel_type);
        self.notice(Notice::ChannelOpened { channel: number, kind: channel::name(open.channel_type) });
    }

    fn close(&mut self, number: u8) {
        self.with_channel(number, Purpose::abandon);
        self.forget(|channel| channel.number == number);
        self.notice(Notice::ChannelClosed { channel: number, by_device: true });
    }

    /// A piece of an item. The link knows the channel to be open; ours is missing only if the relay refused it.
    fn item(&mut self, fragment: &Fragment<'_>) -> Result<(), Violation> {
        let Some(channel) = self.channels.iter_mut().find(|channel| channel.number == fragment.channel)
        else {
            return Ok(());
        };
        let Some(body) = channel.assembly.take(fragment) else {
            self.bound();
            return Ok(());
        };
        let is_topic = fragment.kind == to_cloud::TOPIC;
        let lookup = LookupId(self.next_lookup);
        self.next_lookup = self.next_lookup.wrapping_add(u32::from(fragment.kind == to_cloud::CONFIG_FETCH));
        self.with_channel(fragment.channel, |purpose, cx| match (purpose, fragment.kind) {
            (Purpose::Mqtt(mqtt), kind) => mqtt.item(kind, &body, cx),
            (Purpose::Http(http), to_cloud::HTTP_REQUEST) => http.item(&body, cx),
            (Purpose::Config(config), to_cloud::CONFIG_FETCH) => {
                let keys = config.item(&body, lookup)?;
                cx.outputs.push_back(Output::Lookup { lookup, keys });
                Ok(())
            }
            _ => Err(violation::WRONG_CHANNEL_TYPE),
        })
        .unwrap_or(Ok(()))?;
        if is_topic {
            self.bound();
        }
        Ok(())
    }

    /// Ends the link of a device that makes the relay keep more than any application could.
    fn bound(&mut self) {
        if self.memory() > DEVICE_HELD {
            self.link
                .send_bye(ByeReason::Overloaded, "more is held for the device than any application needs");
            self.over(ByeReason::Overloaded);
        }
    }

    fn other(&mut self, input: Input<'_>) {
        match input {
            Input::WallClock(time) => self.wall_clock = (time, self.now),
            Input::ConnectionOpened { connection } => self.mqtt(connection, MqttChannel::opened),
            Input::ConnectionFailed { connection, error } => {
                self.mqtt(connection, |mqtt, cx| mqtt.failed(error, cx));
            }
            Input::ConnectionReceived { connection, bytes } => {
                self.mqtt(connection, |mqtt, cx| mqtt.received(bytes, cx));
            }
            Input::ConnectionWritten { connection, bytes } => {
                self.mqtt(connection, |mqtt, cx| mqtt.written(bytes, cx));
            }
            Input::ConnectionClosed { connection, end } => {
                self.mqtt(connection, |mqtt, cx| mqtt.closed(end, cx));
            }
            Input::LookupFinished { lookup, values } => self.looked_up(lookup, &values),
            Input::HttpFinished { exchange, outcome } => self.http(exchange, outcome),
            Input::LogStored { sequence } => self.link.acknowledge_logs(sequence),
            Input::Logging { enabled } => {
                self.settings.logging = enabled;
                self.link.set_logging(enabled);
            }
            Input::Notices { enabled } => self.settings.notices = enabled,
            Input::Throttle { enabled } => self.throttled = enabled,
            Input::Shutdown { reason } => {
                self.link.send_bye(reason, words(reason));
                self.over(reason);
            }
            Input::LinkReceived(_) | Input::Timeout => {}
        }
    }

    fn looked_up(&mut self, lookup: LookupId, values: &[Value]) {
        let mut notice = None;
        for channel in &mut self.channels {
            if let Purpose::Config(config) = &mut channel.purpose
                && config.waits_for(lookup)
            {
                let fetched = config.looked_up(values, channel.ring, &mut channel.outbox);
                notice = fetched.map(|fetched| fetched.notice(channel.number));
            }
        }
        if let Some(notice) = notice {
            self.notice(notice);
        }
    }

    /// What became of an exchange. One that was cancelled meanwhile means nothing.
    fn http(&mut self, exchange: ExchangeId, outcome: HttpOutcome) {
        let mut outcome = Some(outcome);
        self.each(|purpose, cx| {
            if let Purpose::Http(http) = purpose
                && http.waits_for(exchange)
                && let Some(outcome) = outcome.take()
            {
                http.came(outcome, cx);
            }
        });
    }

    fn timeout(&mut self) {
        if self.link.handle(self.now, &mut LinkInput::Timeout).is_err() {
            self.over(ByeReason::Keepalive);
        }
        self.each(|purpose, cx| {
            if let Purpose::Mqtt(mqtt) = purpose {
                mqtt.timeout(cx);
            }
        });
    }

    /// The link is over: every broker is left without DISCONNECT (D52).
    fn over(&mut self, reason: ByeReason) {
        if self.end == End::No {
            self.end = End::Because(reason);
            self.each(Purpose::abandon);
            self.forget(|_| true);
        }
    }

    /// Drops channels.
    fn forget(&mut self, which: impl Fn(&Channel) -> bool) {
        let counts = &mut self.counts;
        self.channels.retain(|channel| {
            let goes = which(channel);
            if goes {
                counts.note_closed(channel.purpose.channel_type());
            }
            !goes
        });
    }

    /// After any input: what can go on goes on, and the device gets its room back where the broker keeps up.
    fn settle(&mut self) {
        for index in 0..self.channels.len() {
            let number = self.channels[index].number;
            self.with_channel(number, |purpose, cx| {
                if let Purpose::Mqtt(mqtt) = purpose {
                    mqtt.advance(cx);
                }
            });
            let takes_more = self.channels[index].takes_more(self.throttled);
            self.link.set_fragment_credit(number, takes_more);
            if takes_more {
                self.link.consume(number, u32::MAX);
            }
        }
    }

    /// Ends the channels whose broker has ended, once the device was told all of it. Whether there is more to tell.
    fn finish(&mut self) -> bool {
        let mut told = false;
        for index in (0..self.channels.len()).rev() {
            let number = self.channels[index].number;
            let progress = self.with_channel(number, |purpose, cx| match purpose {
                Purpose::Mqtt(mqtt) => mqtt.finish(cx),
                Purpose::Http(_) | Purpose::Config(_) => Finish::NotYet,
            });
            told |= matches!(progress, Some(Finish::Told | Finish::Closed(_)));
            if let Some(Finish::Closed(reason)) = progress {
                self.link.close_channel(number, reason);
                self.forget(|channel| channel.number == number);
                self.notice(Notice::ChannelClosed { channel: number, by_device: false });
            }
        }
        told
    }

    /// Does something with a channel and what it works with.
    fn with_channel<R>(
        &mut self,
        number: u8,
        act: impl FnOnce(&mut Purpose, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let channel = self.channels.iter_mut().find(|channel| channel.number == number)?;
        let mut cx = Context {
            now: self.now,
            number,
            ring: channel.ring,
            outbox: &mut channel.outbox,
            outputs: &mut self.outputs,
            settings: &self.settings,
            throttled: self.throttled,
            counts: &mut self.counts,
            reconnects: &mut self.reconnects,
            next_connection: &mut self.next_connection,
            next_exchange: &mut self.next_exchange,
        };
        Some(act(&mut channel.purpose, &mut cx))
    }

    fn each(&mut self, mut act: impl FnMut(&mut Purpose, &mut Context<'_>)) {
        for index in 0..self.channels.len() {
            let number = self.channels[index].number;
            self.with_channel(number, &mut act);
        }
    }

    /// The channel a connection belongs to. Words about a connection that was closed meanwhile mean nothing.
    fn mqtt(&mut self, connection: ConnectionId, act: impl FnOnce(&mut MqttChannel, &mut Context<'_>)) {
        let owner = self
            .channels
            .iter()
            .find(|channel| matches!(&channel.purpose, Purpose::Mqtt(mqtt) if mqtt.has(connection)));
        let Some(number) = owner.map(|channel| channel.number) else { return };
        self.with_channel(number, |purpose, cx| {
            if let Purpose::Mqtt(mqtt) = purpose {
                act(mqtt, cx);
            }
        });
    }

    fn wall_time(&self) -> WallTime {
        let (time, set_at) = self.wall_clock;
        time + self.now.duration_since(set_at)
    }

    fn notice(&mut self, notice: Notice) {
        if self.settings.notices {
            self.outputs.push_back(Output::Notice(notice));
        }
    }

    /// What goes to the device now: control frames, then a frame of each channel in turn.
    fn link_output(&mut self) -> Option<Output> {
        let mut out = Vec::new();
        loop {
            self.control(&mut out);
            let wrote = self.rounds(&mut out);
            if wrote {
                self.settle();
            }
            let told = self.finish();
            if !(wrote || told) || out.len() >= LINK_CHUNK {
                break;
            }
        }
        self.control(&mut out);
        (!out.is_empty()).then_some(Output::LinkSend(out))
    }

    fn rounds(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        while out.len() < LINK_CHUNK && self.one_round(out) {}
        out.len() > before
    }

    fn control(&mut self, out: &mut Vec<u8>) {
        let mut frames = [0; CONTROL];
        loop {
            let length = self.link.transmit(self.now, &mut frames);
            if length == 0 {
                return;
            }
            out.extend_from_slice(&frames[..length]);
        }
    }

    /// One frame of each channel, so that none stalls another; the first turn moves on. Whether anything was written.
    fn one_round(&mut self, out: &mut Vec<u8>) -> bool {
        let count = self.channels.len();
        let before = out.len();
        for step in 0..count {
            let channel = &mut self.channels[(self.turn + step) % count];
            channel.outbox.write_frame(&mut self.link, channel.number, out);
            if out.len() >= LINK_CHUNK {
                break;
            }
        }
        self.turn = self.turn.wrapping_add(1);
        out.len() > before
    }

    fn disconnect(&mut self) -> Option<Output> {
        let End::Because(reason) = self.end else { return None };
        self.end = End::Told;
        Some(Output::Disconnect { reason })
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

/// A `BYE`'s words for people.
const fn words(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::ShuttingDown => "the cloud is shutting down; reconnect later",
        ByeReason::Overloaded => {
            "the account has as many devices connected as it may, or the device holds too much memory"
        }
        ByeReason::Replaced => "the same device has a newer connection",
        ByeReason::Revoked => "the device is not known by this certificate",
        _ => "",
    }
}

#[cfg(test)]
impl DeviceRelay {
    /// Places the queue of outputs has.
    pub(crate) fn places(&self) -> usize {
        self.outputs.capacity()
    }
}
