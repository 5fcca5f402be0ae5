//! Judging whether a broker floods a channel: with messages, which ends it (D51), or with input that gives nothing, which is
//! read more slowly (D180).

use mqtt::Overhead;

use crate::limits::{BROKER_BURST_SECONDS, FLOOD_SECONDS};

/// A bucket that holds as many messages as may come in [`FLOOD_SECONDS`], refilled as time passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    /// Messages a second.
    rate: u64,
    /// Thousandths of messages that may still come.
    left: u64,
    /// When `left` was true, milliseconds.
    at: u64,
}

impl Flood {
    /// A full bucket.
    pub(crate) fn new(rate: u32, now: u64) -> Self {
        let rate = u64::from(rate);
        Self { rate, left: Self::capacity(rate), at: now }
    }

    const fn capacity(rate: u64) -> u64 {
        rate * FLOOD_SECONDS as u64 * 1000
    }

    /// Notes a message; false when it is one too many.
    pub(crate) fn admits(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        self.left = self.left.saturating_add(passed.saturating_mul(self.rate)).min(Self::capacity(self.rate));
        let enough = self.left >= 1000;
        self.left -= if enough { 1000 } else { 0 };
        enough
    }
}

/// A rate that may be exceeded once, because what has been received cannot be given back; the excess is paid for by a pause.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// Units a second; 0 is no limit.
    rate: u32,
    /// Thousandths of units left; negative while there is a debt.
    left: i64,
}

impl Allowance {
    fn new(rate: u32) -> Self {
        Self { rate, left: Self::capacity(rate) }
    }

    fn capacity(rate: u32) -> i64 {
        i64::from(rate) * i64::from(BROKER_BURST_SECONDS) * 1000
    }

    fn refill(&mut self, millis: u64) {
        let gained = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(i64::from(self.rate));
        self.left = self.left.saturating_add(gained).min(Self::capacity(self.rate));
    }

    /// Takes units, or gives back where `units` is negative.
    fn take(&mut self, units: i64) {
        if self.rate > 0 {
            self.left = self.left.saturating_sub(units.saturating_mul(1000)).min(Self::capacity(self.rate));
        }
    }

    /// Milliseconds until the debt is paid.
    fn debt(&self) -> u64 {
        if self.rate == 0 || self.left >= 0 {
            return 0;
        }
        self.left.unsigned_abs().div_ceil(u64::from(self.rate))
    }
}

/// How fast input that gives no event is read from a broker: packets and bytes a second, [`BROKER_BURST_SECONDS`] of
/// them at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    packets: Allowance,
    bytes: Allowance,
    /// When the allowances were true, milliseconds.
    at: u64,
}

impl Pace {
    /// Full allowances; a rate of 0 is no limit.
    pub(crate) fn new(packets_a_second: u32, bytes_a_second: u32, now: u64) -> Self {
        Self { packets: Allowance::new(packets_a_second), bytes: Allowance::new(bytes_a_second), at: now }
    }

    /// Notes input; says until when nothing more is to be read, if it was too much.
    pub(crate) fn note(&mut self, overhead: Overhead, now: u64) -> Option<u64> {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.packets.refill(passed);
        self.bytes.refill(passed);
        self.packets.take(i64::try_from(overhead.packets).unwrap_or(i64::MAX));
        self.bytes.take(overhead.bytes);
        let pause = self.packets.debt().max(self.bytes.debt());
        (pause > 0).then(|| now.saturating_add(pause))
    }
}

#[cfg(test)]
mod tests {
    use mqtt::Overhead;

    use super::{Flood, Pace};

    fn overhead(packets: u64, bytes: i64) -> Overhead {
        Overhead { packets, bytes }
    }

    /// Shows D180.
    #[test]
    fn a_burst_without_events_is_read_and_what_is_beyond_it_is_paid_for_by_a_pause() {
        let mut pace = Pace::new(100, 1000, 0);
        assert_eq!(pace.note(overhead(100, 500), 0), None, "a second's worth");
        assert_eq!(pace.note(overhead(50, 0), 0), Some(500), "half a second of packets");
        assert_eq!(pace.note(overhead(0, 0), 500), None);
        assert_eq!(pace.note(overhead(0, 1500), 500), Some(1000), "half a second of bytes");
    }

    /// Shows D180: a packet counts while it arrives and is taken back when its event is there.
    #[test]
    fn a_large_message_in_pieces_is_no_overhead_in_the_end() {
        let mut pace = Pace::new(100, 1000, 0);
        for _ in 0..100 {
            assert_eq!(pace.note(overhead(0, 900), 0), None);
            assert_eq!(pace.note(overhead(0, -900), 0), None);
        }
    }

    /// Shows D180.
    #[test]
    fn no_rate_is_no_limit_and_no_number_is_too_large() {
        let mut pace = Pace::new(0, 0, 0);
        assert_eq!(pace.note(overhead(u64::MAX, i64::MAX), u64::MAX), None);
        let mut pace = Pace::new(u32::MAX, u32::MAX, 0);
        assert!(pace.note(overhead(u64::MAX, i64::MAX), 1).is_some());
        assert_eq!(pace.note(overhead(0, i64::MIN), u64::MAX), None, "all of it is paid");
    }

    /// Shows D51.
    #[test]
    fn ten_seconds_worth_may_come_at_once_and_not_one_more() {
        let mut flood = Flood::new(500, 0);
        assert!((0..5000).all(|_| flood.admits(0)));
        assert!(!flood.admits(1));
    }

    /// Shows D51.
    #[test]
    fn a_steady_stream_at_the_limit_goes_on_for_ever() {
        let mut flood = Flood::new(500, 0);
        assert!((0..100_000u64).all(|number| flood.admits(number * 2)));
    }
}
