//! The addresses of this machine's interfaces, which applications may reach only if the operator allows it: services on
//! this machine may rely on a firewall that the cloud is behind (D184).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use if_addrs::{IfAddr, Interface};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::destinations::Range;
use crate::limits::INTERFACES_INTERVAL;

/// Reads the addresses; replaced in tests.
pub(super) type ReadAddresses = Arc<dyn Fn() -> io::Result<Vec<Range>> + Send + Sync>;

/// A cache of this machine's addresses.
pub(super) struct Interfaces {
    read: ReadAddresses,
    /// Maximal age of the cache.
    max_age: Duration,
    known: Mutex<Known>,
}

struct Known {
    ranges: Arc<[Range]>,
    at: Option<Instant>,
}

impl Interfaces {
    /// The addresses of the operating system.
    pub(super) fn system() -> Self {
        Self::with_source(Arc::new(system), INTERFACES_INTERVAL)
    }

    pub(super) fn with_source(read: ReadAddresses, max_age: Duration) -> Self {
        Self { read, max_age, known: Mutex::new(Known { ranges: Arc::from([]), at: None }) }
    }

    /// The addresses, at most [`INTERFACES_INTERVAL`] old.
    ///
    /// # Errors
    /// They have never been read. Then nothing may be connected to, because any address might be this machine's.
    pub(super) async fn own(&self) -> io::Result<Arc<[Range]>> {
        let mut known = self.known.lock().await;
        if known.at.is_some_and(|at| at.elapsed() < self.max_age) {
            return Ok(known.ranges.clone());
        }
        let read = self.read.clone();
        // With many interfaces this takes milliseconds, too long for an asynchronous task.
        let found = tokio::task::spawn_blocking(move || read()).await.map_err(io::Error::other).flatten();
        match found {
            Ok(ranges) => *known = Known { ranges: ranges.into(), at: Some(Instant::now()) },
            Err(error) if known.at.is_none() => {
                tracing::error!(name: "interfaces_unreadable", %error, "cannot read the addresses of this machine");
                return Err(error);
            }
            // The old addresses are better than none.
            Err(_) => {}
        }
        Ok(known.ranges.clone())
    }
}

fn system() -> io::Result<Vec<Range>> {
    Ok(if_addrs::get_if_addrs()?.iter().filter_map(range).collect())
}

/// The addresses an interface answers for: its own, and of a loopback interface all of its network, as 127.0.0.0/8
/// shows.
fn range(interface: &Interface) -> Option<Range> {
    let (address, network): (IpAddr, u8) = match &interface.addr {
        IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
        IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
    };
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let is_loopback_interface = interface.name == "lo" || address.is_loopback();
    Range::new(address, if is_loopback_interface { network } else { whole })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Fails the first and the third time; the address changes with each reading.
    fn reading(max_age: Duration) -> (Interfaces, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = reads.clone();
        let read: ReadAddresses = Arc::new(move || match count.fetch_add(1, Ordering::Relaxed) {
            0 | 2 => Err(io::Error::other("no descriptor")),
            number => Ok(vec![format!("192.0.2.{number}").parse().expect("one")]),
        });
        (Interfaces::with_source(read, max_age), reads)
    }

    async fn has(interfaces: &Interfaces, text: &str) -> bool {
        let own = interfaces.own().await.expect("known");
        own.iter().any(|range| range.contains(text.parse().expect("an address")))
    }

    /// Shows D184: an address that is given to the machine later is known, and a failure forgets nothing.
    #[tokio::test]
    async fn addresses_are_read_again_and_kept_when_they_cannot_be() {
        let (interfaces, reads) = reading(Duration::ZERO);
        assert!(interfaces.own().await.is_err(), "nothing is known");
        assert!(has(&interfaces, "192.0.2.1").await);
        assert!(has(&interfaces, "192.0.2.1").await, "the third reading fails");
        assert!(has(&interfaces, "192.0.2.3").await);
        assert_eq!(reads.load(Ordering::Relaxed), 4);
        assert!(INTERFACES_INTERVAL <= Duration::from_secs(5));
    }

    #[tokio::test]
    async fn addresses_are_not_read_for_every_connection() {
        let (interfaces, reads) = reading(Duration::from_hours(1));
        assert!(interfaces.own().await.is_err());
        for _ in 0..10 {
            assert!(has(&interfaces, "192.0.2.1").await);
        }
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    /// Shows D184.
    #[test]
    fn the_system_has_loopback_with_all_of_its_network() {
        let own = system().expect("read");
        assert!(own.iter().any(|range| range.contains("127.99.0.1".parse().expect("an address"))));
    }
}
