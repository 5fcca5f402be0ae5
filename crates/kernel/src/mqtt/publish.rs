//! Publish: a topic that was sent once goes by number.

use super::{Publish, Readable, Stage, raw, string};
use crate::Kernel;
use crate::limits::{NUMBERED_TOPIC, PUBLISHES, TOPIC_NUMBERS};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{Outbox, Sink as _};
use crate::port::Port;
use abi::Status;
use abi::mqtt::{MqttPublishRequest, MqttPublishResponse};
use link::kind::to_cloud;
use link::mqtt::{PublishHead, TopicHead};

/// [`NUMBERED_TOPIC`] as lengths are.
const NUMBERED_TOPIC_LENGTH: u32 = NUMBERED_TOPIC as u32;

/// The topics of a channel that have a number.
pub(super) struct Topics {
    names: [Name; TOPIC_NUMBERS],
    /// Numbers given, from 0 on.
    given: u8,
    /// The number used last. It is looked at first: most applications go on with the topic they have.
    last: u8,
    /// The number given next: the oldest, once all are given.
    next: u8,
}

/// A topic short enough for a number; empty for none. Aligned, to be compared and copied by words.
#[derive(Clone, Copy)]
#[repr(align(4))]
struct Name {
    /// The bytes, and zeros behind them.
    bytes: [u8; NUMBERED_TOPIC],
    length: u8,
}

impl Name {
    const NONE: Self = Self { bytes: [0; NUMBERED_TOPIC], length: 0 };

    /// Reads the name from the application's memory, unless a number is not worth it or has no room for it.
    fn read(&mut self, memory: &dyn Memory, topic: Span) -> Result<(), MemoryFault> {
        let 2..=NUMBERED_TOPIC_LENGTH = topic.length() else { return Ok(()) };
        self.length = topic.length() as u8;
        memory.read(topic.address(), &mut self.bytes[..topic.length() as usize])
    }

    /// The bytes, eight at a time; the last are filled up with zeros.
    fn words(&self) -> impl Iterator<Item = u64> {
        let count = usize::from(self.length).div_ceil(8);
        self.bytes.as_chunks().0.iter().take(count).map(|word| u64::from_le_bytes(*word))
    }

    fn is(&self, other: &Self) -> bool {
        self.length == other.length
            && self.words().zip(other.words()).fold(0, |differing, (one, other)| differing | one ^ other) == 0
    }
}

impl Topics {
    pub const fn new() -> Self {
        Self { names: [Name::NONE; TOPIC_NUMBERS], given: 0, last: 0, next: 0 }
    }

    fn number_of(&mut self, name: &Name) -> Option<u8> {
        if name.length == 0 {
            return None;
        }
        if !self.names[usize::from(self.last)].is(name) {
            let mut given = self.names.iter().take(usize::from(self.given));
            self.last = given.position(|known| known.is(name))? as u8;
        }
        Some(self.last)
    }

    fn give(&mut self, name: &Name) {
        self.names[usize::from(self.next)] = *name;
        self.given = self.given.max(self.next + 1);
        self.last = self.next;
        self.next = (self.next + 1) % TOPIC_NUMBERS as u8;
    }

    /// Puts a publish into the send ring: by its topic's number if it has one, else giving it one if there is room for
    /// that.
    fn put(
        &mut self,
        outbox: &mut Outbox,
        memory: &mut dyn Memory,
        item: Item,
        name: &Name,
    ) -> Result<(), Status> {
        if let Some(number) = self.number_of(name) {
            return item.put_numbered(outbox, memory, number);
        }
        if name.length > 0 && item.put_announced(outbox, memory, self.next, name)? {
            self.give(name);
            return Ok(());
        }
        item.put_named(outbox, memory)
    }
}

/// A `PUBLISH` item on its way into the send ring.
#[derive(Clone, Copy)]
struct Item {
    head: PublishHead,
    topic: Span,
    payload: Span,
}

impl Item {
    /// Puts it with its topic by name.
    #[inline]
    fn put_named(self, outbox: &mut Outbox, memory: &mut dyn Memory) -> Result<(), Status> {
        let mut head = [0; PublishHead::MAX];
        let count = self.head.encode(&mut head);
        // Each string lies in the map, so the sum is far from a u32's end.
        let length = count as u32 + self.topic.length() + self.payload.length();
        outbox.put_written(memory, to_cloud::PUBLISH, length, |draft| {
            draft.bytes(&head[..count])?;
            draft.span(self.topic)?;
            draft.span(self.payload)
        })
    }

    /// Puts it with its topic by number.
    fn put_numbered(self, outbox: &mut Outbox, memory: &mut dyn Memory, number: u8) -> Result<(), Status> {
        let head = self.head.numbered(number);
        let length = head.len() as u32 + self.payload.length();
        outbox.put_written(memory, to_cloud::PUBLISH, length, |draft| {
            draft.bytes(&head)?;
            draft.span(self.payload)
        })
    }

    /// Puts it with its topic by a number that is given to the topic just before, if there is room for both.
    fn put_announced(
        self,
        outbox: &mut Outbox,
        memory: &mut dyn Memory,
        number: u8,
        name: &Name,
    ) -> Result<bool, Status> {
        let head = self.head.numbered(number);
        let length = 1 + usize::from(name.length);
        let mut heads = [0; 1 + NUMBERED_TOPIC + 2];
        heads[0] = number;
        heads[1..=NUMBERED_TOPIC].copy_from_slice(&name.bytes);
        heads[length..][..head.len()].copy_from_slice(&head);
        let announcement = (to_cloud::TOPIC, length as u32);
        let publish = (to_cloud::PUBLISH, head.len() as u32 + self.payload.length());
        outbox.put_both(memory, [announcement, publish], |draft| {
            draft.bytes(&heads[..length + head.len()])?;
            draft.span(self.payload)
        })
    }
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
        let slot = mqtt.publishes.iter().position(|place| place.stage == Stage::Idle);
        let slot = slot.ok_or(Status::RateLimited)?;
        let head = PublishHead {
            slot: slot as u8,
            qos1: request.desired_qos == 1,
            retain: request.retain != 0,
            qos_out_of_range: request.desired_qos > 1,
            topic: TopicHead::Name(topic.length()),
        };
        mqtt.topics.put(&mut base.outbox, port.memory, Item { head, topic, payload }, &name)?;
        let place = &mut mqtt.publishes[slot];
        (place.stage, place.correlation) = (Stage::InFlight, request.correlation_id);
        Ok(())
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
        let place = &mut mqtt.publishes[usize::from(slot) % PUBLISHES];
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
