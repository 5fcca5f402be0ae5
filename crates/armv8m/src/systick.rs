//! The SysTick timer, computed from the cycle count: it costs nothing between two accesses, however many ticks pass.

use crate::Cycles;

const ENABLE: u32 = 1 << 0;
const TICKINT: u32 = 1 << 1;
const CLKSOURCE: u32 = 1 << 2;
const COUNTFLAG: u32 = 1 << 16;
const RELOAD_MASK: u32 = 0x00FF_FFFF;

/// The timer's registers, with the counter's value at cycle `since`.
#[derive(Clone, Debug)]
pub(crate) struct SysTick {
    control: u32,
    reload: u32,
    /// Counter value at cycle `since`.
    counter: u32,
    since: Cycles,
    /// SYST_CSR.COUNTFLAG.
    count_flag: bool,
    /// Its clock is stopped.
    stopped: bool,
    reference_divider: Cycles,
    calibration: u32,
}

impl SysTick {
    pub(crate) fn new(reference_divider: u32, calibration: u32) -> Self {
        let reference_divider = Cycles::from(reference_divider.max(1));
        Self {
            control: 0,
            reload: 0,
            counter: 0,
            since: 0,
            count_flag: false,
            stopped: false,
            reference_divider,
            calibration,
        }
    }

    pub(crate) fn reset(&mut self, now: Cycles) {
        *self = Self { since: now, ..Self::new(self.reference_divider as u32, self.calibration) };
    }

    fn divider(&self) -> Cycles {
        if self.control & CLKSOURCE != 0 { 1 } else { self.reference_divider }
    }

    /// Whether the counter counts. A counter at zero with a zero reload value stays at zero (Arm ARM: SYST_RVR).
    fn counts(&self) -> bool {
        self.control & ENABLE != 0 && !self.stopped && (self.counter != 0 || self.reload != 0)
    }

    /// Ticks from `since` until the counter next goes from one to zero. A counter at zero reloads first, which is a
    /// tick of its own, so the period is the reload value plus one.
    fn ticks_to_zero(&self) -> u64 {
        if self.counter == 0 { u64::from(self.reload) + 1 } else { u64::from(self.counter) }
    }

    /// Stops or restarts the timer's clock. The caller has advanced the timer.
    pub(crate) fn stop(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// The cycle at which the SysTick exception will become pending, if the timer is set up for it.
    pub(crate) fn next_timeout(&self) -> Option<Cycles> {
        (self.counts() && self.control & TICKINT != 0)
            .then(|| self.since + self.ticks_to_zero() * self.divider())
    }

    /// Advances the counter to `now`; true if it counted to zero in between and TICKINT is set.
    pub(crate) fn advance(&mut self, now: Cycles) -> bool {
        if !self.counts() {
            self.since = now;
            return false;
        }
        let ticks = now.saturating_sub(self.since) / self.divider();
        self.since += ticks * self.divider();
        let first = self.ticks_to_zero();
        if ticks < first {
            let reloaded = if self.counter == 0 && ticks > 0 { self.reload + 1 } else { self.counter };
            self.counter = reloaded - ticks as u32;
            return false;
        }
        self.counter = self.after_zero(ticks - first);
        self.count_flag = true;
        self.control & TICKINT != 0
    }

    /// The counter's value `ticks` after it was zero.
    fn after_zero(&self, ticks: u64) -> u32 {
        let phase = ticks % (u64::from(self.reload) + 1);
        if phase == 0 { 0 } else { self.reload + 1 - phase as u32 }
    }

    /// Reads the register at offset 0, 4, 8 or 12. The caller has advanced the timer.
    pub(crate) fn read(&mut self, offset: u32) -> u32 {
        match offset {
            // Reading clears COUNTFLAG.
            0x0 => self.control | if std::mem::take(&mut self.count_flag) { COUNTFLAG } else { 0 },
            0x4 => self.reload,
            0x8 => self.counter,
            _ => self.calibration,
        }
    }

    /// Writes the register at offset 0, 4 or 8. The caller has advanced the timer.
    pub(crate) fn write(&mut self, offset: u32, value: u32, now: Cycles) {
        match offset {
            0x0 => {
                self.control = value & (ENABLE | TICKINT | CLKSOURCE);
                self.since = now;
            }
            0x4 => self.reload = value & RELOAD_MASK,
            // A write of any value clears the counter and COUNTFLAG, and pends nothing.
            0x8 => {
                self.counter = 0;
                self.count_flag = false;
                self.since = now;
            }
            _ => {}
        }
    }
}
