//! What tests of whole programs share: a bench with a machine on it, and two clouds for the other end of its link.
//!
//! - `bench.rs`: machine, link and guest time.
//! - `cloud.rs`: a cloud that plays by a script, on the link's own session. It knows every kind of channel.
//! - `relayed.rs`: the cloud's real core, with a small broker behind it.

#[allow(dead_code, reason = "not every test needs all of it")]
pub(crate) mod bench;
#[allow(dead_code, reason = "not every test needs all of it")]
pub(crate) mod cloud;
pub(crate) mod end;
pub(crate) mod relayed;
