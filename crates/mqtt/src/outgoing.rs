//! Bytes on their way to the connection, and the QoS 0 publishes that are done when it has taken them (D47).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use crate::limits::KEPT_BUFFER;

#[derive(Debug)]
struct Mark {
    /// Position in the stream of all bytes of this connection just behind the publish.
    end: u64,
    token: u32,
}

/// The stream of bytes to the broker. Positions count from the first byte of the connection.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    buffer: Vec<u8>,
    handed_out: u64,
    taken: u64,
    marks: VecDeque<Mark>,
}

impl Outgoing {
    /// Where packets are encoded.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Bytes the connection has not taken, handed out or not.
    pub(crate) fn untaken(&self) -> usize {
        (self.handed_out - self.taken) as usize + self.buffer.len()
    }

    /// Notes that the publish just encoded is done once the connection has taken all bytes so far.
    pub(crate) fn mark(&mut self, token: u32) {
        let end = self.handed_out + self.buffer.len() as u64;
        self.marks.push_back(Mark { end, token });
    }

    /// Appends everything to `out`, by exchange instead of copy where `out` is empty.
    pub(crate) fn hand_out(&mut self, out: &mut Vec<u8>) {
        self.handed_out += self.buffer.len() as u64;
        if out.is_empty() {
            mem::swap(out, &mut self.buffer);
        } else {
            out.append(&mut self.buffer);
        }
        if self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Notes that the connection has taken `bytes` more; never more than were handed out.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.taken = self.handed_out.min(self.taken + bytes as u64);
    }

    /// The next QoS 0 publish whose bytes have all been taken.
    pub(crate) fn next_done(&mut self) -> Option<u32> {
        let taken = self.taken;
        self.marks.pop_front_if(|mark| mark.end <= taken).map(|mark| mark.token)
    }
}
