//! Slowing down an application that connects to the same broker again and again without lasting success.

use alloc::string::String;
use alloc::vec::Vec;

use sansio::{Duration, Instant};

use crate::limits::{
    FREE_RECONNECTS, LASTING_CONNECTION, RECONNECT_DELAY_START, RECONNECTS_FORGOTTEN, WATCHED_BROKERS,
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

/// What a connect has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Until when.
    pub until: Instant,
    /// Whether it is the first time for this broker since a connection lasted.
    pub is_first: bool,
}

/// The brokers of one device whose connects failed of late.
#[derive(Debug)]
pub(crate) struct Reconnects {
    entries: Vec<Entry>,
    /// The longest delay between two connects; 0 is none.
    max_delay: Duration,
}

impl Reconnects {
    /// No broker has failed yet.
    pub(crate) fn new(max_delay: Duration) -> Self {
        Self { entries: Vec::new(), max_delay }
    }

    /// Whether a connect to `destination` has to wait. The first few do not, then the pauses double.
    pub(crate) fn wait(&mut self, destination: &Destination, now: Instant) -> Option<Wait> {
        let max_delay = self.max_delay;
        let entry = self.entries.iter_mut().find(|entry| entry.destination == *destination)?;
        let doublings = entry.failures.checked_sub(FREE_RECONNECTS)?.min(16);
        let delay = RECONNECT_DELAY_START.saturating_mul(1 << doublings).min(max_delay);
        let until = entry.failed_at + delay;
        if until <= now {
            return None;
        }
        let is_first = !core::mem::replace(&mut entry.is_reported, true);
        Some(Wait { until, is_first })
    }

    /// A connect failed, or its connection ended soon after.
    pub(crate) fn failed(&mut self, destination: &Destination, now: Instant) {
        self.entries.retain(|entry| now.duration_since(entry.failed_at) < RECONNECTS_FORGOTTEN);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.destination == *destination) {
            entry.failures = entry.failures.saturating_add(1);
            entry.failed_at = now;
            return;
        }
        if self.entries.len() == WATCHED_BROKERS {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.failed_at);
            let index = oldest.map_or(0, |(index, _)| index);
            self.entries.swap_remove(index);
        }
        let destination = destination.clone();
        self.entries.push(Entry { destination, failures: 1, failed_at: now, is_reported: false });
    }

    /// A connection has ended that began at `connected_at`. `is_wanted`: the application ended it with a disconnect.
    pub(crate) fn ended(
        &mut self,
        destination: &Destination,
        connected_at: Instant,
        is_wanted: bool,
        now: Instant,
    ) {
        if is_wanted || now.duration_since(connected_at) >= LASTING_CONNECTION {
            self.entries.retain(|entry| entry.destination != *destination);
        } else {
            self.failed(destination, now);
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
        let mut reconnects = Reconnects::new(MAX_DELAY);
        let mut now = at(1000);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let wait = reconnects.wait(&broker(1883), now);
            let until = wait.map_or(now, |wait| wait.until);
            pauses.push(until.duration_since(now).as_millis());
            assert_eq!(wait.is_some_and(|wait| wait.is_first), pauses.len() == 4);
            now = until;
            reconnects.failed(&broker(1883), now);
        }
        assert_eq!(pauses, [0, 0, 0, 250, 500, 1000, 2000, 4000, 4000]);
        assert_eq!(reconnects.wait(&broker(1884), now), None, "another port is another broker");
    }

    /// Shows D197.
    #[test]
    fn an_application_that_paces_itself_does_not_wait() {
        let mut reconnects = Reconnects::new(MAX_DELAY);
        for attempt in 0..100 {
            assert_eq!(reconnects.wait(&broker(1883), at(attempt * 4000)), None);
            reconnects.failed(&broker(1883), at(attempt * 4000));
        }
    }

    /// Shows D197.
    #[test]
    fn a_connection_that_lasts_or_is_ended_as_wished_makes_good() {
        for (lasted, is_wanted) in [(at(0) + LASTING_CONNECTION, false), (at(1), true)] {
            let mut reconnects = Reconnects::new(MAX_DELAY);
            (0..10).for_each(|_| reconnects.failed(&broker(1883), at(0)));
            reconnects.ended(&broker(1883), at(0), is_wanted, lasted);
            assert_eq!(reconnects.wait(&broker(1883), lasted), None);
        }
        let mut reconnects = Reconnects::new(MAX_DELAY);
        let too_early = at(0) + (LASTING_CONNECTION - Duration::from_micros(1));
        (0..3).for_each(|_| reconnects.ended(&broker(1883), at(0), false, too_early));
        assert!(reconnects.wait(&broker(1883), too_early).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let mut reconnects = Reconnects::new(MAX_DELAY);
        for port in 0..100 {
            (0..4).for_each(|_| reconnects.failed(&broker(port), at(u64::from(port))));
            assert!(reconnects.entries.len() <= WATCHED_BROKERS);
        }
        assert!(reconnects.wait(&broker(99), at(99)).is_some(), "{}", format!("{reconnects:?}"));
        reconnects.failed(&broker(1), at(99) + RECONNECTS_FORGOTTEN);
        assert_eq!(reconnects.entries.len(), 1);
    }

    #[test]
    fn no_pause_is_none() {
        let mut reconnects = Reconnects::new(Duration::ZERO);
        (0..10).for_each(|_| reconnects.failed(&broker(1883), at(5)));
        assert_eq!(reconnects.wait(&broker(1883), at(5)), None);
    }
}
