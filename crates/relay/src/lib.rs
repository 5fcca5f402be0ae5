//! The cloud's core: a [`DeviceRelay`] connects the link of one device with everything its channels reach.
//!
//! It does no I/O, reads no clock and spawns nothing. Its driver owns the sockets, the store and the clock: it passes
//! in [`Input`]s and does what each [`Output`] says, as [`sansio`] describes. `examples/loopback.rs` shows it with an
//! in-memory broker.
//!
//! - `protocol.rs`: inputs, outputs and what is in them.
//! - `device.rs`: the device's link and its channels. `channel.rs`: one channel. `handler.rs`: what its protocol
//!   does, `context.rs`: with what.
//! - `mqtt.rs`: MQTT, with one broker. `http.rs`: one HTTP exchange. `config.rs`: one fetch of configuration items.
//! - `reassembly.rs`: fragments from the device. `outbox.rs`: what waits to be sent to it.
//! - `reconnect_delays.rs`: connects that keep failing. `token_bucket.rs`: rates. `text.rs`: what may be written to
//!   servers.
//!
//! Neither a device nor a broker can make the relay use more memory than [`limits`] allow, whatever they send.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod channel;
mod config;
mod context;
mod counts;
mod device;
mod handler;
mod http;
pub mod limits;
mod mqtt;
mod outbox;
mod protocol;
mod reassembly;
mod reconnect_delays;
#[cfg(test)]
mod tests;
mod text;
mod token_bucket;

pub use ::mqtt::Deviation;
pub use counts::Counts;
pub use device::DeviceRelay;
pub use protocol::{
    ConnectError, ConnectionEnd, ConnectionId, Credential, CredentialsError, ExchangeId, HelloInfo,
    HttpError, HttpOutcome, HttpRequest, HttpResponse, Input, LogLine, LookupId, LookupKey, Notice, Output,
    Security, Settings, Target, TlsOptions, TlsPorts, Value, is_pem,
};
pub use token_bucket::TokenBucket;
