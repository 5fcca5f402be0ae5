//! Reporting what a peer can cause at a bounded rate: a flood must not become a flood of log lines.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Lets one report through in a time and counts the others.
pub(crate) struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reported: Option<Instant>,
    unreported: u64,
}

impl Throttle {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::default() }
    }

    /// How many went unreported before this one, if this one is to be reported.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().expect("nothing panics while it counts");
        if state.reported.is_some_and(|reported| now < reported + self.interval) {
            state.unreported += 1;
            return None;
        }
        state.reported = Some(now);
        Some(std::mem::take(&mut state.unreported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D172.
    #[test]
    fn a_flood_is_one_report_an_interval_and_a_count() {
        let throttle = Throttle::new(Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(throttle.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(throttle.due(start + Duration::from_millis(999)), None);
        }
        assert_eq!(throttle.due(start + Duration::from_secs(1)), Some(1000));
        assert_eq!(throttle.due(start + Duration::from_secs(2)), Some(0));
    }
}
