//! Who owns the network, and when it is there.

mod common;

use abi::channel::ChannelType;
use abi::network::{NetworkReason, NetworkStatus, RequestNetworkParams};
use abi::notifications::EventType;
use abi::power::WakeReason;
use abi::{Call, Status};
use common::cloud::Said;
use common::{LINE, Machine, TICK, boot};
use kernel::limits::NETWORK_HANDLES;
use kernel::{Boot, Kernel, LinkInput, LinkLoss};
use link::connection::ByeReason;
use sansio::Duration;

const CHANGED: u32 = EventType::NetworkStatusChanged.raw();

fn release(machine: &mut Machine, network: u32) {
    let handle = machine.variable(network);
    machine.ok(Call::ReleaseNetwork, &[handle]);
    assert_eq!(machine.u32(handle), 0);
    machine.pump();
}

fn bits(reasons: &[NetworkReason]) -> u32 {
    reasons.iter().fold(NetworkReason::NOT_CONNECTING, |all, one| all.with(*one)).raw()
}

/// Shows N12, N13, N21, N22.
#[test]
fn the_kernel_connects_by_itself_at_start_and_says_why() {
    let mut machine = Machine::new();
    assert!(machine.kernel.wants_link());
    let all = [
        NetworkReason::COLD_BOOT_CONNECTION,
        NetworkReason::RTC_NOT_SET,
        NetworkReason::NEVER_USED_NETWORK_API,
    ];
    assert_eq!(machine.reasons(), (bits(&all), 0));
    machine.connect();
    assert_eq!(machine.reasons(), (bits(&[NetworkReason::NEVER_USED_NETWORK_API]), 0));
    assert!(machine.kernel.wants_link(), "it keeps the link until the application first requests it");
}

/// Shows N13, N14, N76, D24.
#[test]
fn from_its_first_request_on_the_application_decides() {
    let (mut machine, setup) = Machine::ready();
    assert_eq!(machine.reasons(), (bits(&[NetworkReason::USING_NETWORK]), 1));
    release(&mut machine, setup.network);
    assert_eq!(machine.reasons(), (0, 0));
    assert!(!machine.kernel.wants_link());
    assert!(!machine.connected, "the link was taken down");
    assert_eq!(machine.cloud().said.last(), Some(&Said::Bye(ByeReason::Done)));
}

/// Shows N76, D20.
#[test]
fn the_link_stays_while_another_handle_refers_to_it() {
    let (mut machine, setup) = Machine::ready();
    let second = machine.network(&setup.centre, 2);
    assert_ne!(second, setup.network);
    assert_eq!(machine.reasons().1, 2);
    release(&mut machine, setup.network);
    assert!(machine.connected);
    assert_eq!(machine.network_status(second), Some(NetworkStatus::Connected));
    release(&mut machine, second);
    assert!(!machine.connected);
}

/// Shows N17, N76.
#[test]
fn the_kernels_own_business_outlives_a_release_but_no_longer_than_needed() {
    let mut machine = Machine::new();
    let centre = machine.centre(LINE, 8);
    let network = machine.network(&centre, 1);
    release(&mut machine, network);
    assert!(machine.kernel.wants_link(), "the clock is not set and the cold boot not reported");
    machine.connect();
    assert!(!machine.connected, "both are done with the welcome");
    assert_eq!(machine.reasons(), (0, 0));
}

/// Shows N18, N19.
#[test]
fn after_a_crash_the_kernel_owns_the_network_until_the_application_asks() {
    let mut machine = Machine::woken(WakeReason::ApplicationCrash);
    assert_ne!(machine.reasons().0 & NetworkReason::APPLICATION_ERROR.raw(), 0);
    machine.connect();
    assert_eq!(machine.reasons().0, bits(&[NetworkReason::NEVER_USED_NETWORK_API]), "reported");
    let mut machine = Machine::woken(WakeReason::MicrovisorWatchdog);
    assert_ne!(machine.reasons().0 & NetworkReason::KERNEL_ERROR.raw(), 0);
}

/// Shows D73, N09, N19.
#[test]
fn an_application_that_starts_anew_holds_nothing_while_the_link_stays() {
    let (mut machine, setup, channel) = Machine::with_channel(ChannelType::Mqtt);
    let buffer = machine.buffer(512);
    machine.ok(Call::ServerLoggingInit, &[buffer, 512]);
    machine.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    machine.pump();
    assert!(machine.connected);
    assert_eq!(machine.reasons(), (bits(&[NetworkReason::NEVER_USED_NETWORK_API]), 0));
    assert!(machine.cloud().heard().contains(&Said::Close(1)));
    let to = machine.room(4);
    assert_eq!(machine.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(machine.call(Call::GetChannelClosureReason, &[channel, to]), Status::InvalidHandle);
    assert_eq!(
        machine.call(Call::TempTriggerNotification, &[setup.centre.handle, 1, 1]),
        Status::InvalidHandle
    );
    assert_eq!(machine.call(Call::ServerLog, &[buffer, 1]), Status::Unavailable);
    machine.ok(Call::GetWakeReason, &[to]);
    assert_eq!(machine.memory.bytes(to, 1), [WakeReason::ApplicationCrash.raw()]);
    machine.cut();
    machine.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_ne!(
        machine.reasons().0 & NetworkReason::APPLICATION_ERROR.raw(),
        0,
        "there is no link to report over"
    );
}

/// Shows D89.
#[test]
fn a_new_request_does_not_shorten_a_pause() {
    let mut machine = Machine::online();
    let centre = machine.centre(LINE, 8);
    machine.cut();
    let until = machine.next_timeout();
    machine.network(&centre, 1);
    assert!(!machine.kernel.wants_link());
    assert_eq!(machine.next_timeout(), until);
}

/// Shows D89.
#[test]
fn an_end_that_was_wanted_is_followed_by_no_pause() {
    let (mut machine, setup) = Machine::ready();
    release(&mut machine, setup.network);
    assert!(!machine.connected);
    machine.network(&setup.centre, 2);
    assert!(machine.kernel.wants_link(), "at once");
}

/// Shows D23.
#[test]
fn a_loss_told_twice_is_one_failure() {
    let mut machine = Machine::online();
    machine.cut();
    let until = machine.next_timeout();
    machine.lose(LinkLoss::Requested);
    machine.cut();
    assert!(!machine.kernel.wants_link());
    assert_eq!(machine.next_timeout(), until);
}

/// Shows N22.
#[test]
fn a_device_without_an_application_says_so() {
    let boot = Boot { image: [0; 32], ..boot() };
    let mut machine = Machine::new();
    machine.kernel = Kernel::new(&boot);
    assert_ne!(machine.reasons().0 & NetworkReason::NO_APPLICATION_CODE.raw(), 0);
}

/// Shows N31, N36, N43, D21.
#[test]
fn a_request_while_the_link_is_down_is_followed_by_one_event_when_it_is_up() {
    let mut machine = Machine::new();
    let mut centre = machine.centre(LINE, 8);
    let network = machine.network(&centre, 5);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connecting));
    machine.greet();
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connecting), "not welcomed yet");
    assert_eq!(machine.events(&mut centre), []);
    machine.cloud().welcome();
    machine.pump();
    assert_eq!(machine.events(&mut centre), [(CHANGED, 5)]);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connected));
}

/// Shows N30, N31, D21.
#[test]
fn a_request_while_the_link_is_up_is_followed_by_one_event_at_once() {
    let mut machine = Machine::online();
    let mut centre = machine.centre(LINE, 8);
    let network = machine.network(&centre, 5);
    assert_eq!(machine.events(&mut centre), [(CHANGED, 5)]);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connected));
    let said = machine.cloud().heard();
    assert!(matches!(said[..], [Said::Hello(_)]), "nothing on the wire: {said:?}");
}

/// Shows N51, D21, D23, N35, N46.
#[test]
fn each_change_is_one_event_for_every_handle() {
    let (mut machine, mut setup) = Machine::ready();
    machine.network(&setup.centre, 2);
    machine.events(&mut setup.centre);
    machine.cut();
    assert_eq!(machine.events(&mut setup.centre), [(CHANGED, 1), (CHANGED, 2)]);
    assert_eq!(machine.network_status(setup.network), Some(NetworkStatus::Connecting));
    machine.advance(Duration::from_secs(3));
    machine.connect();
    assert_eq!(machine.events(&mut setup.centre), [(CHANGED, 1), (CHANGED, 2)]);
}

/// Shows D23, D89.
#[test]
fn pauses_double_from_one_second_to_sixty_and_grow_calm_after_five_failures() {
    let mut machine = Machine::new();
    let calm = NetworkReason::ENHANCE_CALM.raw();
    for failure in 1..=9_u32 {
        machine.link(LinkInput::Connecting);
        machine.lose(LinkLoss::NoCarrier);
        assert!(!machine.kernel.wants_link(), "a pause");
        assert_eq!(machine.reasons().0 & calm != 0, failure >= 5, "failure {failure}");
        let pause = machine.next_timeout().expect("an end of the pause").duration_since(machine.now);
        let most = Duration::from_secs(1 << failure.min(7)).min(Duration::from_secs(60));
        assert!(
            pause.saturating_mul(2) >= most && pause >= Duration::from_secs(1) && pause <= most,
            "failure {failure}: {pause:?}"
        );
        machine.advance(pause - TICK);
        assert!(!machine.kernel.wants_link());
        machine.advance(TICK);
        assert!(machine.kernel.wants_link());
        assert_eq!(machine.reasons().0 & calm, 0, "only during the pause");
    }
    machine.connect();
    machine.cut();
    let pause = machine.next_timeout().expect("a pause").duration_since(machine.now);
    assert!(pause <= Duration::from_secs(2), "a welcome starts the count anew");
}

/// Shows D23.
#[test]
fn a_cloud_out_of_reach_for_thirty_seconds_over_a_link_that_is_up_is_a_status_of_its_own() {
    let (mut machine, mut setup) = Machine::ready();
    machine.cut();
    machine.events(&mut setup.centre);
    machine.advance(Duration::from_secs(30) - TICK);
    assert_eq!(machine.network_status(setup.network), Some(NetworkStatus::Connecting));
    assert_eq!(machine.events(&mut setup.centre), []);
    machine.advance(TICK);
    assert_eq!(machine.network_status(setup.network), Some(NetworkStatus::DisconnectedWithLinkUp));
    assert_eq!(machine.events(&mut setup.centre), [(CHANGED, 1)]);
    machine.connect();
    assert_eq!(machine.network_status(setup.network), Some(NetworkStatus::Connected));
    assert_eq!(machine.events(&mut setup.centre), [(CHANGED, 1)]);
}

/// Shows D23.
#[test]
fn without_a_carrier_the_status_stays_connecting() {
    let (mut machine, setup) = Machine::ready();
    machine.lose(LinkLoss::NoCarrier);
    machine.advance(Duration::from_secs(100));
    assert_eq!(machine.network_status(setup.network), Some(NetworkStatus::Connecting));
}

/// Shows N11, N34, D22.
#[test]
fn status_of_no_handle_or_a_stale_one_is_an_error() {
    let (mut machine, setup) = Machine::ready();
    let to = machine.variable(9);
    assert_eq!(machine.call(Call::GetNetworkStatus, &[0, to]), Status::InvalidHandle);
    release(&mut machine, setup.network);
    assert_eq!(machine.call(Call::GetNetworkStatus, &[setup.network, to]), Status::InvalidHandle);
    assert_eq!(machine.call(Call::GetNetworkStatus, &[setup.centre.handle, to]), Status::InvalidHandle);
    assert_eq!(machine.u32(to), 9, "nothing is written");
}

/// Shows N29, N42, D20.
#[test]
fn there_are_sixteen_network_handles() {
    let (mut machine, setup) = Machine::ready();
    for tag in 1..NETWORK_HANDLES as u32 {
        machine.network(&setup.centre, tag);
    }
    let params =
        RequestNetworkParams { version: 1, notification_handle: setup.centre.handle, notification_tag: 0 };
    let params = machine.put(&params.to_bytes());
    let handle = machine.variable(0);
    assert_eq!(machine.call(Call::RequestNetwork, &[params, handle]), Status::ParameterFault);
    release(&mut machine, setup.network);
    machine.ok(Call::RequestNetwork, &[params, handle]);
}

/// Shows D20.
#[test]
fn a_request_without_a_centre_is_a_parameter_fault_and_leaves_ownership_alone() {
    let mut machine = Machine::online();
    let params = RequestNetworkParams { version: 1, notification_handle: 1234, notification_tag: 0 };
    let params = machine.put(&params.to_bytes());
    let handle = machine.variable(0);
    assert_eq!(machine.call(Call::RequestNetwork, &[params, handle]), Status::ParameterFault);
    assert_ne!(machine.reasons().0 & NetworkReason::NEVER_USED_NETWORK_API.raw(), 0);
}

/// Shows N75, N78, N80.
#[test]
fn release_then_closing_the_centre_works_in_that_order_and_the_other() {
    for network_first in [true, false] {
        let (mut machine, setup) = Machine::ready();
        let (network, centre) = (machine.variable(setup.network), machine.variable(setup.centre.handle));
        let mut calls = [(Call::ReleaseNetwork, network), (Call::CloseNotifications, centre)];
        if !network_first {
            calls.reverse();
        }
        for (call, handle) in calls {
            machine.ok(call, &[handle]);
            assert_eq!(machine.u32(handle), 0);
        }
    }
}

/// Shows N14.
#[test]
fn a_request_while_the_link_is_being_taken_down_brings_it_back() {
    let (mut machine, mut setup) = Machine::ready();
    let handle = machine.variable(setup.network);
    machine.ok(Call::ReleaseNetwork, &[handle]);
    let again = machine.network(&setup.centre, 3);
    assert!(!machine.kernel.wants_link(), "the old connection is to be closed first");
    assert_eq!(machine.network_status(again), Some(NetworkStatus::Connecting));
    machine.pump();
    assert!(!machine.connected && machine.kernel.wants_link());
    machine.connect();
    assert_eq!(machine.events(&mut setup.centre), [(CHANGED, 3)]);
}

/// Shows N14.
#[test]
fn a_connection_that_comes_too_late_is_not_greeted() {
    let mut machine = Machine::online();
    let centre = machine.centre(LINE, 8);
    machine.cut();
    machine.advance(Duration::from_secs(3));
    let network = machine.network(&centre, 1);
    machine.link(LinkInput::Connecting);
    release(&mut machine, network);
    assert!(!machine.kernel.wants_link());
    machine.link(LinkInput::Connected);
    let mut out = [0; 2048];
    assert_eq!(machine.enter(|kernel, port| kernel.transmit(port, &mut out)), 0);
    machine.lose(LinkLoss::Requested);
    assert!(!machine.kernel.wants_link());
}

/// Shows D23.
#[test]
fn a_cloud_that_does_not_welcome_or_falls_silent_is_given_up() {
    let mut machine = Machine::new();
    machine.greet();
    machine.advance(Duration::from_secs(16));
    assert!(!machine.connected, "no welcome in fifteen seconds");
    machine.advance(Duration::from_secs(3));
    machine.connect();
    // A cloud that hears and does not answer.
    let wait = Duration::from_secs(60) + Duration::from_secs(11);
    let end = machine.now + wait;
    while let Some(at) = machine.next_timeout().filter(|at| *at <= end && machine.connected) {
        machine.now = at;
        machine.link(LinkInput::Timeout);
        let mut out = [0; 2048];
        machine.enter(|kernel, port| kernel.transmit(port, &mut out));
        if !machine.kernel.wants_link() {
            machine.lose(LinkLoss::Requested);
        }
    }
    assert!(!machine.connected, "no answer to a ping in ten seconds");
    assert!(!machine.kernel.wants_link(), "a pause follows");
}

/// Shows D23, D89.
#[test]
fn a_farewell_from_the_cloud_is_followed_by_a_pause() {
    let mut machine = Machine::online();
    machine.cloud().link.send_bye(ByeReason::ShuttingDown, "");
    machine.pump();
    assert!(!machine.connected && !machine.kernel.wants_link());
    machine.advance(Duration::from_secs(2));
    assert!(machine.kernel.wants_link());
}

/// A cloud that breaks a rule is told which and left; a pause follows.
#[test]
fn a_violation_ends_the_connection_with_its_reason() {
    let mut machine = Machine::online();
    machine.cloud().raw(&[0xf0, 0x00]);
    machine.pump();
    assert!(!machine.connected && !machine.kernel.wants_link());
    assert_eq!(machine.cloud().said.last(), Some(&Said::Bye(ByeReason::Violation)));
}
