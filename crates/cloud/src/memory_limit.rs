//! Limits of the memory in use for devices, and which of them are throttled when it is short (D183).
//!
//! Counted is the memory that grows with what devices, brokers and servers send: items and messages in transit,
//! requests, and space for their responses. There is a limit for all devices and one for those of each account. An
//! account may use as much as is free in total, and a device as much as is free for its account. So the largest account
//! is throttled first, in it the largest device, and smaller ones as less remains free; a device that uses
//! [`MIN_DEVICE_MEMORY`] or less is never throttled. A throttled device and its brokers are held back by their
//! protocols' flow control, so nothing is lost. A device that stays throttled for [`MAX_THROTTLE_TIME`] and uses at
//! least as much as its account's average is disconnected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::accounts::Account;
use crate::limits::{MAX_THROTTLE_TIME, MIN_DEVICE_MEMORY};

/// How often a throttled device checks whether memory is free again.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes in use, of a limit.
#[derive(Debug)]
pub(crate) struct MemoryPool {
    in_use: AtomicUsize,
    limit: usize,
}

/// The memory in use for one device, counted for it, its account and in total.
pub(crate) struct DeviceMemory {
    total: Arc<MemoryPool>,
    account: Option<Arc<Account>>,
    bytes: usize,
    throttled: Option<Throttled>,
}

struct Throttled {
    since: Instant,
    next_check: Instant,
}

/// What to do with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: enough memory is free.
    Enough,
    /// Hold it back, because the limit of this name is exceeded.
    Throttle(&'static str),
    /// Disconnect it.
    Disconnect,
}

impl MemoryPool {
    /// A pool of this many MiB.
    pub(crate) fn new(mebibytes: usize) -> Self {
        Self { in_use: AtomicUsize::new(0), limit: mebibytes.saturating_mul(1 << 20) }
    }

    /// Bytes in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.in_use())
    }

    fn change(&self, before: usize, now: usize) {
        if now >= before {
            self.in_use.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.in_use.fetch_sub(before - now, Ordering::Relaxed);
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

    /// When a throttled device checks again.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.throttled.as_ref().map(|throttled| throttled.next_check)
    }

    /// Sets the number of bytes in use for the device.
    pub(crate) fn update(&mut self, bytes: usize, now: Instant) -> Verdict {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if before != bytes {
            self.total.change(before, bytes);
            self.account.iter().for_each(|account| account.memory.change(before, bytes));
        }
        let Some(limit) = self.exceeded() else {
            self.throttled = None;
            return Verdict::Enough;
        };
        let throttled = self.throttled.get_or_insert(Throttled { since: now, next_check: now });
        throttled.next_check = now + CHECK_INTERVAL;
        if now.duration_since(throttled.since) >= MAX_THROTTLE_TIME && self.is_large() {
            return Verdict::Disconnect;
        }
        Verdict::Throttle(limit)
    }

    /// The limit that the device exceeds, if any.
    fn exceeded(&self) -> Option<&'static str> {
        if self.bytes <= MIN_DEVICE_MEMORY {
            return None;
        }
        let account = self.account.as_ref()?;
        if self.bytes > account.memory.free() {
            return Some("memory_per_account");
        }
        let free = self.total.free().saturating_sub(account.memory.in_use());
        (self.bytes > free).then_some("memory")
    }

    /// Whether it uses at least the average of its account's devices.
    fn is_large(&self) -> bool {
        self.account.as_ref().is_some_and(|account| {
            self.bytes.saturating_mul(account.devices.in_use().max(1)) >= account.memory.in_use()
        })
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        self.total.change(self.bytes, 0);
        self.account.iter().for_each(|account| account.memory.change(self.bytes, 0));
    }
}
