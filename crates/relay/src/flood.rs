//! Judging whether a broker floods a channel (D51).

use crate::limits::FLOOD_SECONDS;

/// A bucket that holds as many messages as may come in [`FLOOD_SECONDS`], refilled as time passes.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Messages a second.
    rate: u64,
    /// Thousandths of messages that may still come.
    left: u64,
    /// When `left` was true, milliseconds.
    at: u64,
}

impl Flood {
    /// A full bucket.
    pub fn new(rate: u32, now: u64) -> Self {
        let rate = u64::from(rate);
        Self { rate, left: Self::capacity(rate), at: now }
    }

    const fn capacity(rate: u64) -> u64 {
        rate * FLOOD_SECONDS as u64 * 1000
    }

    /// Notes a message; false when it is one too many.
    pub fn admits(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        self.left = self.left.saturating_add(passed.saturating_mul(self.rate)).min(Self::capacity(self.rate));
        let enough = self.left >= 1000;
        self.left -= if enough { 1000 } else { 0 };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::Flood;

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
