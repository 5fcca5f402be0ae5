//! Whether log lines follow each other: a gap in their numbers is a loss (D70).

use std::ops::RangeInclusive;

/// Follows the numbers of one device's lines.
#[derive(Debug, Default)]
pub(crate) struct Continuity(Option<Last>);

#[derive(Clone, Copy, Debug)]
struct Last {
    boot: u32,
    sequence: u32,
}

/// What stands between a line and the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Between {
    /// The device has started anew.
    pub(crate) restarted: bool,
    /// Numbers of lines that never arrived.
    pub(crate) lost: Option<RangeInclusive<u32>>,
}

impl Continuity {
    /// The next line: the number of the device's start, and its own since then, from 1. Of what was before the first line
    /// nothing is known.
    pub(crate) fn next(&mut self, boot: u32, sequence: u32) -> Between {
        let Some(last) = self.0.replace(Last { boot, sequence }) else { return Between::default() };
        let restarted = last.boot != boot;
        let before = if restarted { 0 } else { last.sequence };
        let lost = sequence > before.saturating_add(1);
        Between { restarted, lost: lost.then(|| before + 1..=sequence - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D70.
    #[test]
    fn a_gap_in_the_numbers_is_a_loss() {
        let mut continuity = Continuity::default();
        assert_eq!(continuity.next(7, 5), Between::default(), "nobody knows what was before");
        assert_eq!(continuity.next(7, 6), Between::default());
        assert_eq!(continuity.next(7, 10), Between { restarted: false, lost: Some(7..=9) });
        assert_eq!(continuity.next(7, 11), Between::default());
    }

    #[test]
    fn a_new_start_counts_from_one() {
        let mut continuity = Continuity::default();
        continuity.next(7, 5);
        assert_eq!(continuity.next(8, 1), Between { restarted: true, lost: None });
        assert_eq!(continuity.next(9, 3), Between { restarted: true, lost: Some(1..=2) });
    }

    #[test]
    fn no_numbers_make_it_panic() {
        let mut continuity = Continuity::default();
        for sequence in [u32::MAX, 0, u32::MAX, u32::MAX, 1, 0] {
            continuity.next(1, sequence);
        }
    }
}
