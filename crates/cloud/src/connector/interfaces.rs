//! The addresses of this machine's own interfaces, which applications may not reach unless the operator says so (D184).

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use if_addrs::{IfAddr, Interface};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::destinations::Range;
use crate::limits::INTERFACES_INTERVAL;

/// How the addresses are found out; tests have their own.
pub(super) type Read = Arc<dyn Fn() -> io::Result<Vec<Range>> + Send + Sync>;

/// What is known of this machine's addresses.
pub(super) struct Interfaces {
    read: Read,
    known: Mutex<Known>,
}

struct Known {
    ranges: Arc<[Range]>,
    at: Option<Instant>,
}

impl Interfaces {
    /// Those of the system.
    pub(super) fn system() -> Interfaces {
        Interfaces::reading(Arc::new(system))
    }

    pub(super) fn reading(read: Read) -> Interfaces {
        Interfaces { read, known: Mutex::new(Known { ranges: Arc::from([]), at: None }) }
    }

    /// The addresses, at most [`INTERFACES_INTERVAL`] old.
    ///
    /// # Errors
    /// They have never been found out: nothing may be connected to then.
    pub(super) async fn own(&self) -> io::Result<Arc<[Range]>> {
        let mut known = self.known.lock().await;
        if known.at.is_some_and(|at| at.elapsed() < INTERFACES_INTERVAL) {
            return Ok(known.ranges.clone());
        }
        let read = self.read.clone();
        // With many interfaces it takes milliseconds.
        let found = tokio::task::spawn_blocking(move || read()).await.map_err(io::Error::other).flatten();
        match found {
            Ok(ranges) => *known = Known { ranges: ranges.into(), at: Some(Instant::now()) },
            Err(error) if known.at.is_none() => {
                tracing::error!(%error, "the addresses of this machine cannot be found out");
                return Err(error);
            }
            // What was found before is better than nothing.
            Err(_) => {}
        }
        Ok(known.ranges.clone())
    }
}

fn system() -> io::Result<Vec<Range>> {
    Ok(if_addrs::get_if_addrs()?.iter().filter_map(range).collect())
}

/// The addresses an interface answers for: its own, and of a loopback interface all of its network, as 127.0.0.0/8 shows.
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
    use std::time::Duration;

    use super::*;

    /// Shows D184: an address that is given to the machine later is known soon, and a failure forgets nothing.
    #[tokio::test(start_paused = true)]
    async fn addresses_are_read_again_and_kept_when_they_cannot_be() {
        let reads = Arc::new(AtomicUsize::new(0));
        let read: Read = Arc::new({
            let reads = reads.clone();
            move || match reads.fetch_add(1, Ordering::Relaxed) {
                0 => Err(io::Error::other("first")),
                1 => Ok(vec!["192.0.2.1".parse().expect("one")]),
                2 => Err(io::Error::other("later")),
                _ => Ok(vec!["192.0.2.2".parse().expect("one")]),
            }
        });
        let interfaces = Interfaces::reading(read);
        assert!(interfaces.own().await.is_err(), "nothing is known");
        let has = async |text: &str| {
            let own = interfaces.own().await.expect("known");
            own.iter().any(|range| range.contains(text.parse().expect("an address")))
        };
        assert!(has("192.0.2.1").await);
        assert!(has("192.0.2.1").await);
        assert_eq!(reads.load(Ordering::Relaxed), 2, "not for every connection");
        tokio::time::advance(INTERFACES_INTERVAL).await;
        assert!(has("192.0.2.1").await);
        assert!(has("192.0.2.2").await, "tried again");
        assert!(INTERFACES_INTERVAL <= Duration::from_secs(5));
    }

    /// Shows D184.
    #[test]
    fn the_system_has_loopback_with_all_of_its_network() {
        let own = system().expect("read");
        assert!(own.iter().any(|range| range.contains("127.99.0.1".parse().expect("an address"))));
    }
}
