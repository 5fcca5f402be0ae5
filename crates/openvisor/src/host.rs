//! What this process hosts: a cloud, devices and what is attached to them, and what these need of the process.

pub(crate) mod address;
pub(crate) mod application;
pub(crate) mod debugging;
pub(crate) mod file_limit;
pub(crate) mod folder;
pub(crate) mod local_cloud;
pub(crate) mod observed_device;
pub(crate) mod outbound;
pub(crate) mod platform;
pub(crate) mod process;
pub(crate) mod recording;
pub(crate) mod serial_lines;
pub(crate) mod signals;
pub(crate) mod test_report;
pub(crate) mod verdict;
pub(crate) mod wiring;
