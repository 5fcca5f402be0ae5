//! `TOPIC`, `PUBLISH` and its answer.

use super::{RequestState, bit};
use crate::bytes::{Reader, Writer, str_len};
use crate::limits::TOPIC_NUMBERS;
use crate::violation::{self, Violation};

/// Gives a topic a number for the `PUBLISH` frames after it, as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// 0 to 7.
    pub number: u8,
    /// The topic's name; not yet checked.
    pub name: &'a [u8],
}

impl<'a> Topic<'a> {
    /// Bytes a body has for a name of `length` bytes: the number, then the name.
    pub const fn encoded_len(length: u32) -> u32 {
        1 + length
    }

    /// Reads a body.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let number = topic_number(reader.u8()?)?;
        Ok(Self { number, name: reader.rest() })
    }
}

fn topic_number(number: u8) -> Result<u8, Violation> {
    if number < TOPIC_NUMBERS { Ok(number) } else { Err(violation::VALUE_OUT_OF_RANGE) }
}

/// The topic of a `PUBLISH` as the device writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicHead {
    /// A number given before by `TOPIC`.
    Number(u8),
    /// A name of this many bytes; they follow the head.
    Name(u32),
}

/// What precedes the topic's name, if any, and the payload of a `PUBLISH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishHead {
    /// The device's number for the publish, 0 to 15.
    pub slot: u8,
    /// QoS 1, else 0.
    pub qos1: bool,
    /// The retain flag.
    pub retain: bool,
    /// The requested QoS is not relayed; the cloud answers it as invalid, because the kernel does not judge MQTT (D46).
    pub qos_out_of_range: bool,
    /// The topic.
    pub topic: TopicHead,
}

impl PublishHead {
    const SLOT: u8 = 0x0f;
    const QOS: u8 = 0x10;
    const RETAIN: u8 = 0x20;
    const NUMBERED: u8 = 0x40;
    const QOS_OUT_OF_RANGE: u8 = 0x80;

    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5;

    /// Bytes the whole item has with a payload of `payload` bytes.
    pub const fn item_len(&self, payload: u32) -> u32 {
        let topic = match self.topic {
            TopicHead::Number(_) => 1,
            TopicHead::Name(length) => str_len(length),
        };
        1 + topic + payload
    }

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        match self.topic {
            TopicHead::Number(number) => {
                out[..2].copy_from_slice(&Self::numbered(self.flags(), number));
                2
            }
            TopicHead::Name(length) => Self::named(self.flags(), length, out),
        }
    }

    /// The first byte, without the flag for a topic by number.
    #[inline]
    pub const fn flags(&self) -> u8 {
        self.slot & Self::SLOT
            | bit(self.qos1, Self::QOS)
            | bit(self.retain, Self::RETAIN)
            | bit(self.qos_out_of_range, Self::QOS_OUT_OF_RANGE)
    }

    /// The head with these flags, its topic by number.
    #[inline]
    pub const fn numbered(flags: u8, number: u8) -> [u8; 2] {
        [flags | Self::NUMBERED, number]
    }

    /// Writes the head with these flags, its topic by a name of this length, and returns its own length.
    pub fn named(flags: u8, length: u32, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(flags);
        writer.varint32(length);
        writer.written()
    }
}

/// The topic of a `PUBLISH` as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicRef<'a> {
    /// A number; one never given is [`violation::UNKNOWN_TOPIC_NUMBER`].
    Number(u8),
    /// A name; not yet checked.
    Name(&'a [u8]),
}

/// A whole `PUBLISH`, as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The device's number for the publish, 0 to 15.
    pub slot: u8,
    /// QoS 1, else 0.
    pub qos1: bool,
    /// The retain flag.
    pub retain: bool,
    /// The requested QoS is not relayed: the publish is answered as invalid without a broker (D46).
    pub qos_out_of_range: bool,
    /// The topic.
    pub topic: TopicRef<'a>,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = reader.u8()?;
        let topic = if head & PublishHead::NUMBERED != 0 {
            TopicRef::Number(topic_number(reader.u8()?)?)
        } else {
            TopicRef::Name(reader.str()?)
        };
        Ok(Self {
            slot: head & PublishHead::SLOT,
            qos1: head & PublishHead::QOS != 0,
            retain: head & PublishHead::RETAIN != 0,
            qos_out_of_range: head & PublishHead::QOS_OUT_OF_RANGE != 0,
            topic,
            payload: reader.rest(),
        })
    }
}

/// The answer to `PUBLISH`; the kernel adds the correlation id, which it remembers by slot (M63).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The publish's slot, free again.
    pub slot: u8,
    /// How it ended.
    pub state: RequestState,
    /// The broker's reason code.
    pub reason: u32,
}

impl Published {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.slot & 0x0f | self.state.code() << 4);
        if self.reason != 0 {
            writer.varint32(self.reason);
        }
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = reader.u8()?;
        let state = RequestState::from_code(head >> 4)?;
        let reason = if reader.is_empty() { 0 } else { nonzero(reader.varint32()?)? };
        reader.end()?;
        Ok(Self { slot: head & 0x0f, state, reason })
    }
}

fn nonzero(value: u32) -> Result<u32, Violation> {
    if value == 0 { Err(violation::VALUE_OUT_OF_RANGE) } else { Ok(value) }
}
