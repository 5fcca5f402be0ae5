//! Who wants the network, whether it is there, and when to reconnect.
//!
//! Everyone who wants the link has a bit in the reasons, and the link is wanted while any bit is set. The kernel's own
//! bits are set from the start, because the kernel connects before the application asks for anything (N12, N13); the
//! application's is set while it has a network handle (N14, N76).

pub(crate) mod calls;
mod policy;

use abi::network::{NetworkReason, NetworkStatus};
use abi::power::WakeReason;
use sansio::{Duration, Instant};

use link::connection::ByeReason;

use crate::boot::Boot;
use crate::limits::{
    DEFAULT_CHECK_IN_INTERVAL, ENHANCED_CALM_FAILURES, MAX_BACKOFF, MIN_BACKOFF, NETWORK_HANDLES,
    UNREACHABLE_AFTER,
};
use crate::notifications::NotificationTarget;
use crate::port::LinkLoss;
use crate::rng::Rng;

/// State of the connection to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    /// There is no connection.
    Down,
    /// There is no connection, and none is tried before this time.
    Backoff { until: Instant },
    /// The port is making a connection.
    Connecting,
    /// TLS is done; the cloud has not sent `WELCOME` yet.
    AwaitingWelcome,
    /// The cloud has welcomed the device.
    Open,
    /// The port is to send what is left, close the connection and report it. Whether that counts as a failure, so that
    /// a pause follows.
    Closing { failed: bool },
}

/// Why an open link is kept although nothing requires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linger {
    /// It is not.
    No,
    /// A check-in: updates are looked for while the link is up (N15).
    CheckIn { until: Instant },
    /// The application has released it, and its bundle grants a grace time, which saves the reconnection of an
    /// application that comes back soon (D24).
    Grace { until: Instant },
}

/// The state of the network.
pub(crate) struct Network {
    handles: [Option<NetworkHandle>; NETWORK_HANDLES],
    /// Whether the application has ever requested the network: from then on it decides (N13, N14).
    ever_requested: bool,
    /// The kernel's own reasons, each until the link has served it.
    kernel_reasons: NetworkReason,
    link: LinkState,
    /// Consecutive failures.
    failures: u32,
    /// The code of the reason for which the cloud said it ends the connection, until the port takes it. A code, because
    /// `None` of it is all zero, as everything in a kernel's first state.
    bye: Option<u32>,
    /// Since when the cloud has been out of reach while wanted.
    unreachable_since: Instant,
    /// Whether the last failure happened over a local link that was up.
    has_carrier: bool,
    /// The status the application was notified of last.
    reported: NetworkStatus,
    /// Time without an open link until the kernel connects by itself.
    check_in_interval: Duration,
    /// How long the link outlives the last request for it (D24).
    grace: Duration,
    /// When the link was last open, or the start.
    last_open: Instant,
    linger: Linger,
}

/// One request of the application.
#[derive(Clone, Copy)]
struct NetworkHandle {
    handle: u32,
    target: NotificationTarget,
}

impl Network {
    /// The network before the start of the device: all zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            handles: [None; NETWORK_HANDLES],
            ever_requested: false,
            kernel_reasons: NetworkReason::NOT_CONNECTING,
            link: LinkState::Down,
            failures: 0,
            bye: None,
            unreachable_since: Instant::ZERO,
            has_carrier: false,
            reported: NetworkStatus::DeliberatelyOffline,
            check_in_interval: Duration::ZERO,
            grace: Duration::ZERO,
            last_open: Instant::ZERO,
            linger: Linger::No,
        }
    }

    /// The device starts with the kernel's own reasons to connect and the bundle's policy.
    pub(crate) fn start(&mut self, boot: &Boot) {
        self.kernel_reasons = reasons_at_start(boot.wake_reason, &boot.image);
        self.reported = NetworkStatus::Connecting;
        self.grace = Duration::from_secs(boot.policy.connection_grace_time_sec.into());
        self.check_in_interval = match boot.policy.minimum_check_in_time_sec {
            // "Always try to be connected", as 0 is described, would leave the application no say (D104).
            0 => DEFAULT_CHECK_IN_INTERVAL,
            seconds => Duration::from_secs(seconds.into()),
        };
    }

    /// Whether the cloud has welcomed the device.
    pub(crate) fn is_open(&self) -> bool {
        self.link == LinkState::Open
    }

    /// Whether bytes can go to the cloud at all.
    pub(crate) fn has_connection(&self) -> bool {
        self.is_established() || matches!(self.link, LinkState::Closing { .. })
    }

    /// Whether there is a connection that the kernel has not ended.
    pub(crate) fn is_established(&self) -> bool {
        matches!(self.link, LinkState::AwaitingWelcome | LinkState::Open)
    }

    /// Whether the application has this handle.
    pub(crate) fn contains(&self, handle: u32) -> bool {
        self.handles.iter().flatten().any(|known| known.handle == handle)
    }

    /// Whether log messages may use the link. They use any link that is up, but not one that the application has asked
    /// to be without: it would pay for traffic it does not expect (D71, N26).
    pub(crate) fn carries_logs(&self) -> bool {
        self.is_open() && (!self.ever_requested || self.count() > 0)
    }

    /// Whether the port should have a connection, or be making one.
    pub(crate) fn wants_link(&self, clock_is_set: bool) -> bool {
        self.is_wanted(clock_is_set)
            && !matches!(self.link, LinkState::Backoff { .. } | LinkState::Closing { .. })
    }

    /// Whether there is a connection or one is being made.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.link, LinkState::Down | LinkState::Backoff { .. })
    }

    /// When the network next changes by itself.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let backoff = if let LinkState::Backoff { until } = self.link { Some(until) } else { None };
        let unreachable = (self.has_carrier && !self.is_open() && self.reported == NetworkStatus::Connecting)
            .then(|| self.unreachable_since + UNREACHABLE_AFTER);
        [backoff, unreachable, self.next_policy_timeout()].into_iter().flatten().min()
    }

    /// Ends a pause that is over, begins and ends check-ins.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.handle_policy_timeout(now);
        if let LinkState::Backoff { until } = self.link
            && until <= now
        {
            self.link = LinkState::Down;
        }
    }

    /// The port has begun to connect.
    pub(crate) fn on_connecting(&mut self) {
        if !self.is_active() {
            self.link = LinkState::Connecting;
        }
    }

    /// TLS is done; whether to send `HELLO`. False if the connection is already in use, or is no longer wanted.
    pub(crate) fn on_connected(&mut self) -> bool {
        if self.has_connection() {
            return false;
        }
        self.link = LinkState::AwaitingWelcome;
        self.has_carrier = true;
        true
    }

    /// The cloud has welcomed the device, which serves what the kernel wanted of the connection.
    pub(crate) fn on_welcome(&mut self, now: Instant) {
        let served = NetworkReason::COLD_BOOT_CONNECTION
            .with(NetworkReason::APPLICATION_ERROR)
            .with(NetworkReason::KERNEL_ERROR);
        self.kernel_reasons = self.kernel_reasons.without(served);
        self.link = LinkState::Open;
        self.failures = 0;
        self.begin_check_in(now);
    }

    /// From now on the connection carries nothing but a `BYE`.
    pub(crate) fn on_closing(&mut self, now: Instant, failed: bool) {
        if self.is_open() {
            self.unreachable_since = now;
            self.last_open = now;
            self.stop_lingering();
        }
        self.link = LinkState::Closing { failed };
    }

    /// The cloud says why it ends the connection. A device that may not connect any more pauses as long as after many
    /// failures (D323).
    pub(crate) fn on_bye(&mut self, reason: ByeReason) {
        self.bye = Some(reason.code());
        if reason == ByeReason::Revoked {
            self.failures = self.failures.max(ENHANCED_CALM_FAILURES);
        }
    }

    /// Takes the reason of the last `BYE`.
    pub(crate) fn take_bye(&mut self) -> Option<ByeReason> {
        self.bye.take().map(ByeReason::from_code)
    }

    /// The connection has ended, or the attempt has failed. After a failure the kernel pauses, so that devices do not
    /// overrun a cloud that has just come back (D23).
    pub(crate) fn on_lost(&mut self, now: Instant, cause: LinkLoss, rng: &mut Rng) {
        self.has_carrier = match cause {
            LinkLoss::NoCarrier => false,
            LinkLoss::Unreachable => true,
            LinkLoss::Requested => self.has_carrier,
        };
        let failed = match self.link {
            LinkState::Closing { failed } => failed,
            // The port has reported the loss twice; a second pause would only delay the next attempt.
            LinkState::Backoff { .. } => return,
            _ => cause != LinkLoss::Requested,
        };
        self.link = if failed {
            self.failures = self.failures.saturating_add(1);
            LinkState::Backoff { until: now + backoff(self.failures, rng) }
        } else {
            LinkState::Down
        };
    }

    /// If the link is not wanted, stops what is under way for it, short of ending a connection. Returns whether there
    /// is a connection to end: without a reason to stay it ends at once, because a link costs energy and money (D24).
    pub(crate) fn drop_unwanted(&mut self, clock_is_set: bool) -> bool {
        if self.is_wanted(clock_is_set) {
            return false;
        }
        self.failures = 0;
        match self.link {
            LinkState::AwaitingWelcome | LinkState::Open => return true,
            // Not `Down` yet: the port has still to report the end of its attempt.
            LinkState::Connecting => self.link = LinkState::Closing { failed: false },
            LinkState::Backoff { .. } => self.link = LinkState::Down,
            LinkState::Down | LinkState::Closing { .. } => {}
        }
        false
    }

    /// Whether the status has changed since it was last reported. It counts as reported from now on.
    pub(crate) fn take_status_change(&mut self, now: Instant, clock_is_set: bool) -> bool {
        let status = self.status(now, clock_is_set);
        core::mem::replace(&mut self.reported, status) != status
    }

    /// Where changes of the status go: to every handle of the application, because each request was promised its own
    /// event (D21).
    pub(crate) fn targets(&self) -> impl Iterator<Item = NotificationTarget> {
        self.handles.into_iter().flatten().map(|handle| handle.target)
    }

    /// The application has made a request: from now on it decides about the network (N13).
    pub(crate) fn on_requested(&mut self, now: Instant) {
        // The 30 s without the cloud (D23) count from the wish for a connection, not from the end of the last one.
        if self.reported == NetworkStatus::DeliberatelyOffline {
            self.unreachable_since = now;
        }
        self.ever_requested = true;
    }

    /// The application restarts: it has no handles and has never made a request (N19). If the link is open, the cloud
    /// need not be reached for the restart: it is there.
    pub(crate) fn application_restarted(&mut self, wake_reason: WakeReason) {
        self.handles = [None; NETWORK_HANDLES];
        self.ever_requested = false;
        if !self.is_open() {
            self.kernel_reasons = self.kernel_reasons.with(reason_for_wake(wake_reason));
        }
    }

    /// The number of handles the application has.
    fn count(&self) -> u32 {
        self.handles.iter().flatten().count() as u32
    }

    /// Why the link is, or should be, up; 0 if it should not, since the call may be made without a network handle too
    /// (N21, N22).
    fn reasons(&self, clock_is_set: bool) -> NetworkReason {
        let bit = |set: bool, reason| if set { reason } else { NetworkReason::NOT_CONNECTING };
        self.kernel_reasons
            .with(bit(self.count() > 0, NetworkReason::USING_NETWORK))
            .with(bit(!self.ever_requested, NetworkReason::NEVER_USED_NETWORK_API))
            .with(bit(!clock_is_set, NetworkReason::RTC_NOT_SET))
            .with(bit(self.is_in_enhanced_calm(), NetworkReason::ENHANCE_CALM))
    }

    fn is_wanted(&self, clock_is_set: bool) -> bool {
        // Enhanced calm says that the kernel waits, not that it wants something.
        let reasons = self.reasons(clock_is_set).without(NetworkReason::ENHANCE_CALM);
        reasons != NetworkReason::NOT_CONNECTING || self.linger != Linger::No
    }

    /// Whether the kernel pauses after many failures, which the application can see because no request of its own
    /// shortens the pause (D23, D89).
    fn is_in_enhanced_calm(&self) -> bool {
        matches!(self.link, LinkState::Backoff { .. }) && self.failures >= ENHANCED_CALM_FAILURES
    }

    fn status(&self, now: Instant, clock_is_set: bool) -> NetworkStatus {
        let unreachable_for = now.duration_since(self.unreachable_since);
        match self.link {
            LinkState::Open => NetworkStatus::Connected,
            _ if !self.is_wanted(clock_is_set) => NetworkStatus::DeliberatelyOffline,
            _ if self.has_carrier && unreachable_for >= UNREACHABLE_AFTER => {
                NetworkStatus::DisconnectedWithLinkUp
            }
            _ => NetworkStatus::Connecting,
        }
    }
}

/// The kernel's own reasons at the start of the device.
fn reasons_at_start(wake_reason: WakeReason, image: &[u8; 32]) -> NetworkReason {
    let reason = reason_for_wake(wake_reason);
    if *image == [0; 32] { reason.with(NetworkReason::NO_APPLICATION_CODE) } else { reason }
}

/// What the kernel reports to the cloud after such a start; cleared once there is a connection.
fn reason_for_wake(wake_reason: WakeReason) -> NetworkReason {
    match wake_reason {
        WakeReason::ColdBoot => NetworkReason::COLD_BOOT_CONNECTION,
        WakeReason::ApplicationCrash => NetworkReason::APPLICATION_ERROR,
        WakeReason::MicrovisorCrash
        | WakeReason::MicrovisorWatchdog
        | WakeReason::MicrovisorOutOfMemory
        | WakeReason::MicrovisorError => NetworkReason::KERNEL_ERROR,
        WakeReason::DeepSleepCheckIn => NetworkReason::MINIMUM_CHECK_IN_EXPIRED,
        _ => NetworkReason::NOT_CONNECTING,
    }
}

/// The pause after this many consecutive failures: it doubles, with jitter in its upper half, so that devices that
/// failed together do not reconnect together (D23).
fn backoff(failures: u32, rng: &mut Rng) -> Duration {
    // Seven doublings exceed the maximum; more would overflow.
    let doubled = MIN_BACKOFF.saturating_mul(1 << failures.min(7));
    let most = doubled.min(MAX_BACKOFF).as_micros();
    let least = most / 2;
    Duration::from_micros(least + rng.below(most - least))
}
