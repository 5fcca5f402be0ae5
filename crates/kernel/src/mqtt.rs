//! One MQTT channel: the requests in flight, and the items that can be read, in order of arrival (D44).
//!
//! The kernel neither speaks MQTT nor validates it: requests go to the cloud as they are, responses and messages come
//! back. Every request has a slot for its response from the moment it is accepted until the application has read the
//! response, so that no response ever waits for space (D80).

pub(crate) mod connect;
pub(crate) mod filters;
pub(crate) mod messages;
pub(crate) mod publish;
mod topics;

use abi::Status;
use abi::mqtt::MqttReadableDataType;
use abi::strings::SizedString;
use link::device::Answer;
use link::kind::to_device;
use link::mqtt::{LostHead, LostReason, MessageHead, RequestState};
use link::{Fragment, Violation, violation};
pub(crate) use topics::{MAX_ANNOUNCEMENT, TopicAliases};

use crate::channel_core::ChannelCore;
use crate::inbox::{Progress, receive_item};
use crate::limits::{
    MAX_ACKNOWLEDGEMENTS, MAX_ANNOUNCED_MESSAGES, MAX_FILTERS, MAX_PUBLISHES, MAX_READABLE_ITEMS,
};
use crate::memory::{Memory, MemoryFault, Span};
use crate::queue::Queue;

/// The state of an MQTT channel.
pub(crate) struct Mqtt {
    connect: PendingRequest,
    /// Whether a connect was ever requested. A channel has one, whatever became of it, because the guide speaks of
    /// connects that were tried (D91, M17).
    connect_requested: bool,
    disconnect: PendingRequest,
    /// Whether the application requested the disconnect and got the response, so that the end of the channel needs no
    /// event (D50).
    disconnected_by_request: bool,
    subscribe: PendingFilters,
    unsubscribe: PendingFilters,
    publishes: [PendingPublish; MAX_PUBLISHES],
    pub topics: TopicAliases,
    /// Delivery numbers to acknowledge that have not been sent.
    acknowledgements: Queue<u32, MAX_ACKNOWLEDGEMENTS>,
    /// The item that is being received.
    incoming: Incoming,
    /// Messages and lost-message notices that have been announced and not read.
    announced: u8,
    /// Those that wait for their announcement, because more events than the application's small queue can contain
    /// would be lost (D12).
    unannounced: u8,
    readable: Queue<Readable, MAX_READABLE_ITEMS>,
}

/// How far a request is. Its slot is free again when its response has been read (D80).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    InFlight,
    Answered,
}

/// A connect or a disconnect.
#[derive(Clone, Copy)]
struct PendingRequest {
    stage: Stage,
    state: RequestState,
    code: u32,
}

/// A publish.
#[derive(Clone, Copy)]
struct PendingPublish {
    stage: Stage,
    correlation: u32,
    state: RequestState,
    reason: u32,
}

/// A subscribe or an unsubscribe.
#[derive(Clone, Copy)]
struct PendingFilters {
    stage: Stage,
    correlation: u32,
    /// Number of filters in the request.
    requested: u8,
    state: RequestState,
    codes: [u8; MAX_FILTERS],
    /// Number of codes in the response: one a filter, or none.
    count: u8,
}

/// The item that is being received, by its head.
#[derive(Clone, Copy)]
enum Incoming {
    Nothing,
    Message(MessageHead),
    Lost(LostHead),
}

/// One item that can be read. The receive ring contains the bytes of messages and notices in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Readable {
    #[default]
    Nothing,
    /// A message. Its correlation id is 0 for QoS 0, which has nothing to acknowledge (D83).
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

impl PendingRequest {
    const IDLE: Self = Self { stage: Stage::Idle, state: RequestState::Completed, code: 0 };

    fn answer(&mut self, state: RequestState, code: u32) {
        *self = Self { stage: Stage::Answered, state, code };
    }
}

impl PendingPublish {
    const IDLE: Self = Self { stage: Stage::Idle, correlation: 0, state: RequestState::Completed, reason: 0 };
}

impl PendingFilters {
    const IDLE: Self = Self {
        stage: Stage::Idle,
        correlation: 0,
        requested: 0,
        state: RequestState::Completed,
        codes: [0; MAX_FILTERS],
        count: 0,
    };

    fn in_flight(correlation: u32, requested: u8) -> Self {
        Self { stage: Stage::InFlight, correlation, requested, ..Self::IDLE }
    }

    fn answer(&mut self, state: RequestState, codes: &[u8]) -> Result<(), Violation> {
        require_in_flight(self.stage)?;
        if state == RequestState::Completed && codes.len() != usize::from(self.requested) {
            return Err(violation::WRONG_COUNT);
        }
        for (to, code) in self.codes.iter_mut().zip(codes) {
            *to = *code;
        }
        (self.stage, self.state, self.count) = (Stage::Answered, state, codes.len() as u8);
        Ok(())
    }
}

impl Mqtt {
    pub(crate) fn new() -> Self {
        Self {
            connect: PendingRequest::IDLE,
            connect_requested: false,
            disconnect: PendingRequest::IDLE,
            disconnected_by_request: false,
            subscribe: PendingFilters::IDLE,
            unsubscribe: PendingFilters::IDLE,
            publishes: [PendingPublish::IDLE; MAX_PUBLISHES],
            topics: TopicAliases::new(),
            acknowledgements: Queue::new(0),
            incoming: Incoming::Nothing,
            announced: 0,
            unannounced: 0,
            readable: Queue::new(Readable::default()),
        }
    }

    /// Whether the broker connection ended because the application requested it.
    pub(crate) fn has_disconnected(&self) -> bool {
        self.disconnected_by_request
    }

    /// Whether an acknowledgement waits to be sent.
    pub(crate) fn has_acknowledgement(&self) -> bool {
        !self.acknowledgements.is_empty()
    }

    /// The delivery number of the acknowledgement to send next.
    pub(crate) fn next_acknowledgement(&self) -> Option<u32> {
        self.acknowledgements.get(0)
    }

    /// The next acknowledgement has been sent.
    pub(crate) fn pop_acknowledgement(&mut self) {
        self.acknowledgements.drop_first();
    }

    /// Takes a response from the cloud. Returns whether to announce it: every response, but not an end that the broker
    /// made by itself. That is reported by `CHANNELNOTCONNECTED`, and vendor applications would tear down twice (D50).
    pub(crate) fn on_answer(&mut self, answer: &Answer) -> Result<bool, Violation> {
        let readable = match answer {
            Answer::Connected(outcome) => {
                require_in_flight(self.connect.stage)?;
                self.connect.answer(outcome.state, outcome.reason);
                Readable::Connect
            }
            Answer::Published(published) => {
                let publish = self.publishes.get_mut(usize::from(published.slot));
                let publish = publish.ok_or(violation::UNEXPECTED_ANSWER)?;
                require_in_flight(publish.stage)?;
                (publish.stage, publish.state, publish.reason) =
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
            Answer::Disconnected(outcome) => return Ok(self.on_disconnected(outcome.state, outcome.reason)),
        };
        self.readable.push(readable);
        Ok(true)
    }

    /// The broker connection has ended, by request or not.
    fn on_disconnected(&mut self, state: RequestState, code: u32) -> bool {
        let stage = self.disconnect.stage;
        self.disconnect.answer(state, code);
        if stage != Stage::Answered {
            self.readable.push(Readable::Disconnect);
        }
        self.disconnected_by_request |= stage == Stage::InFlight;
        stage == Stage::InFlight
    }

    /// Receives a fragment of a message, or of the notice of a lost one.
    pub(crate) fn on_fragment(
        &mut self,
        core: &mut ChannelCore,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
    ) -> Result<Progress, Violation> {
        let received = match fragment.kind {
            to_device::MESSAGE => {
                receive_item(&mut core.inbox, memory, fragment, MessageHead::decode, |head| {
                    self.incoming = Incoming::Message(head);
                    Ok(())
                })
            }
            to_device::LOST => receive_item(&mut core.inbox, memory, fragment, LostHead::decode, |head| {
                self.incoming = Incoming::Lost(head);
                Ok(())
            }),
            _ => Err(violation::WRONG_CHANNEL_TYPE),
        }?;
        let Some(length) = received.item else {
            return Ok(Progress { stored: received.stored, announce: false });
        };
        self.push_incoming(length)?;
        Ok(Progress { stored: received.stored, announce: self.announce_next() })
    }

    /// Whether to announce a new message or notice now, or when another one has been read: vendor applications read one
    /// item an event and have few places for events (D12).
    fn announce_next(&mut self) -> bool {
        let is_now = usize::from(self.announced) < MAX_ANNOUNCED_MESSAGES;
        if is_now {
            self.announced += 1;
        } else {
            self.unannounced += 1;
        }
        is_now
    }

    /// Removes the message or notice at the head, which has been read. Returns whether to announce another one for it,
    /// so that there are as many events as items in the end (D12).
    fn finish_read(&mut self) -> bool {
        self.readable.drop_first();
        let has_more = self.unannounced > 0;
        if has_more {
            self.unannounced -= 1;
        } else {
            self.announced = self.announced.saturating_sub(1);
        }
        has_more
    }

    /// The incoming item is complete, with this many bytes in the ring.
    fn push_incoming(&mut self, stored: u32) -> Result<(), Violation> {
        let readable = match core::mem::replace(&mut self.incoming, Incoming::Nothing) {
            Incoming::Message(MessageHead { delivery, retain, topic }) => {
                let payload = stored.checked_sub(topic).ok_or(violation::BODY_TOO_SHORT)?;
                Readable::Message { correlation: correlation_id(delivery), retain, topic, payload }
            }
            Incoming::Lost(LostHead { reason, message_len }) => {
                Readable::Lost { reason, message: message_len, topic: stored }
            }
            Incoming::Nothing => return Err(violation::BODY_TOO_SHORT),
        };
        if self.readable.push(readable) { Ok(()) } else { Err(violation::ITEMS_EXCEEDED) }
    }

    /// Answers every request in flight with `NOTCONNECTED`, because every accepted request gets a response and the
    /// cloud cannot give it any more (D50, D53). Returns how many there were. The order is connect, subscribe,
    /// unsubscribe, publishes, disconnect.
    pub(crate) fn fail_in_flight(&mut self) -> u32 {
        let before = self.readable.len();
        let state = RequestState::NotConnected;
        // An acknowledgement for a connection that is over means nothing (D97).
        self.acknowledgements.clear();
        self.incoming = Incoming::Nothing;
        if self.connect.stage == Stage::InFlight {
            self.connect.answer(state, 0);
            self.readable.push(Readable::Connect);
        }
        for (request, readable) in
            [(&mut self.subscribe, Readable::Subscribe), (&mut self.unsubscribe, Readable::Unsubscribe)]
        {
            if request.stage == Stage::InFlight {
                (request.stage, request.state) = (Stage::Answered, state);
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

    /// The status of a read of an item that is not at the head: the order of arrival matters to MQTT, so items cannot
    /// be read out of order (D44).
    #[cold]
    fn status_when_unreadable(&self, core: &ChannelCore) -> Status {
        if self.readable.is_empty() { core.status_when_empty() } else { Status::WrongDataRequested }
    }
}

fn require_in_flight(stage: Stage) -> Result<(), Violation> {
    if stage == Stage::InFlight { Ok(()) } else { Err(violation::UNEXPECTED_ANSWER) }
}

/// A state's number in the public header.
fn raw_state(state: RequestState) -> u32 {
    u32::from(state.code())
}

/// The span of a string in a request.
fn string_span(string: SizedString) -> Result<Span, MemoryFault> {
    Span::readable(string.data, string.length)
}

/// Whether a string is absent. A length of 0 with a pointer is the empty string: an empty client id is for the broker
/// to judge (D41).
fn is_missing(string: SizedString) -> bool {
    string.data == 0 && string.length == 0
}

/// The correlation id of a message: one more than its delivery number, so that 0 is left for those of QoS 0 (D83).
fn correlation_id(delivery: Option<u32>) -> u32 {
    delivery.map_or(0, |number| number.wrapping_add(1))
}
