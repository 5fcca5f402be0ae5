//! The rate limit of a device's log lines. Lines in excess are dropped, because holding back the device would hold back
//! everything else it sends; one line in the log says how many were dropped, so that the gap is explained (D122).

use tokio::time::Instant;

use crate::limits::DROPPED_LINES_REPORT_DELAY;
use crate::rate::Bucket;

/// The rate, and the lines dropped since the last report.
pub(super) struct LogRate {
    rate: u32,
    bucket: Bucket,
    dropped: Option<Dropped>,
}

/// Consecutive lines that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped {
    count: u32,
    /// Number and clock of the last of them, under which the report is stored.
    pub(super) sequence: u32,
    pub(super) clock: u64,
    since: Instant,
}

impl LogRate {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate, bucket: Bucket::new(rate, Instant::now()), dropped: None }
    }

    /// Whether a line is within the rate; else it counts as dropped.
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

    /// The lines dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        self.dropped.take()
    }

    /// The line that reports dropped lines.
    pub(super) fn report(&self, dropped: Dropped) -> String {
        let (count, rate) = (dropped.count, self.rate);
        format!("[openvisor: {count} log lines dropped, more than {rate} a second]")
    }

    /// When dropped lines are reported at the latest.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.dropped.map(|dropped| dropped.since + DROPPED_LINES_REPORT_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BURST_SECONDS;

    /// Shows D122.
    #[test]
    fn lines_beyond_the_rate_are_counted_and_reported_under_the_last_ones_number() {
        let mut rate = LogRate::new(1);
        assert!((1..=BURST_SECONDS).all(|sequence| rate.admits(sequence, 0)));
        assert_eq!((rate.take_dropped(), rate.next_report()), (None, None));
        assert!(!rate.admits(11, 110) && !rate.admits(12, 120));
        assert!(rate.next_report().is_some_and(|at| at <= Instant::now() + DROPPED_LINES_REPORT_DELAY));
        let dropped = rate.take_dropped().expect("two");
        assert_eq!((dropped.sequence, dropped.clock), (12, 120));
        assert_eq!(rate.report(dropped), "[openvisor: 2 log lines dropped, more than 1 a second]");
        assert_eq!((rate.take_dropped(), rate.next_report()), (None, None));
    }
}
