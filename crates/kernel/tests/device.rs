//! Identity, clocks, registers, time, waking, and slots that are no calls.

use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::Outcome;
use kernel_testport::cloud::{DeviceMessage, WALL};
use kernel_testport::{DEVICE_ID, REGISTER, TestDevice};
use sansio::Duration;

/// The identifier is 34 characters without a zero byte.
#[test]
fn the_device_id_needs_a_buffer_of_exactly_34_bytes() {
    let mut device = TestDevice::new();
    let to = device.alloc(40);
    device.call_ok(Call::GetDeviceId, &[to, 34]);
    assert_eq!(device.memory.bytes(to, 36), [&DEVICE_ID[..], &[0xee, 0xee]].concat());
    assert_eq!(device.call(Call::GetDeviceId, &[to, 35]), Status::InvalidBufferSize);
    assert_eq!(device.call(Call::GetDeviceId, &[0x2007_ffe0, 34]), Status::ParameterFault);
}

/// The clocks are the port's.
#[test]
fn each_clock_has_its_call() {
    let mut device = TestDevice::new();
    for (call, hz) in [(Call::GetSysClk, 1), (Call::GetHClk, 2), (Call::GetPClk1, 3), (Call::GetPClk2, 4)] {
        let to = device.alloc_u32(0);
        device.call_ok(call, &[to]);
        assert_eq!(device.u32(to), hz);
    }
}

/// Mask bit 1 assigns, mask bit 0 flips.
#[test]
fn registers_are_peeked_and_poked_through_the_port() {
    let mut device = TestDevice::new();
    let to = device.alloc_u32(0);
    device.call_ok(Call::PeriphPeek32, &[REGISTER, to]);
    assert_eq!(device.u32(to), 0x0f);
    device.call_ok(Call::PeriphPoke32, &[REGISTER, 0xf0, 0xa1]);
    device.call_ok(Call::PeriphPeek32, &[REGISTER, to]);
    assert_eq!(device.u32(to), 0xae);
    for register in [REGISTER + 1, REGISTER + 2, REGISTER + 4, 0] {
        assert_eq!(device.call(Call::PeriphPeek32, &[register, to]), Status::PeripheralAccessFault);
        assert_eq!(device.call(Call::PeriphPoke32, &[register, 0, 0]), Status::PeripheralAccessFault);
    }
}

/// Shows D08, D05.
#[test]
fn the_wake_reason_is_one_byte_and_not_for_handlers() {
    let mut device = TestDevice::woken_by(WakeReason::ApplicationUpdate);
    let to = device.alloc(4);
    device.call_ok(Call::GetWakeReason, &[to + 1]);
    assert_eq!(device.memory.bytes(to, 4), [0xee, WakeReason::ApplicationUpdate.raw(), 0xee, 0xee]);
    device.nvic.in_handler = true;
    assert_eq!(device.call(Call::GetWakeReason, &[to]), Status::Unavailable);
}

/// Everything the kernel knows at a time fits 24 KiB; on the processor it is a little less than here.
#[test]
fn the_state_of_a_kernel_is_at_most_24_kib() {
    assert!(size_of::<kernel::Kernel>() <= 24 * 1024, "{}", size_of::<kernel::Kernel>());
}

/// Shows D05.
#[test]
fn other_calls_work_from_handlers() {
    let mut device = TestDevice::new();
    device.nvic.in_handler = true;
    let to = device.alloc(8);
    device.call_ok(Call::GetMicroseconds, &[to]);
    assert_eq!(device.u64(to), device.now.as_micros());
}

/// Shows D25.
#[test]
fn the_wall_clock_is_set_by_the_welcome_and_requested_every_hour() {
    let mut device = TestDevice::new();
    let to = device.alloc(8);
    assert_eq!(device.call(Call::GetWallTime, &[to]), Status::TimeNotSet);
    assert_eq!(device.call(Call::GetWallTime, &[0]), Status::TimeNotSet);
    device.connect();
    device.call_ok(Call::GetWallTime, &[to]);
    assert_eq!(device.u64(to), WALL.as_micros());
    device.advance(Duration::from_secs(3599));
    device.call_ok(Call::GetWallTime, &[to]);
    assert_eq!(device.u64(to), (WALL + Duration::from_secs(3599)).as_micros());
    assert!(!device.cloud().take_messages().contains(&DeviceMessage::TimeQuery));
    device.advance(Duration::from_secs(1));
    assert!(device.cloud().take_messages().contains(&DeviceMessage::TimeQuery));
    device.cloud().link.send_time(sansio::WallTime::from_micros(42));
    device.pump();
    device.call_ok(Call::GetWallTime, &[to]);
    assert_eq!(device.u64(to), 42, "it may jump either way");
}

/// Shows D141.
#[test]
fn a_free_running_clock_is_set_by_the_cloud_once() {
    let mut device = TestDevice::new();
    device.kernel.run_clock_free();
    let to = device.alloc(8);
    device.connect();
    device.advance(Duration::from_secs(3600));
    assert!(device.cloud().take_messages().contains(&DeviceMessage::TimeQuery));
    device.cloud().link.send_time(sansio::WallTime::from_micros(42));
    device.pump();
    device.call_ok(Call::GetWallTime, &[to]);
    assert_eq!(device.u64(to), (WALL + Duration::from_secs(3600)).as_micros());
}

/// Shows D07.
#[test]
fn branching_to_no_call_is_a_fault_and_to_the_retired_one_unavailable() {
    let mut device = TestDevice::new();
    for slot in [0x0a0, 0x238, 0x250, 0x004, 0x0d9, u32::MAX] {
        assert_eq!(device.call_slot(slot, [0; 4]), Outcome::Fault, "{slot:#x}");
    }
    assert_eq!(device.call_slot(0x060, [0; 4]), Outcome::Status(Status::Unavailable));
    assert_eq!(device.call_slot(Call::NoOp.slot(), [9; 4]), Outcome::Status(Status::Okay));
}
