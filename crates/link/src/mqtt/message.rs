//! What a broker sends unasked: `MESSAGE`, `LOST`, and the application's `ACKNOWLEDGE`.

use super::{LostReason, QOS, RETAIN, bit};
use crate::bytes::{Reader, Writer, decode_head};
use crate::limits::MAX_TOPIC;
use crate::violation::{self, Violation};

/// The application has processed a message of QoS 1. Only then is the broker sent its acknowledgement: a message is not
/// lost with a device that fails in between (D48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// The number the cloud gave it.
    pub delivery: u32,
}

impl Acknowledge {
    /// Bytes the longest body can have.
    pub const MAX: usize = 5;

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.varint32(self.delivery);
        writer.written()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let acknowledge = Self { delivery: reader.varint32()? };
        reader.end()?;
        Ok(acknowledge)
    }
}

/// What precedes the topic and the payload of a `MESSAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// The cloud's number for a message of QoS 1; `None` for QoS 0.
    pub delivery: Option<u32>,
    /// The retain flag: whether it is the topic's retained message, sent because of a subscription (M85, M42).
    pub retain: bool,
    /// Bytes of the topic, which follows; the payload is the rest of the item.
    pub topic: u32,
}

impl MessageHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5 + 3;

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(bit(self.delivery.is_some(), QOS) | bit(self.retain, RETAIN));
        if let Some(delivery) = self.delivery {
            writer.varint32(delivery);
        }
        writer.varint32(self.topic);
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        decode_head(bytes, |reader| {
            let head = reader.u8()?;
            if head & !(QOS | RETAIN) != 0 {
                return Err(violation::VALUE_OUT_OF_RANGE);
            }
            let delivery = if head & QOS != 0 { Some(reader.varint32()?) } else { None };
            let topic = reader.varint32()?;
            if topic > MAX_TOPIC {
                return Err(violation::VALUE_OUT_OF_RANGE);
            }
            Ok(Self { delivery, retain: head & RETAIN != 0, topic })
        })
    }
}

/// What precedes the topic of a `LOST`; the topic is the rest of the item, cut to the ring's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostHead {
    /// Why.
    pub reason: LostReason,
    /// Bytes the message's payload has.
    pub message_len: u32,
}

impl LostHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5;

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.reason.code());
        writer.varint32(self.message_len);
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        decode_head(bytes, |reader| {
            Ok(Self { reason: LostReason::from_code(reader.u8()?)?, message_len: reader.varint32()? })
        })
    }
}
