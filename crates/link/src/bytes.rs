//! Fields in bodies: a reader over received bytes, a writer into a borrowed buffer, lists and heads.

use crate::varint;
use crate::violation::{self, Violation};

/// Bytes the prefix of a `str` can take.
pub const MAX_PREFIX: usize = varint::MAX_32;

/// Bytes a `str` of `length` bytes takes with its prefix.
pub const fn str_len(length: u32) -> u32 {
    varint::len(length as u64) as u32 + length
}

/// Writes the length that precedes a `str` and returns how many bytes it took.
pub fn prefix(length: u32, out: &mut [u8; MAX_PREFIX]) -> usize {
    let mut writer = Writer::new(out);
    writer.varint32(length);
    writer.written()
}

/// Reads the fields of one body. Every length is checked against what is there; a method that finds too little fails
/// with the violation that the other end is sent in its `BYE`.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { left: body }
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Violation> {
        Ok(self.bytes(1)?[0])
    }

    /// A varint of 32 bits.
    pub fn varint32(&mut self) -> Result<u32, Violation> {
        Ok(self.varint(32)? as u32)
    }

    /// A varint of 64 bits.
    pub fn varint64(&mut self) -> Result<u64, Violation> {
        self.varint(64)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Violation> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(violation::BODY_TOO_SHORT)?;
        self.left = left;
        Ok(taken)
    }

    /// A `str`: its length, then its bytes.
    pub fn str(&mut self) -> Result<&'a [u8], Violation> {
        let length = self.varint32()? as usize;
        self.bytes(length)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.left
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Fails when there are bytes after the last field.
    pub fn end(self) -> Result<(), Violation> {
        if self.is_empty() { Ok(()) } else { Err(violation::BYTES_LEFT_OVER) }
    }

    fn varint(&mut self, bits: u32) -> Result<u64, Violation> {
        let (value, taken) = varint::decode(self.left, bits)?.ok_or(violation::BODY_TOO_SHORT)?;
        self.left = &self.left[taken..];
        Ok(value)
    }
}

/// Writes fields into a borrowed buffer. What does not fit is left out and counted, so that one check at the end is
/// enough.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    /// Bytes of all fields so far, whether or not they fitted.
    needed: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, needed: 0 }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// A varint of 32 bits.
    pub fn varint32(&mut self, value: u32) {
        self.varint64(u64::from(value));
    }

    /// A varint of 64 bits.
    pub fn varint64(&mut self, value: u64) {
        let mut groups = [0; varint::MAX_64];
        let count = varint::encode(value, &mut groups);
        self.bytes(&groups[..count]);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.needed + bytes.len();
        if let Some(room) = self.out.get_mut(self.needed..end) {
            room.copy_from_slice(bytes);
        }
        self.needed = end;
    }

    /// A `str`: its length, then its bytes.
    pub fn str(&mut self, bytes: &[u8]) {
        self.varint32(bytes.len() as u32);
        self.bytes(bytes);
    }

    /// How many bytes were written, or `None` if they did not fit.
    pub fn finish(self) -> Option<usize> {
        (self.needed <= self.out.len()).then_some(self.needed)
    }

    /// How many bytes were written. For arrays that hold the longest the frame can be.
    pub fn written(self) -> usize {
        debug_assert!(self.needed <= self.out.len(), "the array is the frame's own maximum");
        self.needed.min(self.out.len())
    }
}

/// A list of `str`, checked to its end when it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strings<'a> {
    count: u8,
    encoded: &'a [u8],
}

impl<'a> Strings<'a> {
    /// Checks `count` strings and takes note of where they are.
    pub fn decode(reader: &mut Reader<'a>, count: u8) -> Result<Self, Violation> {
        let before = reader.rest();
        for _ in 0..count {
            reader.str()?;
        }
        let taken = before.len() - reader.rest().len();
        Ok(Self { count, encoded: &before[..taken] })
    }

    /// How many strings there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || if reader.is_empty() { None } else { reader.str().ok() })
    }
}

/// Collects the first bytes of an item until its head can be decoded, and takes no byte more than the head has.
#[derive(Clone, Copy, Debug)]
pub struct HeadBuffer<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Default for HeadBuffer<MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const MAX: usize> HeadBuffer<MAX> {
    /// Empty, for the first byte of an item.
    pub const fn new() -> Self {
        Self { bytes: [0; MAX], len: 0 }
    }

    /// Takes bytes from `input` until `decode` has a head, and is empty again then. `last` says that the item ends with
    /// `input`: a head that is still incomplete then is a violation.
    pub fn feed<H>(
        &mut self,
        input: &mut &[u8],
        last: bool,
        decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, Violation>,
    ) -> Result<Option<H>, Violation> {
        while let Some((&byte, rest)) = input.split_first() {
            *self.bytes.get_mut(self.len).ok_or(violation::VALUE_OUT_OF_RANGE)? = byte;
            self.len += 1;
            *input = rest;
            if let Some((head, _)) = decode(&self.bytes[..self.len])? {
                self.len = 0;
                return Ok(Some(head));
            }
        }
        if last { Err(violation::BODY_TOO_SHORT) } else { Ok(None) }
    }
}

/// Decodes a head with `read`; `None` when `bytes` ends inside it.
pub(crate) fn decode_head<H>(
    bytes: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<H, Violation>,
) -> Result<Option<(H, usize)>, Violation> {
    let mut reader = Reader::new(bytes);
    match read(&mut reader) {
        Ok(head) => Ok(Some((head, bytes.len() - reader.rest().len()))),
        Err(violation::BODY_TOO_SHORT) => Ok(None),
        Err(broken) => Err(broken),
    }
}

/// Counts an element of a list, up to `max`.
pub(crate) fn count_element(count: u8, max: u8) -> Result<u8, Violation> {
    if count < max { Ok(count + 1) } else { Err(violation::WRONG_COUNT) }
}

/// Fails for an empty list.
pub(crate) fn require_elements(count: u8) -> Result<(), Violation> {
    if count > 0 { Ok(()) } else { Err(violation::WRONG_COUNT) }
}
