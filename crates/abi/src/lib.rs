//! The application binary interface: statuses, events, structures with their byte layouts, and the table of calls.
//!
//! The modules, one per topic, are generated from `docs/spec/abi.toml`, as is the C header in `sdk`, so that the two
//! cannot differ. Nothing in a structure read from application memory can be trusted: pointers, handles and
//! enumerations are plain integers until their user has checked them.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
#[allow(clippy::too_many_lines, reason = "tables of one line an item")]
mod generated;

pub use bytes::{Field, Structure};
pub use calls::{Call, Parameter};
pub use generated::{
    calls, channel, config, flash, http, layouts, memory, mqtt, network, notifications, power, status,
    strings, wifi,
};
pub use status::Status;
