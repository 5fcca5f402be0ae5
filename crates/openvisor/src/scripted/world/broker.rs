//! The broker's end of connections.

use cloud::connector::Rehearsed;
use demo_broker::in_memory::Action;
use relay::{ConnectError, ConnectionEnd, ConnectionId, Target};
use sansio::Instant;

use super::{CONNECT_DELAY, DELAY, POWER_ON, World};
use crate::output::event::Event;
use crate::scripted::deliveries::Delivery;
use crate::scripted::observation::Seen;

/// The broker.
impl World {
    pub(super) fn number_of(&self, connection: ConnectionId) -> Option<u32> {
        let key = (self.link_number, connection);
        self.connections.iter().find(|(_, known)| **known == key).map(|(number, _)| *number)
    }

    pub(super) fn open(&mut self, connection: ConnectionId, target: &Target) {
        let is_known = self.broker_host.as_ref().is_none_or(|host| *host == target.host);
        let is_listening = self.is_broker_running && self.broker_port.is_none_or(|port| port == target.port);
        let unusable = target.tls.as_ref().and_then(|tls| self.trust.check(tls).err());
        let rehearsed = match (unusable, is_known, is_listening) {
            (Some(error), _, _) => Rehearsed::Failed(error),
            (None, false, _) => Rehearsed::Failed(ConnectError::NameNotResolved),
            (None, true, false) => Rehearsed::Failed(ConnectError::Refused),
            (None, true, true) => self.rehearse(target),
        };
        if let Rehearsed::Failed(error) = rehearsed {
            return self.later(CONNECT_DELAY, Delivery::BrokerAttempt(connection, Some(error)));
        }
        self.next_connection += 1;
        self.connections.insert(self.next_connection, (self.link_number, connection));
        if let Rehearsed::Ended(end) = rehearsed {
            self.unwanted.insert(self.next_connection, end);
        }
        self.later(CONNECT_DELAY, Delivery::BrokerAttempt(connection, None));
    }

    /// Whether the broker and the application accept each other. Where the script gives the broker no certificate, they
    /// do.
    fn rehearse(&self, target: &Target) -> Rehearsed {
        match (&self.broker_tls, &target.tls) {
            (None, _) => Rehearsed::Accepted,
            (Some(server), Some(tls)) => {
                let now = POWER_ON + self.instant().duration_since(Instant::ZERO);
                let since_1970 = std::time::Duration::from_micros(now.as_micros());
                server.connect(&self.trust, &target.host, tls, since_1970)
            }
            // What the broker receives is not TLS.
            (Some(_), None) => Rehearsed::Ended(ConnectionEnd::Closed),
        }
    }

    /// Bytes for the broker, or for its TLS, which ends the connection.
    pub(super) fn receive_at_broker(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(number) = self.number_of(connection) else { return };
        if let Some(end) = self.unwanted.remove(&number) {
            self.connections.remove(&number);
            return self.later(DELAY, Delivery::BrokerEnd(connection, end));
        }
        self.broker.receive(number, bytes);
        self.drain_broker();
    }

    /// The relay closes a connection: the broker gets what was sent before.
    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.paused.remove(&connection);
        let Some(number) = self.number_of(connection) else { return };
        for bytes in self.deliveries.take_for_broker(connection) {
            self.broker.receive(number, &bytes);
        }
        self.connections.remove(&number);
        self.unwanted.remove(&number);
        self.broker.disconnected(number);
        self.drain_broker();
    }

    pub(super) fn drain_broker(&mut self) {
        while let Some(action) = self.broker.poll() {
            match action {
                Action::Send(number, bytes) => {
                    if let Some((_, connection)) = self.connections.get(&number).copied() {
                        self.later(DELAY, Delivery::FromBroker(connection, bytes));
                    }
                }
                Action::Close(number) => {
                    if let Some((_, connection)) = self.connections.remove(&number) {
                        self.later(DELAY, Delivery::BrokerEnd(connection, ConnectionEnd::Closed));
                    }
                }
                Action::Report(event) => self.note_broker(event),
            }
        }
    }

    fn note_broker(&mut self, event: demo_broker::Event) {
        use demo_broker::Event as E;
        if let E::Published { client, message } = event {
            let demo_broker::Message { topic, payload, qos, retain, .. } = message;
            let shown = Event::BrokerMessage {
                client: Some(client),
                topic: topic.clone(),
                qos: Some(qos),
                retain: Some(retain),
                bytes: payload.len(),
                payload: String::from_utf8_lossy(&payload).into_owned(),
            };
            return self.observe(shown, Seen::Published { topic, payload, qos, retain });
        }
        let Some(shown) = Event::of_broker(&event) else { return };
        let seen = match event {
            E::Subscribed { filter, .. } => Seen::Subscribed(filter),
            _ => Seen::Other,
        };
        self.observe(shown, seen);
    }
}
