//! Stimuli in the order of their times.

use std::collections::VecDeque;

use super::Stimulus;

/// What is still to reach a device, and when.
#[derive(Debug, Default)]
pub struct Schedule(VecDeque<Stimulus>);

impl Schedule {
    /// Puts `stimuli` in order; those of one time stay in the order given.
    pub fn new(mut stimuli: Vec<Stimulus>) -> Self {
        stimuli.sort_by_key(|stimulus| stimulus.at);
        Self(stimuli.into())
    }

    /// The cycle of the next one.
    pub fn next(&self) -> Option<u64> {
        self.0.front().map(|stimulus| stimulus.at)
    }

    /// Takes the next one, if it is due at cycle `now`.
    pub fn take_due(&mut self, now: u64) -> Option<Stimulus> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_front()
    }
}
