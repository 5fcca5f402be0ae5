//! The calls of a factory test.

use abi::{Call, Status};
use kernel::limits::MAX_LOG_MESSAGE;
use kernel::{Boot, Outcome};
use kernel_testport::{TestDevice, boot};
use sansio::{Duration, Instant};

fn factory() -> TestDevice {
    TestDevice::booted(&Boot { application_test: true, ..boot() })
}

fn log(device: &mut TestDevice, text: &[u8]) -> Status {
    let message = device.flash_string(text);
    device.call(Call::TestLog, &[message.data, message.length])
}

/// What the factory's console prints next.
fn printed(device: &mut TestDevice) -> Option<(Instant, Vec<u8>)> {
    let mut text = [0; MAX_LOG_MESSAGE as usize];
    let (clock, length) = device.enter(|kernel, port| kernel.take_test_log(port, &mut text))?;
    Some((clock, text[..length].to_vec()))
}

/// Shows D107.
#[test]
fn a_test_ends_with_its_status() {
    let mut device = factory();
    for status in [0, 1, u32::MAX] {
        let outcome = device.call_slot(Call::TestingComplete.slot(), [status, 0, 0, 0]);
        assert_eq!(outcome, Outcome::TestingComplete { status });
    }
}

/// Shows D107.
#[test]
fn elsewhere_the_calls_of_tests_are_unavailable() {
    let mut device = TestDevice::new();
    let buffer = device.alloc_buffer(512);
    assert_eq!(device.call(Call::TestingComplete, &[0]), Status::Unavailable);
    assert_eq!(device.call(Call::TestLoggingInit, &[buffer, 512]), Status::Unavailable);
    assert_eq!(log(&mut device, b"hello"), Status::Unavailable);
    assert_eq!(printed(&mut device), None);
}

/// Shows D107.
#[test]
fn messages_reach_the_console_in_order_with_their_times() {
    let mut device = factory();
    assert_eq!(log(&mut device, b"too early"), Status::Unavailable);
    let buffer = device.alloc_buffer(512);
    device.call_ok(Call::TestLoggingInit, &[buffer, 512]);
    for round in 0..50_u8 {
        device.now += Duration::from_micros(10);
        assert_eq!(log(&mut device, &[b'a' + round % 26; 200]), Status::Okay);
        assert_eq!(log(&mut device, b""), Status::Okay);
        assert_eq!(printed(&mut device), Some((device.now, vec![b'a' + round % 26; 200])));
        assert_eq!(printed(&mut device), Some((device.now, vec![])));
        assert_eq!(printed(&mut device), None);
    }
    device.connect();
    assert!(
        device
            .cloud()
            .take_messages()
            .iter()
            .all(|message| !matches!(message, kernel_testport::cloud::DeviceMessage::Log { .. }))
    );
}

/// Shows D70, D107.
#[test]
fn the_buffer_is_as_for_other_logs() {
    let mut device = factory();
    let buffer = device.alloc_buffer(1024);
    for (args, status) in [
        ([0x0800_0000, 512], Status::ParameterFault),
        ([buffer + 8, 512], Status::InvalidBufferAlignment),
        ([buffer, 100], Status::InvalidBufferSize),
        ([buffer, 0], Status::InvalidBufferSize),
    ] {
        assert_eq!(device.call(Call::TestLoggingInit, &args), status);
    }
    device.call_ok(Call::ServerLoggingInit, &[buffer, 512]);
    assert_eq!(device.call(Call::TestLoggingInit, &[buffer, 512]), Status::BufferAlreadyInUse);
    device.call_ok(Call::TestLoggingInit, &[buffer + 512, 512]);
    assert_eq!(device.call(Call::ServerLoggingInit, &[buffer, 1024]), Status::BufferAlreadyInUse);
    assert_eq!(log(&mut device, &[b'x'; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut device, &[b'x'; 513]), Status::InvalidBufferSize);
    assert_eq!(log(&mut device, &[b'x'; 512]), Status::Okay);
    assert_eq!(log(&mut device, b"x"), Status::InvalidBufferSize);
    assert_eq!(device.call(Call::TestLog, &[0x4000_0000, 1]), Status::ParameterFault);
}
