//! What this process hosts: a cloud, devices and what is wired to them, and what these need of the process.

pub mod address;
pub mod application;
pub mod debugging;
pub mod factory_test;
pub(crate) mod file_limit;
pub mod folder;
pub mod local_cloud;
pub mod observed_device;
pub mod outbound;
pub(crate) mod process;
pub mod serial_lines;
pub mod signals;
pub mod wiring;
