//! A bell that wakes the device's thread, rung by whatever has something for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Clones ring, and wait for, the same bell. A ring nobody waits for is kept until someone does.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// Wakes who waits.
    pub fn ring(&self) {
        *self.rung() = true;
        self.shared.heard.notify_one();
    }

    /// Waits until the bell rings, or until `deadline`; for ever if there is none.
    pub fn wait(&self, deadline: Option<Instant>) {
        let mut rung = self.rung();
        while !*rung {
            let Some(deadline) = deadline else {
                rung = self.shared.heard.wait(rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.heard.wait_timeout(rung, left);
            rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
    }

    fn rung(&self) -> MutexGuard<'_, bool> {
        // A flag cannot be left half-changed, so a panic elsewhere is no reason to stop.
        self.shared.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_heard_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        bell.wait(None);
        let deadline = Instant::now() + Duration::from_millis(5);
        bell.wait(Some(deadline));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn another_thread_wakes_the_one_that_waits() {
        let bell = Bell::default();
        let ringer = bell.clone();
        let thread = std::thread::spawn(move || ringer.ring());
        bell.wait(None);
        thread.join().expect("rung");
    }
}
