//! Why the kernel connects, and stays connected, by itself: check-ins, grace time, debuggers, updates.

use abi::network::NetworkReason;
use sansio::Instant;

use super::{Linger, LinkState, Network};
use crate::limits::CHECK_IN_DURATION;

impl Network {
    /// When the kernel next connects for a check-in, if nothing else connects before. An application that is offline on
    /// purpose, or does not reconnect, would otherwise never get an update (N16).
    pub(crate) fn check_in_at(&self) -> Instant {
        self.last_open + self.check_in_interval
    }

    /// When a device that sleeps deeply must wake for a check-in. It forgets a pause that is running, so it sleeps at
    /// least until the end of that.
    pub(crate) fn check_in_after_sleep(&self) -> Instant {
        match self.link {
            LinkState::Backoff { until } => until.max(self.check_in_at()),
            _ => self.check_in_at(),
        }
    }

    /// A debugger was attached or detached. It needs the link, whatever the application does, because the original's
    /// debugger reaches a device through the cloud (N20, N23, D135).
    pub(crate) fn set_debugger_attached(&mut self, attached: bool) {
        self.set_kernel_reason(NetworkReason::DEBUGGER_ATTACHED, attached);
    }

    /// An update is being downloaded, or no longer. It needs the link meanwhile, even if the application releases its
    /// own (N15, N76).
    pub(crate) fn set_fetching_update(&mut self, fetching: bool) {
        self.set_kernel_reason(NetworkReason::FETCHING_UPDATE, fetching);
    }

    /// Whether an update is being downloaded.
    pub(crate) fn is_fetching_update(&self) -> bool {
        self.has_kernel_reason(NetworkReason::FETCHING_UPDATE)
    }

    /// Begins a check-in that is due, and stops lingering when its time is over.
    pub(super) fn handle_policy_timeout(&mut self, now: Instant) {
        if self.awaits_check_in() && now >= self.check_in_at() {
            self.set_kernel_reason(NetworkReason::MINIMUM_CHECK_IN_EXPIRED, true);
        }
        if let Linger::CheckIn { until } | Linger::Grace { until } = self.linger
            && until <= now
        {
            self.stop_lingering();
        }
    }

    /// When [`Self::handle_policy_timeout`] has something to do.
    pub(super) fn next_policy_timeout(&self) -> Option<Instant> {
        let linger = match self.linger {
            Linger::No => None,
            Linger::CheckIn { until } | Linger::Grace { until } => Some(until),
        };
        let check_in = self.awaits_check_in().then(|| self.check_in_at());
        [linger, check_in].into_iter().flatten().min()
    }

    /// The link has opened: a check-in that was wanted begins. It lasts no longer than needed, because the application
    /// is offline on purpose (N17).
    pub(super) fn begin_check_in(&mut self, now: Instant) {
        if self.has_kernel_reason(NetworkReason::MINIMUM_CHECK_IN_EXPIRED) {
            self.linger = Linger::CheckIn { until: now + CHECK_IN_DURATION };
        }
    }

    /// The application has released the network: the link stays for the bundle's grace time, which serves a check-in as
    /// well (D24).
    pub(crate) fn begin_grace(&mut self, now: Instant) {
        if self.is_open() && !self.grace.is_zero() {
            self.stop_lingering();
            self.linger = Linger::Grace { until: now + self.grace };
        }
    }

    /// What kept the link is over. A check-in is done by that.
    pub(super) fn stop_lingering(&mut self) {
        if let Linger::CheckIn { .. } = self.linger {
            self.set_kernel_reason(NetworkReason::MINIMUM_CHECK_IN_EXPIRED, false);
        }
        self.linger = Linger::No;
    }

    /// Whether the kernel will connect for a check-in when its time has come.
    fn awaits_check_in(&self) -> bool {
        !self.is_open() && !self.has_kernel_reason(NetworkReason::MINIMUM_CHECK_IN_EXPIRED)
    }

    fn has_kernel_reason(&self, reason: NetworkReason) -> bool {
        self.kernel_reasons.without(reason) != self.kernel_reasons
    }

    fn set_kernel_reason(&mut self, reason: NetworkReason, set: bool) {
        self.kernel_reasons =
            if set { self.kernel_reasons.with(reason) } else { self.kernel_reasons.without(reason) };
    }
}
