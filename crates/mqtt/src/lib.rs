//! An MQTT 3.1.1 and 5 client session without I/O, clock or randomness.
//!
//! A [`Session`] is one network connection to one broker, from CONNECT to the end. Bytes from the broker go in with
//! [`Session::receive`], bytes for the broker come out with [`Session::transmit`], the time is an argument, and what
//! happened is read with [`Session::poll_event`]. A new connection is a new `Session`, so nothing of an old
//! connection (packet identifiers, topic aliases, quotas) can live on.
//!
//! ```
//! use mqtt::{ConnectOptions, Event, Limits, Session, Version};
//!
//! let options = ConnectOptions::new(Version::V3_1_1, b"sensor-1");
//! let mut session = Session::new(&options, Limits::default(), 0)?;
//!
//! // The CONNECT goes to the broker, and its CONNACK comes back.
//! let mut out = Vec::new();
//! session.transmit(&mut out);
//! session.transmitted(0, out.len());
//! session.receive(1, &[0x20, 0x02, 0x00, 0x00])?;
//! assert_eq!(session.poll_event(), Some(Event::Connected { session_present: false }));
//!
//! // A QoS 0 publish is done when the connection has taken its bytes.
//! session.publish(7, b"room/temperature", b"21.5", 0, false)?;
//! out.clear();
//! session.transmit(&mut out);
//! assert_eq!(session.poll_event(), None);
//! session.transmitted(2, out.len());
//! assert_eq!(session.poll_event(), Some(Event::Published { token: 7, reason_code: 0 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A broker's harmless departures from the standard are counted and tolerated ([`Session::take_deviations`]); what would
//! make the bytes ambiguous or break a promise ends the session ([`ProtocolError`]).
//!
//! What is *not* here: QoS 2 (a message a broker sends with it all the same is passed on as QoS 1), enhanced authentication, re-sending after a reconnect (a request that was in flight when
//! the connection ended is answered by the caller), and sockets. Both protocol versions share one codec; they differ
//! by the presence of properties and reason codes only.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod alias;
mod broker;
mod codec;
mod deliveries;
mod deviation;
mod error;
mod event;
mod keep_alive;
mod limits;
mod options;
mod outgoing;
pub mod reason;
mod requests;
mod session;
mod topic;

pub use deliveries::{DeliveryId, UnknownDelivery};
pub use deviation::{Deviation, Deviations};
pub use error::{Error, ProtocolError, Refused};
pub use event::{Event, Message};
pub use limits::{Limits, MAXIMUM_REQUESTS};
pub use options::{ConnectOptions, InvalidOptions, Version, Will};
pub use session::{Filter, Overhead, Session};
pub use topic::{is_valid_topic_filter, is_valid_topic_name};
