//! The MQTT broker inside the demo: 3.1.1 and 5 on one loopback port, nothing kept on disk.
//!
//! It is there for the demo, not a product: no sessions that outlive their connection, no shared subscriptions, no
//! access rules, and it listens on loopback only. Why it is not a library: `docs/decisions/0006-embedded-broker.md`.
//!
//! Terms are defined in `docs/glossary.md`.

mod accepted_client;
mod client_state;
mod codec;
mod connection;
pub mod filter;
mod hub;
pub mod in_memory;
mod requirements;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

pub use hub::{Counts, Message};
pub use requirements::{BAD_LOGIN, Login, REFUSALS, Refusal, Requirements};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Most clients at a time; one more is refused.
pub const MAX_CLIENTS: usize = 64;
/// Largest packet a client may send, in bytes.
pub const MAX_PACKET: u32 = 1_048_576;
/// Topic aliases a client may use.
pub const MAX_TOPIC_ALIAS: u16 = 10;
/// Most topics that can have a retained message; further ones are delivered, not retained.
pub const MAX_RETAINED: usize = 1024;
/// Bytes of all retained messages together.
pub const MAX_RETAINED_BYTES: usize = 16 * 1024 * 1024;
/// Most subscriptions of one client.
pub const MAX_SUBSCRIPTIONS: usize = 256;
/// Messages that may wait for a slow client before it is disconnected.
pub const MAX_WAITING: usize = 1024;
/// Bytes of those messages; room for at least one of the largest.
pub const MAX_WAITING_BYTES: usize = 4 * MAX_PACKET as usize;
/// QoS 1 messages sent to a client and not yet acknowledged, unless it asks for fewer; as many QoS 2 messages a
/// version 5 client may have unfinished.
pub const MAX_IN_FLIGHT: u16 = 32;

/// What happens at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client's CONNECT was accepted.
    Connected {
        /// Its client id.
        client: String,
        /// `3.1.1` or `5`.
        version: &'static str,
    },
    /// A client subscribed to one filter.
    Subscribed {
        /// The client id.
        client: String,
        /// The topic filter.
        filter: String,
    },
    /// A client published a message.
    Published {
        /// The client id.
        client: String,
        /// The message.
        message: Message,
    },
    /// A client has disconnected.
    Disconnected {
        /// The client id.
        client: String,
        /// Whether it sent DISCONNECT.
        clean: bool,
    },
    /// A connection was ended because of what it sent.
    Refused {
        /// Why, in a few words.
        why: String,
    },
}

/// Receives the events, on the broker's own tasks: it must not block.
pub type Watch = Arc<dyn Fn(Event) + Send + Sync>;

/// What the connections share.
struct Shared {
    hub: Mutex<hub::Hub>,
    watch: Watch,
}

impl Shared {
    /// The hub, which no panic can leave half changed: its methods do not call out.
    fn hub(&self) -> std::sync::MutexGuard<'_, hub::Hub> {
        self.hub.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A running broker. Dropping it stops it.
pub struct Broker {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Broker {
    /// Starts a broker on a free loopback port.
    pub async fn start(watch: Watch) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { hub: Mutex::default(), watch });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the broker stores at this moment.
    pub fn counts(&self) -> Counts {
        self.shared.hub().counts()
    }

    /// Closes the port and every connection at once, as a power failure would.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections live in a set owned here, so that they end with this task.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CLIENTS => {
                    connections.spawn(connection::serve(stream, shared.clone()));
                }
                Ok(_) => (shared.watch)(Event::Refused { why: format!("more than {MAX_CLIENTS} clients") }),
                // Out of descriptors, most likely: wait for some to come back instead of spinning.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            },
            Some(ended) = connections.join_next() => {
                // Dropping the accepted client has unregistered it and published its will, whatever ended the task.
                if ended.is_err_and(|error| error.is_panic()) {
                    (shared.watch)(Event::Refused { why: "a fault in the broker ended the connection".into() });
                }
            }
        }
    }
}
