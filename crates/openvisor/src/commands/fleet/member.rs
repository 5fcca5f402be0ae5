//! One device of a fleet: who it is, and what is counted of it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use abi::{Call, Status};
use device::events::DeviceEvent;
use device::identity::Identity;

/// What a device does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Not started yet.
    Waiting,
    Connecting,
    Connected,
    /// It has no connection, and is not making one.
    Apart,
    /// Its thread is gone.
    Ended,
}

const STATES: [State; 5] = [State::Waiting, State::Connecting, State::Connected, State::Apart, State::Ended];

/// One device of the fleet.
pub(super) struct Member {
    name: String,
    device_id: String,
    identity: Option<Identity>,
    seen: Arc<Seen>,
}

/// What was seen of a device, counted on its own thread.
#[derive(Default)]
struct Seen {
    state: AtomicU8,
    was_connected: AtomicBool,
    starts: AtomicU64,
    faults: AtomicU64,
    losses: AtomicU64,
    publishes: AtomicU64,
    messages: AtomicU64,
    log_lines: AtomicU64,
    trouble: Mutex<Trouble>,
}

/// What went wrong last.
#[derive(Default)]
struct Trouble {
    fault: Option<String>,
    link: Option<String>,
    /// A line that was not shown yet.
    untold: Option<String>,
}

impl Member {
    /// A device that is not started yet.
    pub(super) fn new(name: String, identity: Identity) -> Self {
        let device_id = identity.device_id().to_string();
        Self { name, device_id, identity: Some(identity), seen: Arc::default() }
    }

    /// Its id.
    pub(super) fn device_id(&self) -> &str {
        &self.device_id
    }

    /// Its identity, once.
    pub(super) fn take_identity(&mut self) -> Option<Identity> {
        self.identity.take()
    }

    /// What its events are told to.
    pub(super) fn observer(&self) -> impl FnMut(DeviceEvent) + Send + 'static {
        let watch = Watch(self.seen.clone());
        watch.0.set(State::Connecting);
        move |event| watch.0.take(&event)
    }

    /// What went wrong since last asked, in one line.
    pub(super) fn untold(&self) -> Option<String> {
        let text = self.seen.trouble().untold.take()?;
        Some(format!("{} {text}", self.name))
    }

    /// Why the device did not do well, in one line, if it did not.
    pub(super) fn trouble(&self) -> Option<String> {
        let (name, id, seen) = (&self.name, &self.device_id, &self.seen);
        let trouble = seen.trouble();
        if let Some(fault) = &trouble.fault {
            let times = count(&seen.faults);
            return Some(format!("{name} ({id}) was stopped by a fault, {times} in all; the last: {fault}"));
        }
        if seen.was_connected.load(Ordering::Relaxed) {
            return None;
        }
        Some(match (&trouble.link, seen.state()) {
            (Some(cause), _) => format!("{name} ({id}) never connected: {cause}"),
            (None, State::Waiting) => format!("{name} ({id}) was not started in the time it had"),
            (None, _) => format!("{name} ({id}) never connected in the time it had"),
        })
    }
}

/// Notes that the device's thread is gone when it is.
struct Watch(Arc<Seen>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.set(State::Ended);
    }
}

impl Seen {
    fn take(&self, event: &DeviceEvent) {
        use DeviceEvent as E;
        match event {
            E::Started { .. } => add(&self.starts),
            E::LinkConnecting => self.set(State::Connecting),
            E::LinkUp => {
                self.was_connected.store(true, Ordering::Relaxed);
                self.set(State::Connected);
            }
            E::LinkDown { cause } => {
                if self.state() == State::Connected {
                    add(&self.losses);
                }
                self.set(State::Apart);
                let mut trouble = self.trouble();
                trouble.untold = Some(format!("has no link: {cause}"));
                trouble.link = Some(cause.clone());
            }
            E::Faulted { fault, .. } => {
                add(&self.faults);
                let mut trouble = self.trouble();
                trouble.untold = Some(format!("was stopped: {fault}"));
                trouble.fault = Some(fault.to_string());
            }
            E::Called { call, status: Status::Okay, .. } => self.called(*call),
            _ => {}
        }
    }

    fn called(&self, call: Call) {
        match call {
            Call::MqttRequestPublish => add(&self.publishes),
            Call::MqttReceiveMessage => add(&self.messages),
            Call::ServerLog => add(&self.log_lines),
            _ => {}
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
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

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The whole fleet at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Devices not started yet.
    pub waiting: u64,
    /// Devices whose connection is being made.
    pub connecting: u64,
    /// Devices with a connection.
    pub connected: u64,
    /// Devices without one.
    pub apart: u64,
    /// Devices whose thread is gone.
    pub ended: u64,
    /// Devices that were connected at some time.
    pub ever_connected: u64,
    /// Applications stopped by a fault, so far.
    pub faults: u64,
    /// Applications started again, so far.
    pub restarts: u64,
    /// Connections lost, so far.
    pub losses: u64,
    /// Publishes asked for, so far.
    pub publishes: u64,
    /// Messages received, so far.
    pub messages: u64,
    /// Lines logged, so far.
    pub log_lines: u64,
}

impl Totals {
    /// Adds up.
    pub(super) fn of<'a>(members: impl Iterator<Item = &'a Member>) -> Self {
        members.fold(Self::default(), |totals, member| totals.with(&member.seen))
    }

    fn with(mut self, seen: &Seen) -> Self {
        let place = match seen.state() {
            State::Waiting => &mut self.waiting,
            State::Connecting => &mut self.connecting,
            State::Connected => &mut self.connected,
            State::Apart => &mut self.apart,
            State::Ended => &mut self.ended,
        };
        *place += 1;
        self.ever_connected += u64::from(seen.was_connected.load(Ordering::Relaxed));
        self.faults += count(&seen.faults);
        self.restarts += count(&seen.starts).saturating_sub(1);
        self.losses += count(&seen.losses);
        self.publishes += count(&seen.publishes);
        self.messages += count(&seen.messages);
        self.log_lines += count(&seen.log_lines);
        self
    }
}

#[cfg(test)]
mod tests {
    use abi::power::WakeReason;

    use super::*;

    fn totals(seen: &Seen) -> Totals {
        Totals::default().with(seen)
    }

    fn called(call: Call, status: Status) -> DeviceEvent {
        DeviceEvent::Called { call, arguments: [0; 4], status }
    }

    #[test]
    fn what_an_application_did_is_counted_only_if_it_was_accepted() {
        let seen = Seen::default();
        seen.take(&called(Call::MqttRequestPublish, Status::Okay));
        seen.take(&called(Call::MqttRequestPublish, Status::TooManyElements));
        seen.take(&called(Call::MqttReceiveMessage, Status::Okay));
        seen.take(&called(Call::ServerLog, Status::Okay));
        seen.take(&called(Call::GetMicroseconds, Status::Okay));
        let totals = totals(&seen);
        assert_eq!((totals.publishes, totals.messages, totals.log_lines), (1, 1, 1));
    }

    #[test]
    fn a_device_is_in_one_state_and_its_losses_are_counted() {
        let seen = Seen::default();
        assert_eq!(totals(&seen).waiting, 1);
        seen.take(&DeviceEvent::LinkConnecting);
        seen.take(&DeviceEvent::LinkDown { cause: "nothing listens there".into() });
        assert_eq!((totals(&seen).apart, totals(&seen).losses, totals(&seen).ever_connected), (1, 0, 0));
        seen.take(&DeviceEvent::LinkUp);
        seen.take(&DeviceEvent::LinkDown { cause: "it closed the connection".into() });
        assert_eq!((totals(&seen).apart, totals(&seen).losses, totals(&seen).ever_connected), (1, 1, 1));
        drop(Watch(Arc::new(seen)));
    }

    #[test]
    fn only_what_follows_the_first_start_is_a_restart() {
        let seen = Seen::default();
        for expected in [0, 1, 2] {
            seen.take(&DeviceEvent::Started { reason: WakeReason::ColdBoot });
            assert_eq!(totals(&seen).restarts, expected);
        }
    }
}
