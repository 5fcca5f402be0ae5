//! Reading a packet's fields (MQTT 5, 1.5), never past its end.

use super::{ProtocolError, require};

/// What is left of a packet.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What no field has taken; nothing is left afterwards.
    pub(super) fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ProtocolError::malformed("a packet that is too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, ProtocolError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, ProtocolError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A variable byte integer in its shortest form (MQTT-1.5.5-1).
    pub(super) fn variable(&mut self) -> Result<u32, ProtocolError> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                require(
                    index == 0 || byte != 0,
                    ProtocolError::malformed("a variable byte integer that is too long"),
                )?;
                return Ok(value);
            }
        }
        Err(ProtocolError::malformed("a variable byte integer of more than four bytes"))
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// UTF-8 (MQTT-1.5.4-1) without U+0000 (MQTT-1.5.4-2). Other control characters may be refused (MQTT 5, 1.5.4), and
    /// are: the broker's events end up on a terminal.
    pub(super) fn text(&mut self) -> Result<&'a str, ProtocolError> {
        let text = std::str::from_utf8(self.binary()?)
            .map_err(|_| ProtocolError::malformed("a string that is not UTF-8"))?;
        require(
            !text.contains(char::is_control),
            ProtocolError::malformed("a control character in a string"),
        )?;
        Ok(text)
    }

    /// A packet identifier, which is never 0 (MQTT-2.2.1-3).
    pub(super) fn packet_id(&mut self) -> Result<u16, ProtocolError> {
        let id = self.u16()?;
        require(id != 0, ProtocolError::protocol("packet identifier 0"))?;
        Ok(id)
    }

    /// Refuses bytes behind the last field.
    pub(super) fn end(&self) -> Result<(), ProtocolError> {
        require(self.is_empty(), ProtocolError::malformed("a packet that is too long"))
    }
}
