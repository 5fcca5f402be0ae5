//! A virtual device: a Cortex-M33 processor, the peripherals of an STM32U585, the kernel, and the link to a cloud.
//!
//! An application image built for the real board runs here unmodified. The application reaches the kernel through
//! the entry page, its peripherals through their registers, and everything outside through the kernel alone.
//!
//! Terms are defined in `docs/glossary.md`.

pub mod application;
pub mod board;
pub mod clock;
pub mod debug;
mod device;
pub mod entropy;
pub mod events;
pub mod fault;
pub mod identity;
pub mod image;
pub mod machine;
pub mod memory_map;
pub mod peripherals;
pub mod pin;
mod port;
pub mod recording;
mod runner;
pub mod sensors;
pub mod serial;
pub mod stimulus;
pub mod storage;
pub mod test_image;
pub mod transport;
mod unserved_lines;
pub mod waker;
pub mod wiring;

pub use device::{Device, Options, Remote};
pub use machine::Input;

#[cfg(test)]
mod testing;
