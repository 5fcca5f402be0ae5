//! What tests of whole programs share: a bench with a machine on it, and a cloud that plays by a script.

#[allow(dead_code, reason = "not every test needs all of it")]
pub mod bench;
#[allow(dead_code, reason = "not every test needs all of it")]
pub mod cloud;
