//! A ring whose positions are here and whose bytes are the application's.
//!
//! The application lends the memory and may scribble on it; nothing found there is ever taken for a position or a
//! length (D32), and every access goes through the port's memory again (D33).

use crate::memory::{Memory, MemoryFault, Span};

/// Positions in a lent buffer. Bytes are counted from the oldest, 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    span: Span,
    first: u32,
    used: u32,
}

impl Ring {
    /// An empty ring over the buffer, which is not empty itself.
    pub(crate) fn new(span: Span) -> Self {
        Self { span, first: 0, used: 0 }
    }

    /// The buffer.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Bytes of the whole ring.
    pub(crate) fn size(&self) -> u32 {
        self.span.length()
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Bytes free.
    pub(crate) fn free(&self) -> u32 {
        self.size() - self.used
    }

    /// Takes `count` written bytes into use. The caller has checked that they are free.
    pub(crate) fn grow(&mut self, count: u32) {
        self.used += count;
    }

    /// Gives the newest `count` bytes back, as if they had never been written.
    pub(crate) fn shrink(&mut self, count: u32) {
        self.used -= count.min(self.used);
    }

    /// Gives the oldest `count` bytes back (N56, N58).
    pub(crate) fn release(&mut self, count: u32) {
        let count = count.min(self.used);
        self.first = self.wrapped(count);
        self.used -= count;
    }

    /// Gives all bytes back.
    pub(crate) fn clear(&mut self) {
        self.release(self.used);
    }

    /// Reads from the byte that is `offset` behind the oldest.
    pub(crate) fn read(&self, memory: &dyn Memory, offset: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let (address, room) = self.run(offset);
        match into.split_at_mut_checked(room as usize) {
            None => memory.read(address, into),
            Some((straight, wrapped)) => {
                memory.read(address, straight)?;
                memory.read(self.span.address(), wrapped)
            }
        }
    }

    /// Writes from `offset` behind the oldest byte on, without taking the bytes into use.
    pub(crate) fn write(
        &self,
        memory: &mut dyn Memory,
        offset: u32,
        bytes: &[u8],
    ) -> Result<(), MemoryFault> {
        let (address, room) = self.run(offset);
        match bytes.split_at_checked(room as usize) {
            None => memory.write(address, bytes),
            Some((straight, wrapped)) => {
                memory.write(address, straight)?;
                memory.write(self.span.address(), wrapped)
            }
        }
    }

    /// Copies `count` bytes from `offset` on to the application's memory at `to`.
    #[inline]
    pub(crate) fn copy_out(
        &self,
        memory: &mut dyn Memory,
        offset: u32,
        to: Span,
        count: u32,
    ) -> Result<(), MemoryFault> {
        if count == 0 {
            return Ok(());
        }
        let (address, room) = self.run(offset);
        if count <= room {
            return memory.copy(address, to.address(), count);
        }
        memory.copy(address, to.address(), room)?;
        memory.copy(self.span.address(), to.at(room), count - room)
    }

    /// Copies application memory to `offset` behind the oldest byte on, without taking the bytes into use.
    pub(crate) fn copy_in(
        &self,
        memory: &mut dyn Memory,
        offset: u32,
        from: Span,
    ) -> Result<(), MemoryFault> {
        let count = from.length();
        if count == 0 {
            return Ok(());
        }
        let (address, room) = self.run(offset);
        if count <= room {
            return memory.copy(from.address(), address, count);
        }
        memory.copy(from.address(), address, room)?;
        memory.copy(from.at(room), self.span.address(), count - room)
    }

    /// The oldest bytes, as far as they lie in one piece.
    pub(crate) fn oldest(&self) -> Span {
        let (_, room) = self.run(0);
        self.span.part(self.first, self.used.min(room))
    }

    /// Where the byte at `offset` lies, and how many lie from there on in one piece.
    fn run(&self, offset: u32) -> (u32, u32) {
        let position = self.wrapped(offset);
        (self.span.at(position), self.size() - position)
    }

    fn wrapped(&self, offset: u32) -> u32 {
        // Both are at most the ring's size, and that is at most the application's RAM: far from a u32's end.
        let position = self.first + offset;
        if position < self.size() { position } else { position - self.size() }
    }
}
