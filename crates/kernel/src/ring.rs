//! A ring whose positions are here and whose bytes are the application's.
//!
//! The application lends the memory and may scribble on it; nothing found there is ever taken for a position or a
//! length (D32), and every access goes through the port's memory again (D33).

use crate::limits::CHUNK;
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
    pub fn new(span: Span) -> Self {
        Self { span, first: 0, used: 0 }
    }

    /// The buffer.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Bytes of the whole ring.
    pub fn size(&self) -> u32 {
        self.span.length()
    }

    /// Bytes in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Bytes free.
    pub fn free(&self) -> u32 {
        self.size() - self.used
    }

    /// Takes `count` written bytes into use. The caller has checked that they are free.
    pub fn grow(&mut self, count: u32) {
        self.used = (self.used + count).min(self.size());
    }

    /// Gives the newest `count` bytes back, as if they had never been written.
    pub fn shrink(&mut self, count: u32) {
        self.used -= count.min(self.used);
    }

    /// Gives the oldest `count` bytes back (N56, N58).
    pub fn release(&mut self, count: u32) {
        let count = count.min(self.used);
        self.first = self.wrapped(count);
        self.used -= count;
    }

    /// Gives all bytes back.
    pub fn clear(&mut self) {
        self.release(self.used);
    }

    /// Reads from the byte that is `offset` behind the oldest.
    pub fn read(&self, memory: &dyn Memory, offset: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let (address, run) = self.run(offset, into.len());
        let (straight, wrapped) = into.split_at_mut(run);
        memory.read(address, straight)?;
        if wrapped.is_empty() { Ok(()) } else { memory.read(self.span.address(), wrapped) }
    }

    /// Writes from `offset` behind the oldest byte on, without taking the bytes into use.
    pub fn write(&self, memory: &mut dyn Memory, offset: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let (address, run) = self.run(offset, bytes.len());
        let (straight, wrapped) = bytes.split_at(run);
        memory.write(address, straight)?;
        if wrapped.is_empty() { Ok(()) } else { memory.write(self.span.address(), wrapped) }
    }

    /// Copies `count` bytes from `offset` on to the application's memory at `to`.
    pub fn copy_out(
        &self,
        memory: &mut dyn Memory,
        offset: u32,
        to: Span,
        count: u32,
    ) -> Result<(), MemoryFault> {
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while done < count {
            let step = (count - done).min(CHUNK as u32);
            let part = &mut chunk[..step as usize];
            self.read(memory, offset + done, part)?;
            memory.write(to.at(done), part)?;
            done += step;
        }
        Ok(())
    }

    /// Copies application memory to `offset` behind the oldest byte on, without taking the bytes into use.
    pub fn copy_in(&self, memory: &mut dyn Memory, offset: u32, from: Span) -> Result<(), MemoryFault> {
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while done < from.length() {
            let step = (from.length() - done).min(CHUNK as u32);
            let part = &mut chunk[..step as usize];
            memory.read(from.at(done), part)?;
            self.write(memory, offset + done, part)?;
            done += step;
        }
        Ok(())
    }

    /// The oldest bytes, as far as they lie in one piece.
    pub fn oldest(&self) -> Span {
        let (_, run) = self.run(0, self.used as usize);
        self.span.part(self.first, run as u32)
    }

    /// Where the byte at `offset` lies, and how many of `length` bytes lie there in one piece.
    fn run(&self, offset: u32, length: usize) -> (u32, usize) {
        let position = self.wrapped(offset);
        (self.span.at(position), length.min((self.size() - position) as usize))
    }

    fn wrapped(&self, offset: u32) -> u32 {
        // Both are at most the application's RAM, so their sum is far from a u32's end.
        (self.first + offset) % self.size()
    }
}
