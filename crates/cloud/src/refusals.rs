//! Reporting refused connections at a bounded rate: a flood must not become a flood of log lines.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Counts refusals and lets one through to the log now and then.
pub(crate) struct Refusals {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reported: Option<Instant>,
    unreported: u64,
}

impl Refusals {
    pub(crate) fn new(interval: Duration) -> Refusals {
        Refusals { interval, state: Mutex::default() }
    }

    /// Notes one refusal, and logs it with the number of those not logged before unless one was logged a moment ago.
    pub(crate) fn note(&self, from: SocketAddr, reason: &dyn std::fmt::Display) {
        if let Some(others) = self.due(Instant::now()) {
            tracing::warn!(%from, %reason, others, "connection refused");
        }
    }

    /// How many went unreported before this one, if this one is to be reported.
    fn due(&self, now: Instant) -> Option<u64> {
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

    #[test]
    fn a_flood_is_one_line_an_interval_and_a_count() {
        let refusals = Refusals::new(Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(refusals.due(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.due(start + Duration::from_millis(999)), None);
        }
        assert_eq!(refusals.due(start + Duration::from_secs(1)), Some(1000));
        assert_eq!(refusals.due(start + Duration::from_secs(2)), Some(0));
    }
}
