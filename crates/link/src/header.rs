//! The one to three bytes before every body (link.md §2).

use crate::limits::MAX_FRAME_BODY;
use crate::varint;
use crate::violation::{self, Violation};

/// Bytes the longest header takes.
pub const MAX_HEADER: usize = 3;
/// Bits of a header's varint: two groups.
const LENGTH_BITS: u32 = 14;

/// What precedes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0 to 15; what it means depends on the direction and on whether `channel` is 0 ([`crate::kind`]).
    pub kind: u8,
    /// 0 the connection, else the channel's number, 1 to 15.
    pub channel: u8,
    /// Bytes of the body, 0 to 4096.
    pub length: u16,
    /// Whether the item continues in another frame.
    pub more: bool,
}

impl Header {
    /// A header of the connection, whose items are always one frame.
    pub const fn connection(kind: u8, length: u16) -> Self {
        Self { kind, channel: 0, length, more: false }
    }

    /// Writes the header and returns how many bytes it took (2 or 3).
    pub fn encode(self, out: &mut [u8; MAX_HEADER]) -> usize {
        let mut groups = [0; varint::MAX_64];
        let count = varint::encode(u64::from(self.length) << 1 | u64::from(self.more), &mut groups);
        // Two groups are enough for a length of at most 4096, so this only removes a bounds check.
        let count = count.min(MAX_HEADER - 1);
        out[0] = self.kind << 4 | self.channel & 0x0f;
        out[1..=count].copy_from_slice(&groups[..count]);
        1 + count
    }

    /// How many bytes the header takes (2 or 3).
    pub const fn encoded_len(self) -> usize {
        1 + varint::len((self.length as u64) << 1)
    }

    /// The header as bytes that carry their length.
    pub fn to_bytes(self) -> HeaderBytes {
        let mut bytes = [0; MAX_HEADER];
        let len = self.encode(&mut bytes);
        HeaderBytes { bytes, len }
    }

    /// Reads a header: it and the bytes it took, or `None` when `bytes` ends inside it.
    ///
    /// # Errors
    /// [`Violation`]: a length that is not minimal, or more than a frame may have.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&head, rest)) = bytes.split_first() else { return Ok(None) };
        let Some((value, taken)) = varint::decode(rest, LENGTH_BITS)? else { return Ok(None) };
        let length = (value >> 1) as u16;
        if usize::from(length) > MAX_FRAME_BODY {
            return Err(violation::FRAME_TOO_LONG);
        }
        Ok(Some((Self { kind: head >> 4, channel: head & 0x0f, length, more: value & 1 != 0 }, 1 + taken)))
    }
}

/// An encoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl HeaderBytes {
    /// The two or three bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
