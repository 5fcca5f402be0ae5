//! When the kernel connects, and stays, by itself: check-ins, grace, debuggers, updates.

use abi::network::{NetworkReason, NetworkStatus};
use abi::notifications::EventType;
use abi::{Call, Status};
use kernel::limits::{CHECK_IN_DURATION, DEFAULT_CHECK_IN_INTERVAL};
use kernel::{Boot, LinkInput, LinkLoss, Policy};
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{LINE, TICK, TestCentre, TestDevice, boot};
use link::connection::ByeReason;
use sansio::Duration;

const EXPIRED: u32 = NetworkReason::MINIMUM_CHECK_IN_EXPIRED.raw();
const USING: u32 = NetworkReason::USING_NETWORK.raw();
const CHANGED: (u32, u32) = (EventType::NetworkStatusChanged.raw(), 1);

/// A device online under this policy, and its application's hold on the network.
fn ready(minimum_check_in_time_sec: u32, connection_grace_time_sec: u32) -> (TestDevice, TestCentre, u32) {
    let policy = Policy { minimum_check_in_time_sec, connection_grace_time_sec };
    let mut device = TestDevice::booted(&Boot { policy, ..boot() });
    device.connect();
    let mut centre = device.open_centre(LINE, 16);
    let network = device.request_network(&centre, 1);
    device.events(&mut centre);
    (device, centre, network)
}

fn release(device: &mut TestDevice, network: u32) {
    let handle = device.alloc_u32(network);
    device.call_ok(Call::ReleaseNetwork, &[handle]);
    device.pump();
}

/// An application that makes no call moves nothing.
/// Shows N01, N13, D32.
#[test]
fn the_application_reaches_the_network_by_calls_only() {
    let mut device = TestDevice::online();
    device.cloud().take_messages();
    device.memory.ram.fill(0xa5);
    device.nvic.enabled = [true; 126];
    device.nvic.pending = [true; 126];
    device.input(LinkInput::Timeout);
    device.pump();
    assert!(device.connected && device.kernel.wants_link());
    assert_eq!(device.cloud().take_messages(), []);
    let to = device.alloc_u32(0);
    for hardware in [0x4200_0000, 0x5202_c000, 0x4202_a000, 0xe000_e100] {
        assert_eq!(device.call(Call::PeriphPeek32, &[hardware, to]), Status::PeripheralAccessFault);
        assert_eq!(device.call(Call::PeriphPoke32, &[hardware, u32::MAX, 0]), Status::PeripheralAccessFault);
    }
}

/// Shows N16, N17, D104.
#[test]
fn a_device_offline_on_purpose_checks_in_for_a_short_time() {
    let (mut device, _, network) = ready(60, 0);
    release(&mut device, network);
    for _ in 0..3 {
        device.advance(Duration::from_secs(60) - TICK);
        assert!(!device.kernel.wants_link(), "not before its time");
        device.advance(TICK);
        assert!(device.kernel.wants_link());
        assert_eq!(device.network_reasons(), (EXPIRED, 0));
        device.connect();
        assert_eq!(device.network_reasons(), (EXPIRED, 0));
        device.advance(CHECK_IN_DURATION - TICK);
        assert!(device.connected);
        device.advance(TICK);
        assert!(!device.connected, "only as long as needed");
        assert_eq!(device.cloud().messages.last(), Some(&DeviceMessage::Bye(ByeReason::Done)));
        assert_eq!(device.network_reasons(), (0, 0));
    }
}

/// Shows N16, D104.
#[test]
fn without_a_policy_there_is_a_check_in_a_day() {
    let (mut device, _, network) = ready(0, 0);
    release(&mut device, network);
    device.advance(DEFAULT_CHECK_IN_INTERVAL - TICK);
    assert_eq!(device.network_reasons(), (0, 0));
    device.advance(TICK);
    assert_eq!(device.network_reasons(), (EXPIRED, 0));
    assert!(device.kernel.wants_link());
}

/// Shows N16, N17, D23, D104.
#[test]
fn a_failed_check_in_is_retried_and_an_interrupted_one_is_done() {
    let (mut device, _, network) = ready(60, 0);
    release(&mut device, network);
    device.advance(Duration::from_secs(60));
    device.input(LinkInput::Connecting);
    device.report_loss(LinkLoss::Unreachable);
    assert!(!device.kernel.wants_link(), "a pause");
    device.advance(Duration::from_secs(2));
    assert!(device.kernel.wants_link());
    device.connect();
    device.advance(Duration::from_secs(1));
    device.lose_link();
    assert_eq!(device.network_reasons(), (0, 0), "the cloud was reached");
    device.advance(Duration::from_secs(60) - TICK);
    assert!(!device.kernel.wants_link());
    device.advance(TICK);
    assert!(device.kernel.wants_link());
}

/// Shows N16.
#[test]
fn an_outage_that_lasts_is_a_reason_of_its_own() {
    let (mut device, _, _) = ready(60, 0);
    device.report_loss(LinkLoss::NoCarrier);
    device.advance(Duration::from_secs(60) - TICK);
    assert_eq!(device.network_reasons(), (USING, 1));
    device.advance(TICK);
    assert_eq!(device.network_reasons(), (USING | EXPIRED, 1));
    device.advance(Duration::from_secs(60));
    device.connect();
    device.advance(CHECK_IN_DURATION);
    assert_eq!(device.network_reasons(), (USING, 1));
    assert!(device.connected);
}

/// Shows N16.
#[test]
fn while_the_link_is_up_there_is_no_check_in() {
    let (mut device, _, network) = ready(60, 0);
    device.advance(Duration::from_secs(600));
    assert_eq!(device.network_reasons(), (USING, 1));
    release(&mut device, network);
    device.advance(Duration::from_secs(60) - TICK);
    assert_eq!(device.network_reasons(), (0, 0), "counted from when the link was last open");
}

/// Shows N17, N26, D71, D104.
#[test]
fn a_check_in_relays_no_messages_of_an_application_that_is_offline_on_purpose() {
    let (mut device, centre, network) = ready(60, 0);
    let buffer = device.alloc_buffer(512);
    device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
    release(&mut device, network);
    let text = device.flash_string(b"later");
    device.call_ok(Call::ServerLog, &[text.data, text.length]);
    device.advance(Duration::from_secs(60));
    device.connect();
    device.advance(CHECK_IN_DURATION);
    assert!(
        device.cloud().take_messages().iter().all(|message| !matches!(message, DeviceMessage::Log { .. }))
    );
    device.request_network(&centre, 1);
    device.connect();
    assert!(
        device.cloud().take_messages().iter().any(|message| matches!(message, DeviceMessage::Log { .. }))
    );
}

/// Shows N14, N16.
#[test]
fn a_request_during_a_check_in_takes_the_link_over() {
    let (mut device, mut centre, network) = ready(60, 0);
    release(&mut device, network);
    device.advance(Duration::from_secs(60));
    device.connect();
    let network = device.request_network(&centre, 1);
    assert_eq!(device.events(&mut centre), [CHANGED]);
    device.advance(CHECK_IN_DURATION);
    assert!(device.connected);
    assert_eq!(device.network_reasons(), (USING, 1));
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connected));
}

/// Shows N15, N17, N76, D104.
#[test]
fn an_update_that_is_downloaded_keeps_the_link_up() {
    let fetching = NetworkReason::FETCHING_UPDATE.raw();
    let (mut device, _, network) = ready(60, 0);
    device.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(device.network_reasons(), (USING | fetching, 1));
    release(&mut device, network);
    assert_eq!(device.network_reasons(), (fetching, 0));
    device.advance(Duration::from_secs(30));
    assert!(device.connected);
    device.enter(|kernel, port| kernel.fetching_update(port, false));
    device.pump();
    assert!(!device.connected);

    device.advance(Duration::from_secs(60));
    device.connect();
    device.enter(|kernel, port| kernel.fetching_update(port, true));
    device.advance(CHECK_IN_DURATION);
    assert_eq!(device.network_reasons(), (fetching, 0), "the check-in is over, the update is not");
    assert!(device.connected);
}

/// Shows N20, N21, N23.
#[test]
fn a_debugger_keeps_the_link_up_whatever_the_application_does() {
    let debugger = NetworkReason::DEBUGGER_ATTACHED.raw();
    let (mut device, _, network) = ready(0, 0);
    device.enter(|kernel, port| kernel.debugger_attached(port, true));
    release(&mut device, network);
    assert_eq!(device.network_reasons(), (debugger, 0));
    device.advance(Duration::from_secs(600));
    assert!(device.connected);
    device.lose_link();
    device.advance(Duration::from_secs(2));
    assert!(device.kernel.wants_link(), "and brings it back");
    device.connect();
    device.enter(|kernel, port| kernel.debugger_attached(port, false));
    device.pump();
    assert!(!device.connected);
    assert_eq!(device.network_reasons(), (0, 0));
}

/// Shows D24, N76.
#[test]
fn grace_keeps_the_link_after_the_last_release() {
    let (mut device, _, network) = ready(0, 10);
    release(&mut device, network);
    assert_eq!(device.network_reasons(), (0, 0));
    assert_eq!(device.next_timeout(), Some(device.now + Duration::from_secs(10)));
    device.advance(Duration::from_secs(10) - TICK);
    assert!(device.connected);
    device.advance(TICK);
    assert!(!device.connected);
    assert!(!device.kernel.wants_link());
}

/// Shows D24, D21.
#[test]
fn a_request_within_the_grace_finds_the_link_up() {
    let (mut device, mut centre, network) = ready(0, 10);
    release(&mut device, network);
    device.advance(Duration::from_secs(9));
    device.request_network(&centre, 1);
    assert_eq!(device.events(&mut centre), [CHANGED]);
    device.advance(Duration::from_secs(60));
    assert!(device.connected);
}

/// Shows D24, N17.
#[test]
fn grace_begun_during_a_check_in_ends_both() {
    let (mut device, centre, network) = ready(60, 10);
    release(&mut device, network);
    device.advance(Duration::from_secs(10));
    device.advance(Duration::from_secs(60));
    device.connect();
    let network = device.request_network(&centre, 1);
    release(&mut device, network);
    assert_eq!(device.network_reasons(), (0, 0), "the check-in has been served");
    device.advance(Duration::from_secs(10) - TICK);
    assert!(device.connected);
    device.advance(TICK);
    assert!(!device.connected);
}

/// Shows D24.
#[test]
fn grace_is_for_a_link_that_is_up_and_brings_none_back() {
    let (mut device, centre, network) = ready(0, 10);
    release(&mut device, network);
    device.lose_link();
    device.advance(Duration::from_secs(5));
    assert!(!device.kernel.wants_link());
    let network = device.request_network(&centre, 1);
    assert!(device.kernel.wants_link());
    release(&mut device, network);
    assert!(!device.kernel.wants_link());
}

/// Shows N77, D24.
#[test]
fn channels_are_disconnected_at_the_release_not_at_the_end_of_the_grace() {
    let (mut device, mut centre, network) = ready(0, 10);
    let setup = kernel_testport::AppSetup { centre, network };
    let params = device.channel_params(&setup, abi::channel::ChannelType::Http, 512, 512);
    device.open_channel(&params);
    centre = setup.centre;
    release(&mut device, network);
    let lost = (EventType::ChannelNotConnected.raw(), kernel_testport::TAG);
    assert_eq!(device.events(&mut centre), [lost]);
}

/// Shows N09, N12.
#[test]
fn a_kernel_set_up_in_place_is_one_made_by_value() {
    let (mut device, setup, channel) = TestDevice::with_channel(abi::channel::ChannelType::Mqtt);
    device.kernel.start(&boot());
    device.connected = false;
    let to = device.alloc_u32(0);
    assert_eq!(device.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(device.call(Call::GetChannelClosureReason, &[channel, to]), Status::InvalidHandle);
    let by_value = TestDevice::new().network_reasons();
    assert_eq!(device.network_reasons(), by_value);
    device.connect();
    let first = device.open_centre(LINE, 2).handle;
    let mut other = TestDevice::online();
    assert_eq!(other.open_centre(LINE, 2).handle, first, "the same seed gives the same order of handles");
}
