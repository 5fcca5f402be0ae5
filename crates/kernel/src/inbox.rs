//! An item on its way in: its head collected here, its bytes written to the application's receive ring.

use link::bytes::HeadBuffer;
use link::http::ResponseHead;
use link::{Fragment, Violation, violation};

use crate::memory::{Memory, Span};
use crate::ring::Ring;

/// The longest head of any item: an HTTP response's.
const HEAD: usize = ResponseHead::MAX;

/// The receive ring and the item that is being received.
pub(crate) struct Inbox {
    ring: Ring,
    head: HeadBuffer<HEAD>,
    /// Whether the head of the item has been read.
    has_head: bool,
    /// Bytes of the unfinished item in the ring.
    unfinished: u32,
}

impl Inbox {
    pub(crate) fn new(span: Span) -> Self {
        Self { ring: Ring::new(span), head: HeadBuffer::new(), has_head: false, unfinished: 0 }
    }

    /// The ring, to read finished items from.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Gives the oldest bytes back.
    pub(crate) fn release(&mut self, count: u32) {
        self.ring.release(count);
    }

    /// Forgets the item that has not been finished, and never will be (N69).
    pub(crate) fn abandon(&mut self) {
        self.ring.shrink(self.unfinished);
        self.unfinished = 0;
        self.has_head = false;
        self.head = HeadBuffer::new();
    }

    /// Takes the head of an item from the front of the fragment: the head when it becomes whole, and what is left
    /// of the fragment.
    pub(crate) fn head<'a, H>(
        &mut self,
        fragment: &Fragment<'a>,
        decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, Violation>,
    ) -> Result<(Option<H>, &'a [u8]), Violation> {
        if fragment.first {
            self.abandon();
        }
        let mut bytes = fragment.bytes;
        if self.has_head {
            return Ok((None, bytes));
        }
        let head = self.head.feed(&mut bytes, fragment.last, decode)?;
        self.has_head = head.is_some();
        Ok((head, bytes))
    }

    /// Writes bytes of the item to the ring. More than is free is a violation: the cloud knows the ring's size.
    pub(crate) fn store(&mut self, memory: &mut dyn Memory, bytes: &[u8]) -> Result<(), Violation> {
        if bytes.len() > self.ring.free() as usize {
            return Err(violation::RING_EXCEEDED);
        }
        // If the application took the memory away, it has lost the bytes, and the positions stay true (D33).
        let _ = self.ring.write(memory, self.ring.used(), bytes);
        self.ring.grow(bytes.len() as u32);
        self.unfinished += bytes.len() as u32;
        Ok(())
    }

    /// The item is finished: how many bytes of it are in the ring.
    pub(crate) fn finish(&mut self) -> u32 {
        self.has_head = false;
        core::mem::take(&mut self.unfinished)
    }
}
