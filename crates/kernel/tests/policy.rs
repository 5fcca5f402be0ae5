//! When the kernel connects, and stays, by itself: check-ins, grace, debuggers, updates.

mod common;

use abi::network::{NetworkReason, NetworkStatus};
use abi::notifications::EventType;
use abi::{Call, Status};
use common::cloud::Said;
use common::{Centre, LINE, Machine, TICK, boot};
use kernel::limits::{CHECK_IN_DURATION, DEFAULT_CHECK_IN_INTERVAL};
use kernel::{Boot, LinkInput, LinkLoss, Policy};
use link::connection::ByeReason;
use sansio::Duration;

const EXPIRED: u32 = NetworkReason::MINIMUM_CHECK_IN_EXPIRED.raw();
const USING: u32 = NetworkReason::USING_NETWORK.raw();
const CHANGED: (u32, u32) = (EventType::NetworkStatusChanged.raw(), 1);

/// A device online under this policy, and its application's hold on the network.
fn ready(minimum_check_in_time_sec: u32, connection_grace_time_sec: u32) -> (Machine, Centre, u32) {
    let policy = Policy { minimum_check_in_time_sec, connection_grace_time_sec };
    let mut machine = Machine::booted(&Boot { policy, ..boot() });
    machine.connect();
    let mut centre = machine.centre(LINE, 16);
    let network = machine.network(&centre, 1);
    machine.events(&mut centre);
    (machine, centre, network)
}

fn release(machine: &mut Machine, network: u32) {
    let handle = machine.variable(network);
    machine.ok(Call::ReleaseNetwork, &[handle]);
    machine.pump();
}

/// An application that makes no call moves nothing.
/// Shows N01, N13, D32.
#[test]
fn the_application_reaches_the_network_by_calls_only() {
    let mut machine = Machine::online();
    machine.cloud().heard();
    machine.memory.ram.fill(0xa5);
    machine.nvic.enabled = [true; 126];
    machine.nvic.pending = [true; 126];
    machine.link(LinkInput::Timeout);
    machine.pump();
    assert!(machine.connected && machine.kernel.wants_link());
    assert_eq!(machine.cloud().heard(), []);
    let to = machine.variable(0);
    for hardware in [0x4200_0000, 0x5202_c000, 0x4202_a000, 0xe000_e100] {
        assert_eq!(machine.call(Call::PeriphPeek32, &[hardware, to]), Status::PeripheralAccessFault);
        assert_eq!(machine.call(Call::PeriphPoke32, &[hardware, u32::MAX, 0]), Status::PeripheralAccessFault);
    }
}

/// Shows N16, N17, D104.
#[test]
fn a_device_offline_on_purpose_checks_in_for_a_short_time() {
    let (mut machine, _, network) = ready(60, 0);
    release(&mut machine, network);
    for _ in 0..3 {
        machine.advance(Duration::from_secs(60) - TICK);
        assert!(!machine.kernel.wants_link(), "not before its time");
        machine.advance(TICK);
        assert!(machine.kernel.wants_link());
        assert_eq!(machine.reasons(), (EXPIRED, 0));
        machine.connect();
        assert_eq!(machine.reasons(), (EXPIRED, 0));
        machine.advance(CHECK_IN_DURATION - TICK);
        assert!(machine.connected);
        machine.advance(TICK);
        assert!(!machine.connected, "only as long as needed");
        assert_eq!(machine.cloud().said.last(), Some(&Said::Bye(ByeReason::Done)));
        assert_eq!(machine.reasons(), (0, 0));
    }
}

/// Shows N16, D104.
#[test]
fn a_bundle_that_says_nothing_means_a_check_in_a_day() {
    let (mut machine, _, network) = ready(0, 0);
    release(&mut machine, network);
    machine.advance(DEFAULT_CHECK_IN_INTERVAL - TICK);
    assert_eq!(machine.reasons(), (0, 0));
    machine.advance(TICK);
    assert_eq!(machine.reasons(), (EXPIRED, 0));
    assert!(machine.kernel.wants_link());
}

/// Shows N16, N17, D23, D104.
#[test]
fn a_check_in_that_fails_is_tried_again_and_one_cut_short_is_done() {
    let (mut machine, _, network) = ready(60, 0);
    release(&mut machine, network);
    machine.advance(Duration::from_secs(60));
    machine.link(LinkInput::Connecting);
    machine.lose(LinkLoss::Unreachable);
    assert!(!machine.kernel.wants_link(), "a pause");
    machine.advance(Duration::from_secs(2));
    assert!(machine.kernel.wants_link());
    machine.connect();
    machine.advance(Duration::from_secs(1));
    machine.cut();
    assert_eq!(machine.reasons(), (0, 0), "the cloud was reached");
    machine.advance(Duration::from_secs(60) - TICK);
    assert!(!machine.kernel.wants_link());
    machine.advance(TICK);
    assert!(machine.kernel.wants_link());
}

/// Shows N16.
#[test]
fn an_outage_that_lasts_is_a_reason_of_its_own() {
    let (mut machine, _, _) = ready(60, 0);
    machine.lose(LinkLoss::NoCarrier);
    machine.advance(Duration::from_secs(60) - TICK);
    assert_eq!(machine.reasons(), (USING, 1));
    machine.advance(TICK);
    assert_eq!(machine.reasons(), (USING | EXPIRED, 1));
    machine.advance(Duration::from_secs(60));
    machine.connect();
    machine.advance(CHECK_IN_DURATION);
    assert_eq!(machine.reasons(), (USING, 1));
    assert!(machine.connected);
}

/// Shows N16.
#[test]
fn while_the_link_is_up_no_check_in_comes() {
    let (mut machine, _, network) = ready(60, 0);
    machine.advance(Duration::from_secs(600));
    assert_eq!(machine.reasons(), (USING, 1));
    release(&mut machine, network);
    machine.advance(Duration::from_secs(60) - TICK);
    assert_eq!(machine.reasons(), (0, 0), "counted from when the link was last open");
}

/// Shows N17, N26, D71, D104.
#[test]
fn a_check_in_relays_no_messages_of_an_application_that_is_offline_on_purpose() {
    let (mut machine, centre, network) = ready(60, 0);
    let buffer = machine.buffer(512);
    machine.ok(Call::ServerLoggingInit, &[buffer, 512]);
    release(&mut machine, network);
    let text = machine.string(b"later");
    machine.ok(Call::ServerLog, &[text.data, text.length]);
    machine.advance(Duration::from_secs(60));
    machine.connect();
    machine.advance(CHECK_IN_DURATION);
    assert!(machine.cloud().heard().iter().all(|said| !matches!(said, Said::Log { .. })));
    machine.network(&centre, 1);
    machine.connect();
    assert!(machine.cloud().heard().iter().any(|said| matches!(said, Said::Log { .. })));
}

/// Shows N14, N16.
#[test]
fn a_request_during_a_check_in_takes_the_link_over() {
    let (mut machine, mut centre, network) = ready(60, 0);
    release(&mut machine, network);
    machine.advance(Duration::from_secs(60));
    machine.connect();
    let network = machine.network(&centre, 1);
    assert_eq!(machine.events(&mut centre), [CHANGED]);
    machine.advance(CHECK_IN_DURATION);
    assert!(machine.connected);
    assert_eq!(machine.reasons(), (USING, 1));
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connected));
}

/// Shows N15, N17, N76, D104.
#[test]
fn an_update_on_its_way_holds_the_link() {
    let fetching = NetworkReason::FETCHING_UPDATE.raw();
    let (mut machine, _, network) = ready(60, 0);
    machine.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(machine.reasons(), (USING | fetching, 1));
    release(&mut machine, network);
    assert_eq!(machine.reasons(), (fetching, 0));
    machine.advance(Duration::from_secs(30));
    assert!(machine.connected);
    machine.enter(|kernel, port| kernel.fetching_update(port, false));
    machine.pump();
    assert!(!machine.connected);

    machine.advance(Duration::from_secs(60));
    machine.connect();
    machine.enter(|kernel, port| kernel.fetching_update(port, true));
    machine.advance(CHECK_IN_DURATION);
    assert_eq!(machine.reasons(), (fetching, 0), "the check-in is over, the update is not");
    assert!(machine.connected);
}

/// Shows N20, N21, N23.
#[test]
fn a_debugger_holds_the_link_whatever_the_application_does() {
    let debugger = NetworkReason::DEBUGGER_ATTACHED.raw();
    let (mut machine, _, network) = ready(0, 0);
    machine.enter(|kernel, port| kernel.debugger_attached(port, true));
    release(&mut machine, network);
    assert_eq!(machine.reasons(), (debugger, 0));
    machine.advance(Duration::from_secs(600));
    assert!(machine.connected);
    machine.cut();
    machine.advance(Duration::from_secs(2));
    assert!(machine.kernel.wants_link(), "and brings it back");
    machine.connect();
    machine.enter(|kernel, port| kernel.debugger_attached(port, false));
    machine.pump();
    assert!(!machine.connected);
    assert_eq!(machine.reasons(), (0, 0));
}

/// Shows D24, N76.
#[test]
fn grace_keeps_the_link_after_the_last_release() {
    let (mut machine, _, network) = ready(0, 10);
    release(&mut machine, network);
    assert_eq!(machine.reasons(), (0, 0));
    assert_eq!(machine.next_timeout(), Some(machine.now + Duration::from_secs(10)));
    machine.advance(Duration::from_secs(10) - TICK);
    assert!(machine.connected);
    machine.advance(TICK);
    assert!(!machine.connected);
    assert!(!machine.kernel.wants_link());
}

/// Shows D24, D21.
#[test]
fn a_request_within_the_grace_finds_the_link_up() {
    let (mut machine, mut centre, network) = ready(0, 10);
    release(&mut machine, network);
    machine.advance(Duration::from_secs(9));
    machine.network(&centre, 1);
    assert_eq!(machine.events(&mut centre), [CHANGED]);
    machine.advance(Duration::from_secs(60));
    assert!(machine.connected);
}

/// Shows D24, N17.
#[test]
fn grace_begun_during_a_check_in_ends_both() {
    let (mut machine, centre, network) = ready(60, 10);
    release(&mut machine, network);
    machine.advance(Duration::from_secs(10));
    machine.advance(Duration::from_secs(60));
    machine.connect();
    let network = machine.network(&centre, 1);
    release(&mut machine, network);
    assert_eq!(machine.reasons(), (0, 0), "the check-in has been served");
    machine.advance(Duration::from_secs(10) - TICK);
    assert!(machine.connected);
    machine.advance(TICK);
    assert!(!machine.connected);
}

/// Shows D24.
#[test]
fn grace_is_for_a_link_that_is_up_and_brings_none_back() {
    let (mut machine, centre, network) = ready(0, 10);
    release(&mut machine, network);
    machine.cut();
    machine.advance(Duration::from_secs(5));
    assert!(!machine.kernel.wants_link());
    let network = machine.network(&centre, 1);
    assert!(machine.kernel.wants_link());
    release(&mut machine, network);
    assert!(!machine.kernel.wants_link());
}

/// Shows N77, D24.
#[test]
fn channels_are_disconnected_at_the_release_not_at_the_end_of_the_grace() {
    let (mut machine, mut centre, network) = ready(0, 10);
    let setup = common::Setup { centre, network };
    let params = machine.params(&setup, abi::channel::ChannelType::Http, 512, 512);
    machine.open(&params);
    centre = setup.centre;
    release(&mut machine, network);
    let lost = (EventType::ChannelNotConnected.raw(), common::TAG);
    assert_eq!(machine.events(&mut centre), [lost]);
}

/// Shows N09, N12.
#[test]
fn a_kernel_set_up_in_place_is_one_made_by_value() {
    let (mut machine, setup, channel) = Machine::with_channel(abi::channel::ChannelType::Mqtt);
    machine.kernel.start(&boot());
    machine.connected = false;
    let to = machine.variable(0);
    assert_eq!(machine.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(machine.call(Call::GetChannelClosureReason, &[channel, to]), Status::InvalidHandle);
    let by_value = Machine::new().reasons();
    assert_eq!(machine.reasons(), by_value);
    machine.connect();
    let first = machine.centre(LINE, 2).handle;
    let mut other = Machine::online();
    assert_eq!(other.centre(LINE, 2).handle, first, "the same chance, the same order of handles");
}
