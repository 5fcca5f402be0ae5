//! The clocks of the cloud: the wall clock, for timestamps and devices, and a monotonic one for the sessions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::time_provider::TimeProvider;

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

/// The start of the cloud: the epoch of the time its sessions count in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> sansio::Instant {
        sansio::Instant::ZERO + self.0.elapsed().into()
    }

    /// The runtime's instant at which [`Epoch::now`] is at least `at`.
    pub(crate) fn instant(self, at: sansio::Instant) -> Instant {
        // Bounded, so that the addition cannot overflow. A sleep of more than a month ends early, which is harmless.
        const MONTH: sansio::Duration = sansio::Duration::from_secs(30 * 24 * 3600);
        self.0 + at.min(self.now() + MONTH).duration_since(sansio::Instant::ZERO).into()
    }
}

/// The time at which certificates of the cloud's own authority are verified: always within their validity.
///
/// They are valid until they are revoked. On a machine whose clock shows 1970 their dates would refuse every device
/// (D164).
#[derive(Debug)]
pub(crate) struct CertificateTime;

impl TimeProvider for CertificateTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(within_validity(since_1970())))
    }
}

/// The nearest time at which every certificate ever issued is valid.
fn within_validity(now: Duration) -> Duration {
    /// 2020-01-02 and 9999-12-30: a day after the validity of the oldest authorities begins, and a day before it ends.
    const FIRST: Duration = Duration::from_hours(438_312);
    const LAST: Duration = Duration::from_hours(70_389_480);
    now.clamp(FIRST, LAST)
}

/// Decides whether the wall clock can be trusted for deleting by age (D164).
///
/// A clock that moves by more than the time that has passed may be wrong, and is not trusted for [`DISTRUST_TIME`]:
/// time for it to be corrected, or for an operator to see the warning.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    /// The wall clock at the last update, milliseconds since 1970; at the start the latest time recorded in the store.
    wall: i64,
    /// The monotonic clock at the last update, milliseconds; `None` at the start.
    monotonic: Option<u64>,
    /// When on the monotonic clock the wall clock is trusted again.
    distrusted_until: u64,
}

/// How long the wall clock is not trusted after a step forward, milliseconds: a day.
const DISTRUST_TIME: u64 = 24 * 3600 * 1000;

/// Longest step forward that is trusted while the cloud runs, milliseconds: an hour.
const MAX_STEP: i64 = 3600 * 1000;

/// Longest time between two runs of a cloud that is trusted, milliseconds: a day.
const MAX_DOWNTIME: i64 = 24 * 3600 * 1000;

impl ClockWatch {
    /// Starts with the latest time recorded in the store, milliseconds since 1970; `None` in an empty store.
    pub(crate) fn new(known: Option<i64>, wall: i64) -> Self {
        Self { wall: known.unwrap_or(wall), monotonic: None, distrusted_until: 0 }
    }

    /// Compares both clocks. Returns the step forward in milliseconds, if there was one since the last update.
    pub(crate) fn update(&mut self, wall: i64, monotonic: u64) -> Option<i64> {
        let passed = self.monotonic.map(|before| monotonic.saturating_sub(before).cast_signed());
        let step = wall.saturating_sub(self.wall).saturating_sub(passed.unwrap_or(0));
        (self.wall, self.monotonic) = (wall, Some(monotonic));
        if step <= passed.map_or(MAX_DOWNTIME, |_| MAX_STEP) {
            return None;
        }
        self.distrusted_until = monotonic.saturating_add(DISTRUST_TIME);
        Some(step)
    }

    /// Whether the wall clock can be trusted, as of the last update.
    pub(crate) fn is_trusted(&self) -> bool {
        self.monotonic.is_some_and(|monotonic| monotonic >= self.distrusted_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600 * 1000;
    const DAY: i64 = 24 * HOUR;
    /// Some day in 2026.
    const NOW: i64 = 1_780_000_000_000;

    /// Shows D164.
    #[test]
    fn a_clock_that_keeps_time_is_trusted() {
        let mut watch = ClockWatch::new(Some(NOW - HOUR), NOW);
        for hour in 0..100 {
            assert_eq!(watch.update(NOW + hour * HOUR, (hour * HOUR).cast_unsigned()), None);
            assert!(watch.is_trusted());
        }
        let mut fresh = ClockWatch::new(None, NOW);
        assert_eq!(fresh.update(NOW, 5), None, "an empty store has nothing to lose");
        assert!(fresh.is_trusted());
    }

    /// Shows D164.
    #[test]
    fn a_clock_that_is_ahead_at_the_start_is_not_trusted_for_a_day() {
        let mut watch = ClockWatch::new(Some(NOW), NOW + 40 * DAY);
        assert_eq!(watch.update(NOW + 40 * DAY, 1000), Some(40 * DAY));
        assert!(!watch.is_trusted());
        // It is corrected within the day: nothing was deleted.
        assert_eq!(watch.update(NOW + HOUR, 1000 + HOUR as u64), None);
        assert!(!watch.is_trusted());
        assert_eq!(watch.update(NOW + DAY + 1, 1000 + DAY as u64 + 1), None);
        assert!(watch.is_trusted());
    }

    /// Shows D164.
    #[test]
    fn a_step_forward_while_the_cloud_runs_is_not_trusted_for_a_day() {
        let mut watch = ClockWatch::new(Some(NOW), NOW);
        assert_eq!(watch.update(NOW, 0), None);
        assert_eq!(watch.update(NOW + 2 * HOUR, 60_000), Some(2 * HOUR - 60_000));
        assert!(!watch.is_trusted());
        assert_eq!(watch.update(NOW + 2 * HOUR + DAY, 60_000 + DAY as u64), None);
        assert!(watch.is_trusted(), "it has stayed so for a day");
        assert_eq!(watch.update(NOW, 60_001 + DAY as u64), None, "a step back deletes nothing");
        assert!(watch.is_trusted());
    }

    /// Shows D164.
    #[test]
    fn certificates_are_verified_within_their_validity_whatever_the_clock_says() {
        for (now, judged) in [(0, 1_577_923_200), (1_780_000_000, 1_780_000_000), (u64::MAX, 253_402_128_000)]
        {
            assert_eq!(within_validity(Duration::from_secs(now)), Duration::from_secs(judged));
        }
    }
}
