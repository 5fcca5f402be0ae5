//! Why the kernel connects, and stays, by itself: check-ins, grace, debuggers, updates.

use abi::network::NetworkReason;
use sansio::Instant;

use super::{Link, Network};
use crate::Kernel;
use crate::limits::CHECK_IN_DURATION;
use crate::port::Port;

/// What keeps a link for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linger {
    /// Nothing.
    No,
    /// A check-in: the cloud may have something to say (N15).
    CheckIn { until: Instant },
    /// The application has released it, and its bundle grants grace (D24).
    Grace { until: Instant },
}

impl Network {
    /// When the kernel next connects to see what the cloud has for the device, if nobody does before (N16).
    pub(crate) fn check_in_at(&self) -> Instant {
        self.last_open + self.check_in_every
    }

    /// The same for a device that loses its memory meanwhile: a check-in that is due and waits out a pause is tried when
    /// the pause is over.
    pub(crate) fn check_in_asleep(&self) -> Instant {
        match self.link {
            Link::Pause { until } => until.max(self.check_in_at()),
            _ => self.check_in_at(),
        }
    }

    /// Begins a check-in that is due, and ends what has had its time.
    pub(super) fn keep_time(&mut self, now: Instant) {
        if self.awaits_check_in() && now >= self.check_in_at() {
            self.set_own(NetworkReason::MINIMUM_CHECK_IN_EXPIRED, true);
        }
        if let Linger::CheckIn { until } | Linger::Grace { until } = self.linger
            && until <= now
        {
            self.stop_lingering();
        }
    }

    /// When [`Self::keep_time`] has something to do.
    pub(super) fn next_policy_timeout(&self) -> Option<Instant> {
        let linger = match self.linger {
            Linger::No => None,
            Linger::CheckIn { until } | Linger::Grace { until } => Some(until),
        };
        let check_in = self.awaits_check_in().then(|| self.check_in_at());
        [linger, check_in].into_iter().flatten().min()
    }

    /// The link has opened: a check-in that was wanted begins.
    pub(super) fn begin_check_in(&mut self, now: Instant) {
        if self.owns(NetworkReason::MINIMUM_CHECK_IN_EXPIRED) {
            self.linger = Linger::CheckIn { until: now + CHECK_IN_DURATION };
        }
    }

    /// The application has released the network: the link stays for the bundle's grace, and a check-in is served (D24).
    pub(super) fn begin_grace(&mut self, now: Instant) {
        if self.is_open() && !self.grace.is_zero() {
            self.stop_lingering();
            self.linger = Linger::Grace { until: now + self.grace };
        }
    }

    /// What kept the link for a while has had its time. A check-in is done by that.
    pub(super) fn stop_lingering(&mut self) {
        if let Linger::CheckIn { .. } = self.linger {
            self.set_own(NetworkReason::MINIMUM_CHECK_IN_EXPIRED, false);
        }
        self.linger = Linger::No;
    }

    /// Whether time alone will make the kernel connect.
    fn awaits_check_in(&self) -> bool {
        !self.is_open() && !self.owns(NetworkReason::MINIMUM_CHECK_IN_EXPIRED)
    }
}

impl Kernel {
    /// The port has attached a debugger to the application, or detached it. The link is held meanwhile, whatever the
    /// application does (N20, N23).
    pub fn debugger_attached(&mut self, port: &mut Port<'_>, attached: bool) {
        self.network.set_own(NetworkReason::DEBUGGER_ATTACHED, attached);
        self.settle_network(port);
    }

    /// The port has begun to fetch an update, or is done with it. The link is held meanwhile (N15, N76).
    pub fn fetching_update(&mut self, port: &mut Port<'_>, fetching: bool) {
        self.network.set_own(NetworkReason::FETCHING_UPDATE, fetching);
        self.settle_network(port);
    }
}
