//! Logs a line of each level, waits for the network, and panics in a function with a name.

#![no_std]
#![no_main]

use openvisor_app::{Network, clock, logging};

openvisor_app::centre!(static EVENTS on TIM8_BRK);
openvisor_app::entry!(main);

fn main() -> ! {
    logging::start_with(log::LevelFilter::Debug);
    clock::start();
    let network = Network::request(&EVENTS).expect("a network");
    network.wait_connected().expect("a valid handle");
    log::info!("connected");
    log::warn!("one valve of {} is open", 3);
    log::error!("too hot");
    log::debug!("42");
    log::trace!("below the level");
    open_valve(&[1, 2, 3], core::hint::black_box(8));
    clock::rest();
}

#[inline(never)]
fn open_valve(valves: &[u32], number: usize) {
    log::info!("valve {}", valves[number]);
}
