//! One device of a fleet, and its counters.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use abi::{Call, Status};
use device::events::DeviceEvent;
use device::identity::Identity;

use crate::output::event::Event;

/// The state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Not started yet.
    Waiting,
    Connecting,
    Connected,
    /// Neither connected nor connecting.
    Offline,
    /// Its thread has ended.
    Ended,
}

const STATES: [State; 5] =
    [State::Waiting, State::Connecting, State::Connected, State::Offline, State::Ended];

/// One device of the fleet.
pub(super) struct Member {
    name: String,
    device_id: String,
    identity: Option<Identity>,
    stats: Arc<Stats>,
}

/// Counters of a device, updated on its thread.
#[derive(Default)]
struct Stats {
    state: AtomicU8,
    was_connected: AtomicBool,
    starts: AtomicU64,
    faults: AtomicU64,
    losses: AtomicU64,
    publishes: AtomicU64,
    messages: AtomicU64,
    log_lines: AtomicU64,
    problems: Mutex<Problems>,
}

/// The last problems.
#[derive(Default)]
struct Problems {
    fault: Option<String>,
    link: Option<String>,
    /// The kind and the cause of one that has not been shown yet.
    unreported: Option<(&'static str, String)>,
}

impl Member {
    /// A device that is not started yet.
    pub(super) fn new(name: String, identity: Identity) -> Self {
        let device_id = identity.device_id().to_string();
        Self { name, device_id, identity: Some(identity), stats: Arc::default() }
    }

    /// Its identity, once.
    pub(super) fn take_identity(&mut self) -> Option<Identity> {
        self.identity.take()
    }

    /// A callback for its events.
    pub(super) fn observer(&self) -> impl FnMut(DeviceEvent) + Send + 'static {
        let observer = Observer(self.stats.clone());
        observer.0.set(State::Connecting);
        move |event| observer.0.count(&event)
    }

    /// The device, and its last problem since the previous call.
    pub(super) fn take_problem(&self) -> Option<(&str, Event)> {
        let (problem, detail) = self.stats.problems().unreported.take()?;
        Some((&self.device_id, Event::FleetProblem { name: self.name.clone(), problem, detail }))
    }

    /// Why the device failed, in one line, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        let (name, id, stats) = (&self.name, &self.device_id, &self.stats);
        let problems = stats.problems();
        if let Some(fault) = &problems.fault {
            let times = load(&stats.faults);
            return Some(format!("{name} ({id}) was stopped by a fault, {times} times; the last: {fault}"));
        }
        if stats.was_connected.load(Ordering::Relaxed) {
            return None;
        }
        Some(match (&problems.link, stats.state()) {
            (Some(cause), _) => format!("{name} ({id}) never connected: {cause}"),
            (None, State::Waiting) => format!("{name} ({id}) was not started in time"),
            (None, _) => format!("{name} ({id}) never connected in time"),
        })
    }
}

/// Owned by the device's thread: dropped when that ends.
struct Observer(Arc<Stats>);

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.set(State::Ended);
    }
}

impl Stats {
    fn count(&self, event: &DeviceEvent) {
        use DeviceEvent as E;
        match event {
            E::Started { .. } => add(&self.starts),
            E::LinkConnecting => self.set(State::Connecting),
            E::LinkUp => {
                self.was_connected.store(true, Ordering::Relaxed);
                self.set(State::Connected);
            }
            E::LinkDown { cause, .. } => {
                if self.state() == State::Connected {
                    add(&self.losses);
                }
                self.set(State::Offline);
                let mut problems = self.problems();
                problems.unreported = Some(("link_down", cause.clone()));
                problems.link = Some(cause.clone());
            }
            E::Faulted { fault, .. } => {
                add(&self.faults);
                let mut problems = self.problems();
                problems.unreported = Some(("crashed", fault.to_string()));
                problems.fault = Some(fault.to_string());
            }
            E::Called { call, status: Status::Okay, .. } => self.count_call(*call),
            _ => {}
        }
    }

    fn count_call(&self, call: Call) {
        match call {
            Call::MqttRequestPublish => add(&self.publishes),
            Call::MqttReceiveMessage => add(&self.messages),
            Call::ServerLog => add(&self.log_lines),
            _ => {}
        }
    }

    fn problems(&self) -> std::sync::MutexGuard<'_, Problems> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    fn state(&self) -> State {
        STATES[usize::from(self.state.load(Ordering::Relaxed))]
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The sums over the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Devices not started yet.
    pub waiting: u64,
    /// Devices that are connecting.
    pub connecting: u64,
    /// Connected devices.
    pub connected: u64,
    /// Devices neither connected nor connecting.
    pub offline: u64,
    /// Devices whose thread has ended.
    pub ended: u64,
    /// Devices that have been connected at least once.
    pub ever_connected: u64,
    /// Applications stopped by a fault, so far.
    pub faults: u64,
    /// Restarts of applications, so far.
    pub restarts: u64,
    /// Connections lost, so far.
    pub losses: u64,
    /// Accepted publishes, so far.
    pub publishes: u64,
    /// Messages received, so far.
    pub messages: u64,
    /// Lines logged, so far.
    pub log_lines: u64,
}

impl Totals {
    /// Adds up.
    pub(super) fn of<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        members.fold(Self::default(), |totals, member| totals.with(&member.stats))
    }

    fn with(mut self, stats: &Stats) -> Self {
        let count = match stats.state() {
            State::Waiting => &mut self.waiting,
            State::Connecting => &mut self.connecting,
            State::Connected => &mut self.connected,
            State::Offline => &mut self.offline,
            State::Ended => &mut self.ended,
        };
        *count += 1;
        self.ever_connected += u64::from(stats.was_connected.load(Ordering::Relaxed));
        self.faults += load(&stats.faults);
        self.restarts += load(&stats.starts).saturating_sub(1);
        self.losses += load(&stats.losses);
        self.publishes += load(&stats.publishes);
        self.messages += load(&stats.messages);
        self.log_lines += load(&stats.log_lines);
        self
    }
}

#[cfg(test)]
mod tests {
    use abi::power::WakeReason;

    use super::*;

    fn totals(stats: &Stats) -> Totals {
        Totals::default().with(stats)
    }

    fn called(call: Call, status: Status) -> DeviceEvent {
        DeviceEvent::Called { call, arguments: [0; 4], status }
    }

    #[test]
    fn what_an_application_did_is_counted_only_if_it_was_accepted() {
        let stats = Stats::default();
        stats.count(&called(Call::MqttRequestPublish, Status::Okay));
        stats.count(&called(Call::MqttRequestPublish, Status::TooManyElements));
        stats.count(&called(Call::MqttReceiveMessage, Status::Okay));
        stats.count(&called(Call::ServerLog, Status::Okay));
        stats.count(&called(Call::GetMicroseconds, Status::Okay));
        let totals = totals(&stats);
        assert_eq!((totals.publishes, totals.messages, totals.log_lines), (1, 1, 1));
    }

    #[test]
    fn a_device_is_in_one_state_and_lost_links_are_counted() {
        let stats = Stats::default();
        assert_eq!(totals(&stats).waiting, 1);
        stats.count(&DeviceEvent::LinkConnecting);
        stats.count(&DeviceEvent::LinkDown { reason: "unreachable", cause: "connection refused".into() });
        assert_eq!((totals(&stats).offline, totals(&stats).losses, totals(&stats).ever_connected), (1, 0, 0));
        stats.count(&DeviceEvent::LinkUp);
        stats.count(&DeviceEvent::LinkDown { reason: "unreachable", cause: "closed by the cloud".into() });
        assert_eq!((totals(&stats).offline, totals(&stats).losses, totals(&stats).ever_connected), (1, 1, 1));
        drop(Observer(Arc::new(stats)));
    }

    #[test]
    fn only_what_follows_the_first_start_is_a_restart() {
        let stats = Stats::default();
        for expected in [0, 1, 2] {
            stats.count(&DeviceEvent::Started { reason: WakeReason::ColdBoot });
            assert_eq!(totals(&stats).restarts, expected);
        }
    }
}
