//! Publish: a topic goes by number, of which the cloud is told before the first publish that uses it (D113).

use abi::Status;
use abi::mqtt::{MqttPublishRequest, MqttPublishResponse};
use link::kind::to_cloud;
use link::mqtt::{PublishHead, TopicHead};

use super::{Publish, Readable, Stage, raw, string};
use crate::Kernel;
use crate::limits::{MAX_ALIASED_TOPIC, MAX_PUBLISHES, TOPIC_ALIASES};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{Outbox, Outgoing, Sink as _};
use crate::port::Port;

/// Bytes the longest `TOPIC` item has: the number and the name.
pub(crate) const ANNOUNCEMENT: usize = 1 + MAX_ALIASED_TOPIC;
/// [`MAX_ALIASED_TOPIC`] as lengths are.
const NUMBERED_TOPIC_LENGTH: u32 = MAX_ALIASED_TOPIC as u32;

/// The topics of a channel that have a number.
pub(crate) struct Topics {
    names: [Name; TOPIC_ALIASES],
    /// Numbers given, from 0 on.
    given: u8,
    /// The number used last. It is looked at first: most applications go on with the topic they have.
    last: u8,
    /// The number given next: the oldest, once all are given.
    next: u8,
    /// How many of the numbers given last the cloud has not been told of.
    untold: u8,
}

/// A topic short enough for a number; empty for none. Aligned, to be compared and copied by words.
#[derive(Clone, Copy)]
#[repr(align(4))]
struct Name {
    /// The bytes, and zeros behind them.
    bytes: [u8; MAX_ALIASED_TOPIC],
    length: u8,
}

impl Name {
    const NONE: Self = Self { bytes: [0; MAX_ALIASED_TOPIC], length: 0 };
    /// No name is equal to this one, not even none.
    const UNUSED: Self = Self { length: u8::MAX, ..Self::NONE };

    /// Reads the name from the application's memory, unless a number is not worth it or has no room for it.
    fn read(&mut self, memory: &dyn Memory, topic: Span) -> Result<(), MemoryFault> {
        let 2..=NUMBERED_TOPIC_LENGTH = topic.length() else { return Ok(()) };
        self.length = topic.length() as u8;
        memory.read(topic.address(), &mut self.bytes[..topic.length() as usize])
    }

    fn is(&self, other: &Self) -> bool {
        if self.length != other.length {
            return false;
        }
        // Eight bytes at a time: the zeros behind the names are equal.
        let count = usize::from(self.length).div_ceil(8);
        let [one, other] = [self, other].map(|name| &name.bytes.as_chunks::<8>().0[..count]);
        let differing =
            |one: &[u8; 8], other: &[u8; 8]| u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        one.iter().zip(other).fold(0, |all, (one, other)| all | differing(one, other)) == 0
    }
}

impl Topics {
    pub(crate) const fn new() -> Self {
        Self { names: [Name::UNUSED; TOPIC_ALIASES], given: 0, last: 0, next: 0, untold: 0 }
    }

    fn number_of(&mut self, name: &Name) -> Option<u8> {
        if !self.names[usize::from(self.last) % TOPIC_ALIASES].is(name) {
            let mut given = self.names.iter().take(usize::from(self.given));
            self.last = given.position(|known| known.is(name))? as u8;
        }
        Some(self.last)
    }

    /// Gives the name the next number.
    fn give(&mut self, name: &Name) {
        self.names[usize::from(self.next)] = *name;
        self.given = self.given.max(self.next + 1);
        self.last = self.next;
        self.untold += 1;
        self.next = (self.next + 1) % TOPIC_ALIASES as u8;
    }

    /// Writes the `TOPIC` item that tells the cloud of the oldest number it has not been told of, and answers how many bytes
    /// it has.
    pub(crate) fn announce(&self, body: &mut [u8; ANNOUNCEMENT]) -> usize {
        let number = (self.next + TOPIC_ALIASES as u8 - self.untold) % TOPIC_ALIASES as u8;
        let name = &self.names[usize::from(number)];
        body[0] = number;
        body[1..].copy_from_slice(&name.bytes);
        1 + usize::from(name.length)
    }

    /// The cloud has been told of it.
    pub(crate) fn told(&mut self) {
        self.untold = self.untold.saturating_sub(1);
    }

    /// Puts a publish into the send ring: its topic by number if it has one or can be given one, else by name.
    fn put(
        &mut self,
        outbox: &mut Outbox,
        memory: &mut dyn Memory,
        flags: u8,
        [topic, payload]: [Span; 2],
        name: &Name,
        known: Option<u8>,
    ) -> Result<(), Status> {
        if let Some(number) = known {
            return put_numbered(outbox, memory, PublishHead::numbered(flags, number), payload, false);
        }
        if name.length == 0 || usize::from(self.untold) == TOPIC_ALIASES {
            return put_named(outbox, memory, flags, topic, payload);
        }
        put_numbered(outbox, memory, PublishHead::numbered(flags, self.next), payload, true)?;
        self.give(name);
        Ok(())
    }
}

/// Puts a `PUBLISH` into the send ring, its topic by name.
fn put_named(
    outbox: &mut Outbox,
    memory: &mut dyn Memory,
    flags: u8,
    topic: Span,
    payload: Span,
) -> Result<(), Status> {
    let mut head = [0; PublishHead::MAX];
    let count = PublishHead::named(flags, topic.length(), &mut head);
    // Each string lies in the map, so the sum is far from a u32's end.
    let left = count as u32 + topic.length() + payload.length();
    outbox.put_written(memory, Outgoing { kind: to_cloud::PUBLISH, announces: false, left }, |draft| {
        draft.bytes(&head[..count])?;
        draft.span(topic)?;
        draft.span(payload)
    })
}

/// Puts a `PUBLISH` into the send ring, its topic by a number that the cloud knows or is to be told of.
#[allow(clippy::inline_always, reason = "a part of one call, which is counted by instructions")]
#[inline(always)]
fn put_numbered(
    outbox: &mut Outbox,
    memory: &mut dyn Memory,
    head: [u8; 2],
    payload: Span,
    announces: bool,
) -> Result<(), Status> {
    let left = head.len() as u32 + payload.length();
    outbox.put_written(memory, Outgoing { kind: to_cloud::PUBLISH, announces, left }, |draft| {
        draft.bytes(&head)?;
        draft.span(payload)
    })
}

impl Kernel {
    /// `mvMqttRequestPublish`.
    pub(crate) fn mqtt_request_publish(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let request: MqttPublishRequest = structure(port.memory, request).early()?;
        let topic = string(request.topic).late()?;
        let payload = string(request.payload).late()?;
        let mut name = Name::NONE;
        name.read(port.memory, topic).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        base.connected()?;
        let number = mqtt.topics.number_of(&name);
        let mut places = (0..).zip(&mut mqtt.publishes);
        let free = places.find(|(_, place)| place.stage == Stage::Idle);
        let (slot, place) = free.ok_or(Status::RateLimited)?;
        let head = PublishHead {
            slot,
            qos1: request.desired_qos == 1,
            retain: request.retain != 0,
            qos_out_of_range: request.desired_qos > 1,
            topic: TopicHead::Name(topic.length()),
        };
        let strings = [topic, payload];
        (place.stage, place.correlation) = (Stage::InFlight, request.correlation_id);
        let put = mqtt.topics.put(&mut base.outbox, port.memory, head.flags(), strings, &name, number);
        put.inspect_err(|_| *place = Publish::IDLE)
    }

    /// `mvMqttReadPublishResponse`.
    pub(crate) fn mqtt_read_publish_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let Some(&Readable::Publish(slot)) = mqtt.readable.front() else {
            return Err(mqtt.not_readable(base));
        };
        let place = &mut mqtt.publishes[usize::from(slot) % MAX_PUBLISHES];
        let Publish { correlation, state, reason, .. } = *place;
        let response = MqttPublishResponse {
            request_state: raw(state),
            correlation_id: correlation,
            reason_code: reason,
        };
        to.put(port.memory, response.to_bytes()).early()?;
        *place = Publish::IDLE;
        mqtt.readable.drop_first();
        Ok(())
    }
}
