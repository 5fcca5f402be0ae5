//! The requirements from end to end: an application's calls into the real kernel, over TLS to the real cloud, and from
//! there to mosquitto, to HTTPS servers, or to whoever plays a broker badly. Only the processor is a model.

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod live;
mod mqtt;
mod network;
mod states;
mod tls;
