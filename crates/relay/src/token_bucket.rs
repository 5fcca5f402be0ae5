//! A limit of a rate with a bounded burst.

use sansio::{Duration, Instant};

/// Tokens are counted in millionths, so that a rate in tokens per second gains whole units every microsecond.
const TOKEN: i64 = 1_000_000;

/// A bucket of tokens that is refilled at a constant rate.
///
/// It may be overdrawn: what has been received cannot be sent back, so the debt is paid by a pause.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Tokens per second; 0 is no limit.
    rate: u32,
    /// Seconds of the rate that may pass at once.
    burst_seconds: u32,
    /// Millionths of tokens left; negative is a debt.
    tokens: i64,
    refilled_at: Instant,
}

impl TokenBucket {
    /// A full bucket: `burst_seconds` of the rate. A rate of 0 is no limit.
    pub fn new(rate: u32, burst_seconds: u32, now: Instant) -> Self {
        let bucket = Self { rate, burst_seconds, tokens: 0, refilled_at: now };
        Self { tokens: bucket.capacity(), ..bucket }
    }

    fn capacity(&self) -> i64 {
        i64::from(self.rate).saturating_mul(i64::from(self.burst_seconds)).saturating_mul(TOKEN)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.refilled_at).as_micros();
        self.refilled_at = self.refilled_at.max(now);
        let gained = i64::try_from(elapsed).unwrap_or(i64::MAX).saturating_mul(i64::from(self.rate));
        self.tokens = self.tokens.saturating_add(gained).min(self.capacity());
    }

    /// Takes tokens, also more than there are, or returns some if `count` is negative. While there is a debt, says
    /// when it will have been paid.
    pub fn take(&mut self, count: i64, now: Instant) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        self.refill(now);
        self.tokens = self.tokens.saturating_sub(count.saturating_mul(TOKEN)).min(self.capacity());
        let micros = self.tokens.min(0).unsigned_abs().div_ceil(u64::from(self.rate));
        (micros > 0).then(|| now + Duration::from_micros(micros))
    }

    /// Takes one token if there is one.
    pub fn try_take(&mut self, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        self.refill(now);
        let has_token = self.tokens >= TOKEN;
        self.tokens -= if has_token { TOKEN } else { 0 };
        has_token
    }

    /// Whether nothing has been taken that is not refilled.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_what_exceeds_it_is_paid_for_by_a_pause() {
        let mut bucket = TokenBucket::new(100, 2, START);
        assert_eq!(bucket.take(200, START), None);
        assert!(!bucket.is_full(START));
        assert_eq!(bucket.take(50, START), Some(at(500)));
        assert_eq!(bucket.take(1, at(250)), Some(at(510)));
        assert_eq!(bucket.take(1, at(520)), None);
        assert!(bucket.is_full(at(2520)));
    }

    #[test]
    fn returned_tokens_pay_a_debt_and_do_not_exceed_the_burst() {
        let mut bucket = TokenBucket::new(100, 1, START);
        assert_eq!(bucket.take(150, START), Some(at(500)));
        assert_eq!(bucket.take(-150, START), None);
        assert_eq!(bucket.take(-150, START), None);
        assert_eq!(bucket.take(101, START), Some(at(10)));
    }

    #[test]
    fn no_rate_is_no_limit_and_no_number_is_too_large() {
        let mut bucket = TokenBucket::new(0, 1, START);
        assert_eq!(bucket.take(i64::MAX, START), None);
        assert!(bucket.try_take(START) && bucket.is_full(START));
        let mut bucket = TokenBucket::new(u32::MAX, u32::MAX, START);
        bucket.take(i64::MAX, START);
        assert!(bucket.take(i64::MAX, START).is_some());
        assert_eq!(bucket.take(i64::MIN, Instant::MAX), None);
        assert_eq!(TokenBucket::new(1, 1, START).take(1, Instant::MAX), None);
    }

    /// Shows D51.
    #[test]
    fn ten_seconds_worth_may_pass_at_once_and_not_one_more() {
        let mut bucket = TokenBucket::new(500, 10, START);
        assert!((0..5000).all(|_| bucket.try_take(START)));
        assert!(!bucket.try_take(at(1)));
    }

    /// Shows D51.
    #[test]
    fn a_steady_stream_at_the_limit_is_never_refused() {
        let mut bucket = TokenBucket::new(500, 10, START);
        assert!((0..100_000u64).all(|number| bucket.try_take(at(number * 2))));
    }
}
