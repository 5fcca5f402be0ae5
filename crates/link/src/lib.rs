//! The link: the protocol between a device and the cloud, and the state machine of each end.
//!
//! `docs/spec/link.md` is the specification; this crate is one implementation of it. It stores no bodies of items,
//! allocates nothing, reads no clock and does no I/O: bytes and the time are passed in as arguments.
//!
//! - [`varint`], [`header`], [`kind`]: how a frame begins.
//! - [`parser`]: cuts a byte stream, however it is chunked, into runs of the items it carries.
//! - [`connection`], [`channel`], [`mqtt`], [`http`], [`config`], [`opaque`]: the frames, one file a topic.
//! - [`DeviceLink`], [`CloudLink`]: the two ends.
//!
//! # How an end is driven
//!
//! Both ends are cores as `sansio` describes them, without a heap. Something happened: the driver calls `handle` with
//! the input, again until it gives `None`. Then it sends what `transmit` writes, until that writes nothing, and waits
//! at most until `next_timeout`, when the input is `Timeout`. Times are [`sansio::Instant`]s of one clock that never
//! goes back.
//!
//! Here two ends talk to each other over buffers, where a driver would have a TLS connection:
//!
//! ```
//! use link::connection::Hello;
//! use link::{CloudLink, DeviceLink, cloud, device};
//! use sansio::{Duration, Instant, WallTime};
//!
//! let now = Instant::ZERO;
//! let hello = Hello { version: link::VERSION, boot: 1, wake_reason: 0, clock: now, image: [0; 32] };
//! let (mut device, mut cloud) = (DeviceLink::new(), CloudLink::new(now));
//! device.handle(now, &mut device::Input::Connected(&hello))?;
//!
//! let mut buffer = [0; 256];
//! loop {
//!     let to_cloud = device.transmit(now, &mut buffer);
//!     let mut input = cloud::Input::Received(&buffer[..to_cloud]);
//!     while let Some(event) = cloud.handle(now, &mut input)? {
//!         if let cloud::Event::Hello(_) = event {
//!             cloud.send_welcome(Duration::from_secs(60), 65_536, WallTime::UNIX_EPOCH, true);
//!         }
//!     }
//!     let to_device = cloud.transmit(now, &mut buffer);
//!     let mut input = device::Input::Received(&buffer[..to_device]);
//!     while let Some(event) = device.handle(now, &mut input)? {
//!         assert!(matches!(event, device::Event::Welcome { logging: true, .. }));
//!     }
//!     if to_cloud + to_device == 0 {
//!         break;
//!     }
//! }
//! assert!(device.is_open());
//! // With nothing to send, the device pings after the keepalive interval.
//! assert_eq!(device.next_timeout(), Some(now + Duration::from_secs(60)));
//! # Ok::<(), link::Error>(())
//! ```
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
