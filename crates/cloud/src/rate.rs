//! Rates: how much may pass in a time, and when it may go on once it was too much.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{BURST_SECONDS, RATED_SOURCES};

/// A bucket that fills at a rate and may be overdrawn once: what has come cannot be sent back, so it is paid for by waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// Units a second; 0 is no limit.
    rate: u32,
    /// Seconds of the rate that may come at once.
    burst: u32,
    /// Millionths of units that are left; below zero is a debt.
    left: i64,
    at: Instant,
}

const UNIT: i64 = 1_000_000;

impl Bucket {
    /// A full bucket: [`BURST_SECONDS`] of the rate.
    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        Self::with_burst(rate, BURST_SECONDS, now)
    }

    /// A full bucket of so many seconds of the rate.
    pub(crate) fn with_burst(rate: u32, burst: u32, now: Instant) -> Self {
        let bucket = Self { rate, burst, left: 0, at: now };
        Self { left: bucket.capacity(), ..bucket }
    }

    fn capacity(&self) -> i64 {
        i64::from(self.rate) * i64::from(self.burst) * UNIT
    }

    fn refill(&mut self, now: Instant) {
        let passed = i64::try_from(now.saturating_duration_since(self.at).as_micros()).unwrap_or(i64::MAX);
        self.at = self.at.max(now);
        let filled = self.left.saturating_add(passed.saturating_mul(i64::from(self.rate)));
        self.left = filled.min(self.capacity());
    }

    /// Takes what has passed; when there was not enough, says when the debt is paid.
    pub(crate) fn take(&mut self, count: u64, now: Instant) -> Option<Instant> {
        if self.rate == 0 || count == 0 {
            return None;
        }
        self.refill(now);
        let cost = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(UNIT);
        self.left = self.left.saturating_sub(cost);
        if self.left >= 0 {
            return None;
        }
        let micros = self.left.unsigned_abs().div_ceil(u64::from(self.rate));
        Some(now + Duration::from_micros(micros))
    }

    /// Takes one, if there is one.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        self.refill(now);
        let enough = self.rate == 0 || self.left >= UNIT;
        self.left -= if enough && self.rate != 0 { UNIT } else { 0 };
        enough
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.left >= self.capacity()
    }
}

/// A rate for each source of connections, or each device.
pub(crate) struct Rates<K> {
    rate: u32,
    burst: u32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Copy + Eq + Hash> Rates<K> {
    /// So many a second for each, and so many seconds' worth at once; 0 is no limit.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        Self { rate, burst, buckets: Mutex::default() }
    }

    /// Whether one more may come from there now. Those that have been quiet are forgotten; while more than [`RATED_SOURCES`] are
    /// not, a new one is admitted and not remembered: refusing it would let whoever has so many addresses keep everybody else out.
    pub(crate) fn admits(&self, key: K, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let mut buckets = self.buckets.lock().expect("nothing panics while it counts");
        if buckets.len() >= RATED_SOURCES && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= RATED_SOURCES {
                return true;
            }
        }
        buckets.entry(key).or_insert_with(|| Bucket::with_burst(self.rate, self.burst, now)).admits(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Shows D122.
    #[test]
    fn a_burst_passes_and_what_is_beyond_it_is_waited_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        assert_eq!(bucket.take(100 * u64::from(BURST_SECONDS), start), None);
        assert_eq!(bucket.take(50, start), Some(start + 500 * MILLI));
        assert_eq!(bucket.take(1, start + 250 * MILLI), Some(start + 510 * MILLI));
        assert_eq!(bucket.take(1, start + 520 * MILLI), None);
    }

    /// Shows D122.
    #[test]
    fn a_steady_stream_at_the_limit_is_never_held() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        for millis in 0..100_000 {
            let held = bucket.take(u64::from(millis % 10 == 0), start + millis * MILLI);
            assert_eq!(held, None, "after {millis} ms");
        }
    }

    #[test]
    fn no_limit_is_no_limit_and_no_number_is_too_large() {
        let start = Instant::now();
        assert_eq!(Bucket::new(0, start).take(u64::MAX, start), None);
        assert!((0..100_000).all(|_| Bucket::new(0, start).admits(start)));
        let mut bucket = Bucket::new(u32::MAX, start);
        assert!(bucket.take(u64::MAX, start).is_some());
        assert_eq!(Bucket::new(1, start).take(1, start + Duration::from_hours(24 * 365 * 1000)), None);
    }

    /// Shows D122.
    #[test]
    fn one_source_uses_up_its_own_rate_only() {
        let (rates, start) = (Rates::new(1, 2), Instant::now());
        let (noisy, other) = ("noisy", "other");
        let admitted = (0..100).filter(|_| rates.admits(noisy, start)).count();
        assert_eq!(admitted, 2);
        assert!(rates.admits(other, start));
        assert!(!rates.admits(noisy, start + 999 * MILLI));
        assert!(rates.admits(noisy, start + 1000 * MILLI));
    }

    #[test]
    fn however_many_sources_there_are_so_many_are_remembered() {
        let (rates, start) = (Rates::new(10, 2), Instant::now());
        assert!((0..RATED_SOURCES).all(|number| rates.admits(number, start)));
        assert!(rates.admits(usize::MAX, start), "all of them are busy, which is not its fault");
        assert_eq!(rates.buckets.lock().expect("free").len(), RATED_SOURCES);
        assert!(rates.admits(usize::MAX, start + Duration::from_secs(1)), "they have been quiet");
        assert!(rates.buckets.lock().expect("free").len() < RATED_SOURCES);
    }
}
