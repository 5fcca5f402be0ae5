//! Rust applications for the hypervisor, without a heap: start-up, notifications, network, channels, MQTT, HTTP,
//! configuration, log, and tests on the device ([`tests!`]).
//!
//! Everything that fails gives the hypervisor's own status ([`Status`]). Everything that waits does so in three ways:
//! it can be polled (`take_readable`), waited for (`wait_readable`, which sleeps until an interrupt), or awaited
//! (`readable().await`) on any executor, because wakers are woken by the notification interrupt.

#![no_std]

pub mod centre;
pub mod channel;
pub mod clock;
pub mod config;
pub mod device;
pub mod executor;
pub mod http;
#[rustfmt::skip]
pub mod lines;
pub mod logging;
pub mod mqtt;
pub mod network;
#[cfg(feature = "panic")]
mod panic;
pub mod processor;
mod start;
pub mod testing;

pub use centre::Centre;
pub use channel::{Buffers, Channel};
pub use network::Network;
pub use openvisor_sys as sys;
pub use openvisor_sys::MvStatus as Status;

/// What a call gives, or the status it was refused with.
pub type Result<T> = core::result::Result<T, Status>;
