//! MQTT's data types (MQTT 5, 1.5), read from a slice that is never overrun.

use crate::codec::malformed;
use crate::error::ProtocolError;
use crate::topic::is_valid_text;

/// What is left to read of a packet.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything left.
    pub(crate) fn remainder(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(malformed("a packet ends inside a field"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(malformed("a packet ends inside a field"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ProtocolError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer, at most four bytes (MQTT 5, 1.5.5).
    pub(crate) fn variable(&mut self) -> Result<u32, ProtocolError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("a variable byte integer is longer than four bytes (MQTT 5, 1.5.5)"))
    }

    /// A length and as many bytes.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// A UTF-8 string (MQTT-1.5.4-1, MQTT-1.5.4-2).
    pub(crate) fn text(&mut self) -> Result<&'a str, ProtocolError> {
        let bytes = self.binary()?;
        let text = is_valid_text(bytes).then_some(bytes).and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.ok_or(malformed("a string is not valid UTF-8 or holds U+0000 (MQTT-1.5.4-1, MQTT-1.5.4-2)"))
    }
}
