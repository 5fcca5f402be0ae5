//! The two clocks of the cloud: the wall's, for people and devices, and one that never jumps, for the sessions.

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
        // A sleep longer than a month is woken for nothing, which is cheaper than an overflow.
        const MONTH: sansio::Duration = sansio::Duration::from_secs(30 * 24 * 3600);
        self.0 + at.min(self.now() + MONTH).duration_since(sansio::Instant::ZERO).into()
    }
}

/// The time by which the certificates of the cloud's own authority are judged: always within their validity.
///
/// They are meant to be valid until they are revoked. On a machine whose clock stands at 1970 the date in them would turn every
/// device away (D164).
#[derive(Debug)]
pub(crate) struct CertificateTime;

impl TimeProvider for CertificateTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(valid(since_1970())))
    }
}

/// The nearest time at which every certificate ever issued is valid.
fn valid(now: Duration) -> Duration {
    /// 2020-01-02, a day after the beginning of the oldest authorities' validity, and 9999-12-30, a day before its end.
    const FIRST: Duration = Duration::from_hours(438_312);
    const LAST: Duration = Duration::from_hours(70_389_480);
    now.clamp(FIRST, LAST)
}

/// Whether the wall clock can be believed where believing it deletes something (D164).
///
/// A clock that moves by more than the time that has passed may be wrong, and is not believed for [`DOUBT`]: time for it to be set
/// right, or for an operator to see the warning.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    /// The wall clock when it was looked at last, milliseconds since 1970; at the start the latest moment the store knows of.
    wall: i64,
    /// The steady clock then, milliseconds; `None` at the start.
    steady: Option<u64>,
    /// Until when on the steady clock the wall clock is not believed.
    doubted_until: u64,
}

/// How long the wall clock is not believed after a step forward, milliseconds: a day.
const DOUBT: u64 = 24 * 3600 * 1000;

/// The longest step forward that is believed while the cloud runs, milliseconds: an hour.
const STEP: i64 = 3600 * 1000;

/// The longest time between two runs of a cloud that is believed, milliseconds: a day.
const PAUSE: i64 = 24 * 3600 * 1000;

impl ClockWatch {
    /// Begins with the latest moment the store knows of, milliseconds since 1970; `None` in an empty store.
    pub(crate) fn new(known: Option<i64>, wall: i64) -> Self {
        Self { wall: known.unwrap_or(wall), steady: None, doubted_until: 0 }
    }

    /// Looks at both clocks. Answers the step forward in milliseconds that has just been noticed, if one has.
    pub(crate) fn look(&mut self, wall: i64, steady: u64) -> Option<i64> {
        let passed = self.steady.map(|before| steady.saturating_sub(before).cast_signed());
        let step = wall.saturating_sub(self.wall).saturating_sub(passed.unwrap_or(0));
        (self.wall, self.steady) = (wall, Some(steady));
        if step <= passed.map_or(PAUSE, |_| STEP) {
            return None;
        }
        self.doubted_until = steady.saturating_add(DOUBT);
        Some(step)
    }

    /// Whether the wall clock can be believed, as of the last look.
    pub(crate) fn is_believed(&self) -> bool {
        self.steady.is_some_and(|steady| steady >= self.doubted_until)
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
    fn a_clock_that_keeps_time_is_believed() {
        let mut watch = ClockWatch::new(Some(NOW - HOUR), NOW);
        for hour in 0..100 {
            assert_eq!(watch.look(NOW + hour * HOUR, (hour * HOUR).cast_unsigned()), None);
            assert!(watch.is_believed());
        }
        let mut fresh = ClockWatch::new(None, NOW);
        assert_eq!(fresh.look(NOW, 5), None, "an empty store has nothing to lose");
        assert!(fresh.is_believed());
    }

    /// Shows D164.
    #[test]
    fn a_clock_that_is_ahead_at_the_start_is_not_believed_for_a_day() {
        let mut watch = ClockWatch::new(Some(NOW), NOW + 40 * DAY);
        assert_eq!(watch.look(NOW + 40 * DAY, 1000), Some(40 * DAY));
        assert!(!watch.is_believed());
        // It is set right within the day: nothing has happened.
        assert_eq!(watch.look(NOW + HOUR, 1000 + HOUR as u64), None);
        assert!(!watch.is_believed());
        assert_eq!(watch.look(NOW + DAY + 1, 1000 + DAY as u64 + 1), None);
        assert!(watch.is_believed());
    }

    /// Shows D164.
    #[test]
    fn a_step_forward_while_the_cloud_runs_is_not_believed_for_a_day() {
        let mut watch = ClockWatch::new(Some(NOW), NOW);
        assert_eq!(watch.look(NOW, 0), None);
        assert_eq!(watch.look(NOW + 2 * HOUR, 60_000), Some(2 * HOUR - 60_000));
        assert!(!watch.is_believed());
        assert_eq!(watch.look(NOW + 2 * HOUR + DAY, 60_000 + DAY as u64), None);
        assert!(watch.is_believed(), "it has stayed so for a day");
        assert_eq!(watch.look(NOW, 60_001 + DAY as u64), None, "a step back deletes nothing");
        assert!(watch.is_believed());
    }

    /// Shows D164.
    #[test]
    fn certificates_are_judged_within_their_validity_whatever_the_clock_says() {
        for (now, judged) in [(0, 1_577_923_200), (1_780_000_000, 1_780_000_000), (u64::MAX, 253_402_128_000)]
        {
            assert_eq!(valid(Duration::from_secs(now)), Duration::from_secs(judged));
        }
    }
}
