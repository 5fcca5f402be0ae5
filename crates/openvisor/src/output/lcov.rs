//! Which lines of an application were executed, in the format of lcov, which CI systems and editors show.

use std::collections::BTreeMap;
use std::fmt::Write;

use device::debug::symbols::LineRange;

/// Lines with code, and whether they were executed, by file.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<String, BTreeMap<u32, bool>>);

impl Coverage {
    /// Adds a line's instructions. A line counts as executed if one of its instructions was, in whatever run.
    pub(crate) fn add(&mut self, range: &LineRange, was_executed: impl Fn(u32) -> bool) {
        let lines = self.0.entry(range.file.clone()).or_default();
        let hit = range.addresses.clone().step_by(2).any(was_executed);
        *lines.entry(range.line).or_default() |= hit;
    }

    /// Lines that were executed, and lines with code.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let lines = || self.0.values().flat_map(BTreeMap::values);
        (lines().filter(|hit| **hit).count(), lines().count())
    }

    /// The file's content. How often a line was executed is not known: 1 is at least once.
    pub(crate) fn document(&self) -> String {
        let mut text = String::new();
        for (file, lines) in &self.0 {
            // A line break in a name would make a record of its own.
            let file = file.replace(['\n', '\r'], "?");
            let _ = writeln!(text, "TN:\nSF:{file}");
            for (line, hit) in lines {
                let _ = writeln!(text, "DA:{line},{}", u8::from(*hit));
            }
            let hits = lines.values().filter(|hit| **hit).count();
            let _ = writeln!(text, "LF:{}\nLH:{hits}\nend_of_record", lines.len());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_executed_if_one_of_its_instructions_was_in_one_of_the_runs() {
        let range = |start: u32, line| LineRange { addresses: start..start + 4, file: "a\nb.c".into(), line };
        let mut coverage = Coverage::default();
        coverage.add(&range(0, 7), |address| address == 2);
        coverage.add(&range(0, 7), |_| false);
        coverage.add(&range(4, 9), |address| address == 5);
        assert_eq!(coverage.document(), "TN:\nSF:a?b.c\nDA:7,1\nDA:9,0\nLF:2\nLH:1\nend_of_record\n");
        assert_eq!(coverage.counts(), (1, 2));
    }
}
