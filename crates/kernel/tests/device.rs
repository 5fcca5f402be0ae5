//! Identity, clocks, registers, time, waking, and slots that are no calls.

mod common;

use abi::power::WakeReason;
use abi::{Call, Status};
use common::cloud::{Said, WALL};
use common::{DEVICE_ID, Machine, REGISTER};
use kernel::Outcome;
use sansio::Duration;

/// The identifier is 34 characters without a zero byte.
#[test]
fn the_device_tells_its_id_to_exactly_34_bytes() {
    let mut machine = Machine::new();
    let to = machine.room(40);
    machine.ok(Call::GetDeviceId, &[to, 34]);
    assert_eq!(machine.memory.bytes(to, 36), [&DEVICE_ID[..], &[0xee, 0xee]].concat());
    assert_eq!(machine.call(Call::GetDeviceId, &[to, 35]), Status::InvalidBufferSize);
    assert_eq!(machine.call(Call::GetDeviceId, &[0x2007_ffe0, 34]), Status::ParameterFault);
}

/// The clocks are the port's.
#[test]
fn each_clock_has_its_call() {
    let mut machine = Machine::new();
    for (call, hz) in [(Call::GetSysClk, 1), (Call::GetHClk, 2), (Call::GetPClk1, 3), (Call::GetPClk2, 4)] {
        let to = machine.variable(0);
        machine.ok(call, &[to]);
        assert_eq!(machine.u32(to), hz);
    }
}

/// Mask bit 1 assigns, mask bit 0 flips.
#[test]
fn registers_are_peeked_and_poked_through_the_port() {
    let mut machine = Machine::new();
    let to = machine.variable(0);
    machine.ok(Call::PeriphPeek32, &[REGISTER, to]);
    assert_eq!(machine.u32(to), 0x0f);
    machine.ok(Call::PeriphPoke32, &[REGISTER, 0xf0, 0xa1]);
    machine.ok(Call::PeriphPeek32, &[REGISTER, to]);
    assert_eq!(machine.u32(to), 0xae);
    for register in [REGISTER + 1, REGISTER + 2, REGISTER + 4, 0] {
        assert_eq!(machine.call(Call::PeriphPeek32, &[register, to]), Status::PeripheralAccessFault);
        assert_eq!(machine.call(Call::PeriphPoke32, &[register, 0, 0]), Status::PeripheralAccessFault);
    }
}

/// Shows D08, D05.
#[test]
fn the_wake_reason_is_one_byte_and_not_for_handlers() {
    let mut machine = Machine::woken(WakeReason::ApplicationUpdate);
    let to = machine.room(4);
    machine.ok(Call::GetWakeReason, &[to + 1]);
    assert_eq!(machine.memory.bytes(to, 4), [0xee, WakeReason::ApplicationUpdate.raw(), 0xee, 0xee]);
    machine.nvic.in_handler = true;
    assert_eq!(machine.call(Call::GetWakeReason, &[to]), Status::Unavailable);
}

/// Everything the kernel knows at a time fits 24 KiB; on the processor it is a little less than here.
#[test]
fn the_state_of_a_kernel_is_at_most_24_kib() {
    assert!(size_of::<kernel::Kernel>() <= 24 * 1024, "{}", size_of::<kernel::Kernel>());
}

/// Shows D05.
#[test]
fn other_calls_work_from_handlers() {
    let mut machine = Machine::new();
    machine.nvic.in_handler = true;
    let to = machine.room(8);
    machine.ok(Call::GetMicroseconds, &[to]);
    assert_eq!(machine.u64(to), machine.now.as_micros());
}

/// Shows D25.
#[test]
fn the_wall_clock_comes_with_the_welcome_and_is_asked_for_every_hour() {
    let mut machine = Machine::new();
    let to = machine.room(8);
    assert_eq!(machine.call(Call::GetWallTime, &[to]), Status::TimeNotSet);
    assert_eq!(machine.call(Call::GetWallTime, &[0]), Status::TimeNotSet);
    machine.connect();
    machine.ok(Call::GetWallTime, &[to]);
    assert_eq!(machine.u64(to), WALL);
    machine.advance(Duration::from_secs(3599));
    machine.ok(Call::GetWallTime, &[to]);
    assert_eq!(machine.u64(to), WALL + Duration::from_secs(3599).as_micros());
    assert!(!machine.cloud().heard().contains(&Said::TimeQuery));
    machine.advance(Duration::from_secs(1));
    assert!(machine.cloud().heard().contains(&Said::TimeQuery));
    machine.cloud().link.send_time(sansio::WallTime::from_micros(42));
    machine.pump();
    machine.ok(Call::GetWallTime, &[to]);
    assert_eq!(machine.u64(to), 42, "it may jump either way");
}

/// Shows D141.
#[test]
fn a_clock_that_runs_free_is_set_by_the_cloud_once() {
    let mut machine = Machine::new();
    machine.kernel.run_clock_free();
    let to = machine.room(8);
    machine.connect();
    machine.advance(Duration::from_secs(3600));
    assert!(machine.cloud().heard().contains(&Said::TimeQuery));
    machine.cloud().link.send_time(sansio::WallTime::from_micros(42));
    machine.pump();
    machine.ok(Call::GetWallTime, &[to]);
    assert_eq!(machine.u64(to), WALL + Duration::from_secs(3600).as_micros());
}

/// Shows D07.
#[test]
fn branching_to_no_call_is_a_fault_and_to_the_retired_one_unavailable() {
    let mut machine = Machine::new();
    for slot in [0x0a0, 0x238, 0x250, 0x004, 0x0d9, u32::MAX] {
        assert_eq!(machine.branch(slot, [0; 4]), Outcome::Fault, "{slot:#x}");
    }
    assert_eq!(machine.branch(0x060, [0; 4]), Outcome::Status(Status::Unavailable));
    assert_eq!(machine.branch(Call::NoOp.slot(), [9; 4]), Outcome::Status(Status::Okay));
}
