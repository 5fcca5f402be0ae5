//! Connections as a driver sees them. What the relay may not do with one fails here, for every test.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SocketState {
    #[default]
    Opening,
    Open,
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Socket {
    pub state: SocketState,
    pub is_paused: bool,
    /// How the relay ended it: whether at once.
    pub aborted: Option<bool>,
    /// What the broker received.
    pub sent: Vec<u8>,
    /// What the connection has not accepted yet.
    pub untaken: Vec<u8>,
}

impl Socket {
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        assert_eq!(self.state, SocketState::Open, "sent on a connection that is not open");
        assert!(!bytes.is_empty());
        self.sent.extend_from_slice(bytes);
        self.untaken.extend_from_slice(bytes);
    }

    pub(crate) fn close(&mut self, abort: bool) {
        assert_ne!(self.state, SocketState::Closed, "a connection closed twice");
        self.state = SocketState::Closed;
        self.aborted = Some(abort);
    }

    pub(crate) fn pause(&mut self, pause: bool) {
        assert_eq!(self.state, SocketState::Open);
        assert_ne!(self.is_paused, pause, "requested twice");
        self.is_paused = pause;
    }

    pub(crate) fn take(&mut self, most: usize) -> usize {
        let count = most.min(self.untaken.len());
        self.untaken.drain(..count);
        count
    }
}
