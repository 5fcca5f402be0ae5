//! Guest time against the wall clock: 160 cycles a microsecond, times the scale, except where the host is too slow.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use armv8m::Cycles;

use crate::memory_map::{CLOCK_HZ, CYCLES_PER_MICRO};

/// Most cycles the guest may be behind. Beyond that, its time stops for the rest, as if the device had been
/// stopped, rather than race to catch up.
pub const MAX_LAG: Cycles = CLOCK_HZ as u64 / 4;

/// How many times as fast as the wall clock a guest's time goes, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScale(u32);

impl TimeScale {
    /// As fast as the wall clock.
    pub const ONE: Self = Self(1000);

    /// Rounded down, 1 to 1000.
    pub fn whole(self) -> u32 {
        self.0 / 1000
    }

    /// As a number.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// The greatest.
    pub const MAX: Self = Self(1_000_000);
}

impl Default for TimeScale {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for TimeScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor())
    }
}

/// A text that is no time scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScaleError;

impl fmt::Display for TimeScaleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a number from 1 to {}, with at most three decimals", TimeScale::MAX)
    }
}

impl std::error::Error for TimeScaleError {}

impl FromStr for TimeScale {
    type Err = TimeScaleError;

    fn from_str(text: &str) -> Result<Self, TimeScaleError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
            return Err(TimeScaleError);
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse().map_err(|_| TimeScaleError)?;
        let range = Self::ONE.0..=Self::MAX.0;
        if range.contains(&thousandths) { Ok(Self(thousandths)) } else { Err(TimeScaleError) }
    }
}

/// Turns moments of the wall clock into cycles and back.
#[derive(Debug)]
pub struct WallClock {
    /// The instant of cycle `start`, postponed each time the guest's time was stopped.
    origin: Instant,
    start: u64,
    scale: TimeScale,
    /// Cycles that the guest has lost.
    lost: Cycles,
}

impl WallClock {
    /// A clock by which the guest is at cycle `cycle` at `now`.
    pub fn start(now: Instant, cycle: Cycles) -> Self {
        Self { origin: now, start: cycle, scale: TimeScale::ONE, lost: 0 }
    }

    /// From `now` on the guest's time goes so fast.
    pub fn set_scale(&mut self, now: Instant, scale: TimeScale) {
        if scale != self.scale {
            (self.origin, self.start, self.scale) = (now, self.cycle_at(now), scale);
        }
    }

    /// Cycles the guest was too far behind, and will not catch up with.
    pub fn lost(&self) -> Cycles {
        self.lost
    }

    /// The guest, at cycle `guest`, does not catch up with what it is behind at `now`.
    pub fn forget_lag(&mut self, now: Instant, guest: Cycles) {
        let behind = self.cycle_at(now).saturating_sub(guest);
        if behind > 0 {
            self.lost = self.lost.saturating_add(behind);
            (self.origin, self.start) = (now, guest);
        }
    }

    /// The cycle the guest should be at, at `now`, when it is at `guest`. Drops the cycles it is too far behind.
    pub fn target(&mut self, now: Instant, guest: Cycles) -> Cycles {
        let target = self.cycle_at(now);
        let reachable = guest.saturating_add(MAX_LAG);
        if target > reachable {
            self.lost = self.lost.saturating_add(target - reachable);
            (self.origin, self.start) = (now, reachable);
        }
        target.min(reachable)
    }

    /// The moment at which the guest should be at `cycle`.
    pub fn moment(&self, cycle: Cycles) -> Instant {
        // A moment too far off to name is as good as a year.
        let cycles = cycle.saturating_sub(self.start).min(YEAR);
        // Six and a quarter nanoseconds a cycle at scale one; rounded up, so that the cycle is reached.
        let nanos = (u128::from(cycles) * 25 * 1000).div_ceil(4 * u128::from(self.scale.0));
        self.origin + Duration::from_nanos(nanos as u64)
    }

    /// The cycle at which a guest that is not behind is, at `now`.
    pub fn cycle_at(&self, now: Instant) -> Cycles {
        let elapsed = now.saturating_duration_since(self.origin);
        let cycles = elapsed.as_nanos() * 4 * u128::from(self.scale.0) / 25_000;
        self.start.saturating_add(u64::try_from(cycles).unwrap_or(u64::MAX))
    }
}

/// The slowest rate of the kernel's clock, which is that of the wall clock (D220): the cloud's timeouts, and the time
/// of day, do not wait for a guest that falls behind.
#[derive(Debug)]
pub struct MinimumPace {
    /// At `origin` the kernel's clock was at `cycle`.
    origin: Instant,
    cycle: Cycles,
    /// Cycles by which it is ahead of the guest's.
    skipped: Cycles,
}

impl MinimumPace {
    /// The kernel's clock goes with the guest's, which is at cycle `guest` at `now`.
    pub fn start(now: Instant, guest: Cycles) -> Self {
        Self { origin: now, cycle: guest, skipped: 0 }
    }

    /// Cycles by which the kernel's clock goes forward at `now`, when the guest is at cycle `guest`. A clock that is a
    /// little late is left alone: each time it is put forward is an input of the device.
    pub fn behind(&mut self, now: Instant, guest: Cycles) -> Cycles {
        let kernel = guest.saturating_add(self.skipped);
        let wall = WallClock::start(self.origin, self.cycle).cycle_at(now);
        if kernel >= wall {
            (self.origin, self.cycle) = (now, kernel);
        }
        if wall.saturating_sub(kernel) <= MAX_LAG {
            return 0;
        }
        let skip = wall - kernel - MAX_LAG / 2;
        self.skipped = self.skipped.saturating_add(skip);
        skip
    }
}

/// How fast the device's time goes, as a part or a multiple of the wall clock's.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Pace(f64);

impl Pace {
    /// The pace of a guest that took `wall` for `cycles`; none for no time.
    pub fn of(cycles: Cycles, wall: Duration) -> Option<Self> {
        let guest = Duration::from_micros(cycles / CYCLES_PER_MICRO);
        (!wall.is_zero()).then(|| Self(guest.as_secs_f64() / wall.as_secs_f64()))
    }

    /// Whether it is clearly less than `scale` demands.
    pub fn is_below(self, scale: TimeScale) -> bool {
        self.0 < NOTICEABLE * scale.factor()
    }
}

impl fmt::Display for Pace {
    /// With two decimals: `0.11`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// The part of the demanded pace below which a guest counts as too slow: less than the error of a measurement.
const NOTICEABLE: f64 = 0.9;

/// Wall-clock time over which a pace is measured, and the shortest that gives one.
const PACE_INTERVAL: Duration = Duration::from_secs(1);
const MIN_PACE_INTERVAL: Duration = Duration::from_millis(50);

/// Measures the pace of a guest while it runs.
#[derive(Debug, Default)]
pub struct PaceMeter {
    /// Where the current measurement began.
    began: Option<(Instant, Cycles)>,
    pace: Option<Pace>,
}

impl PaceMeter {
    /// The guest runs, and is at cycle `guest` at `now`. Returns whether there is a new measurement.
    pub fn observe(&mut self, now: Instant, guest: Cycles) -> bool {
        let (since, _) = *self.began.get_or_insert((now, guest));
        now.saturating_duration_since(since) >= PACE_INTERVAL && self.measure(now, guest)
    }

    /// The guest, at cycle `guest` at `now`, stops. Returns whether there is a new measurement.
    pub fn stop(&mut self, now: Instant, guest: Cycles) -> bool {
        let is_new = self.measure(now, guest);
        self.began = None;
        is_new
    }

    /// The last measurement.
    pub fn pace(&self) -> Option<Pace> {
        self.pace
    }

    fn measure(&mut self, now: Instant, guest: Cycles) -> bool {
        let Some((since, from)) = self.began else { return false };
        let elapsed = now.saturating_duration_since(since);
        if elapsed < MIN_PACE_INTERVAL {
            return false;
        }
        self.pace = Pace::of(guest.saturating_sub(from), elapsed);
        self.began = Some((now, guest));
        true
    }
}

/// A year in cycles.
const YEAR: Cycles = 365 * 24 * 3600 * CLOCK_HZ as u64;

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
    fn time_stops_beyond_the_greatest_lag() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 0);
        assert_eq!(clock.target(start + 250 * MILLI, 0), MAX_LAG);
        assert_eq!(clock.target(start + 10_000 * MILLI, 0), MAX_LAG);
        assert_eq!(
            clock.target(start + 10_001 * MILLI, MAX_LAG),
            MAX_LAG + 160_000,
            "and continues from there"
        );
        assert_eq!(clock.moment(MAX_LAG + 160_000), start + 10_001 * MILLI);
    }

    /// Shows D341.
    #[test]
    fn a_guest_that_does_not_catch_up_continues_at_the_wall_clocks_rate() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 0);
        clock.forget_lag(start + 200 * MILLI, 1000);
        assert_eq!(clock.lost(), 200 * 160_000 - 1000);
        assert_eq!(clock.moment(1000 + 160_000), start + 201 * MILLI);
        clock.forget_lag(start + 201 * MILLI, 1_000_000);
        assert_eq!(clock.moment(1000 + 160_000), start + 201 * MILLI, "it is ahead, and waits");
    }

    /// Shows D342.
    #[test]
    fn a_pace_is_measured_over_a_second_in_which_the_guest_runs() {
        let start = Instant::now();
        let (mut meter, tenth) = (PaceMeter::default(), u64::from(CLOCK_HZ) / 10);
        assert!(!meter.observe(start, 500) && !meter.observe(start + 999 * MILLI, 500 + tenth));
        assert_eq!(meter.pace(), None);
        assert!(meter.observe(start + 1000 * MILLI, 500 + tenth));
        assert_eq!(meter.pace().expect("measured").to_string(), "0.10");
        assert!(!meter.stop(start + 1010 * MILLI, 500 + tenth), "too short to say");
        // A debugger stops it for an hour; then it runs as it should.
        assert!(!meter.observe(start + 3_600_000 * MILLI, 600 + tenth));
        assert!(meter.stop(start + 3_600_500 * MILLI, 600 + 6 * tenth));
        let pace = meter.pace().expect("measured");
        assert_eq!(pace.to_string(), "1.00");
        assert!(!pace.is_below(TimeScale::ONE) && pace.is_below("1.5".parse().expect("a scale")));
    }

    /// Shows D220.
    #[test]
    fn the_kernels_clock_is_never_far_behind_the_wall_clock() {
        let start = Instant::now();
        let mut pace = MinimumPace::start(start, 1000);
        let (mut guest, mut kernel) = (1000, 1000);
        // A guest at a tenth of its speed.
        for millis in 1..=60_000 {
            guest += 16_000;
            kernel += 16_000;
            let wall = 1000 + u64::from(millis) * 160_000;
            let skip = pace.behind(start + millis * MILLI, guest);
            kernel += skip;
            assert!(skip == 0 || skip >= MAX_LAG / 2, "{skip}: a few large steps");
            assert!(kernel <= wall && wall - kernel <= MAX_LAG, "{millis}");
        }
    }

    /// Shows D220, D141.
    #[test]
    fn a_guest_ahead_of_the_wall_clock_that_then_falls_behind_is_not_waited_for() {
        let start = Instant::now();
        let mut pace = MinimumPace::start(start, 0);
        let hour = 3600 * u64::from(CLOCK_HZ);
        assert_eq!(pace.behind(start + 1000 * MILLI, hour), 0, "with scaled time");
        let skip = pace.behind(start + 2000 * MILLI, hour);
        assert_eq!(skip, u64::from(CLOCK_HZ) - MAX_LAG / 2, "a second in which the guest did nothing");
        assert_eq!(pace.behind(start + 2000 * MILLI, hour), 0);
    }

    /// Shows D141.
    #[test]
    fn a_scaled_clock_goes_n_times_as_fast_from_where_it_was() {
        let start = Instant::now();
        let mut clock = WallClock::start(start, 1000);
        clock.set_scale(start + MILLI, "2.5".parse().expect("a scale"));
        assert_eq!(clock.cycle_at(start + 3 * MILLI), 1000 + 160_000 + 800_000);
        for cycle in [200_000, 200_001, 1_000_000_007] {
            let at = clock.moment(cycle);
            assert!(clock.cycle_at(at) >= cycle, "{cycle}");
            let before = at.checked_sub(Duration::from_nanos(10)).expect("a moment");
            assert!(clock.cycle_at(before) < cycle, "{cycle}");
        }
        clock.set_scale(start + 3 * MILLI, TimeScale::ONE);
        assert_eq!(clock.cycle_at(start + 4 * MILLI), 1000 + 160_000 + 800_000 + 160_000);
    }

    #[test]
    fn what_is_no_scale_is_refused() {
        for (text, thousandths) in [("1", 1000), ("1.5", 1500), ("10.125", 10_125), ("1000", 1_000_000)] {
            assert_eq!(text.parse(), Ok(TimeScale(thousandths)), "{text}");
        }
        for text in ["", "0", "0.999", "-1", "1000.001", "1e3", "1.", ".5", "1.0000", "fast", "9999999999"] {
            assert_eq!(text.parse::<TimeScale>(), Err(TimeScaleError), "{text}");
        }
        assert_eq!(TimeScale(1500).to_string(), "1.5");
    }

    #[test]
    fn no_cycle_is_too_far_off() {
        let start = Instant::now();
        assert!(WallClock::start(start, 0).moment(u64::MAX) > start);
    }
}
