//! What all cores without I/O have in common: their types for time, and the way they are driven.
//!
//! A *core* is a state machine that does no I/O, reads no clock and draws no randomness. Its driver does all three:
//!
//! 1. Something happened: the driver calls `handle(now, input)`.
//! 2. It drains what the core has to give: `poll(now)` until it gives `None` — or, where a core has no heap to queue
//!    anything in, `transmit(now, &mut buffer)` until it gives 0.
//! 3. It waits for the next input, at most until `next_timeout()`; when that is reached, the input is `Timeout`.
//!
//! `now` never goes back. Step 2 comes after every call of `handle`, also after one that failed: what a core says last,
//! such as the reason for which it ends a connection, is drained like everything else. A timeout that comes early is
//! harmless, and one that is due is no longer due once it has been handled.
//!
//! [`StateMachine`] is this contract as a trait, [`drive`] and [`drive_timeout`] are its driver. Simulation, fuzzing,
//! replay and tests use these; a driver with sockets may instead call the methods of the same names where its own loop
//! needs them apart.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

mod time;

pub use time::{Duration, Instant, WallTime};

/// A core without I/O.
pub trait StateMachine {
    /// Its clock: [`Instant`], or cycles for a processor.
    type Time: Copy + Ord;
    /// What can happen to it.
    type Input<'a>;
    /// What it asks of its driver, or reports to it.
    type Output;
    /// Why an input was refused. What that means for what follows is the core's to say.
    type Error;

    /// The input that says that [`StateMachine::next_timeout`] has been reached.
    const TIMEOUT: Self::Input<'static>;

    /// Takes in what happened.
    fn handle(&mut self, now: Self::Time, input: Self::Input<'_>) -> Result<(), Self::Error>;

    /// The next thing to do; `None` when there is nothing until the next input.
    fn poll(&mut self, now: Self::Time) -> Option<Self::Output>;

    /// When [`StateMachine::TIMEOUT`] is due at the latest, if ever.
    fn next_timeout(&self) -> Option<Self::Time>;
}

/// Hands one input to the core and everything that comes of it to `sink`, whether or not the input was refused.
pub fn drive<M: StateMachine>(
    machine: &mut M,
    now: M::Time,
    input: M::Input<'_>,
    sink: &mut dyn FnMut(M::Output),
) -> Result<(), M::Error> {
    let outcome = machine.handle(now, input);
    while let Some(output) = machine.poll(now) {
        sink(output);
    }
    outcome
}

/// Delivers the timeout if it is due, and says whether it was.
///
/// # Panics
/// If the timeout is still due afterwards: a driver that waits for it would never wait again.
pub fn drive_timeout<M: StateMachine>(
    machine: &mut M,
    now: M::Time,
    sink: &mut dyn FnMut(M::Output),
) -> Result<bool, M::Error> {
    let is_due = |machine: &M| machine.next_timeout().is_some_and(|at| at <= now);
    if !is_due(machine) {
        return Ok(false);
    }
    drive(machine, now, M::TIMEOUT, sink)?;
    assert!(!is_due(machine), "the timeout is still due after it has been handled");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, StateMachine, drive, drive_timeout};

    /// Counts bytes and reports the count once a second.
    #[derive(Default)]
    struct Counter {
        bytes: usize,
        reports: usize,
        next: Option<Instant>,
        is_stuck: bool,
    }

    enum Input<'a> {
        Received(&'a [u8]),
        Timeout,
    }

    impl StateMachine for Counter {
        type Time = Instant;
        type Input<'a> = Input<'a>;
        type Output = usize;
        type Error = &'static str;

        const TIMEOUT: Input<'static> = Input::Timeout;

        fn handle(&mut self, now: Instant, input: Input<'_>) -> Result<(), &'static str> {
            match input {
                Input::Received([]) => {
                    self.reports += 1;
                    return Err("the peer has closed");
                }
                Input::Received(bytes) => {
                    self.bytes += bytes.len();
                    self.next = self.next.or(Some(now + Duration::from_secs(1)));
                }
                Input::Timeout if self.is_stuck => {}
                Input::Timeout => {
                    self.reports += 1;
                    self.next = None;
                }
            }
            Ok(())
        }

        fn poll(&mut self, _now: Instant) -> Option<usize> {
            self.reports = self.reports.checked_sub(1)?;
            Some(self.bytes)
        }

        fn next_timeout(&self) -> Option<Instant> {
            self.next
        }
    }

    #[test]
    fn a_timeout_is_delivered_when_it_is_due_and_not_before() {
        let (mut counter, mut seen) = (Counter::default(), None);
        let mut sink = |count| seen = Some(count);
        drive(&mut counter, Instant::ZERO, Input::Received(b"abc"), &mut sink).expect("bytes are taken");
        assert_eq!(drive_timeout(&mut counter, Instant::from_micros(999_999), &mut sink), Ok(false));
        assert_eq!(drive_timeout(&mut counter, Instant::from_secs(1), &mut sink), Ok(true));
        assert_eq!(seen, Some(3));
    }

    #[test]
    fn what_a_core_says_of_a_refused_input_is_drained_too() {
        let (mut counter, mut seen) = (Counter::default(), None);
        let outcome =
            drive(&mut counter, Instant::ZERO, Input::Received(b""), &mut |count| seen = Some(count));
        assert_eq!((outcome, seen), (Err("the peer has closed"), Some(0)));
    }

    #[test]
    #[should_panic = "still due"]
    fn a_timeout_that_stays_due_is_a_mistake_of_the_core() {
        let mut counter = Counter { is_stuck: true, next: Some(Instant::ZERO), ..Counter::default() };
        let _ = drive_timeout(&mut counter, Instant::ZERO, &mut |_| ());
    }
}
