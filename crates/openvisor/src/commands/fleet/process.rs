//! What this process takes of the machine.

use std::fs;
use std::time::{Duration, Instant};

/// Ticks a second in which Linux counts a process's time, on every processor it runs on.
const TICKS: f64 = 100.0;

/// What the process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Share of a core since the last look; 1 is a whole one.
    pub cores: f64,
    /// Memory, in KiB.
    pub resident_kib: u64,
}

/// Looks at the process now and then.
pub(super) struct Meter {
    last: Option<(Instant, Duration)>,
}

impl Meter {
    /// The first look.
    pub(super) fn new() -> Self {
        Self { last: used().map(|used| (Instant::now(), used)) }
    }

    /// What the process takes; `None` where the system does not say.
    pub(super) fn look(&mut self) -> Option<Usage> {
        let (now, used) = (Instant::now(), used()?);
        let (before, used_before) = self.last.replace((now, used))?;
        let time = (now - before).as_secs_f64();
        let cores = if time > 0.0 { used.saturating_sub(used_before).as_secs_f64() / time } else { 0.0 };
        Some(Usage { cores, resident_kib: resident_kib()? })
    }
}

/// Time all threads have spent on a processor, those that are gone too.
fn used() -> Option<Duration> {
    let line = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some(Duration::from_secs_f64((ticks()? + ticks()?) / TICKS))
}

fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim_end_matches("kB").trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let mut meter = Meter::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        let usage = meter.look().expect("Linux says");
        assert!(usage.cores > 0.0 && usage.resident_kib > 100, "{usage:?}");
    }
}
