//! What a channel works with while something happens on it.

use alloc::collections::VecDeque;

use sansio::Instant;

use crate::counts::Counts;
use crate::limits::{MAX_QUEUED_BYTES, MAX_QUEUED_ITEMS};
use crate::outbox::{Item, Outbox};
use crate::protocol::{ConnectionId, ExchangeId, LookupId, Notice, Output, Settings};
use crate::reconnect_delays::ReconnectDelays;

/// What all channels of one device share.
pub(crate) struct Shared {
    /// The time of the last input.
    pub now: Instant,
    /// How the relay works.
    pub settings: Settings,
    /// Whether as little as possible is buffered, because memory is short (D183).
    pub is_throttled: bool,
    /// What the driver has to do.
    pub outputs: VecDeque<Output>,
    /// What the relay has done.
    pub counts: Counts,
    /// The brokers to which connects failed.
    pub reconnect_delays: ReconnectDelays,
    next_connection: u32,
    next_lookup: u32,
    next_exchange: u32,
}

impl Shared {
    /// Nothing has happened yet.
    pub(crate) fn new(now: Instant, settings: Settings) -> Self {
        Self {
            now,
            settings,
            is_throttled: false,
            outputs: VecDeque::new(),
            counts: Counts::default(),
            reconnect_delays: ReconnectDelays::new(settings.reconnect_delay),
            next_connection: 1,
            next_lookup: 1,
            next_exchange: 1,
        }
    }

    /// Sends a notice if anyone subscribes to them: making one costs an allocation.
    pub(crate) fn notice(&mut self, notice: impl FnOnce() -> Notice) {
        if self.settings.notices {
            self.outputs.push_back(Output::Notice(notice()));
        }
    }
}

/// One channel's view of the relay.
pub(crate) struct Context<'a> {
    /// The channel's number on the link.
    pub channel: u8,
    /// Bytes of the application's receive buffer, a ring.
    pub ring: u32,
    /// What waits to be sent to the device on this channel.
    pub outbox: &'a mut Outbox,
    /// What is not the channel's own.
    pub shared: &'a mut Shared,
}

impl Context<'_> {
    /// The time of the last input.
    pub(crate) fn now(&self) -> Instant {
        self.shared.now
    }

    /// How the relay works.
    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// What the relay has done, to be counted on.
    pub(crate) fn counts(&mut self) -> &mut Counts {
        &mut self.shared.counts
    }

    /// An id for a new connection.
    pub(crate) fn new_connection(&mut self) -> ConnectionId {
        ConnectionId(next(&mut self.shared.next_connection))
    }

    /// An id for a new lookup.
    pub(crate) fn new_lookup(&mut self) -> LookupId {
        LookupId(next(&mut self.shared.next_lookup))
    }

    /// An id for a new HTTP exchange.
    pub(crate) fn new_exchange(&mut self) -> ExchangeId {
        ExchangeId(next(&mut self.shared.next_exchange))
    }

    /// Has the driver do something.
    pub(crate) fn output(&mut self, output: Output) {
        self.shared.outputs.push_back(output);
    }

    /// Sends a notice that the operator's log and metrics need ([`Notice::is_for_operators`]).
    pub(crate) fn report(&mut self, notice: Notice) {
        self.output(Output::Notice(notice));
    }

    /// Sends a notice, made for the channel's number, if anyone subscribes to them.
    pub(crate) fn notice(&mut self, notice: impl FnOnce(u8) -> Notice) {
        let channel = self.channel;
        self.shared.notice(|| notice(channel));
    }

    /// Queues a response that takes no room in the application's receive buffer.
    pub(crate) fn respond(&mut self, kind: u8, body: &[u8]) {
        self.outbox.push(Item::response(kind, body));
    }

    /// Whether more messages may be accepted from a broker.
    pub(crate) fn has_room_for_messages(&self) -> bool {
        let max_items = if self.shared.is_throttled { 1 } else { MAX_QUEUED_ITEMS };
        self.outbox.queued_items() < max_items && self.outbox.queued_bytes() < MAX_QUEUED_BYTES
    }
}

/// The next number; ids wrap after 2^32, when the first ones have long been released.
fn next(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter = counter.wrapping_add(1);
    number
}
