//! Which clients are connected, what they subscribe to, what is retained: the broker's whole state, without any I/O.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{MAX_RETAINED, MAX_RETAINED_BYTES, MAX_SUBSCRIPTIONS, MAX_WAITING, MAX_WAITING_BYTES, filter};

/// A published message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// 0 or 1; a publisher's QoS 2 ends here and continues as 1.
    pub qos: u8,
    /// As published; to a subscriber, whether it comes from the retained ones.
    pub retain: bool,
    /// What version 5 passes on from publisher to subscriber, as bytes of the packet; without the expiry.
    pub(super) properties: Vec<u8>,
    /// When it is no longer delivered (version 5, Message Expiry Interval).
    pub(super) expires: Option<Instant>,
    /// To a subscriber: the identifiers of the subscriptions that matched (MQTT-3.3.4-3).
    pub(super) identifiers: Vec<u32>,
}

impl fmt::Debug for Message {
    /// Omits the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload", &format_args!("<{} bytes>", self.payload.len()))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// Bytes it holds, for the limits.
    pub(super) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len()
    }
}

/// A client's registration with the hub, for its connection.
pub(super) struct Registration {
    /// Distinguishes this connection from a later one with the same client id.
    pub number: u64,
    /// Messages for the client.
    pub messages: Queue,
    /// Completes when the registration is lost: with `Ok` if another connection has the same client id
    /// (MQTT-3.1.4-3), with an error if the client did not keep up.
    pub lost: oneshot::Receiver<()>,
}

/// The messages waiting for one client.
pub(super) struct Queue {
    messages: mpsc::Receiver<Message>,
    /// Bytes of what waits, shared with the sender.
    bytes: Arc<AtomicUsize>,
}

impl Queue {
    /// The next message; `None` when the registration is lost. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let message = self.messages.recv().await?;
        // The count is only a limit; the channel itself synchronises the messages.
        self.bytes.fetch_sub(message.size(), Relaxed);
        Some(message)
    }
}

/// Which retained messages a SUBSCRIBE is answered with (MQTT 5, 3.8.3.1). 3.1.1 always sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetainHandling {
    Send,
    /// Only if the subscription did not exist.
    SendIfNew,
    DoNotSend,
}

/// One filter a client subscribes to. A client has at most one with the same filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub filter: String,
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
    /// Sent with each message that matches (version 5).
    pub identifier: Option<u32>,
}

#[derive(Debug)]
struct Client {
    number: u64,
    messages: mpsc::Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    replaced: oneshot::Sender<()>,
    subscriptions: Vec<Subscription>,
}

#[derive(Default)]
pub(super) struct Hub {
    clients: HashMap<String, Client>,
    retained: HashMap<String, Message>,
    retained_bytes: usize,
    next_number: u64,
}

impl Hub {
    /// Registers a client, in place of an older connection with the same id.
    pub(crate) fn register(&mut self, id: &str) -> Registration {
        self.next_number += 1;
        let number = self.next_number;
        let (messages, received) = mpsc::channel(MAX_WAITING);
        let (replaced, lost) = oneshot::channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let subscriptions = Vec::new();
        let client =
            Client { number, messages, waiting_bytes: waiting_bytes.clone(), replaced, subscriptions };
        if let Some(older) = self.clients.insert(id.to_owned(), client) {
            let _ = older.replaced.send(());
        }
        Registration { number, messages: Queue { messages: received, bytes: waiting_bytes }, lost }
    }

    /// Removes a client, unless a newer connection has replaced it.
    pub(crate) fn unregister(&mut self, id: &str, number: u64) {
        if self.clients.get(id).is_some_and(|client| client.number == number) {
            self.clients.remove(id);
        }
    }

    /// Adds or replaces a subscription, and sends the retained messages it asks for. False: the client has too many.
    pub(crate) fn subscribe(&mut self, id: &str, wanted: Subscription) -> bool {
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
                let identifiers = wanted.identifier.into_iter().collect();
                client.offer(Message { qos, retain: true, identifiers, ..message.clone() });
            }
        }
        client.subscriptions.push(wanted);
        true
    }

    /// Ends a subscription. False: there was none.
    pub(crate) fn unsubscribe(&mut self, id: &str, filter: &str) -> bool {
        let Some(client) = self.clients.get_mut(id) else { return false };
        let before = client.subscriptions.len();
        client.subscriptions.retain(|subscription| subscription.filter != filter);
        client.subscriptions.len() < before
    }

    /// Sends `message`, published by `from`, to every subscriber. A client whose queue is full loses its registration.
    pub(crate) fn publish(&mut self, from: &str, message: &Message) {
        if message.retain {
            self.retain(message);
        }
        self.clients.retain(|id, client| match copy_for(&client.subscriptions, message, id == from) {
            Some(copy) => client.offer(copy),
            None => true,
        });
    }

    /// Clients, their subscriptions, retained messages.
    pub(crate) fn counts(&self) -> Counts {
        let subscriptions = self.clients.values().map(|client| client.subscriptions.len()).sum();
        Counts { clients: self.clients.len(), subscriptions, retained: self.retained.len() }
    }

    /// An empty payload removes the topic's retained message (MQTT-3.3.1-6), as does one for which there is no room: an
    /// old value must not pass for the new one.
    fn retain(&mut self, message: &Message) {
        if let Some(old) = self.retained.remove(&message.topic) {
            self.retained_bytes -= old.size();
        }
        let has_room =
            self.retained.len() < MAX_RETAINED && self.retained_bytes + message.size() <= MAX_RETAINED_BYTES;
        if !message.payload.is_empty() && has_room {
            self.retained_bytes += message.size();
            self.retained.insert(message.topic.clone(), message.clone());
        }
    }
}

/// What the broker keeps at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients whose CONNECT was accepted.
    pub clients: usize,
    /// Subscriptions of all clients.
    pub subscriptions: usize,
    /// Topics with a retained message.
    pub retained: usize,
}

/// Whether a SUBSCRIBE is answered with the retained messages that match.
pub(super) fn sends_retained(handling: RetainHandling, is_new: bool) -> bool {
    match handling {
        RetainHandling::Send => true,
        RetainHandling::SendIfNew => is_new,
        RetainHandling::DoNotSend => false,
    }
}

impl Client {
    /// Queues a message unless too much is waiting. False: the client does not keep up.
    fn offer(&self, message: Message) -> bool {
        let size = message.size();
        // Counted before it is queued: the receiver could otherwise subtract before this adds.
        if self.waiting_bytes.fetch_add(size, Relaxed) + size > MAX_WAITING_BYTES
            || self.messages.try_send(message).is_err()
        {
            self.waiting_bytes.fetch_sub(size, Relaxed);
            return false;
        }
        true
    }
}

/// What a client with these subscriptions receives of `message`: one copy however many match, at the highest QoS among
/// them (MQTT-3.3.4-2). `own` says that it is the publisher.
pub(super) fn copy_for(subscriptions: &[Subscription], message: &Message, own: bool) -> Option<Message> {
    let matching = || {
        subscriptions
            .iter()
            .filter(|wanted| filter::matches(&wanted.filter, &message.topic) && !(own && wanted.no_local))
    };
    let qos = matching().map(|wanted| wanted.qos).max()?.min(message.qos);
    let retain = message.retain && matching().any(|wanted| wanted.retain_as_published);
    let identifiers = matching().filter_map(|wanted| wanted.identifier).collect();
    Some(Message { qos, retain, identifiers, ..message.clone() })
}

#[cfg(test)]
mod tests;
