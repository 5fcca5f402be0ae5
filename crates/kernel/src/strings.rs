//! Strings the application wants written: room for the bytes, and a place for how many they are.

use abi::Status;
use abi::strings::SizedStringBuffer;

use crate::memory::{Memory, MemoryFault, Output, Span};
use crate::ring::Ring;

/// Room for a string and for its length, both inside the map. They are written before what was read is given up (D112).
pub(crate) struct StringOutput {
    room: Span,
    length: Output<4>,
}

impl StringOutput {
    pub(crate) fn mapped(buffer: SizedStringBuffer) -> Result<Self, MemoryFault> {
        Ok(Self { room: Span::writable(buffer.data, buffer.size)?, length: Output::mapped(buffer.length)? })
    }

    /// `INVALIDBUFFERSIZE` if the string is longer than the room.
    pub(crate) fn fits(&self, length: u32) -> Result<(), Status> {
        if length <= self.room.length() { Ok(()) } else { Err(Status::InvalidBufferSize) }
    }

    /// Writes the string, which fits, and its length.
    pub(crate) fn put_bytes(&self, memory: &mut dyn Memory, bytes: &[u8]) -> Result<(), MemoryFault> {
        if !bytes.is_empty() {
            memory.write(self.room.address(), bytes)?;
        }
        self.length.put_u32(memory, bytes.len() as u32)
    }

    /// Copies the string, which fits, out of the ring, without its length.
    pub(crate) fn put_text(
        &self,
        memory: &mut dyn Memory,
        ring: &Ring,
        offset: u32,
        length: u32,
    ) -> Result<(), MemoryFault> {
        ring.copy_out(memory, offset, self.room, length)
    }

    /// The length and where it goes, for [`Memory::write_words`].
    pub(crate) fn length(&self, length: u32) -> (u32, u32) {
        self.length.with(length)
    }
}
