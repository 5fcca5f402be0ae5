//! Who owns the network, and when it is there.

use abi::channel::ChannelType;
use abi::network::{NetworkReason, NetworkStatus, RequestNetworkParams};
use abi::notifications::EventType;
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::limits::NETWORK_HANDLES;
use kernel::{Boot, Kernel, LinkInput, LinkLoss};
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{LINE, TICK, TestDevice, boot};
use link::connection::ByeReason;
use sansio::Duration;

const CHANGED: u32 = EventType::NetworkStatusChanged.raw();

fn release(device: &mut TestDevice, network: u32) {
    let handle = device.alloc_u32(network);
    device.call_ok(Call::ReleaseNetwork, &[handle]);
    assert_eq!(device.u32(handle), 0);
    device.pump();
}

fn bits(reasons: &[NetworkReason]) -> u32 {
    reasons.iter().fold(NetworkReason::NOT_CONNECTING, |all, one| all.with(*one)).raw()
}

/// Shows N12, N13, N21, N22.
#[test]
fn the_kernel_connects_by_itself_at_start_and_reports_why() {
    let mut device = TestDevice::new();
    assert!(device.kernel.wants_link());
    let all = [
        NetworkReason::COLD_BOOT_CONNECTION,
        NetworkReason::RTC_NOT_SET,
        NetworkReason::NEVER_USED_NETWORK_API,
    ];
    assert_eq!(device.network_reasons(), (bits(&all), 0));
    device.connect();
    assert_eq!(device.network_reasons(), (bits(&[NetworkReason::NEVER_USED_NETWORK_API]), 0));
    assert!(device.kernel.wants_link(), "it keeps the link until the application first requests it");
}

/// Shows N13, N14, N76, D24.
#[test]
fn from_its_first_request_on_the_application_decides() {
    let (mut device, setup) = TestDevice::with_network();
    assert_eq!(device.network_reasons(), (bits(&[NetworkReason::USING_NETWORK]), 1));
    release(&mut device, setup.network);
    assert_eq!(device.network_reasons(), (0, 0));
    assert!(!device.kernel.wants_link());
    assert!(!device.connected, "the link was taken down");
    assert_eq!(device.cloud().messages.last(), Some(&DeviceMessage::Bye(ByeReason::Done)));
}

/// Shows N76, D20.
#[test]
fn the_link_stays_while_another_handle_refers_to_it() {
    let (mut device, setup) = TestDevice::with_network();
    let second = device.request_network(&setup.centre, 2);
    assert_ne!(second, setup.network);
    assert_eq!(device.network_reasons().1, 2);
    release(&mut device, setup.network);
    assert!(device.connected);
    assert_eq!(device.network_status(second), Some(NetworkStatus::Connected));
    release(&mut device, second);
    assert!(!device.connected);
}

/// Shows N17, N76.
#[test]
fn the_kernels_own_business_outlives_a_release_but_no_longer_than_needed() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    let network = device.request_network(&centre, 1);
    release(&mut device, network);
    assert!(device.kernel.wants_link(), "the clock is not set and the cold boot not reported");
    device.connect();
    assert!(!device.connected, "both are done with the welcome");
    assert_eq!(device.network_reasons(), (0, 0));
}

/// Shows N18, N19.
#[test]
fn after_a_crash_the_kernel_owns_the_network_until_the_application_requests_it() {
    let mut device = TestDevice::woken_by(WakeReason::ApplicationCrash);
    assert_ne!(device.network_reasons().0 & NetworkReason::APPLICATION_ERROR.raw(), 0);
    device.connect();
    assert_eq!(device.network_reasons().0, bits(&[NetworkReason::NEVER_USED_NETWORK_API]), "reported");
    let mut device = TestDevice::woken_by(WakeReason::MicrovisorWatchdog);
    assert_ne!(device.network_reasons().0 & NetworkReason::KERNEL_ERROR.raw(), 0);
}

/// Shows D73, N09, N19.
#[test]
fn after_a_restart_there_are_no_handles_and_the_link_stays_up() {
    let (mut device, setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let buffer = device.alloc_buffer(512);
    device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
    device.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    device.pump();
    assert!(device.connected);
    assert_eq!(device.network_reasons(), (bits(&[NetworkReason::NEVER_USED_NETWORK_API]), 0));
    assert!(device.cloud().take_messages().contains(&DeviceMessage::Close(1)));
    let to = device.alloc(4);
    assert_eq!(device.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(device.call(Call::GetChannelClosureReason, &[channel, to]), Status::InvalidHandle);
    assert_eq!(
        device.call(Call::TempTriggerNotification, &[setup.centre.handle, 1, 1]),
        Status::InvalidHandle
    );
    assert_eq!(device.call(Call::ServerLog, &[buffer, 1]), Status::Unavailable);
    device.call_ok(Call::GetWakeReason, &[to]);
    assert_eq!(device.memory.bytes(to, 1), [WakeReason::ApplicationCrash.raw()]);
    device.lose_link();
    device.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_ne!(
        device.network_reasons().0 & NetworkReason::APPLICATION_ERROR.raw(),
        0,
        "there is no link to report over"
    );
}

/// Shows D89.
#[test]
fn a_new_request_does_not_shorten_a_pause() {
    let mut device = TestDevice::online();
    let centre = device.open_centre(LINE, 8);
    device.lose_link();
    let until = device.next_timeout();
    device.request_network(&centre, 1);
    assert!(!device.kernel.wants_link());
    assert_eq!(device.next_timeout(), until);
}

/// Shows D89.
#[test]
fn an_end_that_the_kernel_requested_is_followed_by_no_pause() {
    let (mut device, setup) = TestDevice::with_network();
    release(&mut device, setup.network);
    assert!(!device.connected);
    device.request_network(&setup.centre, 2);
    assert!(device.kernel.wants_link(), "at once");
}

/// Shows D23.
#[test]
fn a_loss_reported_twice_is_one_failure() {
    let mut device = TestDevice::online();
    device.lose_link();
    let until = device.next_timeout();
    device.report_loss(LinkLoss::Requested);
    device.lose_link();
    assert!(!device.kernel.wants_link());
    assert_eq!(device.next_timeout(), until);
}

/// Shows N22.
#[test]
fn a_device_without_an_application_reports_it_as_a_reason() {
    let boot = Boot { image: [0; 32], ..boot() };
    let mut device = TestDevice::new();
    device.kernel = Kernel::new(&boot);
    assert_ne!(device.network_reasons().0 & NetworkReason::NO_APPLICATION_CODE.raw(), 0);
}

/// Shows N31, N36, N43, D21.
#[test]
fn a_request_while_the_link_is_down_is_followed_by_one_event_when_it_is_up() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 8);
    let network = device.request_network(&centre, 5);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connecting));
    device.connect_transport();
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connecting), "not welcomed yet");
    assert_eq!(device.events(&mut centre), []);
    device.cloud().send_welcome();
    device.pump();
    assert_eq!(device.events(&mut centre), [(CHANGED, 5)]);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connected));
}

/// Shows N30, N31, D21.
#[test]
fn a_request_while_the_link_is_up_is_followed_by_one_event_at_once() {
    let mut device = TestDevice::online();
    let mut centre = device.open_centre(LINE, 8);
    let network = device.request_network(&centre, 5);
    assert_eq!(device.events(&mut centre), [(CHANGED, 5)]);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connected));
    let messages = device.cloud().take_messages();
    assert!(matches!(messages[..], [DeviceMessage::Hello(_)]), "nothing was sent: {messages:?}");
}

/// Shows N51, D21, D23, N35, N46.
#[test]
fn each_change_is_one_event_for_every_handle() {
    let (mut device, mut setup) = TestDevice::with_network();
    device.request_network(&setup.centre, 2);
    device.events(&mut setup.centre);
    device.lose_link();
    assert_eq!(device.events(&mut setup.centre), [(CHANGED, 1), (CHANGED, 2)]);
    assert_eq!(device.network_status(setup.network), Some(NetworkStatus::Connecting));
    device.advance(Duration::from_secs(3));
    device.connect();
    assert_eq!(device.events(&mut setup.centre), [(CHANGED, 1), (CHANGED, 2)]);
}

/// Shows D23, D89.
#[test]
fn pauses_double_from_one_second_to_sixty_with_enhanced_calm_after_five_failures() {
    let mut device = TestDevice::new();
    let calm = NetworkReason::ENHANCE_CALM.raw();
    for failure in 1..=9_u32 {
        device.input(LinkInput::Connecting);
        device.report_loss(LinkLoss::NoCarrier);
        assert!(!device.kernel.wants_link(), "a pause");
        assert_eq!(device.network_reasons().0 & calm != 0, failure >= 5, "failure {failure}");
        let pause = device.next_timeout().expect("an end of the pause").duration_since(device.now);
        let most = Duration::from_secs(1 << failure.min(7)).min(Duration::from_secs(60));
        assert!(
            pause.saturating_mul(2) >= most && pause >= Duration::from_secs(1) && pause <= most,
            "failure {failure}: {pause:?}"
        );
        device.advance(pause - TICK);
        assert!(!device.kernel.wants_link());
        device.advance(TICK);
        assert!(device.kernel.wants_link());
        assert_eq!(device.network_reasons().0 & calm, 0, "only during the pause");
    }
    device.connect();
    device.lose_link();
    let pause = device.next_timeout().expect("a pause").duration_since(device.now);
    assert!(pause <= Duration::from_secs(2), "a welcome resets the count");
}

/// Shows D23.
#[test]
fn a_cloud_out_of_reach_for_thirty_seconds_over_a_link_that_is_up_is_a_status_of_its_own() {
    let (mut device, mut setup) = TestDevice::with_network();
    device.lose_link();
    device.events(&mut setup.centre);
    device.advance(Duration::from_secs(30) - TICK);
    assert_eq!(device.network_status(setup.network), Some(NetworkStatus::Connecting));
    assert_eq!(device.events(&mut setup.centre), []);
    device.advance(TICK);
    assert_eq!(device.network_status(setup.network), Some(NetworkStatus::DisconnectedWithLinkUp));
    assert_eq!(device.events(&mut setup.centre), [(CHANGED, 1)]);
    device.connect();
    assert_eq!(device.network_status(setup.network), Some(NetworkStatus::Connected));
    assert_eq!(device.events(&mut setup.centre), [(CHANGED, 1)]);
}

/// Shows D23.
#[test]
fn without_a_carrier_the_status_stays_connecting() {
    let (mut device, setup) = TestDevice::with_network();
    device.report_loss(LinkLoss::NoCarrier);
    device.advance(Duration::from_secs(100));
    assert_eq!(device.network_status(setup.network), Some(NetworkStatus::Connecting));
}

/// Shows N11, N34, D22.
#[test]
fn status_of_no_handle_or_a_stale_one_is_an_error() {
    let (mut device, setup) = TestDevice::with_network();
    let to = device.alloc_u32(9);
    assert_eq!(device.call(Call::GetNetworkStatus, &[0, to]), Status::InvalidHandle);
    release(&mut device, setup.network);
    assert_eq!(device.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(device.call(Call::GetNetworkStatus, &[setup.centre.handle, to]), Status::InvalidHandle);
    assert_eq!(device.u32(to), 9, "nothing is written");
}

/// Shows N29, N42, D20.
#[test]
fn there_are_sixteen_network_handles() {
    let (mut device, setup) = TestDevice::with_network();
    for tag in 1..NETWORK_HANDLES as u32 {
        device.request_network(&setup.centre, tag);
    }
    let params =
        RequestNetworkParams { version: 1, notification_handle: setup.centre.handle, notification_tag: 0 };
    let params = device.alloc_bytes(&params.to_bytes());
    let handle = device.alloc_u32(0);
    assert_eq!(device.call(Call::RequestNetwork, &[params, handle]), Status::ParameterFault);
    release(&mut device, setup.network);
    device.call_ok(Call::RequestNetwork, &[params, handle]);
}

/// Shows D20.
#[test]
fn a_request_without_a_centre_is_a_parameter_fault_and_leaves_ownership_alone() {
    let mut device = TestDevice::online();
    let params = RequestNetworkParams { version: 1, notification_handle: 1234, notification_tag: 0 };
    let params = device.alloc_bytes(&params.to_bytes());
    let handle = device.alloc_u32(0);
    assert_eq!(device.call(Call::RequestNetwork, &[params, handle]), Status::ParameterFault);
    assert_ne!(device.network_reasons().0 & NetworkReason::NEVER_USED_NETWORK_API.raw(), 0);
}

/// Shows N75, N78, N80.
#[test]
fn release_then_closing_the_centre_works_in_that_order_and_the_other() {
    for network_first in [true, false] {
        let (mut device, setup) = TestDevice::with_network();
        let (network, centre) = (device.alloc_u32(setup.network), device.alloc_u32(setup.centre.handle));
        let mut calls = [(Call::ReleaseNetwork, network), (Call::CloseNotifications, centre)];
        if !network_first {
            calls.reverse();
        }
        for (call, handle) in calls {
            device.call_ok(call, &[handle]);
            assert_eq!(device.u32(handle), 0);
        }
    }
}

/// Shows N14.
#[test]
fn a_request_while_the_link_is_closing_reconnects() {
    let (mut device, mut setup) = TestDevice::with_network();
    let handle = device.alloc_u32(setup.network);
    device.call_ok(Call::ReleaseNetwork, &[handle]);
    let again = device.request_network(&setup.centre, 3);
    assert!(!device.kernel.wants_link(), "the old connection should be closed first");
    assert_eq!(device.network_status(again), Some(NetworkStatus::Connecting));
    device.pump();
    assert!(!device.connected && device.kernel.wants_link());
    device.connect();
    assert_eq!(device.events(&mut setup.centre), [(CHANGED, 3)]);
}

/// Shows N14.
#[test]
fn a_connection_that_is_no_longer_wanted_gets_no_hello() {
    let mut device = TestDevice::online();
    let centre = device.open_centre(LINE, 8);
    device.lose_link();
    device.advance(Duration::from_secs(3));
    let network = device.request_network(&centre, 1);
    device.input(LinkInput::Connecting);
    release(&mut device, network);
    assert!(!device.kernel.wants_link());
    device.input(LinkInput::Connected);
    let mut out = [0; 2048];
    assert_eq!(device.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
    device.report_loss(LinkLoss::Requested);
    assert!(!device.kernel.wants_link());
}

/// Shows D23.
#[test]
fn a_cloud_that_sends_no_welcome_or_falls_silent_is_disconnected() {
    let mut device = TestDevice::new();
    device.connect_transport();
    device.advance(Duration::from_secs(16));
    assert!(!device.connected, "no welcome in fifteen seconds");
    device.advance(Duration::from_secs(3));
    device.connect();
    // A cloud that receives and does not answer.
    let wait = Duration::from_secs(60) + Duration::from_secs(11);
    let end = device.now + wait;
    while let Some(at) = device.next_timeout().filter(|at| *at <= end && device.connected) {
        device.now = at;
        device.input(LinkInput::Timeout);
        let mut out = [0; 2048];
        device.enter(|kernel, port| kernel.transmit(port, &mut out));
        if !device.kernel.wants_link() {
            device.report_loss(LinkLoss::Requested);
        }
    }
    assert!(!device.connected, "no answer to a ping in ten seconds");
    assert!(!device.kernel.wants_link(), "a pause follows");
}

/// Shows D23, D89.
#[test]
fn a_bye_from_the_cloud_is_followed_by_a_pause() {
    let mut device = TestDevice::online();
    device.cloud().link.send_bye(ByeReason::ShuttingDown, "");
    device.pump();
    assert!(!device.connected && !device.kernel.wants_link());
    device.advance(Duration::from_secs(2));
    assert!(device.kernel.wants_link());
}

/// A cloud that breaks a rule gets a BYE with the rule; a pause follows.
#[test]
fn a_violation_ends_the_connection_with_its_reason() {
    let mut device = TestDevice::online();
    device.cloud().send_raw(&[0xf0, 0x00]);
    device.pump();
    assert!(!device.connected && !device.kernel.wants_link());
    assert_eq!(device.cloud().messages.last(), Some(&DeviceMessage::Bye(ByeReason::Violation)));
}
