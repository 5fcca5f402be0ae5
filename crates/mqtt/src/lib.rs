//! An MQTT 3.1.1 and 5 client without I/O, clock or randomness.
//!
//! A [`Client`] is one network connection to one broker, from CONNECT to its end. Bytes from the broker, and the
//! time, go in by [`Client::handle`]; bytes for the broker come out by [`Client::transmit`]; what happened is read
//! with [`Client::poll`]. A new connection is a new `Client`, so nothing of an old one (packet identifiers, topic
//! aliases, quotas) can survive by mistake.
//!
//! ```
//! use mqtt::{Client, ConnectOptions, Event, Input, Limits, Version};
//! use sansio::Instant;
//!
//! let options = ConnectOptions::new(Version::V3_1_1, b"sensor-1");
//! let mut client = Client::new(&options, Limits::default(), Instant::ZERO)?;
//!
//! // The CONNECT goes to the broker, and its CONNACK comes back.
//! let mut out = Vec::new();
//! client.transmit(&mut out);
//! client.handle(Instant::ZERO, Input::Transmitted(out.len()))?;
//! client.handle(Instant::from_millis(1), Input::Received(&mut &[0x20, 0x02, 0x00, 0x00][..]))?;
//! assert_eq!(client.poll(Instant::ZERO), Some(Event::Connected { session_present: false }));
//!
//! // A QoS 0 publish is complete when the connection has accepted its bytes.
//! client.publish(7, b"room/temperature", b"21.5", 0, false)?;
//! out.clear();
//! client.transmit(&mut out);
//! assert_eq!(client.poll(Instant::ZERO), None);
//! client.handle(Instant::from_millis(2), Input::Transmitted(out.len()))?;
//! assert_eq!(client.poll(Instant::ZERO), Some(Event::Published { token: 7, reason_code: 0 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A broker's harmless departures from the standard are counted and tolerated ([`Client::take_deviations`]); what
//! would make the bytes ambiguous or break a promise to the application ends the connection ([`ProtocolError`]).
//!
//! What is *not* here: QoS 2 (a message a broker sends with it anyway is passed on as QoS 1), enhanced
//! authentication, re-sending after a reconnect (the caller decides what becomes of requests that were in flight when
//! the connection ended), and sockets. Both protocol versions share one codec; they differ by the presence of
//! properties and reason codes only.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod alias;
mod broker;
mod client;
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
mod topic;

pub use client::{Client, Filter, Input, Overhead};
pub use deliveries::{DeliveryId, UnknownDelivery};
pub use deviation::{Deviation, Deviations};
pub use error::{Error, ProtocolError, RequestError};
pub use event::{Event, Message};
pub use limits::{Limits, MAXIMUM_REQUESTS};
pub use options::{ConnectOptions, InvalidOptions, Version, Will};
pub use topic::{is_valid_topic_filter, is_valid_topic_name};
