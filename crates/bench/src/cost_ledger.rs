//! Processor time and context switches of publisher, cloud and broker, as the operating system accounts them. Unlike
//! elapsed time, they depend little on other load.

use std::fs;
use std::time::Duration;

use crate::Error;

/// Threads of a virtual device; the operating system truncates names to 15 bytes.
const DEVICE_THREADS: &[&str] = &["device", "dial", "farewell"];
/// Threads of the cloud.
pub(crate) const CLOUD_THREAD: &str = "cloud";
/// The thread of a client that connects to the broker directly.
pub(crate) const CLIENT_THREAD: &str = "client";

/// The unit of times in `stat`, the same on all architectures of Linux.
const TICK: Duration = Duration::from_millis(10);

/// What threads have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time.
    pub time: Duration,
    /// Context switches.
    pub switches: u64,
}

/// The usage of publisher, cloud and broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CostLedger {
    /// The virtual device, or the client.
    pub publisher: Usage,
    /// The cloud; zero for a client that connects to the broker directly.
    pub cloud: Usage,
    /// The broker.
    pub broker: Usage,
}

/// The part that a thread of this process belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Device,
    Client,
    Cloud,
    Other,
}

impl CostLedger {
    /// Reads the accounts of this process and of the broker's. `is_device` says whether a device publishes, or a client
    /// on the thread [`CLIENT_THREAD`].
    pub(crate) fn read(broker: u32, is_device: bool) -> Result<Self, Error> {
        let mut ledger = Self { broker: process(broker)?, ..Self::default() };
        for thread in threads(std::process::id())? {
            let Some((name, used)) = thread_usage(&thread) else { continue };
            match (owner(&name), is_device) {
                (Owner::Cloud, _) => ledger.cloud = ledger.cloud.plus(used),
                (Owner::Device, true) | (Owner::Client, false) => {
                    ledger.publisher = ledger.publisher.plus(used);
                }
                _ => {}
            }
        }
        Ok(ledger)
    }

    /// What has been used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            publisher: self.publisher.minus(earlier.publisher),
            cloud: self.cloud.minus(earlier.cloud),
            broker: self.broker.minus(earlier.broker),
        }
    }
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self { time: self.time + other.time, switches: self.switches + other.switches }
    }

    fn minus(self, earlier: Self) -> Self {
        Self {
            time: self.time.saturating_sub(earlier.time),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// The usage of all live threads of a process.
pub(crate) fn process(process: u32) -> Result<Usage, Error> {
    let uses = threads(process)?.into_iter().filter_map(|thread| thread_usage(&thread));
    Ok(uses.fold(Usage::default(), |sum, (_, used)| sum.plus(used)))
}

/// The processor time of this process, its ended threads included, to 10 ms.
pub(crate) fn own_time() -> Result<Duration, Error> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name in parentheses: the state, and from the twelfth on the times in user and kernel mode.
    let fields = stat.rsplit_once(") ").ok_or("no name in /proc/self/stat")?.1.split(' ');
    let ticks = fields.skip(11).take(2).map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    Ok(TICK * u32::try_from(ticks.iter().sum::<u64>())?)
}

/// The processor time of this process's live threads of a name.
pub(crate) fn threads_named(name: &str) -> Result<Duration, Error> {
    let uses = threads(std::process::id())?.into_iter().filter_map(|thread| thread_usage(&thread));
    Ok(uses.filter(|(own, _)| own == name).map(|(_, used)| used.time).sum())
}

fn threads(process: u32) -> Result<Vec<std::path::PathBuf>, Error> {
    fs::read_dir(format!("/proc/{process}/task"))?.map(|task| Ok(task?.path())).collect()
}

/// A thread's name and usage; `None` if it has ended meanwhile.
fn thread_usage(folder: &std::path::Path) -> Option<(String, Usage)> {
    let read = |file| fs::read_to_string(folder.join(file)).ok();
    let nanoseconds: u64 = read("schedstat")?.split(' ').next()?.parse().ok()?;
    let switches = switches(&read("status")?);
    let name = read("comm")?.trim_end().to_owned();
    Some((name, Usage { time: Duration::from_nanos(nanoseconds), switches }))
}

/// Voluntary and other switches, from a thread's `status`.
fn switches(status: &str) -> u64 {
    let counts = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
    counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

fn owner(thread: &str) -> Owner {
    match thread {
        CLOUD_THREAD => Owner::Cloud,
        CLIENT_THREAD => Owner::Client,
        name if DEVICE_THREADS.contains(&name) => Owner::Device,
        _ => Owner::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_count() {
        assert_eq!(
            switches("Threads:\t1\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"),
            15
        );
    }

    #[test]
    fn the_client_thread_is_counted_and_others_are_not() {
        let look = || CostLedger::read(std::process::id(), false).expect("ledger").publisher.time;
        assert_eq!(look(), Duration::ZERO);
        let client = std::thread::Builder::new().name(CLIENT_THREAD.into());
        let client = client.spawn(move || {
            let (before, mut sum) = (look(), 0u64);
            while look() <= before {
                sum = std::hint::black_box(sum + 1);
            }
        });
        client.expect("a thread").join().expect("no panic");
    }
}
