//! Ring buffers: the bytes are in the application's memory, the positions in the kernel.
//!
//! The application can write to its buffer at any time, so nothing in it is ever taken for a position or a length
//! (D32), and it can change the memory's protection, so every access goes through the port's memory (D33).

use crate::memory::{Memory, MemoryFault, Span};

/// Positions in a ring buffer. Offsets count from the oldest byte, 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    span: Span,
    first: u32,
    used: u32,
}

impl Ring {
    /// An empty ring over a buffer whose length is not 0.
    pub(crate) fn new(span: Span) -> Self {
        Self { span, first: 0, used: 0 }
    }

    /// The buffer.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Bytes that fit an empty ring.
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

    /// Adds `count` bytes, which have been written. The caller has checked that they are free.
    pub(crate) fn grow(&mut self, count: u32) {
        self.used += count;
    }

    /// Removes the newest `count` bytes, as if they had never been written.
    pub(crate) fn shrink(&mut self, count: u32) {
        self.used -= count.min(self.used);
    }

    /// Frees the oldest `count` bytes. Only the position moves, so that the space can be reused without moving a byte
    /// (N56, N58).
    pub(crate) fn release(&mut self, count: u32) {
        let count = count.min(self.used);
        self.first = self.wrap(count);
        self.used -= count;
    }

    /// Frees all bytes.
    pub(crate) fn clear(&mut self) {
        self.release(self.used);
    }

    /// Reads from the byte at `offset`.
    pub(crate) fn read(&self, memory: &dyn Memory, offset: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let (address, contiguous) = self.locate(offset);
        match into.split_at_mut_checked(contiguous as usize) {
            None => memory.read(address, into),
            Some((straight, wrapped)) => {
                memory.read(address, straight)?;
                memory.read(self.span.address(), wrapped)
            }
        }
    }

    /// Writes at `offset` without adding the bytes: see [`Self::grow`].
    pub(crate) fn write(
        &self,
        memory: &mut dyn Memory,
        offset: u32,
        bytes: &[u8],
    ) -> Result<(), MemoryFault> {
        let (address, contiguous) = self.locate(offset);
        match bytes.split_at_checked(contiguous as usize) {
            None => memory.write(address, bytes),
            Some((straight, wrapped)) => {
                memory.write(address, straight)?;
                memory.write(self.span.address(), wrapped)
            }
        }
    }

    /// Copies `count` bytes at `offset` to the application's memory at `to`.
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
        let (address, contiguous) = self.locate(offset);
        if count <= contiguous {
            return memory.copy(address, to.address(), count);
        }
        memory.copy(address, to.address(), contiguous)?;
        memory.copy(self.span.address(), to.at(contiguous), count - contiguous)
    }

    /// Copies application memory to `offset` without adding the bytes: see [`Self::grow`].
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
        let (address, contiguous) = self.locate(offset);
        if count <= contiguous {
            return memory.copy(from.address(), address, count);
        }
        memory.copy(from.address(), address, contiguous)?;
        memory.copy(from.at(contiguous), self.span.address(), count - contiguous)
    }

    /// The oldest bytes, as far as they are contiguous.
    pub(crate) fn oldest(&self) -> Span {
        let (_, contiguous) = self.locate(0);
        self.span.part(self.first, self.used.min(contiguous))
    }

    /// The address of the byte at `offset`, and how many bytes follow before the buffer's end.
    fn locate(&self, offset: u32) -> (u32, u32) {
        let position = self.wrap(offset);
        (self.span.at(position), self.size() - position)
    }

    fn wrap(&self, offset: u32) -> u32 {
        // Both are at most the ring's size, which is at most the application's RAM, so the sum cannot overflow.
        let position = self.first + offset;
        if position < self.size() { position } else { position - self.size() }
    }
}
