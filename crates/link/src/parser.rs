//! Cuts a stream of bytes, however it is chunked, into runs of the items it carries.

use crate::header::{Header, MAX_HEADER};
use crate::kind::{self, Direction, Shape};
use crate::limits::CHANNELS;
use crate::violation::{self, Violation};

/// A run of one item's bytes: a fragment on the wire, or the part of one that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// 0 the connection, else the channel's number.
    pub channel: u8,
    /// The item's kind, one the parser's direction has.
    pub kind: u8,
    /// The item begins here. An item without bytes is one empty run.
    pub first: bool,
    /// The item ends with these bytes. There may be none, after an empty last fragment.
    pub last: bool,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// The streaming parser of one direction. It stores a partial header and, per channel, which item is unfinished, but no
/// bodies: those it passes on as they arrive.
#[derive(Clone, Debug)]
pub struct Parser {
    direction: Direction,
    head: [u8; MAX_HEADER],
    head_len: usize,
    /// The frame whose body is being read; nothing is left of it between frames.
    frame: Frame,
    unfinished: [Option<Item>; CHANNELS + 1],
}

/// A frame and what is left of its body.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    left: usize,
    first: bool,
}

/// An item of which the last fragment has not arrived.
#[derive(Clone, Copy, Debug)]
struct Item {
    kind: u8,
    bytes: u32,
}

impl Frame {
    const NONE: Self = Self { header: Header::connection(0, 0), left: 0, first: false };
}

impl Parser {
    /// At the first byte of a connection.
    pub const fn new(direction: Direction) -> Self {
        let frame = Frame::NONE;
        Self { direction, head: [0; MAX_HEADER], head_len: 0, frame, unfinished: [None; CHANNELS + 1] }
    }

    /// The next run of bytes, taken from the front of `input`; `None` when `input` is used up. After a violation the
    /// parser must not be used again.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Fragment<'a>>, Violation> {
        if self.frame.left == 0 {
            let Some(header) = self.next_header(input)? else { return Ok(None) };
            self.frame = self.begin_frame(header)?;
        }
        if self.frame.left > 0 && input.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.take_run(input)))
    }

    /// Whether the channel has an item of which fragments are missing. During a fragment this refers to what
    /// follows the fragment.
    pub fn is_unfinished(&self, channel: u8) -> bool {
        self.unfinished[usize::from(channel & 0x0f)].is_some()
    }

    /// Discards the unfinished item of a channel, because the channel has ended.
    pub fn discard(&mut self, channel: u8) {
        self.unfinished[usize::from(channel & 0x0f)] = None;
    }

    fn next_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Violation> {
        // Byte by byte, because a header may be cut anywhere and the bytes after it are not its own.
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.head[self.head_len] = byte;
            self.head_len += 1;
            let length = core::mem::take(&mut self.head_len);
            if let Some((header, _)) = Header::decode(&self.head[..length])? {
                return Ok(Some(header));
            }
            self.head_len = length;
        }
        Ok(None)
    }

    /// Checks a header against the rules of §2, before any of its body is passed on.
    fn begin_frame(&mut self, header: Header) -> Result<Frame, Violation> {
        let shape =
            kind::shape(self.direction, header.channel, header.kind).ok_or(violation::UNKNOWN_KIND)?;
        let first = if shape.may_interleave { true } else { self.is_first(header)? };
        self.check_length(header, shape)?;
        Ok(Frame { header, left: usize::from(header.length), first })
    }

    /// Whether the frame begins an item, or else continues the one begun.
    fn is_first(&self, header: Header) -> Result<bool, Violation> {
        match self.unfinished[usize::from(header.channel)] {
            None => Ok(true),
            Some(item) if item.kind == header.kind => Ok(false),
            Some(_) => Err(violation::ITEM_UNFINISHED),
        }
    }

    fn check_length(&mut self, header: Header, shape: Shape) -> Result<(), Violation> {
        if header.more && !shape.may_fragment {
            return Err(violation::MUST_BE_ONE_FRAME);
        }
        if header.more && header.length == 0 {
            return Err(violation::EMPTY_FRAGMENT);
        }
        // A frame between the fragments of an item does not count as part of that item.
        if shape.may_interleave {
            return if u32::from(header.length) > shape.max { Err(violation::BODY_TOO_LONG) } else { Ok(()) };
        }
        let unfinished = &mut self.unfinished[usize::from(header.channel)];
        let bytes = unfinished.map_or(0, |item| item.bytes) + u32::from(header.length);
        if bytes > shape.max {
            return Err(if shape.may_fragment { violation::ITEM_TOO_LONG } else { violation::BODY_TOO_LONG });
        }
        *unfinished = header.more.then_some(Item { kind: header.kind, bytes });
        Ok(())
    }

    fn take_run<'a>(&mut self, input: &mut &'a [u8]) -> Fragment<'a> {
        let frame = &mut self.frame;
        let (bytes, rest) = input.split_at(frame.left.min(input.len()));
        *input = rest;
        frame.left -= bytes.len();
        let Header { kind, channel, more, .. } = frame.header;
        let fragment = Fragment { channel, kind, first: frame.first, last: frame.left == 0 && !more, bytes };
        frame.first = false;
        fragment
    }
}
