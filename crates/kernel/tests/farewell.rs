//! The device stops in good order.

mod common;

use common::Machine;
use common::cloud::Said;
use kernel::LinkInput;
use link::connection::ByeReason;

#[test]
fn a_device_that_stops_tells_the_cloud_and_says_no_more() {
    let mut machine = Machine::online();
    machine.link(LinkInput::Shutdown);
    machine.pump();
    assert_eq!(machine.cloud().said.last(), Some(&Said::Bye(ByeReason::Done)));
    let mut out = [0; 2048];
    assert_eq!(machine.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
}

#[test]
fn a_device_without_a_connection_has_nobody_to_tell() {
    let mut machine = Machine::new();
    machine.link(LinkInput::Shutdown);
    let mut out = [0; 2048];
    assert_eq!(machine.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
}
