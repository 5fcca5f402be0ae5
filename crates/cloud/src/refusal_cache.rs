//! Devices that were refused a moment ago. One that reconnects in a loop is refused without reading the store, which it
//! would otherwise load (D173).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

use crate::authority::Fingerprint;
use crate::id::DeviceId;
use crate::limits::{REFUSED_DEVICES, REFUSED_DURATION};
use crate::registry::EndReason;

/// A negative cache in front of the store. Entries expire after [`REFUSED_DURATION`], so no change that admits a device
/// is delayed by more.
#[derive(Default)]
pub(crate) struct RefusalCache(Mutex<HashMap<(DeviceId, Fingerprint), Refused>>);

struct Refused {
    reason: EndReason,
    expires: Instant,
}

impl RefusalCache {
    /// Why this device with this certificate was refused a moment ago, if it was.
    pub(crate) fn get(&self, device: DeviceId, fingerprint: Fingerprint, now: Instant) -> Option<EndReason> {
        let refused = self.lock();
        let found = refused.get(&(device, fingerprint)).filter(|refused| now < refused.expires);
        found.map(|refused| refused.reason)
    }

    /// Adds a refusal based on the store's state at `now`, unless the cache is full.
    pub(crate) fn insert(&self, device: DeviceId, fingerprint: Fingerprint, reason: EndReason, now: Instant) {
        let mut refused = self.lock();
        if refused.len() >= REFUSED_DEVICES {
            refused.retain(|_, other| now < other.expires);
        }
        if refused.len() < REFUSED_DEVICES {
            refused.insert((device, fingerprint), Refused { reason, expires: now + REFUSED_DURATION });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(DeviceId, Fingerprint), Refused>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D173.
    #[test]
    fn a_refusal_is_cached_for_a_moment_and_for_that_certificate_only() {
        let (refused, device, start) = (RefusalCache::default(), DeviceId::random(), Instant::now());
        refused.insert(device, [1; 32], EndReason::Revoked, start);
        assert_eq!(refused.get(device, [1; 32], start), Some(EndReason::Revoked));
        assert_eq!(refused.get(device, [2; 32], start), None, "a new certificate is looked up");
        assert_eq!(refused.get(DeviceId::random(), [1; 32], start), None);
        assert_eq!(refused.get(device, [1; 32], start + REFUSED_DURATION), None);
    }

    #[test]
    fn the_number_of_remembered_refusals_is_bounded() {
        let (refused, start) = (RefusalCache::default(), Instant::now());
        let insert = |now| refused.insert(DeviceId::random(), [0; 32], EndReason::Revoked, now);
        (0..REFUSED_DEVICES + 10).for_each(|_| insert(start));
        assert_eq!(refused.lock().len(), REFUSED_DEVICES);
        insert(start + REFUSED_DURATION);
        assert_eq!(refused.lock().len(), 1, "expired entries are removed");
    }
}
