//! Devices that were refused a moment ago: one that connects again and again is refused without asking the store (D173).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

use crate::authority::Fingerprint;
use crate::device_id::DeviceId;
use crate::limits::{REFUSED_DEVICES, REFUSED_DURATION};
use crate::registry::EndReason;

/// A negative cache in front of the store. What it knows is old after [`REFUSED_DURATION`], so nothing that lets a device in again is
/// delayed by more.
#[derive(Default)]
pub(crate) struct RefusalCache(Mutex<HashMap<(DeviceId, Fingerprint), Refused>>);

struct Refused {
    ending: EndReason,
    expires: Instant,
}

impl RefusalCache {
    /// Why this device with this certificate was refused a moment ago, if it was.
    pub(crate) fn find(&self, device: DeviceId, fingerprint: Fingerprint, now: Instant) -> Option<EndReason> {
        let refused = self.lock();
        let found = refused.get(&(device, fingerprint)).filter(|refused| now < refused.expires);
        found.map(|refused| refused.ending)
    }

    /// Notes a refusal that rests on what was known at `asked`. When too many are known, it is not noted.
    pub(crate) fn note(&self, device: DeviceId, fingerprint: Fingerprint, ending: EndReason, asked: Instant) {
        let mut refused = self.lock();
        if refused.len() >= REFUSED_DEVICES {
            refused.retain(|_, other| asked < other.expires);
        }
        if refused.len() < REFUSED_DEVICES {
            refused.insert((device, fingerprint), Refused { ending, expires: asked + REFUSED_DURATION });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(DeviceId, Fingerprint), Refused>> {
        self.0.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D173.
    #[test]
    fn a_refusal_is_known_for_a_moment_and_for_that_certificate_only() {
        let (refused, device, start) = (RefusalCache::default(), DeviceId::random(), Instant::now());
        refused.note(device, [1; 32], EndReason::Revoked, start);
        assert_eq!(refused.find(device, [1; 32], start), Some(EndReason::Revoked));
        assert_eq!(refused.find(device, [2; 32], start), None, "a new certificate is asked about");
        assert_eq!(refused.find(DeviceId::random(), [1; 32], start), None);
        assert_eq!(refused.find(device, [1; 32], start + REFUSED_DURATION), None);
    }

    #[test]
    fn however_many_are_refused_so_many_are_remembered() {
        let (refused, start) = (RefusalCache::default(), Instant::now());
        let note = |now| refused.note(DeviceId::random(), [0; 32], EndReason::Revoked, now);
        (0..REFUSED_DEVICES + 10).for_each(|_| note(start));
        assert_eq!(refused.lock().len(), REFUSED_DEVICES);
        note(start + REFUSED_DURATION);
        assert_eq!(refused.lock().len(), 1, "what is over is forgotten");
    }
}
