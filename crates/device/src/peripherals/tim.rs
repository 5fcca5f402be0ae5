//! The timers' counters: counting up, update events and their interrupts, one-pulse mode, preloads.
//!
//! A counter is not stepped. It is the number of ticks since a known cycle, and an update event is a moment that can
//! be computed, so a timer costs nothing while it runs. Capture and compare, counting down and the repetition counter
//! are not modelled: their registers keep what is written, and a compare never raises a flag.

use super::{Context, Lines, Peripheral, Store};

/// What tells one timer from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line of its update event.
    pub line: u16,
    /// Largest value of its counter.
    pub max: u32,
    /// It has counter and prescaler only.
    pub basic: bool,
}

const HALF: u32 = 0xFFFF;

/// The timers of the STM32U585.
pub const TIMERS: [Kind; 11] = [
    Kind { name: "TIM2", base: 0x4000_0000, line: 45, max: u32::MAX, basic: false },
    Kind { name: "TIM3", base: 0x4000_0400, line: 46, max: u32::MAX, basic: false },
    Kind { name: "TIM4", base: 0x4000_0800, line: 47, max: u32::MAX, basic: false },
    Kind { name: "TIM5", base: 0x4000_0C00, line: 48, max: u32::MAX, basic: false },
    Kind { name: "TIM6", base: 0x4000_1000, line: 49, max: HALF, basic: true },
    Kind { name: "TIM7", base: 0x4000_1400, line: 50, max: HALF, basic: true },
    Kind { name: "TIM1", base: 0x4001_2C00, line: 42, max: HALF, basic: false },
    Kind { name: "TIM8", base: 0x4001_3400, line: 52, max: HALF, basic: false },
    Kind { name: "TIM15", base: 0x4001_4000, line: 69, max: HALF, basic: false },
    Kind { name: "TIM16", base: 0x4001_4400, line: 70, max: HALF, basic: false },
    Kind { name: "TIM17", base: 0x4001_4800, line: 71, max: HALF, basic: false },
];

const CR1: u32 = 0x00;
const CR2: u32 = 0x04;
const DIER: u32 = 0x0C;
const SR: u32 = 0x10;
const EGR: u32 = 0x14;
const CNT: u32 = 0x24;
const PSC: u32 = 0x28;
const ARR: u32 = 0x2C;
/// One past the last register of a timer with every feature.
const END: u32 = 0x70;

const CEN: u32 = 1;
const UDIS: u32 = 1 << 1;
const URS: u32 = 1 << 2;
const OPM: u32 = 1 << 3;
const ARPE: u32 = 1 << 7;
const CR1_WRITABLE: u32 = 0x1BFF;
const UIE: u32 = 1;
const UIF: u32 = 1;
const UG: u32 = 1;

/// One timer.
#[derive(Debug)]
pub struct Tim {
    kind: Kind,
    control: u32,
    interrupts: u32,
    status: u32,
    prescaler: Preloaded,
    reload: Preloaded,
    /// The counter stood at `count` at cycle `since`; it runs from there while it is enabled.
    count: u32,
    since: u64,
    /// Registers that are only kept.
    kept: [u32; END as usize / 4],
}

/// A register whose written value may take effect later.
#[derive(Debug, Clone, Copy)]
struct Preloaded {
    written: u32,
    active: u32,
}

impl Preloaded {
    const fn new(value: u32) -> Preloaded {
        Preloaded { written: value, active: value }
    }

    fn load(&mut self) {
        self.active = self.written;
    }
}

impl Tim {
    /// A timer after reset.
    pub fn new(kind: &Kind) -> Tim {
        Tim {
            kind: *kind,
            control: 0,
            interrupts: 0,
            status: 0,
            prescaler: Preloaded::new(0),
            reload: Preloaded::new(kind.max),
            count: 0,
            since: 0,
            kept: [0; END as usize / 4],
        }
    }

    fn running(&self) -> bool {
        // A reload value of zero stops the counter.
        self.control & CEN != 0 && self.reload.active != 0
    }

    /// Cycles a tick of the counter takes.
    fn tick(&self) -> u64 {
        u64::from(self.prescaler.active) + 1
    }

    /// Ticks from the known count to the next update event. A counter above its reload value goes round by its width.
    fn ticks_to_update(&self) -> u64 {
        let (count, reload) = (u64::from(self.count), u64::from(self.reload.active));
        let top = if count <= reload { reload } else { u64::from(self.kind.max) };
        top - count + 1
    }

    /// The cycle of the next update event, if the counter runs.
    fn next_update(&self) -> Option<u64> {
        let cycles = self.ticks_to_update().checked_mul(self.tick())?;
        if self.running() { self.since.checked_add(cycles) } else { None }
    }

    fn counter(&self, now: u64) -> u32 {
        if !self.running() {
            return self.count;
        }
        self.count.wrapping_add((now.saturating_sub(self.since) / self.tick()) as u32)
    }

    /// Makes `now` the known cycle, so that a register the count depends on may change.
    fn settle(&mut self, now: u64) {
        if self.running() {
            let ticks = now.saturating_sub(self.since) / self.tick();
            self.count = self.count.wrapping_add(ticks as u32);
            // The prescaler's own count goes on: `since` stays on a tick.
            self.since += ticks * self.tick();
        } else {
            self.since = now;
        }
    }

    /// One update event at cycle `at`.
    fn update(&mut self, at: u64) {
        self.count = 0;
        self.since = at;
        if self.control & UDIS != 0 {
            return;
        }
        self.status |= UIF;
        self.prescaler.load();
        self.reload.load();
        if self.control & OPM != 0 {
            self.control &= !CEN;
        }
    }

    /// Skips the whole periods before `now`, which differ in nothing from the one just begun.
    fn skip_periods(&mut self, now: u64) {
        let Some(next) = self.next_update() else { return };
        if next <= now {
            let period = next - self.since;
            self.since += (now - self.since) / period * period;
        }
    }

    fn generate(&mut self, store: Store, now: u64) {
        if store.ones() & UG == 0 {
            return;
        }
        self.count = 0;
        self.since = now;
        if self.control & UDIS == 0 {
            self.prescaler.load();
            self.reload.load();
            if self.control & URS == 0 {
                self.status |= UIF;
            }
        }
    }

    fn write_reload(&mut self, store: Store, now: u64) {
        self.settle(now);
        self.reload.written = store.over(self.reload.written, self.kind.max);
        if self.control & ARPE == 0 {
            self.reload.load();
        }
    }

    fn write_control(&mut self, store: Store, now: u64) {
        self.settle(now);
        self.control = store.over(self.control, CR1_WRITABLE);
    }

    fn keep(&mut self, offset: u32, store: Store) {
        let has = offset < END && (!self.kind.basic || offset == CR2);
        if has {
            let word = &mut self.kept[offset as usize / 4];
            *word = store.over(*word, u32::MAX);
        }
    }
}

impl Peripheral for Tim {
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32 {
        match offset {
            CR1 => self.control,
            DIER => self.interrupts,
            SR => self.status,
            EGR => 0,
            CNT => self.counter(context.now),
            PSC => self.prescaler.written,
            ARR => self.reload.written,
            _ => self.kept.get(offset as usize / 4).copied().unwrap_or(0),
        }
    }

    fn write(&mut self, offset: u32, store: Store, context: &mut Context<'_>) {
        match offset {
            CR1 => self.write_control(store, context.now),
            DIER => self.interrupts = store.over(self.interrupts, HALF),
            SR => self.status &= !store.zeros(),
            EGR => self.generate(store, context.now),
            CNT => {
                self.settle(context.now);
                self.count = store.over(self.count, self.kind.max);
            }
            PSC => self.prescaler.written = store.over(self.prescaler.written, HALF),
            ARR => self.write_reload(store, context.now),
            _ => self.keep(offset, store),
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(self.kind.line, self.status & UIF != 0 && self.interrupts & UIE != 0);
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        // The first event loads the preloads; from the second on all are alike.
        for _ in 0..2 {
            match self.next_update() {
                Some(at) if at <= now => self.update(at),
                _ => return,
            }
        }
        self.skip_periods(now);
    }

    fn next_event(&self) -> Option<u64> {
        // Without its interrupt, or with the flag up already, an update changes no line.
        let awaited = self.interrupts & UIE != 0 && self.status & UIF == 0 && self.control & UDIS == 0;
        if awaited { self.next_update() } else { None }
    }

    fn reset(&mut self, context: &mut Context<'_>) {
        *self = Tim { since: context.now, ..Tim::new(&self.kind) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    const TIM6: u32 = 0x4000_1000;

    fn bench(name: &str) -> Bench {
        let kind = TIMERS.iter().find(|kind| kind.name == name).expect("a timer");
        Bench::new(kind.base, Box::new(Tim::new(kind)))
    }

    /// TIM6 as the vendor's library sets up its millisecond: 160 cycles a tick, 1000 ticks a period.
    fn millisecond() -> Bench {
        let mut bench = bench("TIM6");
        bench.write(TIM6 + 0x28, 159);
        bench.write(TIM6 + 0x2C, 999);
        bench.write(TIM6 + 0x14, 1);
        bench.write(TIM6 + 0x0C, 1);
        bench.write(TIM6, 1);
        bench
    }

    #[test]
    fn generating_an_update_raises_the_flag_and_the_line_at_once() {
        let mut bench = millisecond();
        assert_eq!(bench.read(TIM6 + 0x10), 1);
        assert!(bench.level(49));
    }

    #[test]
    fn an_update_comes_every_millisecond() {
        let mut bench = millisecond();
        bench.write(TIM6 + 0x10, !1);
        assert!(!bench.level(49));
        for millisecond in 1..=3u64 {
            assert_eq!(bench.peripheral.next_event(), Some(millisecond * 160_000));
            bench.now = millisecond * 160_000 - 1;
            assert!(!bench.level(49), "early");
            assert_eq!(bench.read(TIM6 + 0x24), 999);
            bench.now += 1;
            assert!(bench.level(49), "at {millisecond} ms");
            assert_eq!(bench.read(TIM6 + 0x24), 0);
            bench.write(TIM6 + 0x10, !1);
        }
    }

    #[test]
    fn a_flag_that_is_up_needs_no_further_moment() {
        assert_eq!(millisecond().peripheral.next_event(), None);
    }

    #[test]
    fn late_updates_stay_on_their_grid() {
        let mut bench = millisecond();
        bench.now = 160_000 * 1000 + 80;
        bench.write(TIM6 + 0x10, !1);
        assert_eq!(bench.peripheral.next_event(), Some(160_000 * 1001));
    }

    #[test]
    fn a_prescaler_waits_for_the_next_update() {
        let mut bench = bench("TIM6");
        bench.write(TIM6 + 0x2C, 9);
        bench.write(TIM6, 1);
        bench.write(TIM6 + 0x28, 1);
        bench.now = 9;
        assert_eq!(bench.read(TIM6 + 0x24), 9);
        bench.now = 10 + 2 * 3;
        assert_eq!(bench.read(TIM6 + 0x24), 3);
    }

    #[test]
    fn a_preloaded_reload_value_waits_and_another_does_not() {
        for (control, at) in [(1, 50), (1 | 1 << 7, 100)] {
            let mut bench = bench("TIM6");
            bench.write(TIM6 + 0x2C, 99);
            bench.write(TIM6 + 0x0C, 1);
            bench.write(TIM6, control);
            bench.now = 10;
            bench.write(TIM6 + 0x2C, 49);
            assert_eq!(bench.peripheral.next_event(), Some(at), "CR1 {control:#x}");
        }
    }

    #[test]
    fn one_pulse_stops_at_the_update() {
        let mut bench = bench("TIM7");
        bench.write(0x4000_142C, 4);
        bench.write(0x4000_1400, 1 | 1 << 3);
        bench.now = 100;
        assert_eq!(bench.read(0x4000_1410), 1);
        assert_eq!((bench.read(0x4000_1400), bench.read(0x4000_1424)), (8, 0));
    }

    #[test]
    fn disabled_updates_raise_nothing() {
        let mut bench = bench("TIM6");
        bench.write(TIM6 + 0x2C, 4);
        bench.write(TIM6, 1 | 1 << 1);
        bench.write(TIM6 + 0x14, 1);
        bench.now = 100;
        assert_eq!(bench.read(TIM6 + 0x10), 0);
        assert_eq!(bench.peripheral.next_event(), None);
    }

    #[test]
    fn with_urs_a_generated_update_raises_no_flag() {
        let mut bench = bench("TIM6");
        bench.write(TIM6, 1 << 2);
        bench.write(TIM6 + 0x14, 1);
        assert_eq!(bench.read(TIM6 + 0x10), 0);
    }

    #[test]
    fn a_stopped_counter_keeps_its_count() {
        let mut bench = bench("TIM2");
        bench.write(0x4000_0000, 1);
        bench.now = 1000;
        bench.write(0x4000_0000, 0);
        bench.now = 5000;
        assert_eq!(bench.read(0x4000_0024), 1000);
        bench.write(0x4000_0000, 1);
        bench.now = 5001;
        assert_eq!(bench.read(0x4000_0024), 1001);
    }

    #[test]
    fn tim2_counts_32_bits_wide() {
        let mut bench = bench("TIM2");
        bench.write(0x4000_0024, 0xFFFF_FFFF);
        bench.write(0x4000_000C, 1);
        bench.write(0x4000_0000, 1);
        assert_eq!(bench.peripheral.next_event(), Some(1));
        bench.now = 1;
        assert!(bench.level(45));
    }

    #[test]
    fn a_reload_value_of_zero_stops_the_counter() {
        let mut bench = bench("TIM6");
        bench.write(TIM6, 1);
        bench.write(TIM6 + 0x2C, 0);
        bench.now = 1_000_000;
        assert_eq!((bench.read(TIM6 + 0x10), bench.read(TIM6 + 0x24)), (0, 0));
    }

    #[test]
    fn the_smallest_reload_value_over_a_long_time_takes_no_long_time() {
        let mut bench = bench("TIM6");
        bench.write(TIM6 + 0x2C, 1);
        bench.write(TIM6, 1);
        bench.now = u64::from(u32::MAX) * 1000 + 1;
        assert_eq!(bench.read(TIM6 + 0x24), 1);
    }

    #[test]
    fn pwm_registers_are_kept_but_a_basic_timer_has_none() {
        let mut bench = bench("TIM2");
        bench.write(0x4000_0018, 0x68);
        bench.write(0x4000_0034, 500);
        assert_eq!((bench.read(0x4000_0018), bench.read(0x4000_0034)), (0x68, 500));
        let mut basic = super::tests::bench("TIM6");
        basic.write(TIM6 + 0x34, 500);
        assert_eq!(basic.read(TIM6 + 0x34), 0);
    }

    #[test]
    fn reset_stops_the_timer() {
        let mut bench = millisecond();
        bench.now = 7;
        bench.reset();
        bench.now = 1_000_000;
        assert!(!bench.level(49));
        assert_eq!(bench.read(TIM6 + 0x2C), 0xFFFF);
    }
}
