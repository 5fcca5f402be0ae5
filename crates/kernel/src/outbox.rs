//! Requests on their way out: their bytes in the application's send ring, their kinds and lengths here.

use abi::Status;
use link::MAX_ITEM;
use link::bytes::{MAX_PREFIX, prefix};

use crate::limits::MAX_OUTGOING_ITEMS;
use crate::memory::{Memory, MemoryFault, Phase as _, Span};
use crate::queue::Queue;
use crate::ring::Ring;

/// What one request's item consists of. It is gone through twice, to be measured and to be written, so it must say the
/// same each time: it holds copies of the structures, and spans only where strings are meant.
pub(crate) trait Body {
    /// Hands every part over, in order.
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault>;
}

/// Whatever takes the parts of an item.
pub(crate) trait Sink {
    /// Bytes of the kernel's own.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), MemoryFault>;
    /// Bytes of the application's.
    fn span(&mut self, span: Span) -> Result<(), MemoryFault>;
}

/// A `str` of the link: its length, then the application's bytes.
pub(crate) fn string(sink: &mut dyn Sink, span: Span) -> Result<(), MemoryFault> {
    let mut length = [0; MAX_PREFIX];
    let count = prefix(span.length(), &mut length);
    sink.bytes(&length[..count])?;
    sink.span(span)
}

/// Bytes the item will have.
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

/// The send ring and what waits in it.
pub(crate) struct Outbox {
    ring: Ring,
    waiting: Queue<Outgoing, MAX_OUTGOING_ITEMS>,
    /// Whether a fragment of the first has left, so that nothing else may go before its end.
    begun: bool,
}

/// An item, or what is left of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outgoing {
    /// Its kind.
    pub kind: u8,
    /// Whether its topic goes by a number that the cloud does not know yet.
    pub announces: bool,
    /// Its bytes that have not gone.
    pub left: u32,
}

impl Outbox {
    pub(crate) fn new(span: Span) -> Self {
        Self { ring: Ring::new(span), waiting: Queue::new(Outgoing::default()), begun: false }
    }

    /// The buffer.
    pub(crate) fn span(&self) -> Span {
        self.ring.span()
    }

    /// Bytes an item may have in this ring when it is empty.
    pub(crate) fn size(&self) -> u32 {
        self.ring.size()
    }

    /// Bytes an item may have now.
    pub(crate) fn free(&self) -> u32 {
        self.ring.free()
    }

    /// Puts a request into the ring, whole or not at all (D03, D45). `INVALIDBUFFERSIZE`: it does not fit.
    pub(crate) fn put(&mut self, memory: &mut dyn Memory, kind: u8, body: &dyn Body) -> Result<(), Status> {
        let left = u32::try_from(length_of(body)).map_err(|_| Status::InvalidBufferSize)?;
        self.put_written(memory, Outgoing { kind, left, announces: false }, |draft| body.encode(draft))
    }

    /// The same for an item whose length is known: `write` writes as many bytes.
    #[allow(clippy::inline_always, reason = "a part of one call, which is counted by instructions")]
    #[inline(always)]
    pub(crate) fn put_written(
        &mut self,
        memory: &mut dyn Memory,
        item: Outgoing,
        write: impl FnOnce(&mut Draft<'_>) -> Result<(), MemoryFault>,
    ) -> Result<(), Status> {
        if item.left > self.free() || item.left > MAX_ITEM || !self.waiting.has_room(1) {
            return Err(Status::InvalidBufferSize);
        }
        let mut draft = Draft { memory, ring: self.ring, length: 0 };
        self.ring.grow(item.left);
        self.waiting.push(item);
        write(&mut draft).late().inspect_err(|_| self.take_back(item.left))
    }

    /// Takes the newest item out again, of which nothing has left yet.
    #[cold]
    fn take_back(&mut self, length: u32) {
        self.ring.shrink(length);
        self.waiting.drop_last();
    }

    /// Whether the cloud must be told of a topic's number before the item that goes next.
    pub(crate) fn announces(&self) -> bool {
        self.waiting.front().is_some_and(|first| first.announces)
    }

    /// The cloud has been told of it.
    pub(crate) fn announced(&mut self) {
        if let Some(first) = self.waiting.front_mut() {
            first.announces = false;
        }
    }

    /// Whether the next frame begins an item, so that another item may go before it.
    pub(crate) fn is_between_items(&self) -> bool {
        !self.begun
    }

    /// The kind of the item that goes next, and the bytes of it that have not gone.
    pub(crate) fn next(&self) -> Option<(u8, u32)> {
        self.waiting.get(0).map(|item| (item.kind, item.left))
    }

    /// Moves a fragment's body out of the ring; its bytes are free from now on (N58).
    pub(crate) fn take(&mut self, memory: &dyn Memory, body: &mut [u8], more: bool) {
        let length = self.read_out(memory, body);
        self.begun = more;
        match self.waiting.front_mut() {
            Some(first) if more => first.left -= length,
            _ => self.waiting.drop_first(),
        }
    }

    /// Puts bytes behind those in the ring, without making an item of them. The caller has checked that they fit.
    pub(crate) fn append(&mut self, memory: &mut dyn Memory, bytes: Span) -> Result<(), MemoryFault> {
        self.ring.copy_in(memory, self.ring.used(), bytes)?;
        self.ring.grow(bytes.length());
        Ok(())
    }

    /// Bytes that are no item and have not gone.
    pub(crate) fn appended(&self) -> u32 {
        self.ring.used()
    }

    /// Moves such bytes out of the ring.
    pub(crate) fn take_appended(&mut self, memory: &dyn Memory, bytes: &mut [u8]) {
        self.read_out(memory, bytes);
    }

    fn read_out(&mut self, memory: &dyn Memory, body: &mut [u8]) -> u32 {
        if self.ring.read(memory, 0, body).is_err() {
            // They are promised to the link by length; the bytes were taken away by the application (D33).
            body.fill(0);
        }
        let length = body.len() as u32;
        self.ring.release(length);
        length
    }

    /// Forgets everything: the connection is gone.
    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.waiting.clear();
        self.begun = false;
    }
}

/// Writes an item behind what is in the ring, without taking the bytes into use.
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
