//! One client from its accepted CONNECT to its end, whatever ends it.

use std::sync::Arc;

use super::client_state::ClientState;
use super::codec::{Connect, ProtocolError, reason};
use super::hub::{Message, Registration};
use super::{Event, Shared};

/// A client whose CONNECT was accepted. Dropping it unregisters the client and, unless it disconnected, publishes its
/// will (M37): also when the connection's task panics.
pub(super) struct AcceptedClient {
    shared: Arc<Shared>,
    /// The client id.
    pub id: String,
    pub registration: Registration,
    pub state: ClientState,
    will: Option<Message>,
    is_clean: bool,
}

impl AcceptedClient {
    /// Registers a client, in place of an older connection with the same id.
    pub(crate) fn new(shared: Arc<Shared>, id: String, connect: Connect) -> Self {
        let registration = shared.hub().register(&id);
        let name = connect.version.name();
        let accepted = Self {
            shared,
            id,
            registration,
            state: ClientState::new(&connect),
            will: connect.will,
            is_clean: false,
        };
        accepted.emit(Event::Connected { client: accepted.id.clone(), version: name });
        accepted
    }

    /// Emits an event to the broker's observer.
    pub(crate) fn emit(&self, event: Event) {
        (self.shared.watch)(event);
    }

    /// The client sent DISCONNECT: its will is published only if it says so (MQTT-3.14.4-3).
    pub(crate) fn disconnect(&mut self, code: u8, sets_session_expiry: bool) -> Result<(), ProtocolError> {
        if sets_session_expiry && !self.state.has_session_expiry {
            return Err(ProtocolError::protocol("a session expiry where CONNECT had none")); // MQTT 5, 3.14.2.2.2
        }
        self.is_clean = code == reason::SUCCESS;
        Ok(())
    }
}

impl Drop for AcceptedClient {
    fn drop(&mut self) {
        self.shared.hub().unregister(&self.id, self.registration.number);
        let client = std::mem::take(&mut self.id);
        if let Some(message) = self.will.take().filter(|_| !self.is_clean) {
            self.shared.hub().publish(&client, &message);
            self.emit(Event::Published { client: client.clone(), message });
        }
        self.emit(Event::Disconnected { client, clean: self.is_clean });
    }
}
