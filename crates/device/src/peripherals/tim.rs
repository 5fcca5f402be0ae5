//! The timers' counters: counting up, update events, compare matches and their interrupts, one-pulse mode, preloads.
//!
//! A counter is not stepped. It is the number of ticks since a known cycle, and update events and matches are moments
//! that can be computed, so a timer costs nothing while it runs. Output pins, capture from pins, counting down and the
//! repetition counter are not modelled: their registers can be written and read.

use armv8m::Cycles;

use super::{Context, Lines, Peripheral, RegisterWrite};

/// What differs between the timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Name in the reference manual.
    pub name: &'static str,
    /// First register.
    pub base: u32,
    /// Interrupt line of its update event.
    pub line: u16,
    /// Interrupt line of its channels.
    pub compare_line: u16,
    /// Largest value of its counter.
    pub max: u32,
    /// Number of its capture and compare channels; a timer without one has counter and prescaler only.
    pub channels: u8,
}

/// Most channels of a timer.
const CHANNELS: usize = 4;

const HALF: u32 = 0xFFFF;

/// The timers of the STM32U585.
pub const TIMERS: [Kind; 11] = [
    Kind { name: "TIM2", base: 0x4000_0000, line: 45, compare_line: 45, max: u32::MAX, channels: 4 },
    Kind { name: "TIM3", base: 0x4000_0400, line: 46, compare_line: 46, max: u32::MAX, channels: 4 },
    Kind { name: "TIM4", base: 0x4000_0800, line: 47, compare_line: 47, max: u32::MAX, channels: 4 },
    Kind { name: "TIM5", base: 0x4000_0C00, line: 48, compare_line: 48, max: u32::MAX, channels: 4 },
    Kind { name: "TIM6", base: 0x4000_1000, line: 49, compare_line: 49, max: HALF, channels: 0 },
    Kind { name: "TIM7", base: 0x4000_1400, line: 50, compare_line: 50, max: HALF, channels: 0 },
    Kind { name: "TIM1", base: 0x4001_2C00, line: 42, compare_line: 44, max: HALF, channels: 4 },
    Kind { name: "TIM8", base: 0x4001_3400, line: 52, compare_line: 54, max: HALF, channels: 4 },
    Kind { name: "TIM15", base: 0x4001_4000, line: 69, compare_line: 69, max: HALF, channels: 2 },
    Kind { name: "TIM16", base: 0x4001_4400, line: 70, compare_line: 70, max: HALF, channels: 1 },
    Kind { name: "TIM17", base: 0x4001_4800, line: 71, compare_line: 71, max: HALF, channels: 1 },
];

const CR1: u32 = 0x00;
const CR2: u32 = 0x04;
const DIER: u32 = 0x0C;
const SR: u32 = 0x10;
const EGR: u32 = 0x14;
const CNT: u32 = 0x24;
const PSC: u32 = 0x28;
const ARR: u32 = 0x2C;
const CCMR1: u32 = 0x18;
const CCR1: u32 = 0x34;
const CCR4: u32 = 0x40;
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
/// In a channel's eight bits of CCMR1 or CCMR2: an input, if not zero; its value is preloaded.
const CCS: u32 = 0b11;
const OCPE: u32 = 1 << 3;

/// Flag, enable and software event of channel `index`, which are the same bit of their registers.
const fn channel_bit(index: usize) -> u32 {
    2 << index
}

/// One timer.
#[derive(Debug)]
pub struct Tim {
    kind: Kind,
    control: u32,
    interrupts: u32,
    status: u32,
    prescaler: Preloaded,
    reload: Preloaded,
    compares: [Preloaded; CHANNELS],
    /// Compare matches up to this cycle have set their flags.
    matched: u64,
    /// The counter was at `count` at cycle `since`; it runs from there while it is enabled.
    count: u32,
    since: Cycles,
    /// Its clock is stopped, this long after its last tick.
    stopped_after: Option<u64>,
    /// Registers without function here.
    unmodelled: [u32; END as usize / 4],
}

/// A register whose written value may take effect later.
#[derive(Debug, Clone, Copy)]
struct Preloaded {
    written: u32,
    active: u32,
}

impl Preloaded {
    const fn new(value: u32) -> Self {
        Self { written: value, active: value }
    }

    fn load(&mut self) {
        self.active = self.written;
    }
}

impl Tim {
    /// A timer after reset.
    pub fn new(kind: &Kind) -> Self {
        Self {
            kind: *kind,
            control: 0,
            interrupts: 0,
            status: 0,
            prescaler: Preloaded::new(0),
            reload: Preloaded::new(kind.max),
            compares: [Preloaded::new(0); CHANNELS],
            matched: 0,
            count: 0,
            since: 0,
            stopped_after: None,
            unmodelled: [0; END as usize / 4],
        }
    }

    fn running(&self) -> bool {
        // A reload value of zero stops the counter.
        self.control & CEN != 0 && self.stopped_after.is_none() && self.reload.active != 0
    }

    /// Cycles a tick of the counter takes.
    fn tick(&self) -> u64 {
        u64::from(self.prescaler.active) + 1
    }

    /// Ticks from the known count to the next update event. A counter above its reload value goes round by its width.
    fn ticks_to_update(&self) -> u64 {
        let (count, reload) = (u64::from(self.count), u64::from(self.reload.active));
        // Such a counter has missed the comparison with its reload value and counts to its largest value.
        let top = if count <= reload { reload } else { u64::from(self.kind.max) };
        top - count + 1
    }

    /// The cycle of the next update event, if the counter runs.
    fn next_update(&self) -> Option<u64> {
        let cycles = self.ticks_to_update().checked_mul(self.tick())?;
        if self.running() { self.since.checked_add(cycles) } else { None }
    }

    fn counter(&self, now: Cycles) -> u32 {
        if !self.running() {
            return self.count;
        }
        // `now` is before the next update event, so that this does not wrap.
        self.count.wrapping_add((now.saturating_sub(self.since) / self.tick()) as u32)
    }

    /// Makes `now` the known cycle, so that a register the count depends on may change.
    fn rebase(&mut self, now: Cycles) {
        if self.running() {
            let ticks = now.saturating_sub(self.since) / self.tick();
            self.count = self.count.wrapping_add(ticks as u32);
            // The prescaler keeps its count: `since` is always the cycle of a tick.
            self.since += ticks * self.tick();
        } else {
            self.since = now;
        }
    }

    /// The channels that compare the counter with a value.
    fn comparing(&self) -> impl Iterator<Item = usize> + use<> {
        let modes = [self.unmodelled[CCMR1 as usize / 4], self.unmodelled[CCMR1 as usize / 4 + 1]];
        let is_output = move |index: &usize| modes[index / 2] >> (8 * (index % 2)) & CCS == 0;
        (0..usize::from(self.kind.channels)).filter(is_output)
    }

    fn is_preloaded(&self, channel: usize) -> bool {
        let mode = self.unmodelled[CCMR1 as usize / 4 + channel / 2] >> (8 * (channel % 2));
        mode & (OCPE | CCS) == OCPE
    }

    /// Sets the flags of matches up to cycle `now`, before which there is no update event.
    fn note_matches(&mut self, now: Cycles) {
        if self.running() && now > self.matched {
            let (from, to) = (self.counter(self.matched.max(self.since)), self.counter(now));
            for channel in self.comparing() {
                let value = self.compares[channel].active;
                self.status |= if from < value && value <= to { channel_bit(channel) } else { 0 };
            }
        }
        self.matched = self.matched.max(now);
    }

    /// The matches of an update event: with zero, and with what the counter did not reach.
    fn note_overflow(&mut self) {
        for channel in self.comparing() {
            let value = self.compares[channel].active;
            let matches = value == 0 || value > self.reload.active;
            self.status |= if matches { channel_bit(channel) } else { 0 };
        }
    }

    /// The cycle of the next match that raises an interrupt, or of the update event behind which it lies.
    fn next_match(&self) -> Option<u64> {
        let update = self.next_update()?;
        let from = self.counter(self.matched.max(self.since));
        let awaited = |channel: &usize| {
            let bit = channel_bit(*channel);
            self.interrupts & bit != 0 && self.status & bit == 0
        };
        let moments = self.comparing().filter(awaited).map(|channel| {
            let value = self.compares[channel].active;
            let ahead = value > from && value <= self.reload.active;
            if ahead { self.since + u64::from(value - self.count) * self.tick() } else { update }
        });
        moments.min()
    }

    /// One update event at cycle `at`.
    fn update(&mut self, at: Cycles) {
        // The matches of the period that ends, before the preloads change what is compared.
        self.note_matches(at - 1);
        self.note_overflow();
        self.matched = at;
        self.count = 0;
        self.since = at;
        // UDIS: the counter starts again, but raises no flag and loads no preload (RM0456, TIMx_CR1).
        if self.control & UDIS != 0 {
            return;
        }
        self.status |= UIF;
        self.load();
        if self.control & OPM != 0 {
            self.control &= !CEN;
        }
    }

    /// What was preloaded takes effect.
    fn load(&mut self) {
        self.prescaler.load();
        self.reload.load();
        self.compares.iter_mut().for_each(Preloaded::load);
    }

    /// Skips the whole periods before `now`, which differ in nothing from the one just begun.
    fn skip_periods(&mut self, now: Cycles) {
        // Only now is the period known: the first event may have loaded another prescaler or reload value.
        let Some(next) = self.next_update() else { return };
        if next <= now {
            let period = next - self.since;
            self.since += (now - self.since) / period * period;
        }
    }

    fn generate(&mut self, write: RegisterWrite, now: Cycles) {
        // The bits of the channels this timer has.
        let channels = channel_bit(usize::from(self.kind.channels)) - channel_bit(0);
        self.status |= write.ones() & channels;
        if write.ones() & UG == 0 {
            return;
        }
        self.count = 0;
        self.since = now;
        if self.control & UDIS == 0 {
            self.load();
            // URS: an update by software raises no flag (RM0456, TIMx_CR1).
            if self.control & URS == 0 {
                self.status |= UIF;
            }
        }
    }

    fn write_reload(&mut self, write: RegisterWrite, now: Cycles) {
        self.rebase(now);
        self.reload.written = write.apply_to(self.reload.written, self.kind.max);
        if self.control & ARPE == 0 {
            self.reload.load();
        }
    }

    fn write_control(&mut self, write: RegisterWrite, now: Cycles) {
        self.rebase(now);
        self.matched = now;
        self.control = write.apply_to(self.control, CR1_WRITABLE);
    }

    fn write_compare(&mut self, channel: usize, write: RegisterWrite) {
        if channel >= usize::from(self.kind.channels) {
            return;
        }
        let preloaded = self.is_preloaded(channel);
        let compare = &mut self.compares[channel];
        compare.written = write.apply_to(compare.written, self.kind.max);
        if !preloaded {
            compare.load();
        }
    }

    fn write_unmodelled(&mut self, offset: u32, write: RegisterWrite) {
        let has = offset < END && (self.kind.channels > 0 || offset == CR2);
        if has {
            let word = &mut self.unmodelled[offset as usize / 4];
            *word = write.apply_to(*word, u32::MAX);
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
            CCR1..=CCR4 => self.compares[(offset - CCR1) as usize / 4].written,
            _ => self.unmodelled.get(offset as usize / 4).copied().unwrap_or(0),
        }
    }

    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>) {
        match offset {
            CR1 => self.write_control(write, context.now),
            DIER => self.interrupts = write.apply_to(self.interrupts, HALF),
            // Flags are cleared by writing zeros.
            SR => self.status &= !write.zeros(),
            EGR => self.generate(write, context.now),
            CNT => {
                // Only for its side effect on `since`: the prescaler keeps its phase.
                self.rebase(context.now);
                self.count = write.apply_to(self.count, self.kind.max);
            }
            PSC => self.prescaler.written = write.apply_to(self.prescaler.written, HALF),
            ARR => self.write_reload(write, context.now),
            CCR1..=CCR4 => self.write_compare((offset - CCR1) as usize / 4, write),
            _ => self.write_unmodelled(offset, write),
        }
    }

    fn interrupts(&self, lines: &mut Lines) {
        lines.set(self.kind.line, self.status & UIF != 0 && self.interrupts & UIE != 0);
        let channels = (0..usize::from(self.kind.channels)).fold(0, |all, index| all | channel_bit(index));
        lines.set(self.kind.compare_line, self.status & self.interrupts & channels != 0);
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        // The first event loads the preloads; from the second on all are alike.
        for _ in 0..2 {
            match self.next_update() {
                Some(at) if at <= now => self.update(at),
                _ => return self.note_matches(now),
            }
        }
        if self.next_update().is_some_and(|at| at <= now) {
            // A whole period has every match.
            for channel in self.comparing() {
                self.status |= channel_bit(channel);
            }
        }
        self.skip_periods(now);
        self.matched = self.matched.max(self.since);
        self.note_matches(now);
    }

    fn stop_clock(&mut self, stopped: bool, now: Cycles) {
        if stopped && self.stopped_after.is_none() {
            self.rebase(now);
            self.stopped_after = Some(now - self.since);
        } else if let (false, Some(part)) = (stopped, self.stopped_after) {
            self.stopped_after = None;
            (self.since, self.matched) = (now - part, now);
        }
    }

    fn next_event(&self) -> Option<Cycles> {
        // Without its interrupt, or with the flag up already, an update changes no line.
        let awaited = self.interrupts & UIE != 0 && self.status & UIF == 0 && self.control & UDIS == 0;
        let update = if awaited { self.next_update() } else { None };
        [update, self.next_match()].into_iter().flatten().min()
    }

    fn reset(&mut self, context: &mut Context<'_>) {
        *self = Self { since: context.now, matched: context.now, ..Self::new(&self.kind) };
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
    fn a_clock_that_stops_continues_where_it_was() {
        let mut bench = millisecond();
        bench.write(TIM6 + 0x10, 0);
        bench.now = 40_080;
        bench.read(TIM6 + 0x24);
        bench.peripheral.stop_clock(true, 40_080);
        assert_eq!(bench.peripheral.next_event(), None);
        bench.now = 5_000_000;
        assert_eq!((bench.read(TIM6 + 0x24), bench.read(TIM6 + 0x10)), (250, 0));
        bench.peripheral.stop_clock(false, 5_000_000);
        assert_eq!(bench.peripheral.next_event(), Some(5_000_000 + 160_000 - 40_080));
        bench.now += 80;
        assert_eq!(bench.read(TIM6 + 0x24), 251, "half a tick was over before");
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

    /// TIM3 with 160 cycles a tick and 100 ticks a period; channel 1 at 25.
    fn comparing(mode: u32) -> Bench {
        let mut bench = bench("TIM3");
        bench.write(TIM3 + 0x28, 159);
        bench.write(TIM3 + 0x2C, 99);
        bench.write(TIM3 + 0x14, 1);
        bench.write(TIM3 + 0x18, mode);
        bench.write(TIM3 + 0x34, 25);
        bench.write(TIM3 + 0x10, 0);
        bench.write(TIM3 + 0x0C, 2);
        bench.write(TIM3, 1);
        bench
    }

    const TIM3: u32 = 0x4000_0400;

    #[test]
    fn a_match_comes_in_every_period_at_its_tick() {
        let mut bench = comparing(0);
        for period in 0..3 {
            let at = (period * 100 + 25) * 160;
            while let Some(event) = bench.peripheral.next_event().filter(|event| *event < at) {
                bench.now = event;
                assert!(!bench.level(46), "early, at {event}");
            }
            assert_eq!(bench.peripheral.next_event(), Some(at));
            bench.now = at - 1;
            assert!(!bench.level(46), "early");
            bench.now = at;
            assert!(bench.level(46), "period {period}");
            bench.write(TIM3 + 0x10, !2);
            assert!(!bench.level(46));
        }
    }

    #[test]
    fn a_match_missed_over_several_periods_is_one() {
        let mut bench = comparing(0);
        bench.now = 1_000 * 100 * 160 + 30 * 160;
        assert_eq!(bench.read(TIM3 + 0x10) & 2, 2);
        bench.write(TIM3 + 0x10, 0);
        bench.now += 60 * 160;
        assert_eq!(bench.read(TIM3 + 0x10) & 2, 0, "not again in this period");
        bench.now += 40 * 160;
        assert_eq!(bench.read(TIM3 + 0x10) & 2, 2);
    }

    #[test]
    fn a_preloaded_value_waits_for_the_next_period_and_another_does_not() {
        for (mode, at) in [(0, 50), (0x68, 100 + 50)] {
            let mut bench = comparing(mode);
            // With preload the value written before the timer ran was not loaded yet.
            bench.write(TIM3 + 0x14, 1);
            bench.write(TIM3 + 0x34, 25);
            bench.write(TIM3 + 0x14, 1);
            bench.write(TIM3 + 0x10, 0);
            bench.now = 30 * 160;
            bench.write(TIM3 + 0x10, 0);
            bench.write(TIM3 + 0x34, 50);
            bench.now = at * 160 - 1;
            assert!(!bench.level(46), "mode {mode:#x}");
            bench.now += 1;
            assert!(bench.level(46), "mode {mode:#x}");
        }
    }

    #[test]
    fn zero_and_what_is_never_reached_match_at_the_update() {
        for value in [0, 100] {
            let mut bench = comparing(0);
            bench.write(TIM3 + 0x34, value);
            bench.now = 99 * 160;
            assert!(!bench.level(46));
            bench.now = 100 * 160;
            assert!(bench.level(46), "{value}");
        }
    }

    #[test]
    fn an_input_channel_matches_nothing_and_software_may_raise_any() {
        let mut bench = comparing(1);
        bench.now = 1_000_000;
        assert!(!bench.level(46));
        bench.write(TIM3 + 0x14, 2);
        assert!(bench.level(46));
    }

    #[test]
    fn the_advanced_timers_have_a_line_for_their_channels() {
        let mut bench = bench("TIM1");
        bench.write(0x4001_2C0C, 3);
        bench.write(0x4001_2C14, 2);
        assert_eq!((bench.level(42), bench.level(44)), (false, true));
        bench.write(0x4001_2C14, 1);
        assert_eq!((bench.level(42), bench.level(44)), (true, true));
    }

    #[test]
    fn pwm_registers_are_stored_but_a_basic_timer_has_none() {
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
