//! When an application that was stopped restarts. The pause grows with each fault, so that one that faults at once does
//! not keep host and cloud busy (D73).

use abi::power::WakeReason;
use armv8m::Cycles;

use crate::memory_map::CYCLES_PER_MICRO;

const CYCLES_PER_MILLI: Cycles = 1000 * CYCLES_PER_MICRO;

/// How soon an application that faulted restarts, as its bundle may say. The pause doubles with each fault until
/// the application has run for the longest pause without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The first pause, in milliseconds.
    pub minimum_ms: u64,
    /// The longest pause, in milliseconds.
    pub maximum_ms: u64,
}

impl Default for RestartPolicy {
    /// One second, doubling to a minute.
    fn default() -> Self {
        Self { minimum_ms: 1000, maximum_ms: 60_000 }
    }
}

/// Whether a restart is pending, and how long the next pause is.
#[derive(Debug)]
pub(super) struct RestartTimer {
    policy: RestartPolicy,
    next_pause_ms: u64,
    started: Cycles,
    pending: Option<(Cycles, WakeReason)>,
}

impl RestartTimer {
    /// A timer of an application without faults.
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, next_pause_ms: policy.minimum_ms, started: 0, pending: None }
    }

    /// The application starts at cycle `now`.
    pub(super) fn started(&mut self, now: Cycles) {
        (self.started, self.pending) = (now, None);
    }

    /// The application was stopped at cycle `now`; it reads `reason` after its next start. Returns the pause until then
    /// in milliseconds.
    pub(super) fn schedule_after_fault(&mut self, now: Cycles, reason: WakeReason) -> u64 {
        if (now - self.started) / CYCLES_PER_MILLI >= self.policy.maximum_ms {
            self.next_pause_ms = self.policy.minimum_ms;
        }
        let pause = self.next_pause_ms.min(self.policy.maximum_ms);
        self.next_pause_ms = pause.saturating_mul(2).min(self.policy.maximum_ms);
        self.pending = Some((now.saturating_add(pause.saturating_mul(CYCLES_PER_MILLI)), reason));
        pause
    }

    /// The application requested a restart at cycle `now`, which is at once unless it started less than the shortest
    /// pause ago. Returns the pause until then in milliseconds.
    pub(super) fn schedule_requested(&mut self, now: Cycles, reason: WakeReason) -> u64 {
        let earliest = self.started.saturating_add(self.policy.minimum_ms.saturating_mul(CYCLES_PER_MILLI));
        let at = now.max(earliest);
        self.pending = Some((at, reason));
        (at - now).div_ceil(CYCLES_PER_MILLI)
    }

    /// Whether a restart is pending.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// The cycle of the next start, if one is pending.
    pub(super) fn next_timeout(&self) -> Option<Cycles> {
        self.pending.map(|(at, _)| at)
    }

    /// The reason for a start that is due at cycle `now`.
    pub(super) fn take_due(&mut self, now: Cycles) -> Option<WakeReason> {
        self.pending.take_if(|(at, _)| *at <= now).map(|(_, reason)| reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy { minimum_ms: 10, maximum_ms: 35 };

    /// Shows D73.
    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let mut restarts = RestartTimer::new(POLICY);
        let mut now = 0;
        for expected in [10, 20, 35, 35] {
            restarts.started(now);
            now += CYCLES_PER_MILLI;
            assert_eq!(restarts.schedule_after_fault(now, WakeReason::ApplicationCrash), expected);
            assert_eq!(restarts.next_timeout(), Some(now + expected * CYCLES_PER_MILLI));
        }
    }

    /// Shows D73.
    #[test]
    fn an_application_that_ran_well_starts_with_the_first_pause_again() {
        for (ran_ms, expected) in [(34, 20), (35, 10)] {
            let mut restarts = RestartTimer::new(POLICY);
            restarts.started(0);
            restarts.schedule_after_fault(0, WakeReason::ApplicationCrash);
            restarts.started(0);
            assert_eq!(
                restarts.schedule_after_fault(ran_ms * CYCLES_PER_MILLI, WakeReason::ApplicationCrash),
                expected
            );
        }
    }

    #[test]
    fn a_start_is_due_at_its_cycle_and_only_once() {
        let mut restarts = RestartTimer::new(POLICY);
        restarts.schedule_after_fault(0, WakeReason::ApplicationCrash);
        assert_eq!(restarts.take_due(10 * CYCLES_PER_MILLI - 1), None);
        assert_eq!(restarts.take_due(10 * CYCLES_PER_MILLI), Some(WakeReason::ApplicationCrash));
        assert_eq!(restarts.take_due(10 * CYCLES_PER_MILLI), None);
    }
}
