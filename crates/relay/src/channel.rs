//! One channel: what it carries, what comes in pieces, what waits to go out.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use link::channel::{ChannelType, Open};
use link::kind::to_device;
use link::mqtt::{FilterCodes, LostHead, LostReason, MessageHead, Outcome, Publish, Published, RequestState};
use mqtt::RequestError;
use sansio::Instant;

use crate::assembly::Assembly;
use crate::config::ConfigChannel;
use crate::counts::Counts;
use crate::http::HttpChannel;
use crate::limits::{HELD_BYTES, HELD_MESSAGES, UNSENT_BYTES};
use crate::mqtt::MqttChannel;
use crate::outbox::{Item, Outbox};
use crate::protocol::{ConnectionId, ExchangeId, Notice, Output, Settings};
use crate::reconnects::Reconnects;

/// A channel the device opened.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Its number on the link.
    pub number: u8,
    /// Bytes of the application's receive ring.
    pub ring: u32,
    /// The item it is in the middle of receiving.
    pub assembly: Assembly,
    /// What waits to go to the device.
    pub outbox: Outbox,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a channel is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A broker.
    Mqtt(Box<MqttChannel>),
    /// An HTTP exchange.
    Http(HttpChannel),
    /// A configuration fetch.
    Config(ConfigChannel),
}

impl Channel {
    /// A new channel; `None` for a type this cloud does not carry.
    pub(crate) fn new(number: u8, open: Open, now: Instant, messages_per_second: u32) -> Option<Self> {
        let purpose = match open.channel_type {
            ChannelType::Mqtt => Purpose::Mqtt(Box::new(MqttChannel::new(now, messages_per_second))),
            ChannelType::Http => Purpose::Http(HttpChannel::default()),
            ChannelType::ConfigFetch => Purpose::Config(ConfigChannel::default()),
            ChannelType::OpaqueBytes => return None,
        };
        Some(Self {
            number,
            ring: open.ring,
            assembly: Assembly::default(),
            outbox: Outbox::default(),
            purpose,
        })
    }
}

impl Channel {
    /// Whether the device may go on sending on it. Without a throttle, as long as the broker keeps up; with one, only what is
    /// needed for what is there to end: nothing waits for the broker, and no item has come in part.
    pub(crate) fn takes_more(&self, throttled: bool) -> bool {
        let limit = if throttled { 1 } else { UNSENT_BYTES };
        let is_done = !throttled || self.assembly.held() == 0;
        match &self.purpose {
            Purpose::Mqtt(mqtt) => is_done && mqtt.untransmitted().is_none_or(|bytes| bytes < limit),
            Purpose::Http(_) | Purpose::Config(_) => is_done,
        }
    }

    /// Bytes of topic names it has been told.
    pub(crate) fn topics(&self) -> usize {
        if let Purpose::Mqtt(mqtt) = &self.purpose { mqtt.topics() } else { 0 }
    }

    /// Bytes of items, messages and requests held for it.
    pub(crate) fn held(&self) -> usize {
        let purpose = match &self.purpose {
            Purpose::Mqtt(mqtt) => mqtt.held(),
            Purpose::Http(_) | Purpose::Config(_) => 0,
        };
        self.assembly.held() + self.outbox.held() + purpose
    }
}

impl Purpose {
    /// The type of channel it is.
    pub(crate) fn channel_type(&self) -> ChannelType {
        match self {
            Self::Mqtt(_) => ChannelType::Mqtt,
            Self::Http(_) => ChannelType::Http,
            Self::Config(_) => ChannelType::ConfigFetch,
        }
    }

    /// The device has ended the channel, or the link is over: nobody waits for anything any more.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Mqtt(mqtt) => mqtt.abandon(cx),
            Self::Http(http) => http.abandon(cx),
            Self::Config(_) => {}
        }
    }
}

/// The type's name for people.
pub(crate) fn name(channel_type: ChannelType) -> &'static str {
    match channel_type {
        ChannelType::OpaqueBytes => "opaque",
        ChannelType::Mqtt => "MQTT",
        ChannelType::Http => "HTTP",
        ChannelType::ConfigFetch => "configuration",
    }
}

/// What a channel works with while something is done on it: the time, its outbox, and the relay's outputs.
pub(crate) struct Context<'a> {
    /// The time.
    pub now: Instant,
    /// The channel's number.
    pub number: u8,
    /// Bytes of the application's receive ring.
    pub ring: u32,
    /// What waits to go to the device on this channel.
    pub outbox: &'a mut Outbox,
    /// What the relay's owner is to do.
    pub outputs: &'a mut VecDeque<Output>,
    /// How the relay works.
    pub settings: &'a Settings,
    /// Whether as little as possible is to be held (D183).
    pub throttled: bool,
    /// What the relay has done.
    pub counts: &'a mut Counts,
    /// Brokers whose connects failed.
    pub reconnects: &'a mut Reconnects,
    /// The number the next connection gets.
    pub next_connection: &'a mut u32,
    /// The number the next HTTP exchange gets.
    pub next_exchange: &'a mut u32,
}

impl Context<'_> {
    /// A name for a connection.
    pub(crate) fn new_connection(&mut self) -> ConnectionId {
        let connection = ConnectionId(*self.next_connection);
        *self.next_connection = self.next_connection.wrapping_add(1);
        connection
    }

    /// A name for an HTTP exchange.
    pub(crate) fn new_exchange(&mut self) -> ExchangeId {
        let exchange = ExchangeId(*self.next_exchange);
        *self.next_exchange = self.next_exchange.wrapping_add(1);
        exchange
    }

    /// Ends a connection.
    pub(crate) fn close(&mut self, connection: ConnectionId, abort: bool) {
        self.outputs.push_back(Output::CloseConnection { connection, abort });
    }

    /// Tells what the operator's log and metrics need, and those who watch.
    pub(crate) fn report(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    /// Tells those who watch, if any do.
    pub(crate) fn notice(&mut self, notice: impl FnOnce() -> Notice) {
        if self.settings.notices {
            self.outputs.push_back(Output::Notice(notice()));
        }
    }

    /// Tells of a publish that goes to the broker.
    pub(crate) fn published(&mut self, topic: &[u8], request: &Publish<'_>) {
        let (channel, length, qos) = (self.number, request.payload.len(), u8::from(request.qos1));
        self.notice(|| Notice::Published { channel, topic: text(topic), length, qos });
    }

    /// Tells of a subscribe that goes to the broker.
    pub(crate) fn subscribing<'a>(&mut self, topics: impl Iterator<Item = &'a [u8]>) {
        let channel = self.number;
        self.notice(|| {
            let filters: Vec<String> = topics.map(text).collect();
            Notice::Subscribing { channel, filters: filters.join(", ") }
        });
    }

    /// Tells of a request that was not taken.
    pub(crate) fn refused(&mut self, what: &'static str, why: RequestError) {
        let channel = self.number;
        self.notice(|| Notice::RequestRefused { channel, request: what, reason: why.to_string() });
    }

    /// Queues an answer.
    pub(crate) fn answer(&mut self, kind: u8, outcome: Outcome) {
        let mut body = [0; Outcome::MAX];
        let length = outcome.encode(&mut body);
        self.outbox.push(Item::answer(kind, &body[..length]));
    }

    /// Queues the answer to a publish.
    pub(crate) fn answer_publish(&mut self, qos1: bool, published: Published) {
        self.counts.note_published(qos1, published);
        let mut body = [0; Published::MAX];
        let length = published.encode(&mut body);
        self.outbox.push(Item::answer(to_device::PUBLISHED, &body[..length]));
    }

    /// Queues the answer to a subscribe or unsubscribe. More codes than filters can be no answer of a sound broker.
    pub(crate) fn answer_codes(&mut self, kind: u8, codes: Option<FilterCodes>) {
        let codes = codes.unwrap_or(FilterCodes::failed(RequestState::InvalidParameters));
        let mut body = [0; FilterCodes::MAX];
        let length = codes.encode(&mut body);
        self.outbox.push(Item::answer(kind, &body[..length]));
    }

    /// Whether more may be taken from the broker now.
    pub(crate) fn has_room_for_messages(&self) -> bool {
        let messages = if self.throttled { 1 } else { HELD_MESSAGES };
        self.outbox.waiting() < messages && self.outbox.waiting_bytes() < HELD_BYTES
    }

    /// Queues a message for the device; false, and queued as lost, when it could never fit the ring or the link (D49).
    pub(crate) fn deliver(&mut self, message: &mqtt::Message) -> bool {
        let (topic, payload) = (message.topic.as_bytes(), message.payload.as_slice());
        let delivery = message.delivery.map(u32::from);
        let mut head = [0; MessageHead::MAX];
        let length =
            MessageHead { delivery, retain: message.retain, topic: topic.len() as u32 }.encode(&mut head);
        let content = topic.len() + payload.len();
        if content > self.ring as usize || length + content > link::MAX_ITEM as usize {
            self.lost(&message.topic, payload.len());
            return false;
        }
        self.outbox.push(Item::with_content(to_device::MESSAGE, &head[..length], &[topic, payload]));
        self.counts.note_delivered(message.qos);
        let channel = self.number;
        self.notice(|| Notice::Delivered {
            channel,
            topic: message.topic.clone(),
            length: payload.len(),
            qos: message.qos,
        });
        true
    }

    /// Queues word of a message that could never fit; its topic is cut to the ring (link.md §6).
    pub(crate) fn lost(&mut self, topic: &str, message_length: usize) {
        let mut head = [0; LostHead::MAX];
        let message_len = u32::try_from(message_length).unwrap_or(u32::MAX);
        let length = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len }.encode(&mut head);
        self.counts.lost += 1;
        let cut = &topic.as_bytes()[..topic.len().min(self.ring as usize)];
        self.outbox.push(Item::with_content(to_device::LOST, &head[..length], &[cut]));
        let channel = self.number;
        self.notice(|| Notice::MessageLost { channel, topic: topic.into(), length: message_length });
    }
}

/// Bytes from a device as text for people.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
