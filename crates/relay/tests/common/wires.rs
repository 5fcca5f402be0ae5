//! Connections as their owner sees them. What the relay may not say of one is refused here, for every test.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    Opening,
    Open,
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub life: Life,
    pub is_paused: bool,
    /// How the relay ended it: whether at once.
    pub aborted: Option<bool>,
    /// What the broker got.
    pub sent: Vec<u8>,
    /// What the connection did not take yet.
    pub untaken: Vec<u8>,
}

impl Wire {
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        assert_eq!(self.life, Life::Open, "sent on a connection that is not open");
        assert!(!bytes.is_empty());
        self.sent.extend_from_slice(bytes);
        self.untaken.extend_from_slice(bytes);
    }

    pub(crate) fn close(&mut self, abort: bool) {
        assert_ne!(self.life, Life::Closed, "a connection closed twice");
        self.life = Life::Closed;
        self.aborted = Some(abort);
    }

    pub(crate) fn pause(&mut self, pause: bool) {
        assert_eq!(self.life, Life::Open);
        assert_ne!(self.is_paused, pause, "said twice");
        self.is_paused = pause;
    }

    pub(crate) fn take(&mut self, most: usize) -> usize {
        let count = most.min(self.untaken.len());
        self.untaken.drain(..count);
        count
    }
}
