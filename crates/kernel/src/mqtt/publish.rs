//! Publish: a topic that was sent once goes by number.

use super::{Publish, Readable, Stage, raw, string};
use crate::Kernel;
use crate::limits::{NUMBERED_TOPIC, PUBLISHES, TOPIC_NUMBERS};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{Body, Sink, length_of};
use crate::port::Port;
use abi::Status;
use abi::mqtt::{MqttPublishRequest, MqttPublishResponse, MqttReadableDataType};
use link::kind::to_cloud;
use link::mqtt::{PublishHead, RequestState, TopicHead};

/// The topics of a channel that have a number.
pub(super) struct Topics {
    names: [Name; TOPIC_NUMBERS],
    /// The number given next: the oldest, once all are given.
    next: u8,
}

/// A topic short enough for a number; empty for none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    bytes: [u8; NUMBERED_TOPIC],
    length: u8,
}

impl Name {
    const NONE: Self = Self { bytes: [0; NUMBERED_TOPIC], length: 0 };

    /// The name in the application's memory, if a number is worth it.
    fn read(memory: &dyn Memory, span: Span) -> Result<Option<Self>, MemoryFault> {
        let mut name = Self { length: span.length().min(u32::from(u8::MAX)) as u8, ..Self::NONE };
        let Some(bytes) = name.bytes.get_mut(..span.length() as usize).filter(|bytes| bytes.len() > 1) else {
            return Ok(None);
        };
        memory.read(span.address(), bytes)?;
        Ok(Some(name))
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Topics {
    pub const fn new() -> Self {
        Self { names: [Name::NONE; TOPIC_NUMBERS], next: 0 }
    }

    fn number_of(&self, name: &Name) -> Option<u8> {
        self.names.iter().position(|known| known == name).map(|number| number as u8)
    }

    fn give(&mut self, name: Name) {
        self.names[usize::from(self.next)] = name;
        self.next = (self.next + 1) % TOPIC_NUMBERS as u8;
    }
}

/// The `TOPIC` item.
struct Announcement {
    number: u8,
    name: Name,
}

impl Body for Announcement {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        sink.bytes(&[self.number])?;
        sink.bytes(self.name.bytes())
    }
}

/// The `PUBLISH` item. The topic follows its head unless it goes by number.
struct Item {
    head: PublishHead,
    topic: Span,
    payload: Span,
}

impl Item {
    fn by_number(&self, number: u8) -> Self {
        Self {
            head: PublishHead { topic: TopicHead::Number(number), ..self.head },
            topic: Span::default(),
            ..*self
        }
    }
}

impl Body for Item {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        let mut head = [0; PublishHead::MAX];
        let length = self.head.encode(&mut head);
        sink.bytes(&head[..length])?;
        sink.span(self.topic)?;
        sink.span(self.payload)
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
        let name = Name::read(port.memory, topic).late()?;
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
        let item = Item { head, topic, payload };

        match name.map(|name| (name, mqtt.topics.number_of(&name))) {
            None => base.outbox.put(port.memory, to_cloud::PUBLISH, &item)?,
            Some((_, Some(number))) => {
                base.outbox.put(port.memory, to_cloud::PUBLISH, &item.by_number(number))?;
            }
            Some((name, None)) => {
                let announcement = Announcement { number: mqtt.topics.next, name };
                let numbered = item.by_number(announcement.number);
                if length_of(&announcement) + length_of(&numbered) > u64::from(base.outbox.free()) {
                    base.outbox.put(port.memory, to_cloud::PUBLISH, &item)?;
                } else {
                    base.outbox.put_after(
                        port.memory,
                        (to_cloud::TOPIC, &announcement),
                        (to_cloud::PUBLISH, &numbered),
                    )?;
                    mqtt.topics.give(name);
                }
            }
        }
        mqtt.publishes[slot] = Publish {
            stage: Stage::InFlight,
            correlation: request.correlation_id,
            state: RequestState::Completed,
            reason: 0,
        };
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
        let Readable::Publish(slot) = mqtt.readable(base, MqttReadableDataType::PublishResponse)? else {
            return Err(Status::InternalError);
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
        mqtt.readable.pop();
        Ok(())
    }
}
