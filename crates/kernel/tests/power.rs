//! Sleeping, restarting, the LED, and the end of a factory test.

use abi::power::{DeepSleepMode, PowerSavingMode, WakeReason};
use abi::{Call, Status};
use kernel::limits::DEFAULT_CHECK_IN_INTERVAL;
use kernel::{Boot, LinkInput, LinkLoss, Outcome, Policy};
use kernel_testport::board::TestBoard;
use kernel_testport::{TestDevice, boot};
use sansio::Duration;

/// A device whose application has the network down on purpose.
fn offline() -> TestDevice {
    let (mut device, setup) = TestDevice::with_network();
    let network = device.alloc_u32(setup.network);
    device.call_ok(Call::ReleaseNetwork, &[network]);
    device.pump();
    assert!(!device.connected);
    device
}

fn outcome(device: &mut TestDevice, call: Call, argument: u32) -> Outcome {
    device.call_slot(call.slot(), [argument, 0, 0, 0])
}

fn refused(status: Status) -> Outcome {
    Outcome::Status(status)
}

/// Shows D105, D08.
#[test]
fn each_power_saving_mode_is_an_outcome_for_the_port() {
    let mut device = offline();
    for mode in PowerSavingMode::ALL {
        assert_eq!(outcome(&mut device, Call::PowerSave, mode.raw().into()), Outcome::Sleep { mode });
    }
    let stop = PowerSavingMode::Stop0;
    assert_eq!(outcome(&mut device, Call::PowerSave, 0xabcd_ef01), Outcome::Sleep { mode: stop });
    for unknown in [5, 0xff] {
        assert_eq!(outcome(&mut device, Call::PowerSave, unknown), refused(Status::ParameterFault));
    }
}

/// Shows D105, N16.
#[test]
fn deep_sleep_ends_at_the_next_check_in_at_the_latest() {
    let mut device = offline();
    let check_in_at = device.now + DEFAULT_CHECK_IN_INTERVAL;
    for mode in DeepSleepMode::ALL {
        let slept = Outcome::DeepSleep { mode, check_in_at };
        assert_eq!(outcome(&mut device, Call::DeepSleep, mode.raw().into()), slept);
    }
    assert_eq!(outcome(&mut device, Call::DeepSleep, 2), refused(Status::ParameterFault));
}

/// Shows D105, N16.
#[test]
fn a_check_in_that_is_due_waits_out_the_pause_asleep() {
    let mut device = offline();
    device.advance(DEFAULT_CHECK_IN_INTERVAL);
    device.input(LinkInput::Connecting);
    device.report_loss(LinkLoss::Unreachable);
    let pause = device.next_timeout().expect("a pause");
    let Outcome::DeepSleep { check_in_at, .. } = outcome(&mut device, Call::DeepSleep, 0) else {
        panic!("a pause is no use of the network")
    };
    assert!(check_in_at > device.now && check_in_at <= pause.max(device.now + Duration::from_secs(2)));
}

/// Shows D105.
#[test]
fn nothing_sleeps_while_the_network_is_in_use() {
    let busy = |device: &mut TestDevice| {
        assert_eq!(outcome(device, Call::PowerSave, 0), refused(Status::MicrovisorBusy));
        assert_eq!(outcome(device, Call::DeepSleep, 0), refused(Status::MicrovisorBusy));
        assert_eq!(outcome(device, Call::PowerSave, 9), refused(Status::ParameterFault));
    };
    let mut device = TestDevice::new();
    busy(&mut device);
    device.input(LinkInput::Connecting);
    busy(&mut device);
    device.report_loss(LinkLoss::NoCarrier);
    let paused = outcome(&mut device, Call::PowerSave, 0);
    assert_eq!(paused, Outcome::Sleep { mode: PowerSavingMode::Sleep }, "a pause is no use of the network");
    device.advance(Duration::from_secs(2));
    busy(&mut device);
    device.connect();
    busy(&mut device);
}

/// Shows D105.
#[test]
fn nothing_sleeps_while_an_update_is_fetched() {
    let mut device = TestDevice::new();
    device.report_loss(LinkLoss::NoCarrier);
    device.input(LinkInput::Connecting);
    device.report_loss(LinkLoss::NoCarrier);
    device.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(outcome(&mut device, Call::PowerSave, 0), refused(Status::MicrovisorBusy));
    device.enter(|kernel, port| kernel.fetching_update(port, false));
    let mode = PowerSavingMode::Sleep;
    assert_eq!(outcome(&mut device, Call::PowerSave, 0), Outcome::Sleep { mode });
}

/// Shows D105.
#[test]
fn a_restart_is_refused_only_while_an_update_is_fetched() {
    let mut device = TestDevice::online();
    assert_eq!(outcome(&mut device, Call::Restart, 0), Outcome::Restart);
    assert_eq!(outcome(&mut device, Call::Restart, 1), refused(Status::ParameterFault));
    assert_eq!(outcome(&mut device, Call::Restart, 0x100), refused(Status::ParameterFault));
    device.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(outcome(&mut device, Call::Restart, 0), refused(Status::MicrovisorBusy));
    device.enter(|kernel, port| kernel.fetching_update(port, false));
    device.enter(kernel::Kernel::update_downloaded);
    assert_eq!(outcome(&mut device, Call::Restart, 0), Outcome::Restart);
}

/// Shows D05.
#[test]
fn none_of_it_is_for_handlers() {
    let mut device = offline();
    device.nvic.in_handler = true;
    for call in [Call::PowerSave, Call::DeepSleep, Call::Restart, Call::SystemLedEnable] {
        assert_eq!(outcome(&mut device, call, 0), refused(Status::Unavailable), "{}", call.name());
        assert_eq!(outcome(&mut device, call, 99), refused(Status::Unavailable), "{}", call.name());
    }
}

/// Shows D110.
#[test]
fn the_led_is_enabled_and_disabled() {
    let mut device = TestDevice::new();
    device.call_ok(Call::SystemLedEnable, &[0]);
    assert_eq!(device.board.led, Some(false));
    device.call_ok(Call::SystemLedEnable, &[1]);
    assert_eq!(device.board.led, Some(true));
    for reserved in [2, 0x100, u32::MAX] {
        assert_eq!(device.call(Call::SystemLedEnable, &[reserved]), Status::ParameterFault);
    }
    assert_eq!(device.board.led, Some(true));
    device.board = TestBoard::bare();
    assert_eq!(device.call(Call::SystemLedEnable, &[1]), Status::Unavailable);
}

/// Shows D08.
#[test]
fn every_wake_reason_is_returned_as_it_was_given() {
    for reason in WakeReason::ALL {
        let mut device = TestDevice::woken_by(reason);
        let to = device.alloc(1);
        device.call_ok(Call::GetWakeReason, &[to]);
        assert_eq!(device.memory.bytes(to, 1), [reason.raw()]);
    }
}

/// Shows N16, D104.
#[test]
fn a_device_woken_for_a_check_in_connects() {
    let policy = Policy { minimum_check_in_time_sec: 60, connection_grace_time_sec: 0 };
    let mut device =
        TestDevice::booted(&Boot { wake_reason: WakeReason::DeepSleepCheckIn, policy, ..boot() });
    assert!(device.kernel.wants_link());
    let reasons = device.network_reasons().0;
    assert_ne!(reasons & abi::network::NetworkReason::MINIMUM_CHECK_IN_EXPIRED.raw(), 0);
}
