//! A connection between a relay and the broker.

use relay::ConnectionId;

use crate::pipe::Pipe;

/// Bytes a connection takes before the relay has to wait.
const ROOM: usize = 8192;

/// Both ends of a connection; each may be gone while the other does not know.
#[allow(clippy::struct_excessive_bools, reason = "each is one end's own view, independent of the others")]
pub struct Wire {
    /// The relay's cable.
    pub cable: u32,
    /// The relay's name for it.
    pub id: ConnectionId,
    /// When it stands; `None` once it does.
    pub opens: Option<u64>,
    /// To the broker.
    pub up: Pipe,
    /// To the relay.
    pub down: Pipe,
    /// What the relay gave and the connection did not take yet.
    pub untaken: Vec<u8>,
    /// The relay does not read.
    pub is_paused: bool,
    /// The relay still has it.
    pub has_relay: bool,
    /// The broker still has it.
    pub has_broker: bool,
    /// How the relay is told of its end.
    pub clean: bool,
}

impl Wire {
    /// A connection that is being made.
    pub fn new(cable: u32, id: ConnectionId, opens: u64) -> Self {
        Self {
            cable,
            id,
            opens: Some(opens),
            up: Pipe::default(),
            down: Pipe::default(),
            untaken: Vec::new(),
            is_paused: false,
            has_relay: true,
            has_broker: false,
            clean: true,
        }
    }

    /// Moves what fits on its way; how many bytes that was.
    pub fn write(&mut self, at: u64) -> usize {
        let count = ROOM.saturating_sub(self.up.in_flight()).min(self.untaken.len());
        let bytes: Vec<u8> = self.untaken.drain(..count).collect();
        self.up.send(at, bytes);
        if !self.has_relay && self.untaken.is_empty() && self.opens.is_none() {
            self.up.end(at);
        }
        count
    }

    /// When something arrives.
    pub fn due(&self) -> Option<u64> {
        let down = if self.is_paused { None } else { self.down.due() };
        let up = self.up.due().filter(|_| self.has_broker);
        [self.opens, up, down.filter(|_| self.has_relay)].into_iter().flatten().min()
    }

    /// The relay has let go of it, at once or after what it gave.
    pub fn close(&mut self, abort: bool, keep: usize, at: u64) {
        self.has_relay = false;
        if abort {
            self.untaken.clear();
            self.up.cut(keep.min(self.up.in_flight()), at);
        }
    }
}
