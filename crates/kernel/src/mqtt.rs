//! One MQTT channel: what is in flight, what can be read, and in which order (D44, D45).
//!
//! The kernel neither speaks MQTT nor judges it: requests go to the cloud as they are, answers and messages come back.
//! Every answer the channel can be owed has its place from the moment the request is accepted until the application
//! has read it (D80), so no answer ever waits for room.

mod connect;
mod filters;
mod messages;
mod publish;

use abi::Status;
use abi::mqtt::MqttReadableDataType;
use abi::strings::SizedString;
use link::device::Answer;
use link::kind::to_device;
use link::mqtt::{LostHead, LostReason, MessageHead, RequestState};
use link::{Fragment, Violation, violation};
pub(crate) use publish::{ANNOUNCEMENT, Topics};

use crate::Kernel;
use crate::channel::Base;
use crate::limits::{
    MAX_ACKNOWLEDGEMENTS, MAX_ANNOUNCED_MESSAGES, MAX_FILTERS, MAX_PUBLISHES, MAX_READABLE_ITEMS,
};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span};
use crate::port::Port;
use crate::queue::Queue;

/// The state of one MQTT channel.
pub(crate) struct Mqtt {
    connect: Single,
    /// A connect is asked once in a channel's life, whatever came of it.
    connect_asked: bool,
    disconnect: Single,
    /// The application asked for the disconnect and was answered: what follows is no news (D50).
    disconnected_as_asked: bool,
    subscribe: Filters,
    unsubscribe: Filters,
    publishes: [Publish; MAX_PUBLISHES],
    pub topics: Topics,
    /// Delivery numbers to acknowledge, not sent yet.
    acknowledgements: Queue<u32, MAX_ACKNOWLEDGEMENTS>,
    /// The item that is being received.
    incoming: Incoming,
    /// Messages and notices announced and not read, and those that wait for their announcement (D12).
    announced: u8,
    unannounced: u8,
    readable: Queue<Readable, MAX_READABLE_ITEMS>,
}

/// How far a request is. Its place is free again when its answer has been read (D80).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    InFlight,
    Answered,
}

/// A request answered by a state and one code: connect, disconnect.
#[derive(Clone, Copy)]
struct Single {
    stage: Stage,
    state: RequestState,
    code: u32,
}

/// A publish.
#[derive(Clone, Copy)]
struct Publish {
    stage: Stage,
    correlation: u32,
    state: RequestState,
    reason: u32,
}

/// A subscribe or an unsubscribe.
#[derive(Clone, Copy)]
struct Filters {
    stage: Stage,
    correlation: u32,
    /// Filters of the request.
    asked: u8,
    state: RequestState,
    codes: [u8; MAX_FILTERS],
    /// Codes of the answer: as many as filters, or none.
    count: u8,
}

/// The item of several pieces that is being received.
#[derive(Clone, Copy)]
enum Incoming {
    Nothing,
    Message(MessageHead),
    Lost(LostHead),
}

/// One item that can be read. Bytes of messages are in the receive ring, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Readable {
    #[default]
    Nothing,
    /// The correlation id is 0 for QoS 0 (D83).
    Message {
        correlation: u32,
        retain: bool,
        topic: u32,
        payload: u32,
    },
    Lost {
        reason: LostReason,
        message: u32,
        topic: u32,
    },
    Connect,
    Subscribe,
    Unsubscribe,
    /// The publish's slot.
    Publish(u8),
    Disconnect,
}

impl Readable {
    fn data_type(&self) -> MqttReadableDataType {
        match self {
            Self::Nothing => MqttReadableDataType::None,
            Self::Message { .. } => MqttReadableDataType::MessageReceived,
            Self::Lost { .. } => MqttReadableDataType::MessageLost,
            Self::Connect => MqttReadableDataType::ConnectResponse,
            Self::Subscribe => MqttReadableDataType::SubscribeResponse,
            Self::Unsubscribe => MqttReadableDataType::UnsubscribeResponse,
            Self::Publish(_) => MqttReadableDataType::PublishResponse,
            Self::Disconnect => MqttReadableDataType::DisconnectResponse,
        }
    }
}

impl Single {
    const IDLE: Self = Self { stage: Stage::Idle, state: RequestState::Completed, code: 0 };

    fn answer(&mut self, state: RequestState, code: u32) {
        *self = Self { stage: Stage::Answered, state, code };
    }
}

impl Publish {
    const IDLE: Self = Self { stage: Stage::Idle, correlation: 0, state: RequestState::Completed, reason: 0 };
}

impl Filters {
    const IDLE: Self = Self {
        stage: Stage::Idle,
        correlation: 0,
        asked: 0,
        state: RequestState::Completed,
        codes: [0; MAX_FILTERS],
        count: 0,
    };

    fn asked(correlation: u32, asked: u8) -> Self {
        Self { stage: Stage::InFlight, correlation, asked, ..Self::IDLE }
    }

    fn answer(&mut self, state: RequestState, codes: &[u8]) -> Result<(), Violation> {
        if self.stage != Stage::InFlight {
            return Err(violation::UNASKED_ANSWER);
        }
        if state == RequestState::Completed && codes.len() != usize::from(self.asked) {
            return Err(violation::WRONG_COUNT);
        }
        for (place, code) in self.codes.iter_mut().zip(codes) {
            *place = *code;
        }
        (self.stage, self.state, self.count) = (Stage::Answered, state, codes.len() as u8);
        Ok(())
    }
}

impl Mqtt {
    pub(crate) fn new() -> Self {
        Self {
            connect: Single::IDLE,
            connect_asked: false,
            disconnect: Single::IDLE,
            disconnected_as_asked: false,
            subscribe: Filters::IDLE,
            unsubscribe: Filters::IDLE,
            publishes: [Publish::IDLE; MAX_PUBLISHES],
            topics: Topics::new(),
            acknowledgements: Queue::new(0),
            incoming: Incoming::Nothing,
            announced: 0,
            unannounced: 0,
            readable: Queue::new(Readable::default()),
        }
    }

    /// Whether the application asked for the end of the broker connection and was answered.
    pub(crate) fn has_disconnected(&self) -> bool {
        self.disconnected_as_asked
    }

    /// Whether an acknowledgement waits to be sent.
    pub(crate) fn owes_acknowledgement(&self) -> bool {
        !self.acknowledgements.is_empty()
    }

    /// The delivery number of the acknowledgement that goes next.
    pub(crate) fn next_acknowledgement(&self) -> Option<u32> {
        self.acknowledgements.get(0)
    }

    /// The next acknowledgement has gone: its place is free.
    pub(crate) fn acknowledged(&mut self) {
        self.acknowledgements.drop_first();
    }

    /// Takes an answer from the cloud, and tells whether the application is to hear of it: of every answer, but not of
    /// the end the broker made by itself, which CHANNELNOTCONNECTED tells (D50).
    pub(crate) fn answered(&mut self, answer: &Answer) -> Result<bool, Violation> {
        let readable = match answer {
            Answer::Connected(outcome) => {
                in_flight(self.connect.stage)?;
                self.connect.answer(outcome.state, outcome.reason);
                Readable::Connect
            }
            Answer::Published(published) => {
                let place = self.publishes.get_mut(usize::from(published.slot));
                let place = place.ok_or(violation::UNASKED_ANSWER)?;
                in_flight(place.stage)?;
                (place.stage, place.state, place.reason) =
                    (Stage::Answered, published.state, published.reason);
                Readable::Publish(published.slot)
            }
            Answer::Subscribed(codes) => {
                self.subscribe.answer(codes.state, codes.codes())?;
                Readable::Subscribe
            }
            Answer::Unsubscribed(codes) => {
                self.unsubscribe.answer(codes.state, codes.codes())?;
                Readable::Unsubscribe
            }
            Answer::Disconnected(outcome) => return Ok(self.disconnected(outcome.state, outcome.reason)),
        };
        self.readable.push(readable);
        Ok(true)
    }

    fn disconnected(&mut self, state: RequestState, code: u32) -> bool {
        let stage = self.disconnect.stage;
        self.disconnect.answer(state, code);
        if stage != Stage::Answered {
            self.readable.push(Readable::Disconnect);
        }
        self.disconnected_as_asked |= stage == Stage::InFlight;
        stage == Stage::InFlight
    }

    /// Takes a fragment of a message, or of the notice of a lost one; whether an item became readable by it that is to be
    /// announced now. Tells the link, through `stored`, what took ring bytes.
    pub(crate) fn item(
        &mut self,
        base: &mut Base,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
        stored: &mut dyn FnMut(u32) -> Result<(), Violation>,
    ) -> Result<bool, Violation> {
        let bytes = match fragment.kind {
            to_device::MESSAGE => {
                let (head, bytes) = base.inbox.head(fragment, MessageHead::decode)?;
                self.incoming = head.map_or(self.incoming, Incoming::Message);
                bytes
            }
            to_device::LOST => {
                let (head, bytes) = base.inbox.head(fragment, LostHead::decode)?;
                self.incoming = head.map_or(self.incoming, Incoming::Lost);
                bytes
            }
            _ => return Err(violation::WRONG_CHANNEL_TYPE),
        };
        stored(bytes.len() as u32)?;
        base.inbox.store(memory, bytes)?;
        if !fragment.last {
            return Ok(false);
        }
        self.finish(base.inbox.finish())?;
        Ok(self.announces())
    }

    /// Whether one more message or notice is announced now, or waits until one is read (D12).
    fn announces(&mut self) -> bool {
        let is_now = usize::from(self.announced) < MAX_ANNOUNCED_MESSAGES;
        if is_now {
            self.announced += 1;
        } else {
            self.unannounced += 1;
        }
        is_now
    }

    /// The message or notice at the head was read; whether another one is announced for it (D12).
    fn message_read(&mut self) -> bool {
        self.readable.drop_first();
        let is_more = self.unannounced > 0;
        if is_more {
            self.unannounced -= 1;
        } else {
            self.announced = self.announced.saturating_sub(1);
        }
        is_more
    }

    /// The item is whole, with this many bytes in the ring.
    fn finish(&mut self, stored: u32) -> Result<(), Violation> {
        let readable = match core::mem::replace(&mut self.incoming, Incoming::Nothing) {
            Incoming::Message(MessageHead { delivery, retain, topic }) => {
                let payload = stored.checked_sub(topic).ok_or(violation::BODY_TOO_SHORT)?;
                Readable::Message { correlation: messages::correlation(delivery), retain, topic, payload }
            }
            Incoming::Lost(LostHead { reason, message_len }) => {
                Readable::Lost { reason, message: message_len, topic: stored }
            }
            Incoming::Nothing => return Err(violation::BODY_TOO_SHORT),
        };
        if self.readable.push(readable) { Ok(()) } else { Err(violation::ITEMS_EXCEEDED) }
    }

    /// Answers every request in flight with "not connected", in the order connect, subscribe, unsubscribe, publishes,
    /// disconnect (D50, D53), and tells how many there were.
    pub(crate) fn answer_unanswered(&mut self) -> u32 {
        let before = self.readable.len();
        let state = RequestState::NotConnected;
        self.acknowledgements.clear();
        self.incoming = Incoming::Nothing;
        if self.connect.stage == Stage::InFlight {
            self.connect.answer(state, 0);
            self.readable.push(Readable::Connect);
        }
        for (filters, readable) in
            [(&mut self.subscribe, Readable::Subscribe), (&mut self.unsubscribe, Readable::Unsubscribe)]
        {
            if filters.stage == Stage::InFlight {
                (filters.stage, filters.state) = (Stage::Answered, state);
                self.readable.push(readable);
            }
        }
        for (slot, publish) in (0..).zip(&mut self.publishes) {
            if publish.stage == Stage::InFlight {
                (publish.stage, publish.state) = (Stage::Answered, state);
                self.readable.push(Readable::Publish(slot));
            }
        }
        if self.disconnect.stage == Stage::InFlight {
            self.disconnect.answer(state, 0);
            self.readable.push(Readable::Disconnect);
        }
        (self.readable.len() - before) as u32
    }

    /// Why the item at the head is not the one asked for: it is another, or there is none (D44).
    #[cold]
    fn not_readable(&self, base: &Base) -> Status {
        if self.readable.is_empty() { base.nothing() } else { Status::WrongDataRequested }
    }
}

fn in_flight(stage: Stage) -> Result<(), Violation> {
    if stage == Stage::InFlight { Ok(()) } else { Err(violation::UNASKED_ANSWER) }
}

/// The number of a state as the public header has it.
fn raw(state: RequestState) -> u32 {
    u32::from(state.code())
}

/// A string of a request, to be read.
fn string(string: SizedString) -> Result<Span, MemoryFault> {
    Span::readable(string.data, string.length)
}

/// Whether a string was not given at all. One of length 0 that points somewhere was given, and is empty (D41).
fn is_missing(string: SizedString) -> bool {
    string.data == 0 && string.length == 0
}

impl Kernel {
    /// `mvMqttGetNextReadableDataType`.
    pub(crate) fn mqtt_next_readable(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let data_type = match mqtt.readable.front() {
            Some(first) => first.data_type(),
            None => base.connected().map(|()| MqttReadableDataType::None)?,
        };
        to.put_u32(port.memory, data_type.raw()).early()
    }
}
