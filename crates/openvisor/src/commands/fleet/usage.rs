//! Processor time and memory of this process.

use std::fs;
use std::time::{Duration, Instant};

/// Clock ticks per second in which Linux counts processor time (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The usage of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Processor time since the last sample; 1 is one whole core.
    pub cores: f64,
    /// Memory, in KiB.
    pub resident_kib: u64,
}

/// Samples the usage.
pub(super) struct UsageMeter {
    last: Option<(Instant, Duration)>,
}

impl UsageMeter {
    /// Takes the first sample.
    pub(super) fn new() -> Self {
        Self { last: processor_time().map(|used| (Instant::now(), used)) }
    }

    /// The usage since the last sample; `None` if the system does not report it.
    pub(super) fn sample(&mut self) -> Option<Usage> {
        let (now, used) = (Instant::now(), processor_time()?);
        let (before, used_before) = self.last.replace((now, used))?;
        let time = (now - before).as_secs_f64();
        let cores = if time > 0.0 { used.saturating_sub(used_before).as_secs_f64() / time } else { 0.0 };
        Some(Usage { cores, resident_kib: resident_kib()? })
    }
}

/// Processor time of all threads, including ended ones.
fn processor_time() -> Option<Duration> {
    let line = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may contain spaces and parentheses.
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
    fn processor_time_is_counted() {
        let mut meter = UsageMeter::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        let usage = meter.sample().expect("Linux reports it");
        assert!(usage.cores > 0.0 && usage.resident_kib > 100, "{usage:?}");
    }
}
