//! Finds lost log lines: a device numbers its lines, so that a gap in the numbers is a loss (D70).

use std::ops::RangeInclusive;

/// Follows the line numbers of one device.
#[derive(Debug, Default)]
pub struct GapDetector(Option<Last>);

#[derive(Clone, Copy, Debug)]
struct Last {
    boot: u32,
    sequence: u32,
}

/// What happened between a line and the previous one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The device has restarted.
    pub restarted: bool,
    /// Numbers of the lines that were lost.
    pub lost: Option<RangeInclusive<u32>>,
}

impl GapDetector {
    /// Takes the next line: the number of the device's boot, and its own since then, from 1. Nothing is reported before
    /// the first line, since it may not be the device's first.
    pub fn next(&mut self, boot: u32, sequence: u32) -> Gap {
        let Some(last) = self.0.replace(Last { boot, sequence }) else { return Gap::default() };
        let restarted = last.boot != boot;
        let previous = if restarted { 0 } else { last.sequence };
        let lost = sequence > previous.saturating_add(1);
        Gap { restarted, lost: lost.then(|| previous + 1..=sequence - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D70.
    #[test]
    fn a_gap_in_the_numbers_is_a_loss() {
        let mut gaps = GapDetector::default();
        assert_eq!(gaps.next(7, 5), Gap::default(), "earlier lines are unknown");
        assert_eq!(gaps.next(7, 6), Gap::default());
        assert_eq!(gaps.next(7, 10), Gap { restarted: false, lost: Some(7..=9) });
        assert_eq!(gaps.next(7, 11), Gap::default());
    }

    #[test]
    fn a_restart_counts_from_one() {
        let mut gaps = GapDetector::default();
        gaps.next(7, 5);
        assert_eq!(gaps.next(8, 1), Gap { restarted: true, lost: None });
        assert_eq!(gaps.next(9, 3), Gap { restarted: true, lost: Some(1..=2) });
    }

    #[test]
    fn no_numbers_make_it_panic() {
        let mut gaps = GapDetector::default();
        for sequence in [u32::MAX, 0, u32::MAX, u32::MAX, 1, 0] {
            gaps.next(1, sequence);
        }
    }
}
