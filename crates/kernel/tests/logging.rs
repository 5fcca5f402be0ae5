//! Log messages.

mod common;

use abi::channel::ChannelType;
use abi::{Call, Status};
use common::cloud::Said;
use common::{LINE, Machine};
use kernel::limits::{MAX_LOG_MESSAGES, MIN_TRANSMIT_BUFFER};
use sansio::{Duration, Instant};

fn init(machine: &mut Machine, size: u32) -> u32 {
    let buffer = machine.buffer(size);
    machine.ok(Call::ServerLoggingInit, &[buffer, size]);
    buffer
}

fn log(machine: &mut Machine, text: &[u8]) -> Status {
    let message = machine.string(text);
    machine.call(Call::ServerLog, &[message.data, message.length])
}

/// The messages the cloud has heard since the last time.
fn heard(machine: &mut Machine) -> Vec<(u32, Vec<u8>)> {
    let logs = machine.cloud().heard().into_iter().filter_map(|said| match said {
        Said::Log { sequence, text, .. } => Some((sequence, text)),
        _ => None,
    });
    logs.collect()
}

/// Shows N24, N25, D70, D71.
#[test]
fn messages_travel_over_the_kernels_own_link() {
    let mut machine = Machine::online();
    init(&mut machine, 512);
    machine.now = Instant::from_secs(5);
    assert_eq!(log(&mut machine, b"hello"), Status::Okay);
    machine.pump();
    let said = machine.cloud().heard();
    assert!(said.contains(&Said::Log { sequence: 1, clock: 5_000_000, text: b"hello".to_vec() }), "{said:?}");
}

/// Shows N27, N28, D70.
#[test]
fn messages_of_an_offline_device_wait_in_order_while_there_is_room() {
    let mut machine = Machine::new();
    init(&mut machine, 512);
    assert_eq!(log(&mut machine, &[b'a'; 300]), Status::Okay);
    assert_eq!(log(&mut machine, &[b'b'; 213]), Status::InvalidBufferSize, "one byte too many");
    assert_eq!(log(&mut machine, &[b'c'; 212]), Status::Okay);
    assert_eq!(log(&mut machine, b""), Status::Okay, "an empty line takes no room");
    assert_eq!(log(&mut machine, b"x"), Status::InvalidBufferSize);
    machine.connect();
    assert_eq!(heard(&mut machine), [(1, vec![b'a'; 300]), (2, vec![b'c'; 212]), (3, vec![])]);
}

/// Shows N26, D71.
#[test]
fn messages_wait_once_the_application_has_released_the_network() {
    let mut machine = Machine::new();
    init(&mut machine, 512);
    let centre = machine.centre(LINE, 8);
    let network = machine.network(&centre, 1);
    let handle = machine.variable(network);
    machine.ok(Call::ReleaseNetwork, &[handle]);
    log(&mut machine, b"later");
    machine.greet();
    machine.cloud().welcome();
    machine.pump();
    assert_eq!(heard(&mut machine), [], "the kernel's link carries none");
    machine.network(&centre, 2);
    machine.connect();
    assert_eq!(heard(&mut machine), [(1, b"later".to_vec())]);
}

/// Shows D70.
#[test]
fn messages_not_taken_are_sent_again_with_their_numbers() {
    let mut machine = Machine::online();
    init(&mut machine, 512);
    log(&mut machine, b"one");
    log(&mut machine, b"two");
    machine.pump();
    assert_eq!(heard(&mut machine).len(), 2);
    machine.cloud().link.acknowledge_logs(1);
    machine.pump();
    machine.cut();
    log(&mut machine, b"three");
    machine.advance(Duration::from_secs(3));
    machine.connect();
    assert_eq!(heard(&mut machine), [(2, b"two".to_vec()), (3, b"three".to_vec())]);
}

/// Shows D70, N56, N57.
#[test]
fn taken_messages_make_room_and_the_ring_goes_round() {
    let mut machine = Machine::online();
    init(&mut machine, 512);
    let mut expected = Vec::new();
    for number in 1..=20_u8 {
        let text = vec![number; 200];
        assert_eq!(log(&mut machine, &text), Status::Okay, "message {number}");
        machine.pump();
        machine.cloud().link.acknowledge_logs(u32::from(number));
        machine.pump();
        expected.push((u32::from(number), text));
    }
    assert_eq!(heard(&mut machine), expected);
}

/// Shows D84.
#[test]
fn no_more_messages_are_kept_than_there_are_places() {
    let mut machine = Machine::new();
    init(&mut machine, 1024);
    for _ in 0..MAX_LOG_MESSAGES {
        assert_eq!(log(&mut machine, b""), Status::Okay);
    }
    assert_eq!(log(&mut machine, b""), Status::InvalidBufferSize);
}

/// Shows D70, D85.
#[test]
fn a_message_has_at_most_1024_bytes() {
    let mut machine = Machine::new();
    assert_eq!(log(&mut machine, b"x"), Status::Unavailable, "no buffer yet");
    init(&mut machine, 512);
    assert_eq!(log(&mut machine, &[0; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut machine, &[0; 1024]), Status::InvalidBufferSize);
    init(&mut machine, 1536);
    assert_eq!(log(&mut machine, &[0; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut machine, &[b'y'; 1024]), Status::Okay);
    machine.connect();
    assert_eq!(heard(&mut machine), [(1, vec![b'y'; 1024])]);
}

/// Shows D85.
#[test]
fn only_the_lower_half_of_the_length_register_counts() {
    let mut machine = Machine::online();
    init(&mut machine, 512);
    let message = machine.string(b"abc");
    machine.ok(Call::ServerLog, &[message.data, 0xdead_0003]);
    machine.pump();
    assert_eq!(heard(&mut machine), [(1, b"abc".to_vec())]);
}

/// Shows D70.
#[test]
fn the_cloud_can_switch_logging_off_and_on() {
    let mut machine = Machine::online();
    init(&mut machine, 512);
    machine.cloud().link.set_logging(false);
    machine.pump();
    assert_eq!(log(&mut machine, b"no"), Status::LoggingDisabledByServer);
    machine.cloud().link.set_logging(true);
    machine.pump();
    assert_eq!(log(&mut machine, b"yes"), Status::Okay);
    machine.pump();
    assert_eq!(heard(&mut machine), [(1, b"yes".to_vec())], "a refused message has no number");
}

/// Shows D70, D86.
#[test]
fn the_buffer_is_aligned_sized_ram_of_its_own() {
    let mut machine = Machine::new();
    let buffer = machine.buffer(1024);
    let mut init = |address, size| machine.call(Call::ServerLoggingInit, &[address, size]);
    assert_eq!(init(0x0800_0000, 512), Status::ParameterFault);
    assert_eq!(init(0x2007_fe00, 1024), Status::ParameterFault);
    assert_eq!(init(buffer + 8, 512), Status::InvalidBufferAlignment);
    assert_eq!(init(buffer, 0), Status::InvalidBufferSize);
    assert_eq!(init(buffer, 500), Status::InvalidBufferSize);
    assert_eq!(init(buffer, 1024), Status::Okay);
}

/// Shows D86.
#[test]
fn another_buffer_takes_over_and_the_gap_shows() {
    let mut machine = Machine::new();
    init(&mut machine, 512);
    log(&mut machine, b"lost");
    init(&mut machine, 512);
    log(&mut machine, b"kept");
    machine.connect();
    assert_eq!(heard(&mut machine), [(2, b"kept".to_vec())]);
}

/// The room the port is asked for is enough for everything there is to send.
#[test]
fn the_longest_messages_and_requests_pass_through_the_least_room() {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Mqtt);
    machine.outgoing = MIN_TRANSMIT_BUFFER;
    init(&mut machine, 8192);
    for _ in 0..4 {
        assert_eq!(log(&mut machine, &[b'l'; 1024]), Status::Okay);
    }
    let payload = [b'p'; 1500];
    assert_eq!(machine.publish(channel, 1, b"topic", &payload), Status::Okay);
    let said = machine.cloud().heard();
    assert_eq!(said.iter().filter(|said| matches!(said, Said::Log { .. })).count(), 4);
    assert!(said.iter().any(|said| matches!(said, Said::Item { body, .. } if body.len() > 1500)));
}

/// A message cannot be cut, so it must not starve behind channels whose requests leave too small a gap every time.
#[test]
fn busy_channels_do_not_starve_the_log() {
    let (mut machine, setup) = Machine::ready();
    let channels = [(); 2].map(|()| {
        let params = machine.params(&setup, ChannelType::Mqtt, 512, 40 * 512);
        machine.open(&params)
    });
    init(&mut machine, 2048);
    machine.outgoing = MIN_TRANSMIT_BUFFER;
    // Two requests fill the room but for less than a fragment, and the second channel is next.
    assert_eq!(machine.publish(channels[1], 0, b"topic", b"first"), Status::Okay);
    assert_eq!(machine.publish(channels[0], 0, b"topic", b"first"), Status::Okay);
    machine.cloud().heard();
    for correlation in 1..12 {
        for channel in channels {
            let request = machine.publish_request(correlation, b"topic", &[b'p'; 606], 0);
            assert_eq!(machine.request_publish(channel, &request), Status::Okay);
        }
    }
    assert_eq!(log(&mut machine, &[b'l'; 1024]), Status::Okay);
    machine.pump();
    let said = machine.cloud().heard();
    let log_at = said.iter().position(|said| matches!(said, Said::Log { .. })).expect("the message");
    assert!(log_at <= 2, "{log_at} of {} overtook it", said.len());
}

/// Shows D32.
#[test]
fn scribbling_on_the_buffer_changes_the_text_and_nothing_else() {
    let mut machine = Machine::new();
    let buffer = init(&mut machine, 512);
    log(&mut machine, b"abc");
    log(&mut machine, b"def");
    machine.memory.set(buffer, &[0xff; 512]);
    machine.connect();
    assert_eq!(heard(&mut machine), [(1, vec![0xff; 3]), (2, vec![0xff; 3])]);
}
