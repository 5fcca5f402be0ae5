//! Fast interrupts.

use abi::notifications::NotificationSetup;
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel_testport::{LINE, TestDevice};

/// Whether the controller has the line as fast, and as enabled.
fn state(device: &TestDevice, irq: u32) -> (bool, bool) {
    (device.nvic.fast[irq as usize], device.nvic.enabled[irq as usize])
}

fn set_up(device: &mut TestDevice, irq: u32) -> Status {
    let buffer = device.alloc(32);
    let setup = device.alloc_bytes(&NotificationSetup { irq, buffer, buffer_size: 32 }.to_bytes());
    let handle = device.alloc_u32(0);
    device.call(Call::SetupNotifications, &[setup, handle])
}

/// Shows D108.
#[test]
fn a_fast_line_is_enabled_and_disabled_by_call() {
    let mut device = TestDevice::with_vectors();
    device.nvic.enabled[45] = true;
    device.call_ok(Call::SetFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (true, false), "disabled until it is enabled by call");
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (true, true));
    device.call_ok(Call::DisableFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (true, false));
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    device.call_ok(Call::ClearFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (false, false));
}

/// Shows D108.
#[test]
fn masking_all_lines_remembers_which_were_enabled() {
    let mut device = TestDevice::with_vectors();
    for irq in [0, 45, 125] {
        device.call_ok(Call::SetFastInterrupt, &[irq]);
    }
    device.call_ok(Call::EnableFastInterrupt, &[0]);
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    device.call_ok(Call::DisableAllFastInterrupts, &[]);
    assert_eq!([0, 45, 125].map(|irq| state(&device, irq)), [(true, false); 3]);
    device.call_ok(Call::EnableFastInterrupt, &[125]);
    device.call_ok(Call::DisableFastInterrupt, &[45]);
    assert_eq!(state(&device, 125), (true, false), "not while all are masked");
    device.call_ok(Call::EnableAllFastInterrupts, &[]);
    assert_eq!([0, 45, 125].map(|irq| state(&device, irq).1), [true, false, true]);
}

/// Shows D15, D108.
#[test]
fn a_line_is_fast_or_a_centres_and_never_both() {
    let mut device = TestDevice::with_vectors();
    device.open_centre(LINE, 2);
    assert_eq!(device.call(Call::SetFastInterrupt, &[u32::from(LINE)]), Status::InvalidInterrupt);
    device.call_ok(Call::SetFastInterrupt, &[45]);
    assert_eq!(set_up(&mut device, 45), Status::InvalidInterrupt);
    device.call_ok(Call::ClearFastInterrupt, &[45]);
    assert_eq!(set_up(&mut device, 45), Status::Okay);
    assert_eq!(device.call(Call::SetFastInterrupt, &[45]), Status::InvalidInterrupt);
}

/// Shows D15.
#[test]
fn lines_of_the_secure_world_and_beyond_the_last_cannot_be_fast() {
    let mut device = TestDevice::with_vectors();
    for irq in [3, 7, 8, 10, 27, 126, 240, 0x1_0000, u32::MAX] {
        for call in [Call::SetFastInterrupt, Call::ClearFastInterrupt, Call::EnableFastInterrupt] {
            assert_eq!(device.call(call, &[irq]), Status::InvalidInterrupt, "{irq}");
        }
    }
}

/// Shows D108.
#[test]
fn only_a_fast_line_is_cleared_enabled_or_disabled() {
    let mut device = TestDevice::with_vectors();
    for call in [Call::ClearFastInterrupt, Call::EnableFastInterrupt, Call::DisableFastInterrupt] {
        assert_eq!(device.call(call, &[45]), Status::InvalidInterrupt);
    }
    assert_eq!(state(&device, 45), (false, false));
}

/// Shows D108.
#[test]
fn a_line_that_is_fast_stays_as_it_is() {
    let mut device = TestDevice::with_vectors();
    device.call_ok(Call::SetFastInterrupt, &[45]);
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    device.call_ok(Call::SetFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (true, true));
}

/// Shows D108.
#[test]
fn table_and_handler_must_be_the_applications_own() {
    let mut device = TestDevice::with_vectors();
    let fitting = device.nvic.vectors.expect("a table");
    for table in [0x0c00_0000, 0x2008_0000 - 4 * (16 + 45), u32::MAX - 3, 0] {
        device.nvic.vectors = Some(table);
        assert_eq!(device.call(Call::SetFastInterrupt, &[45]), Status::InvalidVector, "{table:#x}");
    }
    let in_ram = device.alloc(4 * (16 + 46));
    device.nvic.vectors = Some(in_ram);
    // The secure world, the end of flash, no Thumb code.
    for handler in [0x0c1f_e001_u32, 0x0810_0001, 0x080f_ffff + 2, 0x0800_1000, 1] {
        device.memory.set(in_ram + 4 * (16 + 45), &handler.to_le_bytes());
        assert_eq!(device.call(Call::SetFastInterrupt, &[45]), Status::InvalidVector, "{handler:#x}");
    }
    device.memory.set(in_ram + 4 * (16 + 45), &0x2000_1001_u32.to_le_bytes());
    device.call_ok(Call::SetFastInterrupt, &[45]);
    device.nvic.vectors = Some(fitting);
    device.call_ok(Call::SetFastInterrupt, &[46]);
}

/// Shows D108.
#[test]
fn without_fast_lines_or_while_being_stopped_they_are_unavailable() {
    let mut device = TestDevice::with_vectors();
    device.call_ok(Call::SetFastInterrupt, &[45]);
    device.nvic.vectors = None;
    assert_eq!(device.call(Call::SetFastInterrupt, &[46]), Status::Unavailable);
    for call in [Call::ClearFastInterrupt, Call::EnableFastInterrupt, Call::DisableFastInterrupt] {
        assert_eq!(device.call(call, &[45]), Status::Unavailable);
    }
    device.call_ok(Call::DisableAllFastInterrupts, &[]);
    device.call_ok(Call::EnableAllFastInterrupts, &[]);
}

/// Shows D05, D108.
#[test]
fn lines_are_made_fast_from_handlers_too() {
    let mut device = TestDevice::with_vectors();
    device.nvic.in_handler = true;
    device.call_ok(Call::SetFastInterrupt, &[45]);
}

/// Shows D73, D108.
#[test]
fn after_a_restart_all_lines_are_ordinary() {
    let mut device = TestDevice::with_vectors();
    device.call_ok(Call::SetFastInterrupt, &[45]);
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    device.call_ok(Call::DisableAllFastInterrupts, &[]);
    device.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_eq!(state(&device, 45), (false, false));
    assert_eq!(device.call(Call::EnableFastInterrupt, &[45]), Status::InvalidInterrupt);
    device.call_ok(Call::SetFastInterrupt, &[45]);
    device.call_ok(Call::EnableFastInterrupt, &[45]);
    assert_eq!(state(&device, 45), (true, true), "nothing is masked any more");
}
