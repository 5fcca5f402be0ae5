//! A rate limit for log lines that a peer can cause: a flood of connections must not become a flood of log lines
//! (D172).

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Allows one report in each interval and counts the others.
pub(crate) struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reported: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::default() }
    }

    /// Whether to report an event now; `Some` with the number of events suppressed before it.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if state.reported.is_some_and(|reported| now < reported + self.interval) {
            state.suppressed += 1;
            return None;
        }
        state.reported = Some(now);
        Some(std::mem::take(&mut state.suppressed))
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
        assert_eq!(throttle.admit(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(throttle.admit(start + Duration::from_millis(999)), None);
        }
        assert_eq!(throttle.admit(start + Duration::from_secs(1)), Some(1000));
        assert_eq!(throttle.admit(start + Duration::from_secs(2)), Some(0));
    }
}
