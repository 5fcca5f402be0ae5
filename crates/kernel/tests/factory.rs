//! The calls of a factory test.

mod common;

use abi::{Call, Status};
use common::{Machine, boot};
use kernel::limits::MAX_LOG_MESSAGE;
use kernel::{Boot, Outcome};
use sansio::{Duration, Instant};

fn factory() -> Machine {
    Machine::booted(&Boot { application_test: true, ..boot() })
}

fn log(machine: &mut Machine, text: &[u8]) -> Status {
    let message = machine.string(text);
    machine.call(Call::TestLog, &[message.data, message.length])
}

/// What the factory's console prints next.
fn printed(machine: &mut Machine) -> Option<(Instant, Vec<u8>)> {
    let mut text = [0; MAX_LOG_MESSAGE as usize];
    let (clock, length) = machine.enter(|kernel, port| kernel.take_test_log(port, &mut text))?;
    Some((clock, text[..length].to_vec()))
}

/// Shows D107.
#[test]
fn a_test_ends_with_its_status() {
    let mut machine = factory();
    for status in [0, 1, u32::MAX] {
        let outcome = machine.branch(Call::TestingComplete.slot(), [status, 0, 0, 0]);
        assert_eq!(outcome, Outcome::TestingComplete { status });
    }
}

/// Shows D107.
#[test]
fn elsewhere_the_calls_of_tests_are_unavailable() {
    let mut machine = Machine::new();
    let buffer = machine.buffer(512);
    assert_eq!(machine.call(Call::TestingComplete, &[0]), Status::Unavailable);
    assert_eq!(machine.call(Call::TestLoggingInit, &[buffer, 512]), Status::Unavailable);
    assert_eq!(log(&mut machine, b"hello"), Status::Unavailable);
    assert_eq!(printed(&mut machine), None);
}

/// Shows D107.
#[test]
fn messages_reach_the_console_in_order_with_their_times() {
    let mut machine = factory();
    assert_eq!(log(&mut machine, b"too early"), Status::Unavailable);
    let buffer = machine.buffer(512);
    machine.ok(Call::TestLoggingInit, &[buffer, 512]);
    for round in 0..50_u8 {
        machine.now += Duration::from_micros(10);
        assert_eq!(log(&mut machine, &[b'a' + round % 26; 200]), Status::Okay);
        assert_eq!(log(&mut machine, b""), Status::Okay);
        assert_eq!(printed(&mut machine), Some((machine.now, vec![b'a' + round % 26; 200])));
        assert_eq!(printed(&mut machine), Some((machine.now, vec![])));
        assert_eq!(printed(&mut machine), None);
    }
    machine.connect();
    assert!(machine.cloud().heard().iter().all(|said| !matches!(said, common::cloud::Said::Log { .. })));
}

/// Shows D70, D107.
#[test]
fn the_buffer_is_as_for_other_logs() {
    let mut machine = factory();
    let buffer = machine.buffer(1024);
    for (args, status) in [
        ([0x0800_0000, 512], Status::ParameterFault),
        ([buffer + 8, 512], Status::InvalidBufferAlignment),
        ([buffer, 100], Status::InvalidBufferSize),
        ([buffer, 0], Status::InvalidBufferSize),
    ] {
        assert_eq!(machine.call(Call::TestLoggingInit, &args), status);
    }
    machine.ok(Call::ServerLoggingInit, &[buffer, 512]);
    assert_eq!(machine.call(Call::TestLoggingInit, &[buffer, 512]), Status::BufferAlreadyInUse);
    machine.ok(Call::TestLoggingInit, &[buffer + 512, 512]);
    assert_eq!(machine.call(Call::ServerLoggingInit, &[buffer, 1024]), Status::BufferAlreadyInUse);
    assert_eq!(log(&mut machine, &[b'x'; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut machine, &[b'x'; 513]), Status::InvalidBufferSize);
    assert_eq!(log(&mut machine, &[b'x'; 512]), Status::Okay);
    assert_eq!(log(&mut machine, b"x"), Status::InvalidBufferSize);
    assert_eq!(machine.call(Call::TestLog, &[0x4000_0000, 1]), Status::ParameterFault);
}
