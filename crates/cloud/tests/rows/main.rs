//! The requirements end to end: an application's calls into the real kernel, over TLS to the real cloud, and from there
//! to mosquitto, to HTTPS servers, or to peers that misbehave. Only the processor is replaced by a test port.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod device;
mod mqtt;
mod network;
mod states;
mod tls;
