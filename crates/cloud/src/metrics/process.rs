//! Resource usage of this process, from `/proc` on Linux.

use std::fs;
use std::time::Duration;

/// Unit of processor time in `/proc` (USER_HZ), independent of how the kernel was built.
const TICKS_PER_SECOND: u64 = 100;

/// Resources in use.
pub(super) struct Usage {
    /// Resident memory, bytes.
    pub(super) memory: i64,
    /// Open files and sockets.
    pub(super) files: i64,
    /// Processor time since the start.
    pub(super) processor: Duration,
}

/// Open files and sockets. `None` where there is no `/proc`.
pub(crate) fn open_files() -> Option<usize> {
    // Less the one that is open for counting.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// `None` where there is no `/proc`.
pub(super) fn usage() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    Some(Usage {
        memory: resident(&status)?,
        files: open_files()?.cast_signed() as i64,
        processor: Duration::from_millis(ticks(&stat)? * 1000 / TICKS_PER_SECOND),
    })
}

/// `VmRSS:     1234 kB`
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Fields 14 and 15; the second field, the program's name, may hold anything and ends with the last parenthesis.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_from_proc() {
        assert_eq!(resident("VmSize:\t  99 kB\nVmRSS:\t    1234 kB\n"), Some(1_263_616));
        assert_eq!(ticks("42 (a) b) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0"), Some(100));
        assert_eq!((resident(""), ticks("42")), (None, None));
    }
}
