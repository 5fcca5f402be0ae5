//! Sleeping, restarting, the LED, and the end of a factory test.

mod common;

use abi::power::{DeepSleepMode, PowerSavingMode, WakeReason};
use abi::{Call, Status};
use common::board::Board;
use common::{Machine, boot};
use kernel::limits::DEFAULT_CHECK_IN_INTERVAL;
use kernel::{Boot, LinkInput, LinkLoss, Outcome, Policy};
use sansio::Duration;

/// A device whose application has the network down on purpose.
fn offline() -> Machine {
    let (mut machine, setup) = Machine::ready();
    let network = machine.variable(setup.network);
    machine.ok(Call::ReleaseNetwork, &[network]);
    machine.pump();
    assert!(!machine.connected);
    machine
}

fn outcome(machine: &mut Machine, call: Call, argument: u32) -> Outcome {
    machine.branch(call.slot(), [argument, 0, 0, 0])
}

fn refused(status: Status) -> Outcome {
    Outcome::Status(status)
}

/// Shows D105, D08.
#[test]
fn each_mode_of_saving_power_is_the_ports_to_enter() {
    let mut machine = offline();
    for mode in PowerSavingMode::ALL {
        assert_eq!(outcome(&mut machine, Call::PowerSave, mode.raw().into()), Outcome::Sleep { mode });
    }
    let stop = PowerSavingMode::Stop0;
    assert_eq!(outcome(&mut machine, Call::PowerSave, 0xabcd_ef01), Outcome::Sleep { mode: stop });
    for unknown in [5, 0xff] {
        assert_eq!(outcome(&mut machine, Call::PowerSave, unknown), refused(Status::ParameterFault));
    }
}

/// Shows D105, N16.
#[test]
fn deep_sleep_ends_at_the_next_check_in_at_the_latest() {
    let mut machine = offline();
    let check_in_at = machine.now + DEFAULT_CHECK_IN_INTERVAL;
    for mode in DeepSleepMode::ALL {
        let slept = Outcome::DeepSleep { mode, check_in_at };
        assert_eq!(outcome(&mut machine, Call::DeepSleep, mode.raw().into()), slept);
    }
    assert_eq!(outcome(&mut machine, Call::DeepSleep, 2), refused(Status::ParameterFault));
}

/// Shows D105, N16.
#[test]
fn a_check_in_that_is_due_waits_out_the_pause_asleep() {
    let mut machine = offline();
    machine.advance(DEFAULT_CHECK_IN_INTERVAL);
    machine.link(LinkInput::Connecting);
    machine.lose(LinkLoss::Unreachable);
    let pause = machine.next_timeout().expect("a pause");
    let Outcome::DeepSleep { check_in_at, .. } = outcome(&mut machine, Call::DeepSleep, 0) else {
        panic!("a pause is no use of the network")
    };
    assert!(check_in_at > machine.now && check_in_at <= pause.max(machine.now + Duration::from_secs(2)));
}

/// Shows D105.
#[test]
fn nothing_sleeps_while_the_network_is_in_use() {
    let busy = |machine: &mut Machine| {
        assert_eq!(outcome(machine, Call::PowerSave, 0), refused(Status::MicrovisorBusy));
        assert_eq!(outcome(machine, Call::DeepSleep, 0), refused(Status::MicrovisorBusy));
        assert_eq!(outcome(machine, Call::PowerSave, 9), refused(Status::ParameterFault));
    };
    let mut machine = Machine::new();
    busy(&mut machine);
    machine.link(LinkInput::Connecting);
    busy(&mut machine);
    machine.lose(LinkLoss::NoCarrier);
    let paused = outcome(&mut machine, Call::PowerSave, 0);
    assert_eq!(paused, Outcome::Sleep { mode: PowerSavingMode::Sleep }, "a pause is no use of the network");
    machine.advance(Duration::from_secs(2));
    busy(&mut machine);
    machine.connect();
    busy(&mut machine);
}

/// Shows D105.
#[test]
fn nothing_sleeps_while_an_update_is_fetched() {
    let mut machine = Machine::new();
    machine.lose(LinkLoss::NoCarrier);
    machine.link(LinkInput::Connecting);
    machine.lose(LinkLoss::NoCarrier);
    machine.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(outcome(&mut machine, Call::PowerSave, 0), refused(Status::MicrovisorBusy));
    machine.enter(|kernel, port| kernel.fetching_update(port, false));
    let mode = PowerSavingMode::Sleep;
    assert_eq!(outcome(&mut machine, Call::PowerSave, 0), Outcome::Sleep { mode });
}

/// Shows D105.
#[test]
fn a_restart_is_refused_only_while_an_update_is_fetched() {
    let mut machine = Machine::online();
    assert_eq!(outcome(&mut machine, Call::Restart, 0), Outcome::Restart);
    assert_eq!(outcome(&mut machine, Call::Restart, 1), refused(Status::ParameterFault));
    assert_eq!(outcome(&mut machine, Call::Restart, 0x100), refused(Status::ParameterFault));
    machine.enter(|kernel, port| kernel.fetching_update(port, true));
    assert_eq!(outcome(&mut machine, Call::Restart, 0), refused(Status::MicrovisorBusy));
    machine.enter(|kernel, port| kernel.fetching_update(port, false));
    machine.enter(kernel::Kernel::update_downloaded);
    assert_eq!(outcome(&mut machine, Call::Restart, 0), Outcome::Restart);
}

/// Shows D05.
#[test]
fn none_of_it_is_for_handlers() {
    let mut machine = offline();
    machine.nvic.in_handler = true;
    for call in [Call::PowerSave, Call::DeepSleep, Call::Restart, Call::SystemLedEnable] {
        assert_eq!(outcome(&mut machine, call, 0), refused(Status::Unavailable), "{}", call.name());
        assert_eq!(outcome(&mut machine, call, 99), refused(Status::Unavailable), "{}", call.name());
    }
}

/// Shows D110.
#[test]
fn the_led_is_given_and_taken() {
    let mut machine = Machine::new();
    machine.ok(Call::SystemLedEnable, &[0]);
    assert_eq!(machine.board.led, Some(false));
    machine.ok(Call::SystemLedEnable, &[1]);
    assert_eq!(machine.board.led, Some(true));
    for reserved in [2, 0x100, u32::MAX] {
        assert_eq!(machine.call(Call::SystemLedEnable, &[reserved]), Status::ParameterFault);
    }
    assert_eq!(machine.board.led, Some(true));
    machine.board = Board::bare();
    assert_eq!(machine.call(Call::SystemLedEnable, &[1]), Status::Unavailable);
}

/// Shows D08.
#[test]
fn every_wake_reason_is_told_as_it_was_given() {
    for reason in WakeReason::ALL {
        let mut machine = Machine::woken(reason);
        let to = machine.room(1);
        machine.ok(Call::GetWakeReason, &[to]);
        assert_eq!(machine.memory.bytes(to, 1), [reason.raw()]);
    }
}

/// Shows N16, D104.
#[test]
fn a_device_woken_for_a_check_in_connects() {
    let policy = Policy { minimum_check_in_time_sec: 60, connection_grace_time_sec: 0 };
    let mut machine = Machine::booted(&Boot { wake_reason: WakeReason::DeepSleepCheckIn, policy, ..boot() });
    assert!(machine.kernel.wants_link());
    let reasons = machine.reasons().0;
    assert_ne!(reasons & abi::network::NetworkReason::MINIMUM_CHECK_IN_EXPIRED.raw(), 0);
}
