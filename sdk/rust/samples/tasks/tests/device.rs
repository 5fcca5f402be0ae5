//! Asynchronous functions in tests on the device.

#![no_std]
#![no_main]

use openvisor_app::executor::block_on;
use openvisor_app::{Network, Result, clock};

openvisor_app::centre!(static EVENTS on TIM8_BRK);

openvisor_app::tests! {
    #[test]
    fn a_task_is_woken_by_the_clock() {
        let start = clock::now();
        block_on(clock::after(50));
        assert!(clock::since(start) >= 50);
    }

    #[test]
    fn a_task_is_woken_when_the_network_is_connected() -> Result<()> {
        let network = Network::request(&EVENTS)?;
        block_on(network.connected())
    }
}
