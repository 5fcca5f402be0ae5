//! Guest time against the wall clock: 160 cycles a microsecond, except where the host cannot keep up.

use std::time::{Duration, Instant};

use crate::map::CLOCK_HZ;

/// Most cycles the guest may be behind. Beyond, its time stands still for the rest, as if the device had been
/// stopped, rather than race to catch up.
pub const MAX_LAG: u64 = CLOCK_HZ as u64 / 4;

/// Turns moments of the wall clock into cycles and back.
#[derive(Debug)]
pub struct WallClock {
    origin: Instant,
    /// The cycle at the origin; less than zero once time stood still.
    offset: i128,
}

impl WallClock {
    /// A clock by which the guest is at cycle `cycle` at `now`.
    pub fn start(now: Instant, cycle: u64) -> WallClock {
        WallClock { origin: now, offset: cycle.into() }
    }

    /// The cycle the guest should be at, at `now`, when it is at `guest`. Gives up what it is too far behind.
    pub fn target(&mut self, now: Instant, guest: u64) -> u64 {
        let target = self.cycle_at(now);
        let excess = target - i128::from(guest) - i128::from(MAX_LAG);
        if excess > 0 {
            self.offset -= excess;
        }
        (target - excess.max(0)).max(0) as u64
    }

    /// The moment at which the guest should be at `cycle`.
    pub fn moment(&self, cycle: u64) -> Instant {
        let cycles = (i128::from(cycle) - self.offset).max(0);
        let nanos = (cycles * 1_000_000_000).div_euclid(CLOCK_HZ.into()) + 1;
        // A moment too far off to name is as good as a year.
        self.origin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(YEAR)
    }

    fn cycle_at(&self, now: Instant) -> i128 {
        let nanos = now.saturating_duration_since(self.origin).as_nanos() as i128;
        self.offset + nanos * i128::from(CLOCK_HZ) / 1_000_000_000
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_millisecond_is_160_000_cycles() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 1000);
        assert_eq!(clock.target(start, 1000), 1000);
        assert_eq!(clock.target(start + MILLI, 1000), 161_000);
    }

    #[test]
    fn at_the_moment_of_a_cycle_the_cycle_is_reached() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 0);
        for cycle in [0, 1, 7, 159_999, 160_001, 1_000_000_007] {
            let at = clock.moment(cycle);
            assert!(clock.target(at, cycle) >= cycle, "{cycle}");
            assert!(clock.target(at - Duration::from_nanos(10), cycle) <= cycle, "{cycle}");
        }
    }

    #[test]
    fn time_stands_still_beyond_the_greatest_lag() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 0);
        assert_eq!(clock.target(start + 250 * MILLI, 0), MAX_LAG);
        assert_eq!(clock.target(start + 10_000 * MILLI, 0), MAX_LAG);
        assert_eq!(
            clock.target(start + 10_001 * MILLI, MAX_LAG),
            MAX_LAG + 160_000,
            "and goes on from there"
        );
        assert_eq!(clock.moment(MAX_LAG + 160_000), start + 10_001 * MILLI + Duration::from_nanos(1));
    }

    #[test]
    fn no_cycle_is_too_far_off() {
        let start = Instant::now();
        assert!(WallClock::start(start, 0).moment(u64::MAX) > start);
    }
}
