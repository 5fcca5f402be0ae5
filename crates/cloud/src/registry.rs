//! Which devices are connected, and how to reach the session of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;

use crate::device_id::DeviceId;

/// Orders a session may be behind with. One that is further behind misses some, but not its end: that is the channel's own.
const COMMANDS: usize = 4;

/// What a session is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Say `BYE` and end.
    End(Ending),
    /// Want log lines from now on, or no longer.
    Logging(bool),
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
    commands: mpsc::Sender<Command>,
}

/// A device's place while its session lasts.
pub(crate) struct Stay {
    registry: Arc<Registry>,
    device: DeviceId,
    serial: u64,
}

impl Registry {
    /// Gives the device its place; a session that had it is told to end as replaced, and its channel ends. `None` once the cloud
    /// stops.
    pub(crate) fn enter(self: &Arc<Self>, device: DeviceId) -> Option<(Stay, mpsc::Receiver<Command>)> {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let serial = state.next_serial;
        state.next_serial += 1;
        if let Some(older) = state.seats.insert(device, Seat { serial, commands: sender }) {
            let _ = older.commands.try_send(Command::End(Ending::Replaced));
        }
        Some((Stay { registry: self.clone(), device, serial }, commands))
    }

    /// Tells a device's session something; whether there is one.
    pub(crate) fn tell(&self, device: DeviceId, command: Command) -> bool {
        self.lock().seats.get(&device).is_some_and(|seat| seat.commands.try_send(command).is_ok())
    }

    /// Ends every session, and lets no device in any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for (_, seat) in state.seats.drain() {
            let _ = seat.commands.try_send(Command::End(Ending::ShuttingDown));
        }
    }

    /// Whether the device is connected.
    pub(crate) fn is_connected(&self, device: DeviceId) -> bool {
        self.lock().seats.contains_key(&device)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is held")
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

    #[test]
    fn a_second_session_replaces_the_first_and_outlives_it() {
        let registry = Arc::new(Registry::default());
        let device = DeviceId::random();
        let (first, mut heard) = registry.enter(device).expect("open");
        let (second, _) = registry.enter(device).expect("open");
        assert_eq!(heard.try_recv(), Ok(Command::End(Ending::Replaced)));
        drop(first);
        assert!(registry.is_connected(device), "the newer one stays");
        drop(second);
        assert!(!registry.is_connected(device));
    }

    #[test]
    fn closing_ends_everyone_and_lets_nobody_in() {
        let registry = Arc::new(Registry::default());
        let (_stay, mut heard) = registry.enter(DeviceId::random()).expect("open");
        registry.close();
        assert_eq!(heard.try_recv(), Ok(Command::End(Ending::ShuttingDown)));
        assert!(registry.enter(DeviceId::random()).is_none());
    }

    #[test]
    fn a_device_that_is_not_there_cannot_be_told() {
        let registry = Arc::new(Registry::default());
        assert!(!registry.tell(DeviceId::random(), Command::Logging(true)));
    }
}
