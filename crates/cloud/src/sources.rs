//! Limits of the number of connections, in total and for each source. Their rate is limited in `rate.rs`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

/// A number of connections in total, and of each source. Clones share the counts.
#[derive(Clone)]
pub(crate) struct SourceQuota {
    counts: Arc<Mutex<Counts>>,
    total: usize,
    per_source: usize,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One unit of a [`SourceQuota`], returned when dropped.
pub(crate) struct SourcePermit {
    quota: SourceQuota,
    /// `None` until it is known.
    source: Option<IpAddr>,
}

/// Which limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Source,
}

impl SourceQuota {
    pub(crate) fn new(total: usize, per_source: usize) -> Self {
        Self { counts: Arc::default(), total, per_source }
    }

    /// Takes a permit for a connection from `address`.
    pub(crate) fn try_acquire(&self, address: IpAddr) -> Result<SourcePermit, Full> {
        let mut permit = self.try_acquire_unassigned()?;
        permit.assign(address)?;
        Ok(permit)
    }

    /// Takes a permit for a connection whose source is not known yet.
    pub(crate) fn try_acquire_unassigned(&self) -> Result<SourcePermit, Full> {
        let mut counts = self.lock();
        if counts.total >= self.total {
            return Err(Full::Total);
        }
        counts.total += 1;
        Ok(SourcePermit { quota: self.clone(), source: None })
    }

    /// Number of permits in use.
    pub(crate) fn in_use(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no holder of this lock panics")
    }
}

impl SourcePermit {
    /// Counts the connection for the source of `address`.
    pub(crate) fn assign(&mut self, address: IpAddr) -> Result<(), Full> {
        let source = source(address);
        let mut counts = self.quota.lock();
        let of_source = counts.by_source.get(&source).copied().unwrap_or(0);
        if of_source >= self.quota.per_source {
            return Err(Full::Source);
        }
        counts.by_source.insert(source, of_source + 1);
        self.source = Some(source);
        Ok(())
    }
}

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut counts = self.quota.lock();
        counts.total -= 1;
        let Some(source) = self.source else { return };
        if let Some(of_source) = counts.by_source.get_mut(&source) {
            *of_source -= 1;
            if *of_source == 0 {
                counts.by_source.remove(&source);
            }
        }
    }
}

/// The source of an address: an IPv4 address, or the /64 that an IPv6 subscriber has for itself.
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
        let permits = [quota.try_acquire(address("192.0.2.1")), quota.try_acquire(address("192.0.2.1"))];
        assert!(permits.iter().all(Result::is_ok));
        assert_eq!(quota.try_acquire(address("::ffff:192.0.2.1")).err(), Some(Full::Source));
        let other = quota.try_acquire(address("192.0.2.2"));
        assert!(other.is_ok());
        assert_eq!(quota.try_acquire(address("192.0.2.3")).err(), Some(Full::Total));
    }

    #[test]
    fn a_returned_permit_can_be_acquired_again() {
        let quota = SourceQuota::new(1, 1);
        for _ in 0..3 {
            drop(quota.try_acquire(address("192.0.2.1")).expect("a permit"));
        }
        assert!(quota.lock().by_source.is_empty(), "a source without connections is removed");
    }

    #[test]
    fn one_ipv6_subscriber_is_one_source() {
        let quota = SourceQuota::new(9, 1);
        let _first = quota.try_acquire(address("2001:db8:0:1::1"));
        assert_eq!(quota.try_acquire(address("2001:db8:0:1:ffff::2")).err(), Some(Full::Source));
        assert!(quota.try_acquire(address("2001:db8:0:2::1")).is_ok());
    }
}
