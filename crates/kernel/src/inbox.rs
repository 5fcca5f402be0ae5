//! Items from the cloud: the head of an item is collected here, its content is written to the application's receive
//! ring.

use link::bytes::HeadBuffer;
use link::http::ResponseHead;
use link::{Fragment, Violation, violation};

use crate::memory::{Memory, Span};
use crate::ring::Ring;

/// The longest head of any item: that of an HTTP response.
const MAX_HEAD: usize = ResponseHead::MAX;

/// The receive ring and the item that is being received.
pub(crate) struct Inbox {
    ring: Ring,
    head: HeadBuffer<MAX_HEAD>,
    /// Whether the head of the current item is complete.
    has_head: bool,
    /// Bytes of the current item in the ring.
    unfinished: u32,
}

/// What a fragment added.
pub(crate) struct Received {
    /// Bytes of the fragment that went into the ring; the cloud's window counts these and not the head's.
    pub stored: u32,
    /// Bytes of the whole item in the ring, once its last fragment has arrived.
    pub item: Option<u32>,
}

/// What a fragment means to the application.
pub(crate) struct Progress {
    /// As [`Received::stored`].
    pub stored: u32,
    /// Whether something became readable that must be announced now.
    pub announce: bool,
}

/// Receives one fragment of an item that has a head. `on_head` checks the head and stores it in the protocol's state;
/// it is called once an item, before any content is stored.
pub(crate) fn receive_item<H>(
    inbox: &mut Inbox,
    memory: &mut dyn Memory,
    fragment: &Fragment<'_>,
    decode: impl Fn(&[u8]) -> Result<Option<(H, usize)>, Violation>,
    on_head: impl FnOnce(H) -> Result<(), Violation>,
) -> Result<Received, Violation> {
    let (head, content) = inbox.split_head(fragment, decode)?;
    if let Some(head) = head {
        on_head(head)?;
    }
    inbox.receive(memory, content, fragment.last)
}

impl Inbox {
    /// An empty inbox over this buffer.
    pub(crate) fn new(span: Span) -> Self {
        Self { ring: Ring::new(span), head: HeadBuffer::new(), has_head: false, unfinished: 0 }
    }

    /// The ring, to read finished items from.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Frees the oldest bytes.
    pub(crate) fn release(&mut self, count: u32) {
        self.ring.release(count);
    }

    /// Drops the unfinished item: after the loss of the channel nothing is added to it (N69).
    pub(crate) fn abandon(&mut self) {
        self.ring.shrink(self.unfinished);
        self.unfinished = 0;
        self.has_head = false;
        self.head = HeadBuffer::new();
    }

    /// Receives content of an item.
    pub(crate) fn receive(
        &mut self,
        memory: &mut dyn Memory,
        content: &[u8],
        is_last: bool,
    ) -> Result<Received, Violation> {
        self.store(memory, content)?;
        Ok(Received { stored: content.len() as u32, item: is_last.then(|| self.finish()) })
    }

    /// Separates the head of an item from its content: the head when it is complete, and what is left of the fragment.
    fn split_head<'a, H>(
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

    /// Writes content to the ring. More than is free is a violation, because the cloud knows the ring's size.
    fn store(&mut self, memory: &mut dyn Memory, bytes: &[u8]) -> Result<(), Violation> {
        if bytes.len() > self.ring.free() as usize {
            return Err(violation::RING_EXCEEDED);
        }
        // An application that made its buffer unwritable loses the bytes, but the positions must stay those that the
        // cloud counts with (D33).
        let _ = self.ring.write(memory, self.ring.used(), bytes);
        self.ring.grow(bytes.len() as u32);
        self.unfinished += bytes.len() as u32;
        Ok(())
    }

    /// Finishes the item; returns how many bytes of it are in the ring.
    fn finish(&mut self) -> u32 {
        self.has_head = false;
        core::mem::take(&mut self.unfinished)
    }
}
