//! Clicks: an axis that is beyond the threshold for a short time, once or twice (application note AN3308, chapter 8).

use armv8m::Cycles;

/// CLICK_CFG, for each axis: a single click, and at the next bit a double click.
const SINGLE: u8 = 1;
const DOUBLE: u8 = 2;
/// CLICK_SRC.
const ACTIVE: u8 = 1 << 6;
const DOUBLE_CLICK: u8 = 1 << 5;
const SINGLE_CLICK: u8 = 1 << 4;
const NEGATIVE: u8 = 1 << 3;

/// The registers that say what a click is; times in samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// CLICK_CFG.
    pub config: u8,
    /// The threshold in milli-g.
    pub threshold: f64,
    /// Longest time beyond the threshold.
    pub limit: Cycles,
    /// Time after a click in which nothing counts, and for which the interrupt stays unless it is latched.
    pub latency: Cycles,
    /// Time after the latency in which a second click may begin.
    pub window: Cycles,
    /// The interrupt stays until its source is read.
    pub latched: bool,
}

/// Where an axis is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Quiet,
    /// Beyond the threshold since this sample.
    Beyond { since: Cycles, second: bool },
    /// A first click was seen; until this sample nothing counts.
    Latency { until: Cycles },
    /// The second may begin up to this sample.
    Window { until: Cycles },
}

#[derive(Debug, Default)]
pub(super) struct Clicks {
    axes: [State; 3],
    /// CLICK_SRC.
    source: u8,
    /// The sample with which an interrupt that is not latched ends.
    ends: Cycles,
}

impl Clicks {
    /// Takes the accelerations of sample number `at`, in milli-g.
    pub(super) fn sample(&mut self, at: Cycles, sample: [f64; 3], settings: &Settings) {
        if !settings.latched && at >= self.ends {
            self.source = 0;
        }
        for (axis, value) in sample.into_iter().enumerate() {
            let enabled = settings.config >> (2 * axis) & (SINGLE | DOUBLE);
            if enabled == 0 {
                self.axes[axis] = State::Quiet;
            } else if let Some(flag) = self.track(axis, enabled, at, value, settings) {
                let sign = if value < 0.0 { NEGATIVE } else { 0 };
                self.source = ACTIVE | flag | sign | 1 << axis;
                self.ends = at + settings.latency.max(1);
            }
        }
    }

    /// Advances the state of an axis. Returns the click that has ended on it.
    fn track(&mut self, axis: usize, enabled: u8, at: Cycles, value: f64, settings: &Settings) -> Option<u8> {
        let is_beyond = value.abs() > settings.threshold;
        let state = &mut self.axes[axis];
        if let State::Latency { until } = *state
            && at >= until
        {
            *state = State::Window { until: until + settings.window };
        }
        match *state {
            State::Quiet if is_beyond => *state = State::Beyond { since: at, second: false },
            State::Window { until } if at > until => {
                *state = if is_beyond { State::Beyond { since: at, second: false } } else { State::Quiet };
            }
            State::Window { .. } if is_beyond => *state = State::Beyond { since: at, second: true },
            State::Beyond { since, second } if !is_beyond => {
                let is_click = at - since <= settings.limit;
                let may_be_double = is_click && !second && enabled & DOUBLE != 0;
                *state = if may_be_double {
                    State::Latency { until: at + settings.latency }
                } else {
                    State::Quiet
                };
                return match (is_click, second) {
                    (true, false) if enabled & SINGLE != 0 => Some(SINGLE_CLICK),
                    (true, true) => Some(DOUBLE_CLICK),
                    _ => None,
                };
            }
            _ => {}
        }
        None
    }

    pub(super) fn is_active(&self) -> bool {
        self.source & ACTIVE != 0
    }

    /// CLICK_SRC was read, which ends the interrupt.
    pub(super) fn take(&mut self) -> u8 {
        std::mem::take(&mut self.source)
    }
}
