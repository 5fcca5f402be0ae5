//! {name}: asks for the network, logs a line a second and each change of the network, and blinks the user LED.

#![no_std]
#![no_main]

use {crate}::led;
use openvisor_app::{Network, clock, log_line, logging};

// Notifications come as this interrupt, one that no peripheral of this application uses.
openvisor_app::centre!(static EVENTS on TIM8_BRK);
openvisor_app::entry!(main);

const PERIOD_MS: u32 = 1000;

fn main() -> ! {
    logging::start();
    clock::start();
    log_line!("{name} starts");
    led::start();
    let network = Network::request(&EVENTS).expect("the network can be requested");
    let mut last = clock::now();
    loop {
        if network.take_changed() {
            match network.status() {
                Ok(status) => log_line!("{}", status.name()),
                Err(status) => log_line!("mvGetNetworkStatus: {status}"),
            }
        }
        if clock::since(last) >= PERIOD_MS {
            last = last.wrapping_add(PERIOD_MS);
            led::set(!led::is_lit());
            log_line!("hello from {name}");
        }
        clock::idle();
    }
}
