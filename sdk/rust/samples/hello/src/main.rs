//! The smallest application: says hello in the log, then sleeps.

#![no_std]
#![no_main]

use openvisor_app::{clock, device::DeviceId, log_line, logging};

openvisor_app::entry!(main);

fn main() -> ! {
    logging::start();
    clock::start();
    match DeviceId::read() {
        Ok(id) => log_line!("hello from {}", id.as_str()),
        Err(status) => log_line!("hello from a device without an identifier: {status}"),
    }
    clock::rest();
}
