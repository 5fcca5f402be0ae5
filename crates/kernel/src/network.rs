//! Who wants the network, whether it is there, and how often it is tried.
//!
//! Everybody who wants the link has a bit in the reasons; the link is wanted while any bit is set. The kernel's own
//! bits are there from the start (N12, N13), the application's while it holds a handle (N14, N76).

use abi::Status;
use abi::channel::ClosureReason;
use abi::network::{NetworkReason, NetworkStatus, RequestNetworkParams};
use abi::notifications::{EventType, SystemNotificationSource};
use abi::power::WakeReason;
use link::connection::ByeReason;
use policy::Linger;
use sansio::{Duration, Instant};

use crate::handles::Chance;
use crate::limits::{
    DEFAULT_CHECK_IN_INTERVAL, ENHANCED_CALM_FAILURES, MAX_BACKOFF, MIN_BACKOFF, NETWORK_HANDLES,
    UNREACHABLE_AFTER,
};
use crate::memory::{HandleVariable, Output, Phase as _, structure};
use crate::notifications::Address;
use crate::port::{LinkLoss, Port};
use crate::{Boot, Kernel};

mod policy;

/// Where the connection to the cloud is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// There is none.
    Down,
    /// There is none, and none is to be tried before this moment.
    Pause { until: Instant },
    /// The port is making one.
    Connecting,
    /// TLS stands, the cloud has not welcomed the device yet.
    Greeting,
    /// The cloud has welcomed the device.
    Open,
    /// The port is to send what is left, close it and say so. Whether a pause is to follow.
    Closing { failed: bool },
}

/// The network as the kernel keeps it.
pub(crate) struct Network {
    held: [Option<Held>; NETWORK_HANDLES],
    /// Whether the application has ever requested the network: from then on it decides (N13).
    ever_requested: bool,
    /// The kernel's own reasons, each until the link has served it.
    own: NetworkReason,
    link: Link,
    /// Failures in a row.
    failures: u32,
    /// Since when the cloud has been out of reach while wanted.
    out_of_reach_since: Instant,
    /// Whether the last failure happened over a local link that was up.
    carrier: bool,
    /// The status the application was told of last.
    announced: NetworkStatus,
    /// Time between check-ins.
    check_in_every: Duration,
    /// How long the link outlives the last request for it (D24).
    grace: Duration,
    /// When the link was last open, or the start.
    last_open: Instant,
    /// Until when the open link stays although nobody asks for it any more.
    linger: Linger,
}

/// One request of the application's.
#[derive(Clone, Copy)]
struct Held {
    handle: u32,
    to: Address,
}

impl Network {
    /// The network before the start of the device: all zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            held: [None; NETWORK_HANDLES],
            ever_requested: false,
            own: NetworkReason::NOT_CONNECTING,
            link: Link::Down,
            failures: 0,
            out_of_reach_since: Instant::ZERO,
            carrier: false,
            announced: NetworkStatus::DeliberatelyOffline,
            check_in_every: Duration::ZERO,
            grace: Duration::ZERO,
            last_open: Instant::ZERO,
            linger: Linger::No,
        }
    }

    /// The device starts: what the kernel itself wants of the cloud, and the bundle's policy.
    pub(crate) fn start(&mut self, boot: &Boot) {
        self.own = own_reasons(boot.wake_reason, &boot.image);
        self.announced = NetworkStatus::Connecting;
        self.grace = Duration::from_secs(boot.policy.connection_grace_time_sec.into());
        self.check_in_every = match boot.policy.minimum_check_in_time_sec {
            0 => DEFAULT_CHECK_IN_INTERVAL,
            seconds => Duration::from_secs(seconds.into()),
        };
    }

    /// Whether the link may be used by everybody.
    pub(crate) fn is_open(&self) -> bool {
        self.link == Link::Open
    }

    /// Whether bytes can go to the cloud at all.
    pub(crate) fn has_connection(&self) -> bool {
        matches!(self.link, Link::Greeting | Link::Open | Link::Closing { .. })
    }

    /// Whether the handle is one the application holds.
    pub(crate) fn knows(&self, handle: u32) -> bool {
        self.held.iter().flatten().any(|held| held.handle == handle)
    }

    /// Whether log messages may use the link: until the application first requests the network, and while it holds it
    /// (D71).
    pub(crate) fn carries_logs(&self) -> bool {
        self.is_open() && (!self.ever_requested || self.count() > 0)
    }

    /// Whether the port should have a connection, or be making one.
    pub(crate) fn wants_link(&self, clock_is_set: bool) -> bool {
        self.is_wanted(clock_is_set) && !matches!(self.link, Link::Pause { .. } | Link::Closing { .. })
    }

    /// Whether a connection stands or is being made.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.link, Link::Down | Link::Pause { .. })
    }

    /// Whether the port has said that an update is on its way.
    pub(crate) fn is_fetching_update(&self) -> bool {
        self.owns(NetworkReason::FETCHING_UPDATE)
    }

    fn owns(&self, reason: NetworkReason) -> bool {
        self.own.without(reason) != self.own
    }

    fn set_own(&mut self, reason: NetworkReason, set: bool) {
        self.own = if set { self.own.with(reason) } else { self.own.without(reason) };
    }

    /// When the network next changes by itself.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let pause = if let Link::Pause { until } = self.link { Some(until) } else { None };
        let unreachable = (self.carrier && !self.is_open() && self.announced == NetworkStatus::Connecting)
            .then(|| self.out_of_reach_since + UNREACHABLE_AFTER);
        [pause, unreachable, self.next_policy_timeout()].into_iter().flatten().min()
    }

    fn count(&self) -> u32 {
        self.held.iter().flatten().count() as u32
    }

    /// Why the link is, or should be, up; 0 if it should not (N21, N22).
    fn reasons(&self, clock_is_set: bool) -> NetworkReason {
        let bit = |set: bool, reason| if set { reason } else { NetworkReason::NOT_CONNECTING };
        self.own
            .with(bit(self.count() > 0, NetworkReason::USING_NETWORK))
            .with(bit(!self.ever_requested, NetworkReason::NEVER_USED_NETWORK_API))
            .with(bit(!clock_is_set, NetworkReason::RTC_NOT_SET))
            .with(bit(self.is_calm(), NetworkReason::ENHANCE_CALM))
    }

    fn is_wanted(&self, clock_is_set: bool) -> bool {
        let reasons = self.reasons(clock_is_set).without(NetworkReason::ENHANCE_CALM);
        reasons != NetworkReason::NOT_CONNECTING || self.linger != Linger::No
    }

    /// Whether the kernel is waiting out a pause after many failures (D23).
    fn is_calm(&self) -> bool {
        matches!(self.link, Link::Pause { .. }) && self.failures >= ENHANCED_CALM_FAILURES
    }

    fn status(&self, now: Instant, clock_is_set: bool) -> NetworkStatus {
        let out_of_reach = now.duration_since(self.out_of_reach_since);
        match self.link {
            Link::Open => NetworkStatus::Connected,
            _ if !self.is_wanted(clock_is_set) => NetworkStatus::DeliberatelyOffline,
            _ if self.carrier && out_of_reach >= UNREACHABLE_AFTER => NetworkStatus::DisconnectedWithLinkUp,
            _ => NetworkStatus::Connecting,
        }
    }

    /// Takes the end of a connection or of an attempt (D23).
    fn lost(&mut self, now: Instant, cause: LinkLoss, chance: &mut Chance) {
        self.carrier = match cause {
            LinkLoss::NoCarrier => false,
            LinkLoss::Unreachable => true,
            LinkLoss::Requested => self.carrier,
        };
        let failed = match self.link {
            Link::Closing { failed } => failed,
            // Told twice: the pause that runs already is the one that counts.
            Link::Pause { .. } => return,
            _ => cause != LinkLoss::Requested,
        };
        self.link = if failed {
            self.failures = self.failures.saturating_add(1);
            Link::Pause { until: now + pause(self.failures, chance) }
        } else {
            Link::Down
        };
    }

    /// The application starts anew: it holds nothing and has never asked (N19). A link that is open serves at once what
    /// the kernel wants of it.
    pub(crate) fn application_restarted(&mut self, wake_reason: WakeReason) {
        self.held = [None; NETWORK_HANDLES];
        self.ever_requested = false;
        if !self.is_open() {
            self.own = self.own.with(woken_for(wake_reason));
        }
    }
}

/// Reasons of the kernel's own at the start of the device.
fn own_reasons(wake_reason: WakeReason, image: &[u8; 32]) -> NetworkReason {
    let woken = woken_for(wake_reason);
    if *image == [0; 32] { woken.with(NetworkReason::NO_APPLICATION_CODE) } else { woken }
}

/// What the kernel wants to tell the cloud after such a start; dropped once a connection stands.
fn woken_for(wake_reason: WakeReason) -> NetworkReason {
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

/// The pause after this many failures in a row: doubling, and somewhere in its upper half so that devices that failed
/// together do not come back together (D23).
fn pause(failures: u32, chance: &mut Chance) -> Duration {
    let doubled = MIN_BACKOFF.saturating_mul(1 << failures.min(7));
    let most = doubled.min(MAX_BACKOFF).as_micros();
    let least = most / 2;
    Duration::from_micros(least + chance.below(most - least))
}

impl Kernel {
    /// `mvRequestNetwork`.
    pub(crate) fn request_network(
        &mut self,
        port: &mut Port<'_>,
        params: u32,
        handle_out: u32,
    ) -> Result<(), Status> {
        let params: RequestNetworkParams = structure(port.memory, params).early()?;
        let handle_out = Output::claim(port.memory, handle_out).early()?;
        if params.version != 1 {
            return Err(Status::UnsupportedStructureVersion);
        }
        if !self.notifications.knows(params.notification_handle) {
            return Err(Status::ParameterFault);
        }
        let place = self.network.held.iter_mut().find(|place| place.is_none());
        let place = place.ok_or(Status::ParameterFault)?;

        let handle = self.handles.issue();
        handle_out.put_u32(port.memory, handle).early()?;
        let to = Address { centre: params.notification_handle, tag: params.notification_tag };
        *place = Some(Held { handle, to });
        self.network_requested(port, to);
        Ok(())
    }

    /// `mvReleaseNetwork`. Channels over this handle lose their network (N77), whoever else keeps the link.
    pub(crate) fn release_network(&mut self, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
        let handle = HandleVariable::claim(port.memory, handle).early()?;
        let released = handle.value;
        let is_it = |place: &&mut Option<Held>| place.is_some_and(|held| held.handle == released);
        let place = self.network.held.iter_mut().find(is_it).ok_or(Status::InvalidHandle)?;

        handle.zero(port.memory).early()?;
        *place = None;
        self.disconnect_channels_of(port, released);
        self.network.begin_grace(port.now);
        self.settle_network(port);
        Ok(())
    }

    /// `mvGetNetworkStatus`: the status of this moment (N46).
    pub(crate) fn network_status(&self, port: &mut Port<'_>, handle: u32, to: u32) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        if !self.network.knows(handle) {
            return Err(Status::InvalidHandle);
        }
        let status = self.network.status(port.now, self.clock.is_set());
        to.put_u32(port.memory, status.raw()).early()
    }

    /// `mvGetNetworkReasons`.
    pub(crate) fn network_reasons(
        &self,
        port: &mut Port<'_>,
        reasons: u32,
        count: u32,
    ) -> Result<(), Status> {
        let reasons = Output::claim(port.memory, reasons).early()?;
        let count = Output::claim(port.memory, count).early()?;
        reasons.put_u32(port.memory, self.network.reasons(self.clock.is_set()).raw()).early()?;
        count.put_u32(port.memory, self.network.count()).early()
    }

    /// The port has begun to connect.
    pub(crate) fn network_connecting(&mut self) {
        if matches!(self.network.link, Link::Down | Link::Pause { .. }) {
            self.network.link = Link::Connecting;
        }
    }

    /// TLS stands; whether the cloud is to be greeted, or nobody wants the connection any more.
    pub(crate) fn network_greeting(&mut self) -> bool {
        if matches!(self.network.link, Link::Closing { .. } | Link::Greeting | Link::Open) {
            return false;
        }
        self.network.link = Link::Greeting;
        self.network.carrier = true;
        true
    }

    /// The cloud has welcomed the device: what the kernel itself wanted of the connection is served.
    pub(crate) fn network_opened(&mut self, port: &mut Port<'_>) {
        let served = NetworkReason::COLD_BOOT_CONNECTION
            .with(NetworkReason::APPLICATION_ERROR)
            .with(NetworkReason::KERNEL_ERROR);
        self.network.own = self.network.own.without(served);
        self.network.link = Link::Open;
        self.network.failures = 0;
        self.network.begin_check_in(port.now);
        self.settle_network(port);
    }

    /// The connection is to end: by the peer's farewell, its violation or its silence. A pause follows.
    pub(crate) fn network_failing(&mut self, port: &mut Port<'_>) {
        self.end_link(port, true);
        self.settle_network(port);
    }

    /// The port has no connection any more.
    pub(crate) fn network_lost(&mut self, port: &mut Port<'_>, cause: LinkLoss) {
        self.end_link(port, cause != LinkLoss::Requested);
        self.network.lost(port.now, cause, &mut self.chance);
        self.settle_network(port);
    }

    /// Ends a pause that is over, begins and ends check-ins, and says what else has changed by time alone.
    pub(crate) fn wake_network(&mut self, port: &mut Port<'_>) {
        self.network.keep_time(port.now);
        if let Link::Pause { until } = self.network.link
            && until <= port.now
        {
            self.network.link = Link::Down;
        }
        self.settle_network(port);
    }

    /// Takes the link down if nobody wants it (D24), and announces a change of status to every holder (D21).
    pub(crate) fn settle_network(&mut self, port: &mut Port<'_>) {
        if !self.network.is_wanted(self.clock.is_set()) {
            self.drop_unwanted_link(port);
        }
        let status = self.network.status(port.now, self.clock.is_set());
        if status == self.network.announced {
            return;
        }
        self.network.announced = status;
        for held in self.network.held.into_iter().flatten() {
            self.notifications.post(port, held.to, EventType::NetworkStatusChanged);
        }
        self.post_system_event(port, SystemNotificationSource::Network);
    }

    /// The application has one more handle: it owns the network, and hears at once if the link is up (D21).
    fn network_requested(&mut self, port: &mut Port<'_>, to: Address) {
        if self.network.announced == NetworkStatus::DeliberatelyOffline {
            self.network.out_of_reach_since = port.now;
        }
        self.network.ever_requested = true;
        let status = self.network.status(port.now, self.clock.is_set());
        if core::mem::replace(&mut self.network.announced, status) != status {
            // To the requester this is where it begins; whoever watches the network sees it change.
            self.post_system_event(port, SystemNotificationSource::Network);
        }
        if self.network.is_open() {
            self.notifications.post(port, to, EventType::NetworkStatusChanged);
        }
    }

    fn drop_unwanted_link(&mut self, port: &mut Port<'_>) {
        match self.network.link {
            Link::Greeting | Link::Open => {
                self.link.send_bye(ByeReason::Done, "");
                self.end_link(port, false);
            }
            Link::Connecting => self.network.link = Link::Closing { failed: false },
            Link::Pause { .. } => self.network.link = Link::Down,
            Link::Down | Link::Closing { .. } => {}
        }
        self.network.failures = 0;
    }

    /// The connection carries nothing from now on but its farewell.
    fn end_link(&mut self, port: &mut Port<'_>, failed: bool) {
        if !matches!(self.network.link, Link::Greeting | Link::Open) {
            return;
        }
        if self.network.is_open() {
            self.network.out_of_reach_since = port.now;
            self.network.last_open = port.now;
            self.network.stop_lingering();
        }
        self.network.link = Link::Closing { failed };
        self.logging.connection_lost();
        self.lose_channels(port, ClosureReason::NetworkDisconnected);
    }
}
