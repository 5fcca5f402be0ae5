//! Splitting a client's bytes into packets (MQTT 5, 2.1).

use super::{ProtocolError, kind, reason};
use crate::MAX_PACKET;

/// An empty buffer larger than this is given back.
const KEPT_BUFFER: usize = 64 * 1024;
/// Longest Remaining Length field, in bytes.
const LENGTH_FIELD: usize = 4;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Packet type and flags.
    pub first: u8,
    /// What follows the fixed header.
    pub body: Vec<u8>,
}

impl Packet {
    /// One of [`kind`], or another number a client must not send.
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }
}

/// Collects bytes until a packet is whole. Holds at most one packet and what was read with its end.
#[derive(Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    has_connect: bool,
}

impl Framer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet. What no valid packet begins with is refused as soon as it is seen.
    pub(crate) fn next(&mut self) -> Result<Option<Packet>, ProtocolError> {
        let Some(&first) = self.buffer.first() else { return Ok(None) };
        self.check_first(first)?;
        let Some((header, length)) = self.lengths()? else { return Ok(None) };
        if length > MAX_PACKET as usize {
            return Err(ProtocolError {
                code: reason::PACKET_TOO_LARGE,
                why: "a packet larger than is taken",
            });
        }
        if self.buffer.len() < header + length {
            return Ok(None);
        }
        let body = self.buffer[header..header + length].to_vec();
        self.buffer.drain(..header + length);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
        self.has_connect = true;
        Ok(Some(Packet { first, body }))
    }

    /// The packet type is one a client sends, CONNECT first and once (MQTT-3.1.0-1, MQTT-3.1.0-2), and the flags are
    /// those of the type (MQTT-2.1.3-1).
    fn check_first(&self, first: u8) -> Result<(), ProtocolError> {
        let (kind, flags) = (first >> 4, first & 0x0f);
        if (kind == kind::CONNECT) == self.has_connect {
            return Err(ProtocolError::protocol("CONNECT must be the first packet, and no other"));
        }
        let wanted = match kind {
            kind::PUBLISH => flags,
            kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
            kind::CONNECT | kind::PUBACK | kind::PUBREC | kind::PUBCOMP => 0,
            kind::PINGREQ | kind::DISCONNECT | kind::AUTH => 0,
            _ => return Err(ProtocolError::protocol("a packet type that clients do not send")),
        };
        super::require(flags == wanted, ProtocolError::malformed("reserved flags in the first byte"))
    }

    /// Bytes of the fixed header and of what follows it, once the header is whole.
    fn lengths(&self) -> Result<Option<(usize, usize)>, ProtocolError> {
        let field = &self.buffer[1..self.buffer.len().min(1 + LENGTH_FIELD)];
        let Some(last) = field.iter().position(|byte| byte & 0x80 == 0) else {
            let is_too_long = field.len() == LENGTH_FIELD;
            return if is_too_long {
                Err(ProtocolError::malformed("a length of more than four bytes"))
            } else {
                Ok(None)
            };
        };
        let length = super::reader::Reader::new(&field[..=last]).variable()?;
        Ok(Some((2 + last, length as usize)))
    }
}
