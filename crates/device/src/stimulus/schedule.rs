//! Stimuli in the order of their times.

use std::collections::VecDeque;

use armv8m::Cycles;

use super::Stimulus;
use crate::machine::{Input, InputError};

/// What is still to reach a device, and when.
#[derive(Debug, Default)]
pub struct Schedule {
    stimuli: VecDeque<Stimulus>,
    /// Bytes for which a serial port's line had no room yet.
    delayed: VecDeque<Input<'static>>,
}

impl Schedule {
    /// Puts `stimuli` in order; those of one time stay in the order given.
    pub fn new(mut stimuli: Vec<Stimulus>) -> Self {
        stimuli.sort_by_key(|stimulus| stimulus.at);
        Self { stimuli: stimuli.into(), delayed: VecDeque::new() }
    }

    /// The cycle of the next one.
    pub fn next_timeout(&self) -> Option<Cycles> {
        self.stimuli.front().map(|stimulus| stimulus.at)
    }

    /// Whether [`Schedule::deliver_due`] has anything to deliver at cycle `now`.
    pub fn is_due(&self, now: Cycles) -> bool {
        !self.delayed.is_empty() || self.next_timeout().is_some_and(|at| at <= now)
    }

    /// Hands over everything that is due at cycle `now`. Bytes that a serial port does not accept are tried again at
    /// the next call.
    pub fn deliver_due(
        &mut self,
        now: Cycles,
        mut deliver: impl FnMut(&Input<'_>) -> Result<(), InputError>,
    ) {
        while let Some(input) = self.delayed.pop_front() {
            if deliver(&input).is_err() {
                self.delayed.push_front(input);
                break;
            }
        }
        while let Some(Stimulus { input, .. }) = self.stimuli.pop_front_if(|stimulus| stimulus.at <= now) {
            // Whether there is such a sensor was checked when the schedule was made: only a line can be full.
            if deliver(&input).is_err() && matches!(input, Input::Serial { .. }) {
                self.delayed.push_back(input);
            }
        }
    }
}
