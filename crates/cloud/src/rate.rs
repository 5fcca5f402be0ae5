//! Rate limits, on the runtime's clock. Their arithmetic is that of [`relay::TokenBucket`].

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use relay::TokenBucket;
use tokio::time::Instant;

use crate::limits::{BURST_SECONDS, RATED_SOURCES};

/// A rate limit that may be overdrawn: what has been received cannot be sent back, so the debt is paid by a pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: TokenBucket,
    /// Zero of the bucket's clock.
    epoch: Instant,
}

impl Bucket {
    /// A full bucket: [`BURST_SECONDS`] of the rate. A rate of 0 is no limit.
    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        Self::with_burst(rate, BURST_SECONDS, now)
    }

    /// A full bucket of this many seconds of the rate.
    pub(crate) fn with_burst(rate: u32, burst_seconds: u32, now: Instant) -> Self {
        Self { tokens: TokenBucket::new(rate, burst_seconds, sansio::Instant::ZERO), epoch: now }
    }

    fn time(&self, now: Instant) -> sansio::Instant {
        sansio::Instant::ZERO + now.saturating_duration_since(self.epoch).into()
    }

    /// Takes tokens for what has passed; when there were too few, says when the debt is paid.
    pub(crate) fn take(&mut self, count: u64, now: Instant) -> Option<Instant> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let paid = self.tokens.take(count, self.time(now)).filter(|_| count > 0)?;
        Some(self.epoch + paid.duration_since(sansio::Instant::ZERO).into())
    }

    /// Takes one token, if there is one.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        self.tokens.try_take(self.time(now))
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.tokens.is_full(self.time(now))
    }
}

/// A rate limit for each source of connections, or each device.
pub(crate) struct Rates<K> {
    rate: u32,
    burst_seconds: u32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Copy + Eq + Hash> Rates<K> {
    /// A rate for each key, and the seconds of it that may come at once. A rate of 0 is no limit.
    pub(crate) fn new(rate: u32, burst_seconds: u32) -> Self {
        Self { rate, burst_seconds, buckets: Mutex::default() }
    }

    /// Whether one more event of this key is within its rate.
    ///
    /// Keys without recent events are removed. While more than [`RATED_SOURCES`] have some, a new one is admitted and
    /// not remembered: refusing it would let an attacker with that many addresses keep everybody else out.
    pub(crate) fn admits(&self, key: K, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let mut buckets = self.buckets.lock().expect("no holder of this lock panics");
        if buckets.len() >= RATED_SOURCES && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= RATED_SOURCES {
                return true;
            }
        }
        let new = || Bucket::with_burst(self.rate, self.burst_seconds, now);
        buckets.entry(key).or_insert_with(new).admits(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Shows D122.
    #[test]
    fn a_burst_passes_and_what_exceeds_it_is_waited_for() {
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
    fn the_number_of_remembered_sources_is_bounded() {
        let (rates, start) = (Rates::new(10, 2), Instant::now());
        assert!((0..RATED_SOURCES).all(|number| rates.admits(number, start)));
        assert!(rates.admits(usize::MAX, start), "all of them are busy, which is not its fault");
        assert_eq!(rates.buckets.lock().expect("free").len(), RATED_SOURCES);
        assert!(rates.admits(usize::MAX, start + Duration::from_secs(1)), "they have been quiet");
        assert!(rates.buckets.lock().expect("free").len() < RATED_SOURCES);
    }
}
