//! What the application is made of; `tests/device.rs` tests it on the device.

#![no_std]

pub mod led;
