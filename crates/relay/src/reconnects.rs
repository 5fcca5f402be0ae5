//! Slowing down an application that connects to the same broker again and again without lasting success.

use alloc::string::String;
use alloc::vec::Vec;

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
    /// When the last of them ended, milliseconds.
    failed_at: u64,
    told: bool,
}

/// What a connect has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Until when, milliseconds.
    pub until: u64,
    /// Whether it is the first time for this broker since a connection lasted.
    pub is_first: bool,
}

/// The brokers of one device whose connects failed of late.
#[derive(Debug)]
pub(crate) struct Reconnects {
    entries: Vec<Entry>,
    /// Milliseconds between two connects at most; 0 is no waiting.
    most: u64,
}

impl Reconnects {
    /// None yet; two connects are at most `most` milliseconds apart by it.
    pub(crate) fn new(most: u32) -> Self {
        Self { entries: Vec::new(), most: u64::from(most) }
    }

    /// Whether a connect to `destination` has to wait. The first few do not, then the pauses double.
    pub(crate) fn wait(&mut self, destination: &Destination, now: u64) -> Option<Wait> {
        let most = self.most;
        let entry = self.entries.iter_mut().find(|entry| entry.destination == *destination)?;
        let doublings = entry.failures.checked_sub(FREE_RECONNECTS)?.min(16);
        let pause = (RECONNECT_DELAY_START << doublings).min(most);
        let until = entry.failed_at.saturating_add(pause);
        if until <= now {
            return None;
        }
        let is_first = !core::mem::replace(&mut entry.told, true);
        Some(Wait { until, is_first })
    }

    /// A connect failed, or its connection ended soon after.
    pub(crate) fn failed(&mut self, destination: &Destination, now: u64) {
        self.entries.retain(|entry| now.saturating_sub(entry.failed_at) < RECONNECTS_FORGOTTEN);
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
        self.entries.push(Entry { destination, failures: 1, failed_at: now, told: false });
    }

    /// A connection has ended that began at `connected_at`. `is_wanted`: the application ended it with a disconnect.
    pub(crate) fn ended(&mut self, destination: &Destination, connected_at: u64, is_wanted: bool, now: u64) {
        if is_wanted || now.saturating_sub(connected_at) >= LASTING_CONNECTION {
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

    fn broker(port: u16) -> Destination {
        Destination { host: "broker.example".into(), port }
    }

    /// Shows D197.
    #[test]
    fn pauses_double_from_the_fourth_connect_up_to_the_most() {
        let mut reconnects = Reconnects::new(4000);
        let mut now = 1000;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let wait = reconnects.wait(&broker(1883), now);
            let until = wait.map_or(now, |wait| wait.until);
            pauses.push(until - now);
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
        let mut reconnects = Reconnects::new(4000);
        for attempt in 0..100 {
            assert_eq!(reconnects.wait(&broker(1883), attempt * 4000), None);
            reconnects.failed(&broker(1883), attempt * 4000);
        }
    }

    /// Shows D197.
    #[test]
    fn a_connection_that_lasts_or_is_ended_as_wished_makes_good() {
        for (lasted, is_wanted) in [(LASTING_CONNECTION, false), (1, true)] {
            let mut reconnects = Reconnects::new(4000);
            (0..10).for_each(|_| reconnects.failed(&broker(1883), 0));
            reconnects.ended(&broker(1883), 0, is_wanted, lasted);
            assert_eq!(reconnects.wait(&broker(1883), lasted), None);
        }
        let mut reconnects = Reconnects::new(4000);
        (0..3).for_each(|_| reconnects.ended(&broker(1883), 0, false, LASTING_CONNECTION - 1));
        assert!(reconnects.wait(&broker(1883), LASTING_CONNECTION - 1).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let mut reconnects = Reconnects::new(4000);
        for port in 0..100 {
            (0..4).for_each(|_| reconnects.failed(&broker(port), u64::from(port)));
            assert!(reconnects.entries.len() <= WATCHED_BROKERS);
        }
        assert!(reconnects.wait(&broker(99), 99).is_some(), "{}", format!("{reconnects:?}"));
        reconnects.failed(&broker(1), 99 + RECONNECTS_FORGOTTEN);
        assert_eq!(reconnects.entries.len(), 1);
    }

    #[test]
    fn no_pause_is_none() {
        let mut reconnects = Reconnects::new(0);
        (0..10).for_each(|_| reconnects.failed(&broker(1883), 5));
        assert_eq!(reconnects.wait(&broker(1883), 5), None);
    }
}
