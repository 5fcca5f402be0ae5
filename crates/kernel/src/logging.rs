//! Log messages: kept in the application's buffer until the cloud has them (D70, D71).
//!
//! The text lies in the buffer; its length, its time and its number are here, because the application can scribble on
//! the buffer (D32). The number of messages kept is therefore limited as well as their bytes (D84).

use abi::Status;
use link::connection::LogHead;
use link::{Violation, violation};
use sansio::Instant;

use crate::Kernel;
use crate::limits::{BUFFER_ALIGNMENT, MAX_LOG_MESSAGE, MAX_LOG_MESSAGES};
use crate::memory::{Memory, Phase as _, Span};
use crate::port::Port;
use crate::queue::Queue;
use crate::ring::Ring;

/// The application's log.
pub(crate) struct Logging {
    ring: Option<Ring>,
    clocks: Queue<Instant, MAX_LOG_MESSAGES>,
    lengths: Queue<u16, MAX_LOG_MESSAGES>,
    /// Of the kept messages, how many have been sent over this connection.
    sent: usize,
    /// The number of the oldest kept message; the first of all is 1.
    first: u32,
    /// Whether the cloud takes messages of this device.
    enabled: bool,
}

impl Logging {
    /// The log before the start of the device: all zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            ring: None,
            clocks: Queue::new(Instant::ZERO),
            lengths: Queue::new(0),
            sent: 0,
            first: 0,
            enabled: false,
        }
    }

    /// The device starts: there is no buffer, and no message has had a number.
    pub(crate) fn start(&mut self) {
        self.give_up_buffer();
        (self.first, self.enabled) = (1, true);
    }

    /// Whether the span overlaps the buffer.
    pub(crate) fn lends(&self, span: Span) -> bool {
        self.ring.is_some_and(|ring| ring.span().overlaps(span))
    }

    /// The cloud has said whether it takes messages.
    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// What was not acknowledged is to be sent again on the next connection, with the same numbers.
    pub(crate) fn connection_lost(&mut self) {
        self.sent = 0;
    }

    /// The cloud has taken the message with this number and all before it.
    pub(crate) fn taken(&mut self, sequence: u32) -> Result<(), Violation> {
        // A number from before the last buffer change is old news.
        let Some(count) = sequence.checked_sub(self.first).map(|behind| behind as usize + 1) else {
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
        self.forget(count);
        Ok(())
    }

    /// The next message to send: its head, and the bytes of its text.
    pub(crate) fn next(&self) -> Option<(LogHead, usize)> {
        let (clock, length) = (self.clocks.get(self.sent)?, self.lengths.get(self.sent)?);
        let head = LogHead { sequence: self.first.wrapping_add(self.sent as u32), clock };
        self.enabled.then_some((head, usize::from(length)))
    }

    /// Copies the text of the next message out, and counts it as sent.
    pub(crate) fn send(&mut self, memory: &dyn Memory, text: &mut [u8]) {
        let before = (0..self.sent).filter_map(|index| self.lengths.get(index)).map(u32::from).sum();
        let read = self.ring.map(|ring| ring.read(memory, before, text));
        if read != Some(Ok(())) {
            // The buffer was taken away: the line keeps its number and its time, so that no gap is reported (D33).
            text.fill(b'?');
        }
        self.sent += 1;
    }

    /// The buffer is gone, and the messages in it; the numbers go on, so that the cloud sees what is missing.
    pub(crate) fn give_up_buffer(&mut self) {
        self.forget(self.lengths.len());
        self.sent = 0;
        self.ring = None;
    }

    /// Takes a message of the application's. Whether the text is too long is a matter of the text, so it is said before
    /// what is a matter of the moment (D85).
    fn post(&mut self, port: &mut Port<'_>, message: u32, length: u32) -> Result<(), Status> {
        // A `uint16_t` argument: the register's upper half is not part of it.
        let length = length & 0xffff;
        let mut ring = self.ring.ok_or(Status::Unavailable)?;
        let text = Span::readable(message, length).early()?;
        if length > MAX_LOG_MESSAGE {
            return Err(Status::LogMessageTooLong);
        }
        if length > ring.free() || !self.lengths.has_room(1) {
            return Err(Status::InvalidBufferSize);
        }
        if !self.enabled {
            return Err(Status::LoggingDisabledByServer);
        }
        ring.copy_in(port.memory, ring.used(), text).early()?;
        ring.grow(length);
        self.ring = Some(ring);
        self.keep(port.now, length as u16);
        Ok(())
    }

    /// Lends another buffer.
    fn lend(&mut self, span: Span) {
        self.give_up_buffer();
        self.ring = Some(Ring::new(span));
    }

    /// Keeps a message, text already in the ring.
    fn keep(&mut self, clock: Instant, length: u16) {
        self.clocks.push(clock);
        self.lengths.push(length);
    }

    fn forget(&mut self, count: usize) {
        self.clocks.drop_front(count);
        self.lengths.drop_front(count);
        self.first = self.first.wrapping_add(count as u32);
    }
}

impl Kernel {
    /// `mvServerLoggingInit`.
    pub(crate) fn server_logging_init(&mut self, buffer: u32, length: u32) -> Result<(), Status> {
        let span = log_buffer(buffer, length)?;
        if self.notifications.lends(span) || self.channels.lend(span) || self.test_logging.lends(span) {
            return Err(Status::BufferAlreadyInUse);
        }
        self.logging.lend(span);
        Ok(())
    }

    /// `mvServerLog`.
    pub(crate) fn server_log(
        &mut self,
        port: &mut Port<'_>,
        message: u32,
        length: u32,
    ) -> Result<(), Status> {
        self.logging.post(port, message, length)
    }

    /// `mvTestLoggingInit`: as for the server's log, where a factory test runs (D107).
    pub(crate) fn test_logging_init(&mut self, buffer: u32, length: u32) -> Result<(), Status> {
        let span = log_buffer(buffer, length)?;
        if !self.boot.application_test {
            return Err(Status::Unavailable);
        }
        if self.notifications.lends(span) || self.channels.lend(span) || self.logging.lends(span) {
            return Err(Status::BufferAlreadyInUse);
        }
        self.test_logging.lend(span);
        Ok(())
    }

    /// `mvTestLog`.
    pub(crate) fn test_log(&mut self, port: &mut Port<'_>, message: u32, length: u32) -> Result<(), Status> {
        self.test_logging.post(port, message, length)
    }

    /// The next message of a factory test for the factory's console: when it was posted, in microseconds since the
    /// start, and how many bytes of `text` it fills. The port takes them whenever the console has room.
    pub fn take_test_log(
        &mut self,
        port: &mut Port<'_>,
        text: &mut [u8; MAX_LOG_MESSAGE as usize],
    ) -> Option<(Instant, usize)> {
        let (head, length) = self.test_logging.next()?;
        self.test_logging.send(port.memory, &mut text[..length]);
        // What was just sent can be taken: this is no peer's claim.
        let _ = self.test_logging.taken(head.sequence);
        Some((head.clock, length))
    }
}

/// A buffer as logs want it (D70).
fn log_buffer(buffer: u32, length: u32) -> Result<Span, Status> {
    let span = Span::writable(buffer, length).early()?;
    if !buffer.is_multiple_of(BUFFER_ALIGNMENT) {
        return Err(Status::InvalidBufferAlignment);
    }
    if length == 0 || !length.is_multiple_of(BUFFER_ALIGNMENT) {
        return Err(Status::InvalidBufferSize);
    }
    Ok(span)
}
