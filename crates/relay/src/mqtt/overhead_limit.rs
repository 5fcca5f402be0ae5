//! How fast a relay reads input from a broker that produces no event (D180).

use mqtt::Overhead;
use sansio::Instant;

use crate::limits::BROKER_BURST_SECONDS;
use crate::token_bucket::TokenBucket;

/// A limit of packets and bytes per second, [`BROKER_BURST_SECONDS`] of them at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverheadLimit {
    packets: TokenBucket,
    bytes: TokenBucket,
}

impl OverheadLimit {
    /// A rate of 0 is no limit.
    pub(crate) fn new(packets_per_second: u32, bytes_per_second: u32, now: Instant) -> Self {
        let bucket = |rate| TokenBucket::new(rate, BROKER_BURST_SECONDS, now);
        Self { packets: bucket(packets_per_second), bytes: bucket(bytes_per_second) }
    }

    /// Counts input. If it exceeds the limit, says until when nothing more may be read.
    pub(crate) fn count(&mut self, overhead: Overhead, now: Instant) -> Option<Instant> {
        let packets = i64::try_from(overhead.packets).unwrap_or(i64::MAX);
        self.packets.take(packets, now).max(self.bytes.take(overhead.bytes, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn overhead(packets: u64, bytes: i64) -> Overhead {
        Overhead { packets, bytes }
    }

    /// Shows D180.
    #[test]
    fn a_burst_without_events_is_read_and_what_exceeds_it_is_paid_for_by_a_pause() {
        let mut limit = OverheadLimit::new(100, 1000, START);
        assert_eq!(limit.count(overhead(100, 500), START), None, "a second's worth");
        assert_eq!(limit.count(overhead(50, 0), START), Some(at(500)), "half a second of packets");
        assert_eq!(limit.count(overhead(0, 0), at(500)), None);
        assert_eq!(limit.count(overhead(0, 1500), at(500)), Some(at(1000)), "half a second of bytes");
    }

    /// Shows D180: a packet counts while it arrives and is returned when its event is there.
    #[test]
    fn a_large_message_in_pieces_is_no_overhead_in_the_end() {
        let mut limit = OverheadLimit::new(100, 1000, START);
        for _ in 0..100 {
            assert_eq!(limit.count(overhead(0, 900), START), None);
            assert_eq!(limit.count(overhead(0, -900), START), None);
        }
    }

    /// Shows D180.
    #[test]
    fn no_rate_is_no_limit_and_no_number_is_too_large() {
        let mut limit = OverheadLimit::new(0, 0, START);
        assert_eq!(limit.count(overhead(u64::MAX, i64::MAX), Instant::MAX), None);
        let mut limit = OverheadLimit::new(u32::MAX, u32::MAX, START);
        assert!(limit.count(overhead(u64::MAX, i64::MAX), at(1)).is_some());
        assert_eq!(limit.count(overhead(0, i64::MIN), Instant::MAX), None, "the debt is paid");
    }
}
