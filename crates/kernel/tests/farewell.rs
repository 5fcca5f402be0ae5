//! The device stops in good order.

use kernel::LinkInput;
use kernel_testport::TestDevice;
use kernel_testport::cloud::DeviceMessage;
use link::connection::ByeReason;

#[test]
fn a_device_that_stops_sends_bye_and_nothing_after_it() {
    let mut device = TestDevice::online();
    device.input(LinkInput::Shutdown);
    device.pump();
    assert_eq!(device.cloud().messages.last(), Some(&DeviceMessage::Bye(ByeReason::Done)));
    let mut out = [0; 2048];
    assert_eq!(device.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
}

#[test]
fn a_device_that_stops_without_a_connection_sends_nothing() {
    let mut device = TestDevice::new();
    device.input(LinkInput::Shutdown);
    let mut out = [0; 2048];
    assert_eq!(device.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
}
