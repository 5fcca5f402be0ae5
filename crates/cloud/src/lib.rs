//! The cloud: the server around the relay core.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "the sessions, which use these parts, are not built yet")]

pub mod authority;
mod certificate;
mod chance;
pub mod clock;
pub mod connector;
pub mod data;
pub mod destinations;
mod device_id;
mod gateway;
pub mod limits;
mod refusals;
mod seal;
mod sources;
pub mod store;

pub use device_id::DeviceId;
