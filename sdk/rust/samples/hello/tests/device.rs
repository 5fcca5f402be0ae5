//! Tests that run on the device, each in a start of its own.

#![no_std]
#![no_main]

use openvisor_app::device::DeviceId;
use openvisor_app::{Result, clock, log_line};

openvisor_app::tests! {
    #[test]
    fn the_device_has_an_identifier() -> Result<()> {
        let id = DeviceId::read()?;
        log_line!("device {}", id.as_str());
        assert!(id.as_str().starts_with("UV"));
        Ok(())
    }

    #[test]
    fn the_clock_advances() {
        let start = clock::now();
        clock::sleep(50);
        assert!(clock::since(start) >= 50);
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn an_index_out_of_bounds_panics() {
        let place = core::hint::black_box(8);
        log_line!("{}", [1, 2, 3][place]);
    }
}
