//! The two clocks of the cloud: the wall's, for people and devices, and one that never jumps, for the sessions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since 1970.
pub fn wall_millis() -> i64 {
    since_1970().as_millis() as i64
}

/// Microseconds since 1970.
pub fn wall_micros() -> u64 {
    since_1970().as_micros() as u64
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the cloud started: the time the sessions count in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    pub(crate) fn start() -> Epoch {
        Epoch(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    /// The instant at which [`Epoch::now`] is at least `millis`.
    pub(crate) fn instant(self, millis: u64) -> Instant {
        // A sleep longer than a month is woken for nothing, which is cheaper than an overflow.
        const MONTH: u64 = 30 * 24 * 3600 * 1000;
        self.0 + Duration::from_millis(millis.min(self.now() + MONTH))
    }
}
