//! A session's rates (D122): what it passes is measured, and too much is paid for by waiting. Nothing is lost by it: the device
//! and, over the channels' windows, the brokers are held back by TCP.

use std::sync::Arc;

use tokio::time::Instant;

use crate::accounts::Account;
use crate::limits::{CHANNEL_BURST_SECONDS, Limits};
use crate::rate::Bucket;

/// The rates of one device, and its part in those of its account.
pub(super) struct Meters {
    received: Bucket,
    sent: Bucket,
    requests: Bucket,
    channels: Bucket,
    starts: Bucket,
    account: Option<Arc<Account>>,
    reading: Hold,
    writing: Hold,
}

/// Until when something waits.
#[derive(Default)]
struct Hold(Option<Instant>);

impl Hold {
    /// Waits until `then` at least; whether it did not wait before.
    fn extend(&mut self, then: Option<Instant>) -> bool {
        let is_new = self.0.is_none() && then.is_some();
        self.0 = self.0.max(then);
        is_new
    }

    /// Whether it is over, or there is none.
    fn is_over(&mut self) -> bool {
        if self.0.is_some_and(|until| until <= Instant::now()) {
            self.0 = None;
        }
        self.0.is_none()
    }
}

impl Meters {
    pub(super) fn new(limits: &Limits, account: Option<Arc<Account>>) -> Self {
        let now = Instant::now();
        Self {
            received: Bucket::new(limits.link_bytes_a_second, now),
            sent: Bucket::new(limits.link_bytes_a_second, now),
            requests: Bucket::new(limits.requests_a_second, now),
            channels: Bucket::with_burst(limits.channels_a_second, CHANNEL_BURST_SECONDS, now),
            starts: Bucket::with_burst(limits.channels_a_second, CHANNEL_BURST_SECONDS, now),
            account,
            reading: Hold::default(),
            writing: Hold::default(),
        }
    }

    /// Bytes came from the device. Whether it is held back from now on for them.
    pub(super) fn note_received(&mut self, count: usize) -> bool {
        let now = Instant::now();
        let own = self.received.take(count as u64, now);
        let shared = self.account.as_ref().and_then(|account| account.received.take(count as u64, now));
        self.reading.extend(own.max(shared))
    }

    /// Bytes went to the device. Whether what follows is held back from now on for them.
    pub(super) fn note_sent(&mut self, count: usize) -> bool {
        let now = Instant::now();
        let own = self.sent.take(count as u64, now);
        let shared = self.account.as_ref().and_then(|account| account.sent.take(count as u64, now));
        self.writing.extend(own.max(shared))
    }

    /// The device asked for something. Whether it is held back from now on for it.
    pub(super) fn note_requests(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        let now = Instant::now();
        let own = self.requests.take(count.into(), now);
        let shared = self.account.as_ref().and_then(|account| account.requests.take(count.into(), now));
        self.reading.extend(own.max(shared))
    }

    /// The device opened channels. Whether it is held back from now on for them.
    pub(super) fn note_channels(&mut self, count: u32) -> bool {
        let then = self.channels.take(count.into(), Instant::now());
        self.reading.extend(then)
    }

    /// The device begins a connect, an HTTP request or a fetch: when it may, if not at once. What was read from the device
    /// before it was held back may ask for many.
    pub(super) fn start(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let own = self.starts.take(1, now);
        let shared = self.account.as_ref().and_then(|account| account.starts.take(1, now));
        own.max(shared)
    }

    pub(super) fn may_read(&mut self) -> bool {
        self.reading.is_over()
    }

    pub(super) fn may_write(&mut self) -> bool {
        self.writing.is_over()
    }

    /// When something goes on that waits now.
    pub(super) fn due(&self) -> Option<Instant> {
        self.reading.0.into_iter().chain(self.writing.0).min()
    }
}
