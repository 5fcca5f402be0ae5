//! What the demo does from outside: the commands it sends to the sample, and the client that observes the broker.

pub(crate) mod broker_monitor;
pub(crate) mod script;
