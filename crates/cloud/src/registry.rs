//! Which devices are connected, and how to reach the session of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use crate::authority::Fingerprint;
use crate::device_id::DeviceId;
use crate::lock::lock;
use crate::store::Logging;

/// What a session is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Say `BYE` and end.
    End(Ending),
    /// Take nothing more from the device, and end as the cloud stops once what is in flight is answered.
    Drain,
    /// Want log lines from now on, or no longer.
    Logging(Logging),
}

/// Why a session is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The same device has connected anew.
    Replaced,
    /// The cloud stops.
    ShuttingDown,
    /// The device is not known any more, or by another certificate.
    Revoked,
    /// The cloud cannot serve it.
    Internal,
    /// Its account has as many devices connected as it may.
    TooMany,
    /// It connects more often than it may.
    TooOften,
    /// It holds more memory than it may, and has done so for long (D183).
    Overloaded,
}

/// The connected devices.
#[derive(Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    next_serial: u64,
    seats: HashMap<DeviceId, Seat>,
}

struct Seat {
    serial: u64,
    /// The certificate it was let in by.
    fingerprint: Fingerprint,
    mailbox: Arc<Mailbox>,
}

/// A device's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) device: DeviceId,
    /// Tells it from other connections of the device.
    pub(crate) serial: u64,
    /// The certificate it was let in by.
    pub(crate) fingerprint: Fingerprint,
}

/// What a session is still to be told. Of each kind only the newest counts, so this is all there can be.
#[derive(Default)]
struct Mailbox(Mutex<Mail>);

#[derive(Default)]
struct Mail {
    end: Option<Ending>,
    drain: bool,
    logging: Option<Logging>,
    waker: Option<Waker>,
}

/// A device's place while its session lasts.
pub(crate) struct Stay {
    registry: Arc<Registry>,
    device: DeviceId,
    serial: u64,
    mailbox: Arc<Mailbox>,
}

impl Registry {
    /// Gives the device its place; a session that had it is told to end as replaced. `None` once the cloud stops.
    pub(crate) fn enter(self: &Arc<Self>, device: DeviceId, fingerprint: Fingerprint) -> Option<Stay> {
        let mailbox = Arc::new(Mailbox::default());
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let serial = state.next_serial;
        state.next_serial += 1;
        if let Some(older) =
            state.seats.insert(device, Seat { serial, fingerprint, mailbox: mailbox.clone() })
        {
            older.mailbox.put(Command::End(Ending::Replaced));
        }
        Some(Stay { registry: self.clone(), device, serial, mailbox })
    }

    /// Tells a device's session something; whether there is one.
    pub(crate) fn tell(&self, device: DeviceId, command: Command) -> bool {
        self.lock().seats.get(&device).map(|seat| seat.mailbox.put(command)).is_some()
    }

    /// The same for one connection of the device, if it still is the one.
    pub(crate) fn tell_one(&self, device: DeviceId, serial: u64, command: Command) -> bool {
        let state = self.lock();
        let seat = state.seats.get(&device).filter(|seat| seat.serial == serial);
        seat.map(|seat| seat.mailbox.put(command)).is_some()
    }

    /// Has every session end, and lets others in; answers how many there are.
    pub(crate) fn end_all(&self, ending: Ending) -> usize {
        let state = self.lock();
        state.seats.values().for_each(|seat| seat.mailbox.put(Command::End(ending)));
        state.seats.len()
    }

    /// Has every session come to its end, and lets no device in any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for seat in state.seats.values() {
            seat.mailbox.put(Command::Drain);
        }
    }

    /// Whether the device is connected.
    pub(crate) fn is_connected(&self, device: DeviceId) -> bool {
        self.lock().seats.contains_key(&device)
    }

    /// How many devices are connected.
    pub(crate) fn count(&self) -> usize {
        self.lock().seats.len()
    }

    /// Every connected device.
    pub(crate) fn connected(&self) -> Vec<Connected> {
        let state = self.lock();
        let connected = |(device, seat): (&DeviceId, &Seat)| Connected {
            device: *device,
            serial: seat.serial,
            fingerprint: seat.fingerprint,
        };
        state.seats.iter().map(connected).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Mailbox {
    fn put(&self, command: Command) {
        let mut mail = self.lock();
        match command {
            Command::End(ending) => mail.end = Some(ending),
            Command::Drain => mail.drain = true,
            Command::Logging(wanted) => mail.logging = Some(wanted),
        }
        if let Some(waker) = mail.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        lock(&self.0)
    }
}

impl Stay {
    /// The next thing the session is told.
    pub(crate) fn poll_command(&self, context: &mut Context<'_>) -> Poll<Command> {
        let mut mail = self.mailbox.lock();
        if let Some(ending) = mail.end.take() {
            return Poll::Ready(Command::End(ending));
        }
        if std::mem::take(&mut mail.drain) {
            return Poll::Ready(Command::Drain);
        }
        if let Some(wanted) = mail.logging.take() {
            return Poll::Ready(Command::Logging(wanted));
        }
        if !mail.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            mail.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        if state.seats.get(&self.device).is_some_and(|seat| seat.serial == self.serial) {
            state.seats.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(stay: &Stay) -> Option<Command> {
        match stay.poll_command(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(command) => Some(command),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_second_session_replaces_the_first_and_outlives_it() {
        let registry = Arc::new(Registry::default());
        let device = DeviceId::random();
        let first = registry.enter(device, [1; 32]).expect("open");
        assert_eq!(heard(&first), None);
        let second = registry.enter(device, [1; 32]).expect("open");
        assert_eq!(heard(&first), Some(Command::End(Ending::Replaced)));
        drop(first);
        assert!(registry.is_connected(device), "the newer one stays");
        assert_eq!(heard(&second), None);
        drop(second);
        assert!(!registry.is_connected(device));
    }

    #[test]
    fn closing_ends_everyone_and_lets_nobody_in() {
        let registry = Arc::new(Registry::default());
        let stay = registry.enter(DeviceId::random(), [1; 32]).expect("open");
        registry.close();
        assert_eq!(heard(&stay), Some(Command::Drain));
        assert!(registry.enter(DeviceId::random(), [1; 32]).is_none());
    }

    #[test]
    fn however_much_is_told_the_newest_is_heard_and_the_end_before_all() {
        let registry = Arc::new(Registry::default());
        let device = DeviceId::random();
        let stay = registry.enter(device, [1; 32]).expect("open");
        for expires in [1, 2, 3, 4] {
            assert!(registry.tell(device, Command::Logging(Logging::new(true, Some(expires)))));
        }
        assert!(registry.tell(device, Command::End(Ending::Revoked)));
        assert_eq!(heard(&stay), Some(Command::End(Ending::Revoked)));
        assert_eq!(heard(&stay), Some(Command::Logging(Logging::new(true, Some(4)))));
        assert_eq!(heard(&stay), None);
    }

    #[test]
    fn a_device_that_is_not_there_cannot_be_told() {
        let registry = Arc::new(Registry::default());
        assert!(!registry.tell(DeviceId::random(), Command::Logging(Logging::OFF)));
    }
}
