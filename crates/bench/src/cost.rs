//! What a message costs whom: processor time and thread switches, by the operating system's own books. Other than times by the
//! clock, these hardly depend on what else the machine does.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// Names of threads that belong to a virtual device; the operating system keeps 15 bytes of a name.
const DEVICE_THREADS: &[&str] = &["device", "dial", "farewell"];
/// The cloud's.
pub(crate) const CLOUD_THREAD: &str = "cloud";
/// A client's that talks to the broker itself.
pub(crate) const CLIENT_THREAD: &str = "client";

/// What threads have used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Time on a processor.
    pub time: Duration,
    /// Times the processor was given to another thread.
    pub switches: u64,
}

/// What publisher, cloud and broker have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Books {
    /// The virtual device, or the client.
    pub publisher: Used,
    /// The cloud; nothing for a client that talks to the broker itself.
    pub cloud: Used,
    /// The broker.
    pub broker: Used,
}

/// Who a thread of this process belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Device,
    Client,
    Cloud,
    Other,
}

impl Books {
    /// Looks at the books of this process and the broker's. `is_device` says who publishes: a device, or a
    /// client on the thread of that name.
    pub(crate) fn look(broker: u32, is_device: bool) -> Result<Self, Failure> {
        let mut books = Self { broker: process(broker)?, ..Self::default() };
        for thread in threads(std::process::id())? {
            let Some((name, used)) = thread_use(&thread) else { continue };
            match (owner(&name), is_device) {
                (Owner::Cloud, _) => books.cloud = books.cloud.plus(used),
                (Owner::Device, true) | (Owner::Client, false) => {
                    books.publisher = books.publisher.plus(used);
                }
                _ => {}
            }
        }
        Ok(books)
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

impl Used {
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

/// What all threads of a process that live have used.
pub(crate) fn process(process: u32) -> Result<Used, Failure> {
    let uses = threads(process)?.into_iter().filter_map(|thread| thread_use(&thread));
    Ok(uses.fold(Used::default(), |sum, (_, used)| sum.plus(used)))
}

fn threads(process: u32) -> Result<Vec<std::path::PathBuf>, Failure> {
    fs::read_dir(format!("/proc/{process}/task"))?.map(|task| Ok(task?.path())).collect()
}

/// A thread's name and use; `None` if it has ended meanwhile.
fn thread_use(folder: &std::path::Path) -> Option<(String, Used)> {
    let read = |file| fs::read_to_string(folder.join(file)).ok();
    let nanoseconds: u64 = read("schedstat")?.split(' ').next()?.parse().ok()?;
    let switches = switches(&read("status")?);
    let name = read("comm")?.trim_end().to_owned();
    Some((name, Used { time: Duration::from_nanos(nanoseconds), switches }))
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
    fn what_a_client_does_is_in_the_books_and_what_others_do_is_not() {
        let look = || Books::look(std::process::id(), false).expect("books").publisher.time;
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
