//! Log messages: stored in the application's buffer until the cloud has acknowledged them (D70, D71).
//!
//! The text is in the buffer. Its length, time and sequence number are here, because the application can write to the
//! buffer at any time (D32); that is why the number of stored messages is limited as well as their bytes (D84).

pub(crate) mod calls;

use abi::Status;
use link::connection::LogHead;
use link::{Violation, violation};
use sansio::Instant;

use crate::limits::{MAX_LOG_MESSAGE, MAX_LOG_MESSAGES};
use crate::memory::{Memory, Phase as _, Span};
use crate::port::Port;
use crate::queue::Queue;
use crate::ring::Ring;

/// A log of the application.
pub(crate) struct Logging {
    ring: Option<Ring>,
    timestamps: Queue<Instant, MAX_LOG_MESSAGES>,
    lengths: Queue<u16, MAX_LOG_MESSAGES>,
    /// How many of the stored messages have been sent over the current connection.
    sent: usize,
    /// Sequence number of the oldest stored message; the first of all is 1.
    first_sequence: u32,
    /// Whether the cloud accepts messages of this device.
    is_enabled: bool,
}

impl Logging {
    /// A log before the start of the device: all zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            ring: None,
            timestamps: Queue::new(Instant::ZERO),
            lengths: Queue::new(0),
            sent: 0,
            first_sequence: 0,
            is_enabled: false,
        }
    }

    /// The device starts: there is no buffer, and sequence numbers begin again.
    pub(crate) fn start(&mut self) {
        self.remove_buffer();
        (self.first_sequence, self.is_enabled) = (1, true);
    }

    /// Whether the span overlaps the buffer.
    pub(crate) fn overlaps_buffer(&self, span: Span) -> bool {
        self.ring.is_some_and(|ring| ring.span().overlaps(span))
    }

    /// The cloud has said whether it accepts messages.
    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.is_enabled = enabled;
    }

    /// The connection is gone. What was not acknowledged is sent again on the next one with the same numbers, so that
    /// the cloud can drop duplicates.
    pub(crate) fn connection_lost(&mut self) {
        self.sent = 0;
    }

    /// The cloud has stored the message with this sequence number and all before it.
    pub(crate) fn acknowledge(&mut self, sequence: u32) -> Result<(), Violation> {
        // The acknowledgement of a message that was dropped with an earlier buffer comes late and means nothing.
        let Some(count) = sequence.checked_sub(self.first_sequence).map(|behind| behind as usize + 1) else {
            return Ok(());
        };
        if count > self.sent {
            return Err(violation::LOG_NOT_SENT);
        }
        let bytes = (0..count).filter_map(|index| self.lengths.get(index)).map(u32::from).sum();
        if let Some(ring) = &mut self.ring {
            ring.release(bytes);
        }
        self.sent -= count;
        self.drop_front(count);
        Ok(())
    }

    /// The next message to send: its head, and the length of its text.
    pub(crate) fn next(&self) -> Option<(LogHead, usize)> {
        let (timestamp, length) = (self.timestamps.get(self.sent)?, self.lengths.get(self.sent)?);
        let sequence = self.first_sequence.wrapping_add(self.sent as u32);
        let head = LogHead { sequence, clock: timestamp };
        self.is_enabled.then_some((head, usize::from(length)))
    }

    /// Copies the text of the next message out, and counts the message as sent.
    pub(crate) fn send(&mut self, memory: &dyn Memory, text: &mut [u8]) {
        let before = (0..self.sent).filter_map(|index| self.lengths.get(index)).map(u32::from).sum();
        let read = self.ring.map(|ring| ring.read(memory, before, text));
        if read != Some(Ok(())) {
            // The application made its buffer unreadable, which it may at any time, since the buffer is only lent
            // (D33). The line keeps its number and time, because a gap in the numbers would be reported as lost
            // messages.
            text.fill(b'?');
        }
        self.sent += 1;
    }

    /// The buffer is the application's again and the messages in it are dropped. Sequence numbers continue, so that the
    /// cloud sees how many are missing.
    pub(crate) fn remove_buffer(&mut self) {
        self.drop_front(self.lengths.len());
        self.sent = 0;
        self.ring = None;
    }

    /// Uses another buffer.
    fn set_buffer(&mut self, span: Span) {
        self.remove_buffer();
        self.ring = Some(Ring::new(span));
    }

    /// Stores a message of the application. Its length is checked before the space, because the first is a property of
    /// the message and the second may change (D85).
    fn post(&mut self, port: &mut Port<'_>, message: u32, length: u32) -> Result<(), Status> {
        // The argument is a `uint16_t`: the register's upper half is undefined by the calling convention (D85).
        let length = length & 0xffff;
        let mut ring = self.ring.ok_or(Status::Unavailable)?;
        let text = Span::readable(message, length).early()?;
        if length > MAX_LOG_MESSAGE {
            return Err(Status::LogMessageTooLong);
        }
        if length > ring.free() || !self.lengths.has_room(1) {
            return Err(Status::InvalidBufferSize);
        }
        if !self.is_enabled {
            return Err(Status::LoggingDisabledByServer);
        }
        ring.copy_in(port.memory, ring.used(), text).early()?;
        ring.grow(length);
        self.ring = Some(ring);
        self.timestamps.push(port.now);
        self.lengths.push(length as u16);
        Ok(())
    }

    fn drop_front(&mut self, count: usize) {
        self.timestamps.drop_front(count);
        self.lengths.drop_front(count);
        self.first_sequence = self.first_sequence.wrapping_add(count as u32);
    }
}
