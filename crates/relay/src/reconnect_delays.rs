//! Delaying an application that connects to the same broker again and again without lasting success (D197).

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use sansio::{Duration, Instant};

use crate::limits::{
    FREE_RECONNECTS, LASTING_CONNECTION, MAX_WATCHED_BROKERS, RECONNECT_DELAY_START, RECONNECTS_FORGOTTEN,
};

/// A broker as the application names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

#[derive(Debug)]
struct Entry {
    destination: Destination,
    /// Connects in a row that failed, or whose connection ended at once.
    failures: u32,
    /// When the last of them ended.
    failed_at: Instant,
    /// Whether the delay has been reported.
    is_reported: bool,
}

/// The delay of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    /// Until when.
    pub until: Instant,
    /// Whether it is the first time for this broker since a connection lasted.
    pub is_first: bool,
}

/// The brokers to which connects of one device failed recently.
#[derive(Debug)]
pub(crate) struct ReconnectDelays {
    entries: Vec<Entry>,
    /// The longest delay between two connects; 0 is none.
    max_delay: Duration,
}

impl ReconnectDelays {
    /// No broker has failed yet.
    pub(crate) fn new(max_delay: Duration) -> Self {
        Self { entries: Vec::new(), max_delay }
    }

    /// How long a connect to `destination` is delayed. The first few are not, so that a short failure costs nothing;
    /// then the delays double, so that a broker that has just restarted is not flooded.
    pub(crate) fn delay(&mut self, destination: &Destination, now: Instant) -> Option<Delay> {
        let max_delay = self.max_delay;
        let entry = self.entries.iter_mut().find(|entry| entry.destination == *destination)?;
        // More than 16 doublings exceed every maximum, and the shift must not overflow.
        let doublings = entry.failures.checked_sub(FREE_RECONNECTS)?.min(16);
        let delay = RECONNECT_DELAY_START.saturating_mul(1 << doublings).min(max_delay);
        let until = entry.failed_at + delay;
        if until <= now {
            return None;
        }
        let is_first = !mem::replace(&mut entry.is_reported, true);
        Some(Delay { until, is_first })
    }

    /// A connect failed, or its connection ended soon after.
    pub(crate) fn on_failure(&mut self, destination: &Destination, now: Instant) {
        self.entries.retain(|entry| now.duration_since(entry.failed_at) < RECONNECTS_FORGOTTEN);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.destination == *destination) {
            entry.failures = entry.failures.saturating_add(1);
            entry.failed_at = now;
            return;
        }
        if self.entries.len() == MAX_WATCHED_BROKERS {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.failed_at);
            let index = oldest.map_or(0, |(index, _)| index);
            self.entries.swap_remove(index);
        }
        let destination = destination.clone();
        self.entries.push(Entry { destination, failures: 1, failed_at: now, is_reported: false });
    }

    /// A connection has ended that began at `connected_at`; `was_requested` if by the application's disconnect.
    pub(crate) fn on_end(
        &mut self,
        destination: &Destination,
        connected_at: Instant,
        was_requested: bool,
        now: Instant,
    ) {
        if was_requested || now.duration_since(connected_at) >= LASTING_CONNECTION {
            self.entries.retain(|entry| entry.destination != *destination);
        } else {
            self.on_failure(destination, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const MAX_DELAY: Duration = Duration::from_secs(4);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn broker(port: u16) -> Destination {
        Destination { host: "broker.example".into(), port }
    }

    /// Shows D197.
    #[test]
    fn delays_double_from_the_fourth_connect_up_to_the_longest() {
        let mut delays = ReconnectDelays::new(MAX_DELAY);
        let mut now = at(1000);
        let mut observed = Vec::new();
        for _ in 0..9 {
            let delay = delays.delay(&broker(1883), now);
            let until = delay.map_or(now, |delay| delay.until);
            observed.push(until.duration_since(now).as_millis());
            assert_eq!(delay.is_some_and(|delay| delay.is_first), observed.len() == 4);
            now = until;
            delays.on_failure(&broker(1883), now);
        }
        assert_eq!(observed, [0, 0, 0, 250, 500, 1000, 2000, 4000, 4000]);
        assert_eq!(delays.delay(&broker(1884), now), None, "another port is another broker");
    }

    /// Shows D197.
    #[test]
    fn an_application_with_pauses_of_its_own_is_not_delayed() {
        let mut delays = ReconnectDelays::new(MAX_DELAY);
        for attempt in 0..100 {
            assert_eq!(delays.delay(&broker(1883), at(attempt * 4000)), None);
            delays.on_failure(&broker(1883), at(attempt * 4000));
        }
    }

    /// Shows D197.
    #[test]
    fn a_lasting_connection_or_a_requested_end_clears_earlier_failures() {
        for (lasted, was_requested) in [(at(0) + LASTING_CONNECTION, false), (at(1), true)] {
            let mut delays = ReconnectDelays::new(MAX_DELAY);
            (0..10).for_each(|_| delays.on_failure(&broker(1883), at(0)));
            delays.on_end(&broker(1883), at(0), was_requested, lasted);
            assert_eq!(delays.delay(&broker(1883), lasted), None);
        }
        let mut delays = ReconnectDelays::new(MAX_DELAY);
        let too_early = at(0) + (LASTING_CONNECTION - Duration::from_micros(1));
        (0..3).for_each(|_| delays.on_end(&broker(1883), at(0), false, too_early));
        assert!(delays.delay(&broker(1883), too_early).is_some());
    }

    #[test]
    fn remembered_failures_are_bounded_and_expire() {
        let mut delays = ReconnectDelays::new(MAX_DELAY);
        for port in 0..100 {
            (0..4).for_each(|_| delays.on_failure(&broker(port), at(u64::from(port))));
            assert!(delays.entries.len() <= MAX_WATCHED_BROKERS);
        }
        assert!(delays.delay(&broker(99), at(99)).is_some(), "{}", format!("{delays:?}"));
        delays.on_failure(&broker(1), at(99) + RECONNECTS_FORGOTTEN);
        assert_eq!(delays.entries.len(), 1);
    }

    #[test]
    fn a_longest_delay_of_zero_is_no_delay() {
        let mut delays = ReconnectDelays::new(Duration::ZERO);
        (0..10).for_each(|_| delays.on_failure(&broker(1883), at(5)));
        assert_eq!(delays.delay(&broker(1883), at(5)), None);
    }
}
