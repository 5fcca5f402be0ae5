//! How much memory is held for devices, and who is throttled first when it is short (D183).
//!
//! What counts is what grows with what devices, brokers and servers send: items and messages on their way, requests and room
//! for their responses. There is a bound for all devices and one for those of an account. An account may hold as much as is free
//! in all, and a device as much as is free for its account, so the largest account is throttled first, in it the largest
//! device, and the less is free the smaller ones; a device that holds [`SMALLEST_MEMORY`] or less never is. A throttled device
//! and its brokers are held back by the protocols, so that nothing is lost. One that stays throttled for [`THROTTLE_PATIENCE`] and
//! holds no less than its account's devices do on average is disconnected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::accounts::Account;
use crate::limits::{SMALLEST_MEMORY, THROTTLE_PATIENCE};

/// How often a throttled device looks whether there is memory again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Bytes that are held, and may be.
#[derive(Debug)]
pub(crate) struct MemoryPool {
    held: AtomicUsize,
    limit: usize,
}

/// What one device holds.
pub(crate) struct DeviceMemory {
    total: Arc<MemoryPool>,
    account: Option<Arc<Account>>,
    bytes: usize,
    throttled: Option<Throttled>,
}

struct Throttled {
    since: Instant,
    look: Instant,
}

/// What is to be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: there is enough.
    Enough,
    /// It is to hold as little as possible, because of the limit of this name.
    Throttle(&'static str),
    /// It is to be disconnected.
    Disconnect,
}

impl MemoryPool {
    /// A pool of so many MiB.
    pub(crate) fn new(mebibytes: usize) -> Self {
        Self { held: AtomicUsize::new(0), limit: mebibytes.saturating_mul(1 << 20) }
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.held())
    }

    fn change(&self, before: usize, now: usize) {
        if now >= before {
            self.held.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.held.fetch_sub(before - now, Ordering::Relaxed);
        }
    }
}

impl DeviceMemory {
    pub(crate) fn new(total: Arc<MemoryPool>, account: Option<Arc<Account>>) -> Self {
        Self { total, account, bytes: 0, throttled: None }
    }

    /// Whether the device is throttled.
    pub(crate) fn is_throttled(&self) -> bool {
        self.throttled.is_some()
    }

    /// When a throttled device is to look again.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.throttled.as_ref().map(|throttled| throttled.look)
    }

    /// The device holds so many bytes now.
    pub(crate) fn note(&mut self, bytes: usize, now: Instant) -> Verdict {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if before != bytes {
            self.total.change(before, bytes);
            self.account.iter().for_each(|account| account.memory.change(before, bytes));
        }
        let Some(limit) = self.exceeded() else {
            self.throttled = None;
            return Verdict::Enough;
        };
        let throttled = self.throttled.get_or_insert(Throttled { since: now, look: now });
        throttled.look = now + LOOK_AGAIN;
        if now.duration_since(throttled.since) >= THROTTLE_PATIENCE && self.is_large() {
            return Verdict::Disconnect;
        }
        Verdict::Throttle(limit)
    }

    /// The limit of which the device has more than its part, if any.
    fn exceeded(&self) -> Option<&'static str> {
        if self.bytes <= SMALLEST_MEMORY {
            return None;
        }
        let account = self.account.as_ref()?;
        if self.bytes > account.memory.free() {
            return Some("memory_per_account");
        }
        let free = self.total.free().saturating_sub(account.memory.held());
        (self.bytes > free).then_some("memory")
    }

    /// Whether it holds no less than the account's devices do on average.
    fn is_large(&self) -> bool {
        self.account.as_ref().is_some_and(|account| {
            self.bytes.saturating_mul(account.devices.held().max(1)) >= account.memory.held()
        })
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        self.total.change(self.bytes, 0);
        self.account.iter().for_each(|account| account.memory.change(self.bytes, 0));
    }
}
