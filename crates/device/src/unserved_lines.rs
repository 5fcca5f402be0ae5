//! Interrupt lines that stay pending and are not enabled. An application that forgets `NVIC_ISER` waits forever, and
//! nothing else shows why.

use armv8m::Cycles;

use crate::memory_map::CYCLES_PER_MICRO;
use crate::peripherals::Lines;

/// How long a line is pending before it is reported: far longer than a critical section or the start of a driver.
const LIMIT: Cycles = 1_000_000 * CYCLES_PER_MICRO;

/// The lines that were pended while they were not enabled. Empty for an application that enables its lines first, so
/// that it costs nothing.
#[derive(Debug, Default)]
pub(crate) struct UnservedLines {
    /// Each line once, with the cycle at which it was pended, in this order.
    waiting: Vec<(u16, Cycles)>,
    /// The lines that were reported since the start: once is enough.
    reported: Lines,
}

/// A line that becomes pending, or is pended again.
pub(crate) struct Pended {
    /// The line.
    pub line: u16,
    /// It was pending before.
    pub was_pending: bool,
    /// The application has enabled it.
    pub is_enabled: bool,
}

impl UnservedLines {
    /// The application starts.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A line is pended at cycle `now`.
    pub(crate) fn pended(&mut self, pended: &Pended, now: Cycles) {
        let Pended { line, was_pending, is_enabled } = *pended;
        if is_enabled || !was_pending {
            self.waiting.retain(|(waiting, _)| *waiting != line);
        }
        let is_known = self.reported.level(line) || self.waiting.iter().any(|(waiting, _)| *waiting == line);
        if !(is_enabled || is_known) {
            self.waiting.push((line, now));
        }
    }

    /// The cycle at which the next line is due.
    pub(crate) fn next_timeout(&self) -> Option<Cycles> {
        self.waiting.first().map(|(_, since)| since.saturating_add(LIMIT))
    }

    /// The next line to report at cycle `now`. `is_unserved` says whether a line is pending and not enabled.
    pub(crate) fn take_due(&mut self, now: Cycles, is_unserved: impl Fn(u16) -> bool) -> Option<u16> {
        while self.next_timeout().is_some_and(|at| at <= now) {
            let (line, _) = self.waiting.remove(0);
            if is_unserved(line) {
                self.reported.set(line, true);
                return Some(line);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Pended = Pended { line: 51, was_pending: false, is_enabled: false };
    const AGAIN: Pended = Pended { was_pending: true, ..NEW };

    /// Shows D345.
    #[test]
    fn a_line_is_reported_once_when_it_was_pending_for_a_second() {
        let mut lines = UnservedLines::default();
        lines.pended(&NEW, 100);
        lines.pended(&AGAIN, 5000);
        assert_eq!(lines.next_timeout(), Some(100 + LIMIT));
        assert_eq!(lines.take_due(99 + LIMIT, |_| true), None);
        assert_eq!(lines.take_due(100 + LIMIT, |line| line == 51), Some(51));
        lines.pended(&AGAIN, 200 + LIMIT);
        assert_eq!(lines.next_timeout(), None);
        lines.clear();
        lines.pended(&AGAIN, 300 + LIMIT);
        assert_eq!(lines.next_timeout(), Some(300 + 2 * LIMIT));
    }

    /// Shows D345.
    #[test]
    fn a_line_that_was_served_or_enabled_is_not_reported() {
        let mut lines = UnservedLines::default();
        lines.pended(&NEW, 100);
        lines.pended(&NEW, 200);
        assert_eq!(lines.next_timeout(), Some(200 + LIMIT), "it was served before it was pended again");
        lines.pended(&Pended { is_enabled: true, ..NEW }, 300);
        assert_eq!(lines.next_timeout(), None);
        lines.pended(&NEW, 400);
        assert_eq!(lines.take_due(400 + LIMIT, |_| false), None);
        assert_eq!(lines.next_timeout(), None);
    }
}
