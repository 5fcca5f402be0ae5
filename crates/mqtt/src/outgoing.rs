//! Bytes for the connection, and the QoS 0 publishes that are complete when it has accepted them (D47).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use crate::limits::RETAINED_BUFFER;

struct Mark {
    /// Position in the stream of all bytes of this connection just behind the publish.
    end: u64,
    token: u32,
}

/// The stream of bytes to the broker. Positions count from the first byte of the connection.
#[derive(Default)]
pub(crate) struct Outgoing {
    buffer: Vec<u8>,
    handed_out: u64,
    accepted: u64,
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

    /// Bytes the connection has not accepted, handed out or not.
    pub(crate) fn unaccepted(&self) -> usize {
        (self.handed_out - self.accepted) as usize + self.buffer.len()
    }

    /// Notes that the publish just encoded is complete once the connection has accepted all bytes so far.
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
        if self.buffer.capacity() > RETAINED_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Notes that the connection has accepted `bytes` more; never more than were handed out.
    pub(crate) fn accept(&mut self, bytes: usize) {
        self.accepted = self.handed_out.min(self.accepted + bytes as u64);
    }

    /// The next QoS 0 publish whose bytes have all been accepted.
    pub(crate) fn next_complete(&mut self) -> Option<u32> {
        let accepted = self.accepted;
        self.marks.pop_front_if(|mark| mark.end <= accepted).map(|mark| mark.token)
    }
}
