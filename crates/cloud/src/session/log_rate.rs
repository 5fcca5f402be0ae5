//! The rate of a device's log lines (D122). What is beyond it is dropped, and one line in the log says how much that was.

use tokio::time::Instant;

use crate::limits::DROPPED_LINES_PATIENCE;
use crate::rate::Bucket;

/// The rate and what was dropped since that was last said.
pub(super) struct LogRate {
    rate: u32,
    bucket: Bucket,
    dropped: Option<Dropped>,
}

/// Lines that were dropped one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped {
    count: u32,
    /// Number and clock of the last of them: those of the line that stands for all.
    pub(super) sequence: u32,
    pub(super) clock: u64,
    since: Instant,
}

impl LogRate {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, bucket: Bucket::new(rate, Instant::now()), dropped: None }
    }

    /// Whether a line is kept.
    pub(super) fn admits(&mut self, sequence: u32, clock: u64) -> bool {
        let now = Instant::now();
        if self.bucket.admits(now) {
            return true;
        }
        let before = self.dropped.take();
        let since = before.map_or(now, |dropped| dropped.since);
        let count = before.map_or(0, |dropped| dropped.count) + 1;
        self.dropped = Some(Dropped { count, sequence, clock, since });
        false
    }

    /// What was dropped since this was asked last.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.take()
    }

    /// The line that stands for those dropped.
    pub(super) fn words(&self, dropped: Dropped) -> String {
        let (count, rate) = (dropped.count, self.rate);
        format!("[openvisor: {count} log lines dropped, for there were more than {rate} a second]")
    }

    /// When it is said at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.dropped.map(|dropped| dropped.since + DROPPED_LINES_PATIENCE)
    }
}
