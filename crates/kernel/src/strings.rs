//! Strings as results of calls: a buffer for the bytes, and a variable for their number.

use abi::Status;
use abi::strings::SizedStringBuffer;

use crate::memory::{Memory, MemoryFault, OutParam, Span};
use crate::ring::Ring;

/// A string buffer of the application, its parts inside the memory map. It is written before the item that was read is
/// released, so that a fault loses nothing (D112).
pub(crate) struct StringOutParam {
    buffer: Span,
    length: OutParam<4>,
}

impl StringOutParam {
    /// Checks the buffer and the length variable against the memory map.
    pub(crate) fn check_map(buffer: SizedStringBuffer) -> Result<Self, MemoryFault> {
        Ok(Self {
            buffer: Span::writable(buffer.data, buffer.size)?,
            length: OutParam::check_map(buffer.length)?,
        })
    }

    /// `INVALIDBUFFERSIZE` if the string is longer than the buffer.
    pub(crate) fn check_fits(&self, length: u32) -> Result<(), Status> {
        if length <= self.buffer.length() { Ok(()) } else { Err(Status::InvalidBufferSize) }
    }

    /// Writes the string, which fits, and its length.
    pub(crate) fn write(&self, memory: &mut dyn Memory, bytes: &[u8]) -> Result<(), MemoryFault> {
        if !bytes.is_empty() {
            memory.write(self.buffer.address(), bytes)?;
        }
        self.length.write_u32(memory, bytes.len() as u32)
    }

    /// Copies the string, which fits, out of a ring. Its length is written by [`Self::length_word`].
    pub(crate) fn copy_from(
        &self,
        memory: &mut dyn Memory,
        ring: &Ring,
        offset: u32,
        length: u32,
    ) -> Result<(), MemoryFault> {
        ring.copy_out(memory, offset, self.buffer, length)
    }

    /// The address and value of the length, for [`Memory::write_words`].
    pub(crate) fn length_word(&self, length: u32) -> (u32, u32) {
        self.length.word(length)
    }
}
