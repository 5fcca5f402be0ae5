//! A device's log lines on their way to the store, and what is acknowledged to the device.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::log_rate::LogRate;
use crate::clock::wall_millis;
use crate::events::EventKind;
use crate::id::DeviceId;
use crate::limits::WALL_CLOCK_INTERVAL;
use crate::log_intake::LogQueue;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::store::{LogLine, Logging};

/// The log of one device during one connection.
pub(super) struct LogStream {
    device: DeviceId,
    /// From `HELLO`; identifies the boot of the device that its lines belong to.
    boot: u32,
    queue: LogQueue,
    /// Numbers of the last line given to the store, and of the last one that is stored.
    submitted: u32,
    stored: u32,
    /// Number of the last line that was refused, until it is acknowledged.
    refused: Option<u32>,
    setting: Logging,
    /// The state the device was last notified of.
    is_enabled: bool,
    /// When the setting is evaluated again.
    next_evaluation: Option<Instant>,
    rate: LogRate,
    metrics: Arc<Metrics>,
}

/// A line that is about to be stored.
pub(super) struct Line<'a> {
    sequence: u32,
    clock: u64,
    text: &'a [u8],
}

impl Line<'_> {
    pub(super) fn to_event(&self) -> EventKind {
        EventKind::Log { sequence: self.sequence, clock: self.clock, text: self.text.to_vec() }
    }
}

impl LogStream {
    /// `is_enabled` is the state the device is notified of when it connects.
    pub(super) fn new(device: DeviceId, shared: &Shared, setting: Logging, is_enabled: bool) -> Self {
        let queue = LogQueue::new(shared.log_intake.clone());
        let rate = LogRate::new(shared.limits.log_lines_a_second);
        Self::with_queue(device, queue, rate, shared.metrics.clone(), setting, is_enabled)
    }

    fn with_queue(
        device: DeviceId,
        queue: LogQueue,
        rate: LogRate,
        metrics: Arc<Metrics>,
        setting: Logging,
        is_enabled: bool,
    ) -> Self {
        Self {
            device,
            boot: 0,
            queue,
            submitted: 0,
            stored: 0,
            refused: None,
            setting,
            is_enabled,
            next_evaluation: None,
            rate,
            metrics,
        }
    }

    /// The device has said `HELLO`.
    pub(super) fn start_run(&mut self, boot: u32, clock: u64, image: [u8; 32]) {
        self.boot = boot;
        self.queue.start_run(self.device, boot, clock);
        self.queue.record_seen(self.device, image);
    }

    /// Takes a line from the device. Lines to be stored go to `observe` first.
    pub(super) fn accept(&mut self, line: relay::LogLine, observe: &mut dyn FnMut(Line<'_>)) {
        let relay::LogLine { sequence, clock, text } = line;
        let clock = clock.as_micros();
        if !self.is_enabled {
            self.metrics.log_lines.refused.inc();
            // Acknowledged all the same: the device would send the line again over every connection.
            self.refused = Some(sequence);
        } else if self.rate.admits(sequence, clock) {
            // Before the line, because a device's lines are stored in the order of their numbers (D118).
            self.flush_dropped(observe);
            self.store_log(sequence, clock, text, observe);
        } else {
            // Acknowledged by the report of dropped lines, which has the number of the last of them (D122).
            self.metrics.log_lines.dropped.inc();
        }
    }

    /// Reports dropped lines in the log, if there are any.
    pub(super) fn flush_dropped(&mut self, observe: &mut dyn FnMut(Line<'_>)) {
        let Some(dropped) = self.rate.take_dropped() else { return };
        self.metrics.count_limit("log_lines_a_second");
        tracing::warn!(name: "log_lines_dropped", device = %self.device, "log lines dropped");
        let text = self.rate.report(dropped);
        self.store_log(dropped.sequence, dropped.clock, text.into_bytes(), observe);
    }

    fn store_log(&mut self, sequence: u32, clock: u64, text: Vec<u8>, observe: &mut dyn FnMut(Line<'_>)) {
        observe(Line { sequence, clock, text: &text });
        let (device, boot, received) = (self.device, self.boot, wall_millis());
        self.submitted = sequence;
        self.queue.push(LogLine { device, boot, sequence, clock, received, text });
    }

    /// Whether the device must not be read from until lines are stored.
    pub(super) fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Whether every line given to the store is stored.
    pub(super) fn are_stored(&self) -> bool {
        self.submitted == self.stored
    }

    /// The number of the line up to which the device may discard its lines, once for each time that changes.
    pub(super) fn poll_acknowledged(&mut self, context: &mut Context<'_>) -> Option<u32> {
        // An acknowledgement covers all lines before it, so a refused line waits for those to be stored.
        if let Some(sequence) = self.refused.take_if(|_| self.submitted == self.stored) {
            self.submitted = sequence;
            self.stored = sequence;
            return Some(sequence);
        }
        let sequence = self.queue.poll_stored(context)?;
        self.stored = sequence;
        Some(sequence)
    }

    pub(super) fn set_logging(&mut self, setting: Logging) {
        self.setting = setting;
    }

    /// Evaluates the setting at `now`, milliseconds since 1970. `Some` if the device must be notified of a change.
    pub(super) fn update(&mut self, now: i64) -> Option<bool> {
        let enabled = self.setting.is_on(now);
        let left = self.setting.expires().filter(|_| enabled).map(|expires| expires.saturating_sub(now));
        let left = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
        // Evaluated again from time to time, because the wall clock may be set in the meantime.
        self.next_evaluation = left.map(|left| Instant::now() + left.min(WALL_CLOCK_INTERVAL));
        let has_changed = std::mem::replace(&mut self.is_enabled, enabled) != enabled;
        has_changed.then_some(enabled)
    }

    pub(super) fn is_report_due(&self, now: Instant) -> bool {
        self.rate.next_report().is_some_and(|due| due <= now)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.rate.next_report().into_iter().chain(self.next_evaluation).min()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::limits::BURST_SECONDS;
    use crate::log_intake;
    use crate::metrics::Metrics;

    struct Fixture {
        stream: LogStream,
        metrics: Arc<Metrics>,
        writer: log_intake::TestWriter,
        observed: Vec<(u32, String)>,
    }

    impl Fixture {
        fn new(rate: u32, setting: Logging) -> Self {
            let (intake, writer) = log_intake::TestWriter::new();
            let metrics = Arc::new(Metrics::new());
            let (device, is_enabled) = (DeviceId::random(), setting.is_on(0));
            let stream = LogStream::with_queue(
                device,
                LogQueue::new(intake),
                LogRate::new(rate),
                metrics.clone(),
                setting,
                is_enabled,
            );
            Self { stream, metrics, writer, observed: Vec::new() }
        }

        fn log(&mut self, sequences: impl IntoIterator<Item = u32>) {
            for sequence in sequences {
                let line = relay::LogLine { sequence, clock: sansio::Instant::ZERO, text: b"text".to_vec() };
                let observed = &mut self.observed;
                self.stream.accept(line, &mut |line| {
                    observed.push((line.sequence, String::from_utf8_lossy(line.text).into_owned()));
                });
            }
        }

        fn acknowledged(&mut self) -> Option<u32> {
            self.stream.poll_acknowledged(&mut Context::from_waker(Waker::noop()))
        }
    }

    fn on() -> Logging {
        Logging::new(true, None)
    }

    /// Shows D70.
    #[test]
    fn a_line_is_acknowledged_after_it_is_stored() {
        let mut fixture = Fixture::new(0, on());
        fixture.log([1, 2, 3]);
        assert_eq!((fixture.acknowledged(), fixture.stream.are_stored()), (None, false));
        fixture.writer.store_all();
        assert_eq!((fixture.acknowledged(), fixture.stream.are_stored()), (Some(3), true));
        assert_eq!(fixture.acknowledged(), None, "once");
        assert_eq!(fixture.observed.len(), 3);
    }

    /// Shows D125.
    #[test]
    fn a_refused_line_is_acknowledged_after_those_before_it_are_stored() {
        let mut fixture = Fixture::new(0, on());
        fixture.log([1]);
        fixture.stream.set_logging(Logging::OFF);
        assert_eq!(fixture.stream.update(0), Some(false));
        assert_eq!(fixture.stream.update(0), None, "notified once");
        fixture.log([2, 3]);
        assert_eq!(fixture.acknowledged(), None, "1 is not stored");
        fixture.writer.store_all();
        assert_eq!((fixture.acknowledged(), fixture.acknowledged()), (Some(1), Some(3)));
        assert_eq!((fixture.acknowledged(), fixture.stream.are_stored()), (None, true));
        assert_eq!((fixture.observed.len(), fixture.metrics.log_lines.refused.get()), (1, 2));
    }

    /// Shows D122.
    #[test]
    fn dropped_lines_are_reported_before_the_next_line_that_is_kept() {
        let mut fixture = Fixture::new(1, on());
        fixture.log(1..=BURST_SECONDS + 2);
        assert_eq!(fixture.observed.len(), BURST_SECONDS as usize);
        assert!(fixture.stream.next_timeout().is_some());
        let observed = &mut fixture.observed;
        fixture.stream.flush_dropped(&mut |line| {
            observed.push((line.sequence, String::from_utf8_lossy(line.text).into_owned()));
        });
        let report = "[openvisor: 2 log lines dropped, more than 1 a second]".to_owned();
        assert_eq!(fixture.observed.last(), Some(&(BURST_SECONDS + 2, report)));
        assert_eq!((fixture.metrics.log_lines.dropped.get(), fixture.stream.next_timeout()), (2, None));
    }

    /// Shows D125.
    #[test]
    fn logging_is_evaluated_again_when_it_expires() {
        let mut fixture = Fixture::new(0, Logging::new(true, Some(1000)));
        assert_eq!(fixture.stream.update(400), None, "the device knows");
        let left = fixture.stream.next_timeout().expect("it expires") - Instant::now();
        assert!(left <= Duration::from_millis(600) && left > Duration::from_millis(100), "{left:?}");
        assert_eq!((fixture.stream.update(1000), fixture.stream.next_timeout()), (Some(false), None));
    }
}
