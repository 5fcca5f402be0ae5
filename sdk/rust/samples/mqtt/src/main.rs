//! The MQTT sample: publishes a reading once a second, and obeys commands. It makes the same system calls in the same
//! order as the C sample, `sdk/samples/mqtt`.
//!
//! Everything that fails is logged and tried again: main never returns.

#![no_std]
#![no_main]
#![cfg_attr(test, allow(dead_code, reason = "an image of tests has another main function"))]

mod broker;
mod commands;
mod inbox;
mod led;
mod link;
mod publisher;
mod settings;

use openvisor_app::device::DeviceId;
use openvisor_app::{Buffers, Network, clock, log_line, logging};

use crate::link::Link;

openvisor_app::centre!(static NETWORK_EVENTS on TIM1_BRK);
openvisor_app::centre!(static CHANNEL_EVENTS on TIM8_BRK);
#[cfg(not(test))]
openvisor_app::entry!(main);
// The tests are in the modules.
#[cfg(test)]
openvisor_app::tests! {}

/// The size of the channel's receive buffer: the limit of what can be received.
const RECEIVE_SIZE: usize = 8192;
const SEND_SIZE: usize = 4096;
/// The pause between two attempts.
const RETRY_MS: u32 = 1000;

static BUFFERS: Buffers<RECEIVE_SIZE, SEND_SIZE> = Buffers::new();

fn main() -> ! {
    logging::start();
    clock::start();
    let id = logging::checked("mvGetDeviceId", DeviceId::read());
    let id = id.as_ref().map_or("", DeviceId::as_str);
    log_line!("device {id}");
    led::start();
    retry("mvSetupNotifications", || CHANNEL_EVENTS.open());
    retry("mvSetupNotifications", || NETWORK_EVENTS.open());
    let mut link = Link::new(retry("mvRequestNetwork", || Network::request(&NETWORK_EVENTS)));
    let mut known = None;
    loop {
        link.wait_connected();
        if known.is_none() {
            known = settings::fetch(&link, id);
        }
        // If the broker refused the connection, the settings may have been corrected meanwhile.
        if known.as_ref().is_some_and(|settings| !broker::run(&mut link, settings)) {
            known = None;
        }
        clock::sleep(RETRY_MS);
    }
}

fn retry<T>(call: &str, attempt: impl Fn() -> openvisor_app::Result<T>) -> T {
    loop {
        if let Some(done) = logging::checked(call, attempt()) {
            return done;
        }
        clock::sleep(RETRY_MS);
    }
}
