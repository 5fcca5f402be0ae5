//! The line table of an image: which line of which file each instruction belongs to.

use std::ops::Range;

use super::{Symbols, shortened};

/// Instructions of one line that lie together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRange {
    /// Their addresses.
    pub addresses: Range<u32>,
    /// The source file, as the debug information has it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl Symbols {
    /// The lines of the instructions in `addresses`, in no particular order; none where there is no line table. Code
    /// that the linker has removed has no addresses, and is not among them.
    pub fn line_ranges(&self, addresses: Range<u32>) -> Vec<LineRange> {
        let Ok(context) = addr2line::Context::from_dwarf(self.0.dwarf()) else { return Vec::new() };
        let (low, high) = (u64::from(addresses.start), u64::from(addresses.end));
        let Ok(ranges) = context.find_location_range(low, high) else { return Vec::new() };
        let named = ranges.filter_map(|(start, length, location)| {
            let line = location.line.filter(|line| *line > 0)?;
            let start = u32::try_from(start).ok().filter(|start| addresses.contains(start))?;
            let end = start.checked_add(u32::try_from(length).ok()?)?;
            Some(LineRange { addresses: start..end, file: shortened(location.file?), line })
        });
        named.collect()
    }
}
