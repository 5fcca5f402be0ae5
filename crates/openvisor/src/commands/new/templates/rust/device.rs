//! Tests on the device, each in a start of its own: `cargo test`.

#![no_std]
#![no_main]

use {crate}::led;
use openvisor_app::{Network, Result, clock};

openvisor_app::centre!(static EVENTS on TIM8_BRK);

openvisor_app::tests! {
    #[test]
    fn the_led_is_off_at_first_and_can_be_turned_on() {
        led::start();
        assert!(!led::is_lit());
        led::set(true);
        assert!(led::is_lit());
    }

    #[test]
    fn the_network_connects() -> Result<()> {
        let network = Network::request(&EVENTS)?;
        network.wait_connected()
    }

    #[test]
    #[ignore = "takes a second"]
    fn the_clock_is_right() {
        let start = clock::now();
        clock::sleep(1000);
        assert!((1000..1100).contains(&clock::since(start)));
    }
}
