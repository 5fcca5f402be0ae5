//! A session's rates. What has passed is charged, and what exceeds a rate is paid for by waiting rather than refused
//! (D122): nothing is lost, because TCP holds back the device and the windows of its channels hold back the brokers.

use std::sync::Arc;

use relay::Counts;
use tokio::time::Instant;

use crate::accounts::{Account, SharedBucket};
use crate::limits::{CHANNEL_BURST_SECONDS, Limits};
use crate::metrics::Metrics;
use crate::rate::Bucket;

/// The rates of one device, and its part in those of its account.
pub(super) struct Meters {
    received: Bucket,
    sent: Bucket,
    requests: Bucket,
    channels: Bucket,
    starts: Bucket,
    account: Option<Arc<Account>>,
    metrics: Arc<Metrics>,
    reading: Pause,
    writing: Pause,
    /// Channels charged of those in the relay's counts, which start at zero again each time they are taken.
    charged_channels: u32,
}

/// Until when something waits.
#[derive(Default)]
struct Pause(Option<Instant>);

impl Pause {
    /// Waits at least until `then`. Whether this begins a pause.
    fn extend(&mut self, then: Option<Instant>) -> bool {
        let is_new = self.0.is_none() && then.is_some();
        self.0 = self.0.max(then);
        is_new
    }

    /// Whether the pause has ended, or there is none.
    fn is_over(&mut self) -> bool {
        if self.0.is_some_and(|until| until <= Instant::now()) {
            self.0 = None;
        }
        self.0.is_none()
    }
}

impl Meters {
    pub(super) fn new(limits: &Limits, metrics: Arc<Metrics>, account: Option<Arc<Account>>) -> Self {
        let now = Instant::now();
        Self {
            received: Bucket::new(limits.link_bytes_a_second, now),
            sent: Bucket::new(limits.link_bytes_a_second, now),
            requests: Bucket::new(limits.requests_a_second, now),
            channels: Bucket::with_burst(limits.channels_a_second, CHANNEL_BURST_SECONDS, now),
            starts: Bucket::with_burst(limits.channels_a_second, CHANNEL_BURST_SECONDS, now),
            account,
            metrics,
            reading: Pause::default(),
            writing: Pause::default(),
            charged_channels: 0,
        }
    }

    /// Charges bytes received from the device.
    pub(super) fn charge_received(&mut self, count: usize) {
        let then = charge(&mut self.received, self.account.as_ref().map(|account| &account.received), count);
        if self.reading.extend(then) {
            self.metrics.count_limit("link_bytes_a_second");
        }
    }

    /// Charges bytes sent to the device.
    pub(super) fn charge_sent(&mut self, count: usize) {
        let then = charge(&mut self.sent, self.account.as_ref().map(|account| &account.sent), count);
        if self.writing.extend(then) {
            self.metrics.count_limit("link_bytes_a_second");
        }
    }

    /// Charges the requests in counts that have been taken from the relay.
    pub(super) fn charge_requests(&mut self, counts: &Counts) {
        self.charged_channels = 0;
        let count = counts.requests() as usize;
        let then = charge(&mut self.requests, self.account.as_ref().map(|account| &account.requests), count);
        if self.reading.extend(then) {
            self.metrics.count_limit("requests_a_second");
        }
    }

    /// Charges channels that were opened since the last charge. This happens after each read, so that a device that
    /// opens too many is not read from again.
    pub(super) fn charge_channels(&mut self, counts: &Counts) {
        let opened = counts.opened.iter().sum::<u32>();
        let count = opened.saturating_sub(self.charged_channels);
        self.charged_channels = opened;
        let then = self.channels.take(count.into(), Instant::now());
        if self.reading.extend(then) {
            self.metrics.count_limit("channels_a_second");
        }
    }

    /// Charges the start of a connect, an HTTP request or a fetch; when it may start, if not at once. These have a rate
    /// of their own, because bytes that were read before the device was held back may contain many.
    pub(super) fn charge_start(&mut self) -> Option<Instant> {
        let start = charge(&mut self.starts, self.account.as_ref().map(|account| &account.starts), 1);
        if start.is_some() {
            self.metrics.count_limit("channels_a_second");
        }
        start
    }

    pub(super) fn may_read(&mut self) -> bool {
        self.reading.is_over()
    }

    pub(super) fn may_write(&mut self) -> bool {
        self.writing.is_over()
    }

    /// When the next pause ends.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.reading.0.into_iter().chain(self.writing.0).min()
    }
}

/// Charges the device and its account; the later of the two moments at which the debts are paid.
fn charge(own: &mut Bucket, shared: Option<&SharedBucket>, count: usize) -> Option<Instant> {
    let now = Instant::now();
    let own = own.take(count as u64, now);
    own.max(shared.and_then(|shared| shared.take(count as u64, now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BURST_SECONDS;

    fn meters(adjust: impl FnOnce(&mut Limits)) -> Meters {
        let mut limits = Limits::default();
        adjust(&mut limits);
        Meters::new(&limits, Arc::new(Metrics::new()), None)
    }

    /// Shows D122.
    #[test]
    fn bytes_beyond_the_rate_pause_their_own_direction_only() {
        let mut meters = meters(|limits| limits.link_bytes_a_second = 100);
        meters.charge_received(100 * BURST_SECONDS as usize);
        assert!(meters.may_read() && meters.next_timeout().is_none(), "a burst is free");
        meters.charge_received(100);
        assert!(!meters.may_read() && meters.may_write());
        let first = meters.next_timeout().expect("a pause");
        meters.charge_received(100);
        assert!(meters.next_timeout().expect("a longer pause") > first);
        assert_eq!(meters.metrics.limited("link_bytes_a_second"), 1, "a pause counts once");
    }

    /// Shows D122: what the relay has counted and not yet given away is charged once.
    #[test]
    fn channels_are_charged_as_they_are_opened() {
        let mut meters = meters(|limits| limits.channels_a_second = 1);
        let counts = |opened| Counts { opened: [opened, 0, 0, 0], ..Counts::default() };
        meters.charge_channels(&counts(CHANNEL_BURST_SECONDS));
        meters.charge_channels(&counts(CHANNEL_BURST_SECONDS));
        assert!(meters.may_read());
        meters.charge_requests(&Counts::default());
        meters.charge_channels(&counts(1));
        assert!(!meters.may_read());
        assert_eq!(meters.metrics.limited("channels_a_second"), 1);
    }

    /// Shows D122.
    #[test]
    fn starts_beyond_the_rate_wait_longer_and_longer() {
        let mut meters = meters(|limits| limits.channels_a_second = 1);
        assert!((0..CHANNEL_BURST_SECONDS).all(|_| meters.charge_start().is_none()));
        let (first, second) = (meters.charge_start(), meters.charge_start());
        assert!(first.is_some() && second > first);
        assert!(meters.may_read(), "the device itself is not held back for them");
    }
}
