//! The cloud's core: one [`DeviceRelay`] stands between the link of one device and all that its channels reach.
//!
//! It does no I/O, reads no clock and spawns nothing. Whoever owns the sockets feeds it [`Input`]s and does what each
//! [`Output`] says until [`DeviceRelay::poll`] gives `None`; [`DeviceRelay::next_timeout`] tells when to come back.
//!
//! - `device.rs`: the device's link, its channels by number, log messages, the time.
//! - `mqtt.rs`: an MQTT channel, between requests on the link and a client session towards a broker. `reconnects.rs`: the
//!   pauses of an application that connects in vain.
//! - `config.rs`: a fetch of configuration items. `http.rs`: an HTTP exchange.
//! - `text.rs`: text of applications that is written to servers. `flood.rs`: how much a broker may send.
//! - `outbox.rs`: what waits to go to the device on one channel. `assembly.rs`: what comes from it in pieces.
//!
//! A device cannot make the relay hold more than the limits of [`limits`] allow, whatever it sends; neither can a broker.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod assembly;
mod channel;
mod config;
mod counts;
mod device;
mod http;
pub mod limits;
mod mqtt;
mod outbox;
mod protocol;
mod reconnects;
#[cfg(test)]
mod tests;
mod text;
mod token_bucket;

pub use ::mqtt::Deviation;
pub use counts::Counts;
pub use device::DeviceRelay;
pub use protocol::{
    ConnectError, ConnectionEnd, ConnectionId, ExchangeId, HelloInfo, HttpError, HttpOutcome, HttpRequest,
    HttpResponse, Input, LogLine, LookupId, LookupKey, Notice, Output, Security, Settings, Target,
    TlsOptions, TlsPorts, Value,
};
pub use token_bucket::TokenBucket;
