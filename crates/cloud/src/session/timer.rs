//! When a session's task runs at the latest.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::WALL_CLOCK_INTERVAL;

/// How far away the timer is set when it has gone off: any deadline that follows moves it closer.
const IDLE: Duration = Duration::from_hours(24);

/// One timer for all deadlines of a session.
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When the device is next given the wall clock, because its own clock drifts (D25).
    next_wall_clock: Instant,
}

impl Timer {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { sleep: Box::pin(sleep_until(now)), next_wall_clock: now + WALL_CLOCK_INTERVAL }
    }

    /// Whether `deadline` has passed; else the task is woken then.
    ///
    /// The timer is only ever moved closer, and checked again when it goes off too early. Moving it at every change
    /// would cost more: most of the time the next deadline only moves away.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> bool {
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if deadline <= Instant::now() {
                self.sleep.as_mut().reset(deadline + IDLE);
                return true;
            }
            self.sleep.as_mut().reset(deadline);
        }
        false
    }

    pub(super) fn next_wall_clock(&self) -> Instant {
        self.next_wall_clock
    }

    /// Whether the wall clock is due for the device, once for each interval.
    pub(super) fn take_wall_clock(&mut self, now: Instant) -> bool {
        let is_due = self.next_wall_clock <= now;
        if is_due {
            self.next_wall_clock += WALL_CLOCK_INTERVAL;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    async fn is_due(timer: &mut Timer, deadline: Instant) -> bool {
        poll_fn(|context| Poll::Ready(timer.poll(context, deadline))).await
    }

    #[tokio::test]
    async fn a_deadline_is_reported_once_it_has_passed_wherever_the_timer_was() {
        let mut timer = Timer::new();
        let start = Instant::now();
        let deadline = start + Duration::from_millis(20);
        assert!(!is_due(&mut timer, start + Duration::from_hours(1)).await);
        assert!(!is_due(&mut timer, deadline).await, "moved closer");
        poll_fn(|context| if timer.poll(context, deadline) { Poll::Ready(()) } else { Poll::Pending }).await;
        assert!(Instant::now() >= deadline, "and the task was woken for it");
        assert!(!is_due(&mut timer, Instant::now() + Duration::from_hours(1)).await);
    }

    /// Shows D25.
    #[tokio::test]
    async fn the_wall_clock_is_due_once_an_interval() {
        let mut timer = Timer::new();
        let first = timer.next_wall_clock();
        assert!(!timer.take_wall_clock(first - Duration::from_millis(1)));
        assert!(timer.take_wall_clock(first) && !timer.take_wall_clock(first));
        assert_eq!(timer.next_wall_clock(), first + WALL_CLOCK_INTERVAL);
    }
}
