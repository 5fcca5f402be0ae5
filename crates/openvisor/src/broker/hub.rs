//! Who is connected, who wants what, what is retained: the broker's whole state, without any I/O.

use std::collections::HashMap;

use mqtt_protocol_core::mqtt::packet::{Property, RetainHandling};
use tokio::sync::{mpsc, oneshot};

use super::{MAX_RETAINED, MAX_SUBSCRIPTIONS, MAX_WAITING, filter};

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0 or 1; a publisher's QoS 2 ends here and goes on as 1.
    pub qos: u8,
    /// As published; to a subscriber, whether it comes from the retained ones.
    pub retain: bool,
    /// What version 5 hands on from publisher to subscriber.
    pub(super) properties: Vec<Property>,
}

/// A client's place in the hub, as its connection holds it.
pub(super) struct Seat {
    /// Tells this connection from a later one with the same client id.
    pub number: u64,
    /// Messages for the client.
    pub messages: mpsc::Receiver<Message>,
    /// Completes when the place is lost: well if another connection came with the same client id (MQTT-3.1.4-3), with
    /// an error if the client did not keep up.
    pub lost: oneshot::Receiver<()>,
}

/// One filter a client asked for. A client has at most one with the same filter.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub filter: String,
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

#[derive(Debug)]
struct Client {
    number: u64,
    messages: mpsc::Sender<Message>,
    replaced: oneshot::Sender<()>,
    subscriptions: Vec<Subscription>,
}

#[derive(Default)]
pub(super) struct Hub {
    clients: HashMap<String, Client>,
    retained: HashMap<String, Message>,
    next_number: u64,
}

impl Hub {
    /// Takes a client in, in place of an older connection with the same id.
    pub fn enter(&mut self, id: &str) -> Seat {
        self.next_number += 1;
        let number = self.next_number;
        let (messages, received) = mpsc::channel(MAX_WAITING);
        let (replaced, lost) = oneshot::channel();
        let client = Client { number, messages, replaced, subscriptions: Vec::new() };
        if let Some(older) = self.clients.insert(id.to_owned(), client) {
            let _ = older.replaced.send(());
        }
        Seat { number, messages: received, lost }
    }

    /// Forgets a client, unless a newer connection has taken its place.
    pub fn leave(&mut self, id: &str, number: u64) {
        if self.clients.get(id).is_some_and(|client| client.number == number) {
            self.clients.remove(id);
        }
    }

    /// Adds or replaces a subscription, and sends the retained messages it asks for. False: the client has too many.
    pub fn subscribe(&mut self, id: &str, wanted: Subscription) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let known = client.subscriptions.iter().position(|old| old.filter == wanted.filter);
        if known.is_none() && client.subscriptions.len() == MAX_SUBSCRIPTIONS {
            return false;
        }
        if let Some(index) = known {
            client.subscriptions.swap_remove(index);
        }
        if sends_retained(wanted.retain_handling, known.is_none()) {
            let matching =
                self.retained.values().filter(|message| filter::matches(&wanted.filter, &message.topic));
            for message in matching {
                let qos = message.qos.min(wanted.qos);
                let _ = client.messages.try_send(Message { qos, retain: true, ..message.clone() });
            }
        }
        client.subscriptions.push(wanted);
        true
    }

    /// Ends a subscription. False: there was none.
    pub fn unsubscribe(&mut self, id: &str, filter: &str) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let before = client.subscriptions.len();
        client.subscriptions.retain(|subscription| subscription.filter != filter);
        client.subscriptions.len() < before
    }

    /// Sends `message`, published by `from`, to everyone who asked for it. A client whose queue is full loses its place.
    pub fn publish(&mut self, from: &str, message: &Message) {
        if message.retain {
            self.retain(message);
        }
        self.clients.retain(|id, client| match client.copy_for(message, id == from) {
            Some(copy) => client.messages.try_send(copy).is_ok(),
            None => true,
        });
    }

    /// An empty payload removes the topic's retained message (MQTT-3.3.1-6).
    fn retain(&mut self, message: &Message) {
        if message.payload.is_empty() {
            self.retained.remove(&message.topic);
        } else if self.retained.len() < MAX_RETAINED || self.retained.contains_key(&message.topic) {
            self.retained.insert(message.topic.clone(), message.clone());
        }
    }
}

fn sends_retained(handling: RetainHandling, is_new: bool) -> bool {
    match handling {
        RetainHandling::SendRetained => true,
        RetainHandling::SendRetainedIfNotExists => is_new,
        RetainHandling::DoNotSendRetained => false,
    }
}

impl Client {
    /// One copy however many subscriptions match, at the highest QoS among them (MQTT-3.3.4-2).
    fn copy_for(&self, message: &Message, own: bool) -> Option<Message> {
        let matching = || {
            self.subscriptions
                .iter()
                .filter(|wanted| filter::matches(&wanted.filter, &message.topic) && !(own && wanted.no_local))
        };
        let qos = matching().map(|wanted| wanted.qos).max()?.min(message.qos);
        let retain = message.retain && matching().any(|wanted| wanted.retain_as_published);
        Some(Message { qos, retain, ..message.clone() })
    }
}

#[cfg(test)]
mod tests;
