//! Log messages.

use abi::channel::ChannelType;
use abi::{Call, Status};
use kernel::limits::{MAX_LOG_MESSAGES, MIN_TRANSMIT_BUFFER};
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{LINE, TestDevice};
use sansio::{Duration, Instant};

fn init(device: &mut TestDevice, size: u32) -> u32 {
    let buffer = device.alloc_buffer(size);
    device.call_ok(Call::ServerLoggingInit, &[buffer, size]);
    buffer
}

fn log(device: &mut TestDevice, text: &[u8]) -> Status {
    let message = device.flash_string(text);
    device.call(Call::ServerLog, &[message.data, message.length])
}

/// The messages that the cloud has received since the last time.
fn received(device: &mut TestDevice) -> Vec<(u32, Vec<u8>)> {
    let logs = device.cloud().take_messages().into_iter().filter_map(|message| match message {
        DeviceMessage::Log { sequence, text, .. } => Some((sequence, text)),
        _ => None,
    });
    logs.collect()
}

/// Shows N24, N25, D70, D71.
#[test]
fn messages_travel_over_the_kernels_own_link() {
    let mut device = TestDevice::online();
    init(&mut device, 512);
    device.now = Instant::from_secs(5);
    assert_eq!(log(&mut device, b"hello"), Status::Okay);
    device.pump();
    let messages = device.cloud().take_messages();
    assert!(
        messages.contains(&DeviceMessage::Log { sequence: 1, clock: 5_000_000, text: b"hello".to_vec() }),
        "{messages:?}"
    );
}

/// Shows N27, N28, D70.
#[test]
fn messages_of_an_offline_device_wait_in_order_while_there_is_space() {
    let mut device = TestDevice::new();
    init(&mut device, 512);
    assert_eq!(log(&mut device, &[b'a'; 300]), Status::Okay);
    assert_eq!(log(&mut device, &[b'b'; 213]), Status::InvalidBufferSize, "one byte too many");
    assert_eq!(log(&mut device, &[b'c'; 212]), Status::Okay);
    assert_eq!(log(&mut device, b""), Status::Okay, "an empty line takes no room");
    assert_eq!(log(&mut device, b"x"), Status::InvalidBufferSize);
    device.connect();
    assert_eq!(received(&mut device), [(1, vec![b'a'; 300]), (2, vec![b'c'; 212]), (3, vec![])]);
}

/// Shows N26, D71.
#[test]
fn messages_wait_once_the_application_has_released_the_network() {
    let mut device = TestDevice::new();
    init(&mut device, 512);
    let centre = device.open_centre(LINE, 8);
    let network = device.request_network(&centre, 1);
    let handle = device.alloc_u32(network);
    device.call_ok(Call::ReleaseNetwork, &[handle]);
    log(&mut device, b"later");
    device.connect_transport();
    device.cloud().send_welcome();
    device.pump();
    assert_eq!(received(&mut device), [], "the kernel's link carries none");
    device.request_network(&centre, 2);
    device.connect();
    assert_eq!(received(&mut device), [(1, b"later".to_vec())]);
}

/// Shows D70.
#[test]
fn unacknowledged_messages_are_sent_again_with_their_numbers() {
    let mut device = TestDevice::online();
    init(&mut device, 512);
    log(&mut device, b"one");
    log(&mut device, b"two");
    device.pump();
    assert_eq!(received(&mut device).len(), 2);
    device.cloud().link.acknowledge_logs(1);
    device.pump();
    device.lose_link();
    log(&mut device, b"three");
    device.advance(Duration::from_secs(3));
    device.connect();
    assert_eq!(received(&mut device), [(2, b"two".to_vec()), (3, b"three".to_vec())]);
}

/// Shows D70, N56, N57.
#[test]
fn acknowledged_messages_free_space_and_the_ring_wraps() {
    let mut device = TestDevice::online();
    init(&mut device, 512);
    let mut expected = Vec::new();
    for number in 1..=20_u8 {
        let text = vec![number; 200];
        assert_eq!(log(&mut device, &text), Status::Okay, "message {number}");
        device.pump();
        device.cloud().link.acknowledge_logs(u32::from(number));
        device.pump();
        expected.push((u32::from(number), text));
    }
    assert_eq!(received(&mut device), expected);
}

/// Shows D84.
#[test]
fn no_more_messages_are_stored_than_the_limit() {
    let mut device = TestDevice::new();
    init(&mut device, 1024);
    for _ in 0..MAX_LOG_MESSAGES {
        assert_eq!(log(&mut device, b""), Status::Okay);
    }
    assert_eq!(log(&mut device, b""), Status::InvalidBufferSize);
}

/// Shows D70, D85.
#[test]
fn a_message_has_at_most_1024_bytes() {
    let mut device = TestDevice::new();
    assert_eq!(log(&mut device, b"x"), Status::Unavailable, "no buffer yet");
    init(&mut device, 512);
    assert_eq!(log(&mut device, &[0; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut device, &[0; 1024]), Status::InvalidBufferSize);
    init(&mut device, 1536);
    assert_eq!(log(&mut device, &[0; 1025]), Status::LogMessageTooLong);
    assert_eq!(log(&mut device, &[b'y'; 1024]), Status::Okay);
    device.connect();
    assert_eq!(received(&mut device), [(1, vec![b'y'; 1024])]);
}

/// Shows D85.
#[test]
fn only_the_lower_half_of_the_length_register_counts() {
    let mut device = TestDevice::online();
    init(&mut device, 512);
    let message = device.flash_string(b"abc");
    device.call_ok(Call::ServerLog, &[message.data, 0xdead_0003]);
    device.pump();
    assert_eq!(received(&mut device), [(1, b"abc".to_vec())]);
}

/// Shows D70.
#[test]
fn the_cloud_can_switch_logging_off_and_on() {
    let mut device = TestDevice::online();
    init(&mut device, 512);
    device.cloud().link.set_logging(false);
    device.pump();
    assert_eq!(log(&mut device, b"no"), Status::LoggingDisabledByServer);
    device.cloud().link.set_logging(true);
    device.pump();
    assert_eq!(log(&mut device, b"yes"), Status::Okay);
    device.pump();
    assert_eq!(received(&mut device), [(1, b"yes".to_vec())], "a refused message has no number");
}

/// Shows D70, D86.
#[test]
fn the_buffer_is_aligned_sized_ram_of_its_own() {
    let mut device = TestDevice::new();
    let buffer = device.alloc_buffer(1024);
    let mut init = |address, size| device.call(Call::ServerLoggingInit, &[address, size]);
    assert_eq!(init(0x0800_0000, 512), Status::ParameterFault);
    assert_eq!(init(0x2007_fe00, 1024), Status::ParameterFault);
    assert_eq!(init(buffer + 8, 512), Status::InvalidBufferAlignment);
    assert_eq!(init(buffer, 0), Status::InvalidBufferSize);
    assert_eq!(init(buffer, 500), Status::InvalidBufferSize);
    assert_eq!(init(buffer, 1024), Status::Okay);
}

/// Shows D86.
#[test]
fn another_buffer_replaces_the_first_and_leaves_a_gap_in_the_numbers() {
    let mut device = TestDevice::new();
    init(&mut device, 512);
    log(&mut device, b"lost");
    init(&mut device, 512);
    log(&mut device, b"stored");
    device.connect();
    assert_eq!(received(&mut device), [(2, b"stored".to_vec())]);
}

/// The smallest transmit buffer is large enough for everything that can be sent.
#[test]
fn the_longest_messages_and_requests_fit_the_smallest_transmit_buffer() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    device.outgoing = MIN_TRANSMIT_BUFFER;
    init(&mut device, 8192);
    for _ in 0..4 {
        assert_eq!(log(&mut device, &[b'l'; 1024]), Status::Okay);
    }
    let payload = [b'p'; 1500];
    assert_eq!(device.publish(channel, 1, b"topic", &payload), Status::Okay);
    let messages = device.cloud().take_messages();
    assert_eq!(messages.iter().filter(|message| matches!(message, DeviceMessage::Log { .. })).count(), 4);
    assert!(
        messages
            .iter()
            .any(|message| matches!(message, DeviceMessage::Item { body, .. } if body.len() > 1500))
    );
}

/// A message cannot be cut, so it must not starve behind channels whose requests leave too small a gap every time.
#[test]
fn busy_channels_do_not_starve_the_log() {
    let (mut device, setup) = TestDevice::with_network();
    let channels = [(); 2].map(|()| {
        let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 40 * 512);
        device.open_channel(&params)
    });
    init(&mut device, 2048);
    device.outgoing = MIN_TRANSMIT_BUFFER;
    // Two requests fill the room but for less than a fragment, and the second channel is next.
    assert_eq!(device.publish(channels[1], 0, b"topic", b"first"), Status::Okay);
    assert_eq!(device.publish(channels[0], 0, b"topic", b"first"), Status::Okay);
    device.cloud().take_messages();
    for correlation in 1..12 {
        for channel in channels {
            let request = device.publish_params(correlation, b"topic", &[b'p'; 606], 0);
            assert_eq!(device.request_publish(channel, &request), Status::Okay);
        }
    }
    assert_eq!(log(&mut device, &[b'l'; 1024]), Status::Okay);
    device.pump();
    let messages = device.cloud().take_messages();
    let log_at = messages
        .iter()
        .position(|message| matches!(message, DeviceMessage::Log { .. }))
        .expect("the message");
    assert!(log_at <= 2, "{log_at} of {} overtook it", messages.len());
}

/// Shows D32.
#[test]
fn overwriting_the_buffer_changes_the_text_and_nothing_else() {
    let mut device = TestDevice::new();
    let buffer = init(&mut device, 512);
    log(&mut device, b"abc");
    log(&mut device, b"def");
    device.memory.set(buffer, &[0xff; 512]);
    device.connect();
    assert_eq!(received(&mut device), [(1, vec![0xff; 3]), (2, vec![0xff; 3])]);
}
