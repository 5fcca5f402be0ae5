//! The link: what a device and its cloud say to each other, and the session state machine of each end.
//!
//! `docs/spec/link.md` is the rule; this crate is one implementation of it. It holds no buffers of message bodies, allocates
//! nothing, reads no clock and does no I/O: bytes and the time come in as arguments.
//!
//! - [`varint`], [`header`], [`kind`]: how a frame begins.
//! - [`parser`]: cuts a byte stream, however it is chunked, into runs of the items it carries.
//! - [`connection`], [`channel`], [`mqtt`], [`http`], [`config`], [`opaque`]: the frames, one file a topic.
//! - [`device`], [`cloud`]: the session of each end.
//!
//! Terms are defined in `docs/glossary.md`.
#![no_std]
#![forbid(unsafe_code)]

pub mod bytes;
pub mod channel;
pub mod cloud;
pub mod config;
pub mod connection;
pub mod device;
pub mod errors;
mod frame_buffer;
mod frame_writer;
pub mod header;
pub mod http;
pub mod kind;
pub mod limits;
pub mod mqtt;
pub mod opaque;
pub mod parser;
mod requests;
mod state;
pub mod varint;
pub mod violation;

pub use cloud::CloudLink;
pub use device::DeviceLink;
pub use errors::{Error, NoFreeChannel, SendError, TimeoutReason};
pub use header::Header;
pub use kind::Direction;
pub use limits::*;
pub use parser::{Fragment, Parser};
pub use state::State;
pub use violation::Violation;
