//! A TCP connection between a relay and the broker.

use relay::ConnectionId;
use sansio::Instant;

use crate::pipe::Pipe;

/// Bytes in flight beyond which the relay has to wait.
const MAX_IN_FLIGHT: usize = 8192;

/// Both ends of a connection; each may be gone while the other does not know.
#[allow(clippy::struct_excessive_bools, reason = "each is one end's own view, independent of the others")]
pub struct Socket {
    /// The link whose relay it belongs to.
    pub link: u32,
    /// The relay's name for it.
    pub id: ConnectionId,
    /// When it will be established; `None` once it is.
    pub opens: Option<Instant>,
    /// To the broker.
    pub up: Pipe,
    /// To the relay.
    pub down: Pipe,
    /// What the relay has written that is not in flight yet.
    pub unsent: Vec<u8>,
    /// The relay does not read.
    pub is_paused: bool,
    /// The relay has not closed it.
    pub has_relay: bool,
    /// The broker has accepted it and not closed it.
    pub has_broker: bool,
    /// Whether the relay sees an orderly end.
    pub clean: bool,
}

impl Socket {
    /// A connection that is being established.
    pub fn new(link: u32, id: ConnectionId, opens: Instant) -> Self {
        Self {
            link,
            id,
            opens: Some(opens),
            up: Pipe::default(),
            down: Pipe::default(),
            unsent: Vec::new(),
            is_paused: false,
            has_relay: true,
            has_broker: false,
            clean: true,
        }
    }

    /// Sends what there is room for. Returns how many bytes that was.
    pub fn write(&mut self, at: Instant) -> usize {
        let count = MAX_IN_FLIGHT.saturating_sub(self.up.in_flight()).min(self.unsent.len());
        let bytes: Vec<u8> = self.unsent.drain(..count).collect();
        self.up.send(at, bytes);
        if !self.has_relay && self.unsent.is_empty() && self.opens.is_none() {
            self.up.end(at);
        }
        count
    }

    /// When something happens to it next.
    pub fn next_arrival(&self) -> Option<Instant> {
        let down = if self.is_paused { None } else { self.down.next_arrival() };
        let up = self.up.next_arrival().filter(|_| self.has_broker);
        [self.opens, up, down.filter(|_| self.has_relay)].into_iter().flatten().min()
    }

    /// The relay closes it: at once, with only `keep` of the bytes in flight arriving, or after everything it wrote.
    pub fn close(&mut self, abort: bool, keep: usize, at: Instant) {
        self.has_relay = false;
        if abort {
            self.unsent.clear();
            self.up.cut(keep.min(self.up.in_flight()), at);
        }
    }
}
