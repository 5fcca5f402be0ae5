//! How many connections there are, in total and from each source, and who still gets one.
//!
//! How fast they come is in `rate.rs`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// Counts what is held, up to a number in total and a number for each source.
#[derive(Clone)]
pub(crate) struct SourceQuota {
    held: Arc<Mutex<Held>>,
    total: usize,
    per_source: usize,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One place in a [`SourceQuota`], given back when dropped.
pub(crate) struct SourcePermit {
    quota: SourceQuota,
    source: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Source,
}

impl SourceQuota {
    pub(crate) fn new(total: usize, per_source: usize) -> Self {
        Self { held: Arc::default(), total, per_source }
    }

    /// Takes a place for a connection from `address`.
    pub(crate) fn take(&self, address: IpAddr) -> Result<SourcePermit, Full> {
        let source = source(address);
        let mut held = self.lock();
        if held.total >= self.total {
            return Err(Full::Total);
        }
        let of_source = held.by_source.get(&source).copied().unwrap_or(0);
        if of_source >= self.per_source {
            return Err(Full::Source);
        }
        held.total += 1;
        held.by_source.insert(source, of_source + 1);
        Ok(SourcePermit { quota: self.clone(), source })
    }

    /// Places that are taken.
    pub(crate) fn held(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while it counts")
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut held = self.quota.lock();
        held.total -= 1;
        if let Some(of_source) = held.by_source.get_mut(&self.source) {
            *of_source -= 1;
            if *of_source == 0 {
                held.by_source.remove(&self.source);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 a single IPv6 subscriber has.
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_source_that_is_full_leaves_room_for_others() {
        let quota = SourceQuota::new(3, 2);
        let places = [quota.take(address("192.0.2.1")), quota.take(address("192.0.2.1"))];
        assert!(places.iter().all(Result::is_ok));
        assert_eq!(quota.take(address("::ffff:192.0.2.1")).err(), Some(Full::Source));
        let other = quota.take(address("192.0.2.2"));
        assert!(other.is_ok());
        assert_eq!(quota.take(address("192.0.2.3")).err(), Some(Full::Total));
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let quota = SourceQuota::new(1, 1);
        for _ in 0..3 {
            drop(quota.take(address("192.0.2.1")).expect("a place"));
        }
        assert!(quota.lock().by_source.is_empty(), "a source that has left is forgotten");
    }

    #[test]
    fn one_ipv6_subscriber_is_one_source() {
        let quota = SourceQuota::new(9, 1);
        let _first = quota.take(address("2001:db8:0:1::1"));
        assert_eq!(quota.take(address("2001:db8:0:1:ffff::2")).err(), Some(Full::Source));
        assert!(quota.take(address("2001:db8:0:2::1")).is_ok());
    }
}
