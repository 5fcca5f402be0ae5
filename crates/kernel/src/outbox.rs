//! Requests to the cloud: their bytes are in the application's send ring, their kinds and lengths here.

use abi::Status;
use link::MAX_ITEM;
use link::bytes::{MAX_PREFIX, prefix};

use crate::limits::MAX_OUTGOING_ITEMS;
use crate::memory::{Memory, MemoryFault, Phase as _, Span};
use crate::queue::Queue;
use crate::ring::Ring;

/// The content of a request. It is encoded twice, once to measure it and once to write it, so it must give the same
/// lengths each time: it contains copies of the application's structures, and spans only for strings.
pub(crate) trait Body {
    /// Gives every part to `sink`, in order.
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault>;
}

/// Receives the parts of an item.
pub(crate) trait Sink {
    /// Bytes made by the kernel.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), MemoryFault>;
    /// Bytes in application memory.
    fn span(&mut self, span: Span) -> Result<(), MemoryFault>;
}

/// Encodes a string as the link's `str`: its length, then the application's bytes.
pub(crate) fn encode_string(sink: &mut dyn Sink, span: Span) -> Result<(), MemoryFault> {
    let mut length = [0; MAX_PREFIX];
    let count = prefix(span.length(), &mut length);
    sink.bytes(&length[..count])?;
    sink.span(span)
}

/// Length of the encoded body.
pub(crate) fn length_of(body: &dyn Body) -> u64 {
    struct Measure(u64);
    impl Sink for Measure {
        fn bytes(&mut self, bytes: &[u8]) -> Result<(), MemoryFault> {
            self.0 += bytes.len() as u64;
            Ok(())
        }
        fn span(&mut self, span: Span) -> Result<(), MemoryFault> {
            self.0 += u64::from(span.length());
            Ok(())
        }
    }
    let mut measure = Measure(0);
    // Measuring touches no memory and cannot fail.
    let _ = body.encode(&mut measure);
    measure.0
}

/// The send ring and the requests in it.
pub(crate) struct Outbox {
    ring: Ring,
    queue: Queue<Outgoing, MAX_OUTGOING_ITEMS>,
    /// Whether a fragment of the first item has been sent: no other item may come before its last one.
    is_mid_item: bool,
}

/// An item, or the rest of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outgoing {
    /// Its kind on the link.
    pub kind: u8,
    /// Whether it uses a topic alias that must be announced to the cloud before it.
    pub needs_alias: bool,
    /// Bytes that have not been sent.
    pub left: u32,
}

impl Outbox {
    pub(crate) fn new(span: Span) -> Self {
        Self { ring: Ring::new(span), queue: Queue::new(Outgoing::default()), is_mid_item: false }
    }

    /// The buffer.
    pub(crate) fn span(&self) -> Span {
        self.ring.span()
    }

    /// Longest item that fits the empty ring.
    pub(crate) fn size(&self) -> u32 {
        self.ring.size()
    }

    /// Longest item that fits now.
    pub(crate) fn free(&self) -> u32 {
        self.ring.free()
    }

    /// Queues a request, whole or not at all, because one that was refused was never issued (D03). `INVALIDBUFFERSIZE`
    /// if the free ring is too small for it (D45).
    pub(crate) fn put(&mut self, memory: &mut dyn Memory, kind: u8, body: &dyn Body) -> Result<(), Status> {
        let left = u32::try_from(length_of(body)).map_err(|_| Status::InvalidBufferSize)?;
        self.put_sized(memory, Outgoing { kind, left, needs_alias: false }, |draft| body.encode(draft))
    }

    /// The same for an item whose length is known, so that it need not be measured; `write` writes that many bytes.
    #[allow(clippy::inline_always, reason = "part of a call whose instructions are budgeted")]
    #[inline(always)]
    pub(crate) fn put_sized(
        &mut self,
        memory: &mut dyn Memory,
        item: Outgoing,
        write: impl FnOnce(&mut Draft<'_>) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        if item.left > self.free() || item.left > MAX_ITEM || !self.queue.has_room(1) {
            return Err(Status::InvalidBufferSize);
        }
        // The draft has a copy of the ring from before `grow`, so it writes where the item begins.
        let mut draft = Draft { memory, ring: self.ring, length: 0 };
        self.ring.grow(item.left);
        self.queue.push(item);
        write(&mut draft).late().inspect_err(|_| self.remove_last(item.left))
    }

    /// Removes the newest item, of which nothing has been sent.
    #[cold]
    fn remove_last(&mut self, length: u32) {
        self.ring.shrink(length);
        self.queue.drop_last();
    }

    /// Whether a topic alias must be announced before the next item.
    pub(crate) fn needs_alias(&self) -> bool {
        self.queue.front().is_some_and(|first| first.needs_alias)
    }

    /// The alias has been announced.
    pub(crate) fn set_alias_announced(&mut self) {
        if let Some(first) = self.queue.front_mut() {
            first.needs_alias = false;
        }
    }

    /// Whether the next frame begins an item, so that another item may be sent before it.
    pub(crate) fn is_between_items(&self) -> bool {
        !self.is_mid_item
    }

    /// The kind of the next item, and how many bytes of it have not been sent.
    pub(crate) fn next(&self) -> Option<(u8, u32)> {
        self.queue.get(0).map(|item| (item.kind, item.left))
    }

    /// Moves a fragment's body out of the ring, which frees its bytes for the application (N58).
    pub(crate) fn take(&mut self, memory: &dyn Memory, body: &mut [u8], more: bool) {
        let length = self.read_out(memory, body);
        self.is_mid_item = more;
        match self.queue.front_mut() {
            Some(first) if more => first.left -= length,
            _ => self.queue.drop_first(),
        }
    }

    /// Appends bytes of a stream, which belong to no item. The caller has checked that they fit.
    pub(crate) fn append_stream(&mut self, memory: &mut dyn Memory, bytes: Span) -> Result<(), MemoryFault> {
        self.ring.copy_in(memory, self.ring.used(), bytes)?;
        self.ring.grow(bytes.length());
        Ok(())
    }

    /// Bytes of the stream that have not been sent.
    pub(crate) fn stream_length(&self) -> u32 {
        self.ring.used()
    }

    /// Moves bytes of the stream out of the ring.
    pub(crate) fn take_stream(&mut self, memory: &dyn Memory, bytes: &mut [u8]) {
        self.read_out(memory, bytes);
    }

    fn read_out(&mut self, memory: &dyn Memory, body: &mut [u8]) -> u32 {
        if self.ring.read(memory, 0, body).is_err() {
            // The frame's header has promised this many bytes, but the application has made its buffer unreadable
            // (D33).
            body.fill(0);
        }
        let length = body.len() as u32;
        self.ring.release(length);
        length
    }

    /// Discards everything: the connection is gone, and requests are not repeated on the next one.
    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.queue.clear();
        self.is_mid_item = false;
    }
}

/// Writes an item to the free part of the ring.
pub(crate) struct Draft<'a> {
    memory: &'a mut dyn Memory,
    ring: Ring,
    length: u32,
}

impl Sink for Draft<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.ring.write(self.memory, self.ring.used() + self.length, bytes)?;
        self.length += bytes.len() as u32;
        Ok(())
    }

    fn span(&mut self, span: Span) -> Result<(), MemoryFault> {
        self.ring.copy_in(self.memory, self.ring.used() + self.length, span)?;
        self.length += span.length();
        Ok(())
    }
}
