//! Guest time against the wall clock: 160 cycles a microsecond, except where the host cannot keep up.

use std::time::{Duration, Instant};

use crate::map::CLOCK_HZ;

/// Most cycles the guest may be behind. Beyond, its time stands still for the rest, as if the device had been
/// stopped, rather than race to catch up.
pub const MAX_LAG: u64 = CLOCK_HZ as u64 / 4;

/// Turns moments of the wall clock into cycles and back.
#[derive(Debug)]
pub struct WallClock {
    /// The moment of cycle `start`, put off each time the guest's time stood still.
    origin: Instant,
    start: u64,
}

impl WallClock {
    /// A clock by which the guest is at cycle `cycle` at `now`.
    pub fn start(now: Instant, cycle: u64) -> WallClock {
        WallClock { origin: now, start: cycle }
    }

    /// The cycle the guest should be at, at `now`, when it is at `guest`. Gives up what it is too far behind.
    pub fn target(&mut self, now: Instant, guest: u64) -> u64 {
        let target = self.cycle_at(now);
        let reachable = guest.saturating_add(MAX_LAG);
        if target > reachable {
            (self.origin, self.start) = (now, reachable);
        }
        target.min(reachable)
    }

    /// The moment at which the guest should be at `cycle`.
    pub fn moment(&self, cycle: u64) -> Instant {
        // A moment too far off to name is as good as a year.
        let cycles = cycle.saturating_sub(self.start).min(YEAR);
        // Six and a quarter nanoseconds a cycle; rounded up, so that the cycle is reached.
        self.origin + Duration::from_nanos((cycles * 25).div_ceil(4))
    }

    /// The cycle a guest that kept up is at, at `now`.
    pub fn cycle_at(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.origin);
        let nanos = u64::from(elapsed.subsec_nanos());
        self.start + elapsed.as_secs() * u64::from(CLOCK_HZ) + nanos * 4 / 25
    }
}

/// A year in cycles.
const YEAR: u64 = 365 * 24 * 3600 * CLOCK_HZ as u64;

const _: () = assert!(CLOCK_HZ == 160_000_000, "the conversions above are for this frequency");

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
            let before = at.checked_sub(Duration::from_nanos(10)).expect("a moment");
            assert!(clock.target(before, cycle) <= cycle, "{cycle}");
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
        assert_eq!(clock.moment(MAX_LAG + 160_000), start + 10_001 * MILLI);
    }

    #[test]
    fn no_cycle_is_too_far_off() {
        let start = Instant::now();
        assert!(WallClock::start(start, 0).moment(u64::MAX) > start);
    }
}
