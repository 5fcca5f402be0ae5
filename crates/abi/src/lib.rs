//! The application binary interface: statuses, events, structures as bytes and as meaning, and the table of calls.
//!
//! What is generated from `docs/spec/abi.toml` is in one module per topic; the C header of the `sdk` folder comes
//! from the same file. A structure read from application memory is a set of claims: its pointers, handles and enum
//! values are plain integers until whoever uses them has checked them.
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
