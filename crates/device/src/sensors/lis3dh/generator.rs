//! The two interrupt generators: each axis against a threshold, in any combination, or the six directions.

/// INTx_CFG: all of what is enabled, or any of it; six directions rather than single axes.
const ALL_OF_THEM: u8 = 1 << 7;
const SIX_DIRECTIONS: u8 = 1 << 6;
/// INTx_CFG and INTx_SRC: a bit for each axis and direction.
const EVENTS: u8 = 0x3F;
/// INTx_SRC.
const ACTIVE: u8 = 1 << 6;

/// A generator's registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// INTx_CFG.
    pub config: u8,
    /// The threshold in milli-g.
    pub threshold: f64,
    /// Samples for which the event must last beyond the first.
    pub duration: u8,
    /// The interrupt stays until its source is read.
    pub latched: bool,
}

#[derive(Debug, Default)]
pub(super) struct Generator {
    /// INTx_SRC.
    source: u8,
    /// Samples in a row with the event.
    lasted: u32,
    /// What was found in the sample before.
    before: u8,
}

impl Generator {
    /// Takes a sample, in milli-g.
    pub(super) fn sample(&mut self, sample: [f64; 3], settings: &Settings) {
        let enabled = settings.config & EVENTS;
        let happened = events(sample, settings) & enabled;
        let event = enabled != 0
            && match (settings.config & ALL_OF_THEM != 0, settings.config & SIX_DIRECTIONS != 0) {
                (false, false) | (true, true) => happened != 0,
                (true, false) => happened == enabled,
                // Movement from one direction to another.
                (false, true) => happened != 0 && happened != self.before,
            };
        self.before = happened;
        self.lasted = if event { self.lasted.saturating_add(1) } else { 0 };
        if self.lasted > u32::from(settings.duration) {
            self.source = happened | ACTIVE;
        } else if !settings.latched || !self.is_active() {
            self.source = 0;
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.source & ACTIVE != 0
    }

    /// INTx_SRC was read, which ends the interrupt.
    pub(super) fn take(&mut self) -> u8 {
        std::mem::take(&mut self.source)
    }
}

/// Each axis below and above the threshold; of the six directions, beyond it on either side.
fn events(sample: [f64; 3], settings: &Settings) -> u8 {
    let six = settings.config & SIX_DIRECTIONS != 0;
    let mut events = 0;
    for (axis, value) in sample.into_iter().enumerate() {
        let high = if six { value } else { value.abs() } > settings.threshold;
        let low = if six { value < -settings.threshold } else { !high };
        events |= (u8::from(low) | u8::from(high) << 1) << (2 * axis);
    }
    events
}
