//! Cutting a stream of bytes into packets, without copying those that arrive in one piece.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::codec::{malformed, packet_type};
use crate::error::ProtocolError;
use crate::reason;

/// One packet behind its fixed header.
pub(crate) struct Frame<'a> {
    /// The first byte: packet type and flags.
    pub(crate) first: u8,
    pub(crate) body: Cow<'a, [u8]>,
    /// Bytes that were dropped behind `body`: more than 0 when the packet was too large.
    pub(crate) dropped: usize,
}

/// A packet whose header has been read.
#[derive(Debug, Clone, Copy)]
struct Header {
    first: u8,
    /// Bytes of the body to store, and to drop behind them.
    keep: usize,
    drop: usize,
}

/// The packet being received.
pub(crate) struct Framer {
    maximum: usize,
    first: Option<u8>,
    length: usize,
    length_bytes: u32,
    header: Option<Header>,
    body: Vec<u8>,
}

impl Framer {
    /// A framer for packets of at most `maximum` bytes, the fixed header included.
    pub(crate) fn new(maximum: u32) -> Self {
        Self {
            maximum: maximum as usize,
            first: None,
            length: 0,
            length_bytes: 0,
            header: None,
            body: Vec::new(),
        }
    }

    /// Whether the next byte begins a packet.
    pub(crate) fn is_at_start(&self) -> bool {
        self.first.is_none()
    }

    /// Takes bytes from `input` up to the end of one packet; `None` when `input` is used up before.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, ProtocolError> {
        let Some(header) = self.header(input)? else { return Ok(None) };
        if self.body.is_empty() && input.len() >= header.keep + header.drop {
            let body = take(input, header.keep);
            take(input, header.drop);
            return Ok(Some(self.finish(header, Cow::Borrowed(body))));
        }
        Ok(self.collect(header, input))
    }

    /// The header of the current packet, read further as far as `input` goes.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ProtocolError> {
        while self.header.is_none() {
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            match self.first {
                None => self.first = Some(byte),
                Some(first) => self.header = self.length_byte(first, byte)?,
            }
        }
        Ok(self.header)
    }

    /// One byte of the Remaining Length, at most four (MQTT 5, 1.5.5).
    fn length_byte(&mut self, first: u8, byte: u8) -> Result<Option<Header>, ProtocolError> {
        self.length |= usize::from(byte & 0x7f) << (7 * self.length_bytes);
        self.length_bytes += 1;
        if byte & 0x80 == 0 {
            return self.admit(first).map(Some);
        }
        if self.length_bytes == 4 {
            return Err(malformed("a remaining length is longer than four bytes (MQTT 5, 1.5.5)"));
        }
        Ok(None)
    }

    /// Checks the size of a packet before anything is stored for it. Of a PUBLISH beyond the maximum the beginning is
    /// stored, so that it can be acknowledged; no other packet needs to be that large.
    fn admit(&self, first: u8) -> Result<Header, ProtocolError> {
        let fixed_header = 1 + self.length_bytes as usize;
        let keep = self.length.min(self.maximum.saturating_sub(fixed_header));
        let drop = self.length - keep;
        // Only a message can be reported as lost (D49); of any other packet every byte has a meaning.
        let may_shorten = first >> 4 == packet_type::PUBLISH;
        if drop > 0 && !may_shorten {
            let cause = "a packet is larger than the maximum packet size (MQTT-3.1.2-24)";
            return Err(ProtocolError { reason_code: reason::PACKET_TOO_LARGE, cause });
        }
        Ok(Header { first, keep, drop })
    }

    /// Stores a part of the body; returns the packet when it is complete.
    fn collect<'a>(&mut self, mut header: Header, input: &mut &[u8]) -> Option<Frame<'a>> {
        let part = take(input, header.keep - self.body.len());
        self.reserve(part.len(), header.keep);
        self.body.extend_from_slice(part);
        let dropped = take(input, header.drop).len();
        let is_whole = self.body.len() == header.keep && dropped == header.drop;
        if is_whole {
            let body = core::mem::take(&mut self.body);
            return Some(self.finish(header, Cow::Owned(body)));
        }
        header.drop -= dropped;
        self.header = Some(header);
        None
    }

    /// Grows the body by doubling, with what has arrived and not with the length announced, so that a header alone
    /// costs no memory; never beyond `keep`.
    fn reserve(&mut self, more: usize, keep: usize) {
        let needed = self.body.len() + more;
        if needed > self.body.capacity() {
            let target = needed.max(2 * self.body.capacity()).min(keep);
            self.body.reserve_exact(target - self.body.len());
        }
    }

    fn finish<'a>(&mut self, header: Header, body: Cow<'a, [u8]>) -> Frame<'a> {
        let dropped = self.length - header.keep;
        self.first = None;
        self.length = 0;
        self.length_bytes = 0;
        self.header = None;
        Frame { first: header.first, body, dropped }
    }
}

/// Splits at most `count` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
impl Framer {
    /// Bytes of memory held for the current packet.
    pub(crate) fn reserved(&self) -> usize {
        self.body.capacity()
    }
}
