//! Which devices are connected, and how to reach the session of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::authority::Fingerprint;
use crate::id::DeviceId;
use crate::lock::lock;
use crate::store::Logging;

/// A command from the rest of the cloud to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Say `BYE` and end.
    End(EndReason),
    /// Read nothing more from the device, and end as the cloud stops once the requests in flight are answered.
    Drain,
    /// Turn logging on or off.
    Logging(Logging),
}

/// Why the cloud ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The device has reconnected.
    Replaced,
    /// The cloud stops.
    ShuttingDown,
    /// The device was removed or revoked, or has another certificate.
    Revoked,
    /// The cloud cannot serve it now.
    Internal,
    /// Its account has as many devices connected as it is allowed.
    TooMany,
    /// It connects more often than allowed.
    TooOften,
    /// Too much memory has been in use for it for too long, which is others' (D183).
    Overloaded,
}

impl EndReason {
    /// The word for it in log and metrics: for a limit, its name.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::ShuttingDown => "shutting_down",
            Self::Revoked => "revoked",
            Self::Internal => "store",
            Self::TooMany => "connections_per_account",
            Self::TooOften => "connections_a_second_per_device",
            Self::Overloaded => "memory",
        }
    }
}

/// The connected devices.
#[derive(Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    next_serial: u64,
    registrations: HashMap<DeviceId, Registration>,
}

struct Registration {
    serial: u64,
    /// The certificate it was admitted with.
    fingerprint: Fingerprint,
    mailbox: Arc<Mailbox>,
}

/// The connection of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) device: DeviceId,
    /// Distinguishes it from other connections of the device.
    pub(crate) serial: u64,
    /// The certificate it was admitted with.
    pub(crate) fingerprint: Fingerprint,
}

/// Commands a session has not taken yet. Only the newest of each kind counts, so their number is bounded.
#[derive(Default)]
struct Mailbox(Mutex<Commands>);

#[derive(Default)]
struct Commands {
    end: Option<EndReason>,
    drain: bool,
    logging: Option<Logging>,
    waker: Option<Waker>,
}

/// The registration of a session, until it is dropped.
pub(crate) struct RegistrationGuard {
    registry: Arc<Registry>,
    device: DeviceId,
    serial: u64,
    mailbox: Arc<Mailbox>,
}

impl Registry {
    /// Registers the session of a device. An older one is ended as replaced. `None` once the cloud stops.
    pub(crate) fn register(
        self: &Arc<Self>,
        device: DeviceId,
        fingerprint: Fingerprint,
    ) -> Option<RegistrationGuard> {
        let mailbox = Arc::new(Mailbox::default());
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let serial = state.next_serial;
        state.next_serial += 1;
        if let Some(older) =
            state.registrations.insert(device, Registration { serial, fingerprint, mailbox: mailbox.clone() })
        {
            older.mailbox.put(Command::End(EndReason::Replaced));
        }
        Some(RegistrationGuard { registry: self.clone(), device, serial, mailbox })
    }

    /// Sends a command to a device's session. Whether there is one.
    pub(crate) fn send(&self, device: DeviceId, command: Command) -> bool {
        self.lock().registrations.get(&device).map(|registration| registration.mailbox.put(command)).is_some()
    }

    /// Sends a command to one connection of the device, if that is still the current one.
    pub(crate) fn send_to(&self, device: DeviceId, serial: u64, command: Command) -> bool {
        let state = self.lock();
        let registration =
            state.registrations.get(&device).filter(|registration| registration.serial == serial);
        registration.map(|registration| registration.mailbox.put(command)).is_some()
    }

    /// Ends every session and returns their number. New sessions may register.
    pub(crate) fn end_all(&self, reason: EndReason) -> usize {
        let state = self.lock();
        state.registrations.values().for_each(|registration| registration.mailbox.put(Command::End(reason)));
        state.registrations.len()
    }

    /// Drains every session. No new one may register.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for registration in state.registrations.values() {
            registration.mailbox.put(Command::Drain);
        }
    }

    /// Whether the device is connected.
    pub(crate) fn is_connected(&self, device: DeviceId) -> bool {
        self.lock().registrations.contains_key(&device)
    }

    /// How many devices are connected.
    pub(crate) fn count(&self) -> usize {
        self.lock().registrations.len()
    }

    /// Every connected device.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        let state = self.lock();
        let connections = |(device, registration): (&DeviceId, &Registration)| Connection {
            device: *device,
            serial: registration.serial,
            fingerprint: registration.fingerprint,
        };
        state.registrations.iter().map(connections).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Mailbox {
    fn put(&self, command: Command) {
        let mut commands = self.lock();
        match command {
            Command::End(reason) => commands.end = Some(reason),
            Command::Drain => commands.drain = true,
            Command::Logging(wanted) => commands.logging = Some(wanted),
        }
        if let Some(waker) = commands.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Commands> {
        lock(&self.0)
    }
}

impl RegistrationGuard {
    /// The next command.
    pub(crate) fn poll_command(&self, context: &mut Context<'_>) -> Poll<Command> {
        let mut commands = self.mailbox.lock();
        // The end first: nothing that was ordered before it matters any more.
        if let Some(reason) = commands.end.take() {
            return Poll::Ready(Command::End(reason));
        }
        if std::mem::take(&mut commands.drain) {
            return Poll::Ready(Command::Drain);
        }
        if let Some(wanted) = commands.logging.take() {
            return Poll::Ready(Command::Logging(wanted));
        }
        if !commands.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            commands.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for RegistrationGuard {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        if state
            .registrations
            .get(&self.device)
            .is_some_and(|registration| registration.serial == self.serial)
        {
            state.registrations.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_command(guard: &RegistrationGuard) -> Option<Command> {
        match guard.poll_command(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(command) => Some(command),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_second_session_replaces_the_first_and_outlives_it() {
        let registry = Arc::new(Registry::default());
        let device = DeviceId::random();
        let first = registry.register(device, [1; 32]).expect("open");
        assert_eq!(next_command(&first), None);
        let second = registry.register(device, [1; 32]).expect("open");
        assert_eq!(next_command(&first), Some(Command::End(EndReason::Replaced)));
        drop(first);
        assert!(registry.is_connected(device), "the newer one is registered");
        assert_eq!(next_command(&second), None);
        drop(second);
        assert!(!registry.is_connected(device));
    }

    #[test]
    fn closing_drains_every_session_and_registers_no_new_one() {
        let registry = Arc::new(Registry::default());
        let guard = registry.register(DeviceId::random(), [1; 32]).expect("open");
        registry.close();
        assert_eq!(next_command(&guard), Some(Command::Drain));
        assert!(registry.register(DeviceId::random(), [1; 32]).is_none());
    }

    #[test]
    fn of_each_command_the_newest_is_taken_and_the_end_first() {
        let registry = Arc::new(Registry::default());
        let device = DeviceId::random();
        let guard = registry.register(device, [1; 32]).expect("open");
        for expires in [1, 2, 3, 4] {
            assert!(registry.send(device, Command::Logging(Logging::new(true, Some(expires)))));
        }
        assert!(registry.send(device, Command::End(EndReason::Revoked)));
        assert_eq!(next_command(&guard), Some(Command::End(EndReason::Revoked)));
        assert_eq!(next_command(&guard), Some(Command::Logging(Logging::new(true, Some(4)))));
        assert_eq!(next_command(&guard), None);
    }

    #[test]
    fn a_command_to_a_device_that_is_not_connected_is_refused() {
        let registry = Arc::new(Registry::default());
        assert!(!registry.send(DeviceId::random(), Command::Logging(Logging::OFF)));
    }
}
