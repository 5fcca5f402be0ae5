//! The two ends driven against each other (link.md §3, §5, §6).

mod common;

use common::{CloudEvent, DeviceEvent, KEEPALIVE, Pair, RING, WALL, WINDOW};
use link::channel::{ChannelType, ClosureReason, Open, RingCredit};
use link::connection::{ByeReason, LogHead};
use link::device::{Answer, Input, LOG_FRAME};
use link::kind::{to_cloud, to_device};
use link::mqtt::{Outcome, RequestState};
use link::{
    CHANNELS, HELLO_TIMEOUT, KEEPALIVE_GRACE, MAX_FRAME_BODY, MESSAGE_ITEMS, NoFreeChannel, SendError,
    TimeoutReason, cloud,
};
use sansio::{Duration, Instant};

/// The resolution of the clock.
const MICROSECOND: Duration = Duration::from_micros(1);
const MQTT: ChannelType = ChannelType::Mqtt;

#[test]
fn hello_is_answered_by_welcome() {
    let mut pair = Pair::connected();
    pair.exchange();
    assert_eq!(pair.cloud_events, [CloudEvent::Hello(common::HELLO)]);
    assert!(!pair.device.is_open());
    pair.cloud.send_welcome(KEEPALIVE, WINDOW, WALL, true);
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Welcome { wall: WALL, logging: true }]);
    assert!(pair.device.is_open());
}

#[test]
fn a_device_of_another_version_gets_bye_version() {
    let mut pair = Pair::connected();
    let hello = link::connection::Hello { version: 2, ..common::HELLO };
    pair.device.handle(pair.now, &mut Input::Connected(&hello)).unwrap();
    pair.exchange();
    assert_eq!(pair.cloud_events, []);
    assert_eq!(pair.device_events, [DeviceEvent::Bye { reason: ByeReason::Version }]);
    assert!(pair.cloud.is_closing() && pair.device.is_closing());
}

#[test]
fn a_rejected_device_gets_the_reason() {
    let mut pair = Pair::connected();
    pair.exchange();
    pair.cloud.send_bye(ByeReason::Revoked, "revoked");
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Bye { reason: ByeReason::Revoked }]);
}

#[test]
fn the_device_waits_15_seconds_for_welcome_and_no_longer() {
    let mut pair = Pair::connected();
    pair.flush_device();
    let limit = pair.now + HELLO_TIMEOUT;
    assert_eq!(pair.device_timeout(limit), Ok(()));
    assert_eq!(pair.device.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.device_timeout(limit + MICROSECOND), Err(TimeoutReason::NoWelcome));
}

#[test]
fn the_cloud_waits_15_seconds_for_hello_and_no_longer() {
    let mut pair = Pair::connected();
    let limit = pair.now + HELLO_TIMEOUT;
    assert_eq!(pair.cloud_timeout(limit), Ok(()));
    assert_eq!(pair.cloud.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.cloud_timeout(limit + MICROSECOND), Err(TimeoutReason::NoHello));
}

#[test]
fn a_quiet_device_pings_once_an_interval_and_is_answered() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE - MICROSECOND;
    assert_eq!(pair.flush_device(), 0);
    pair.now += MICROSECOND;
    assert_eq!(pair.device.next_timeout(), Some(pair.now));
    assert_eq!(pair.flush_device(), 3, "kind, length, token");
    assert_eq!(pair.flush_device(), 0, "one at a time");
    pair.deliver_to_cloud(usize::MAX).unwrap();
    assert_eq!(pair.flush_cloud(), 3);
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.device.next_timeout(), Some(pair.now + KEEPALIVE));
    assert_eq!((pair.device_events, pair.cloud_events), (vec![], vec![]));
}

#[test]
fn a_device_that_only_sends_pings_to_learn_whether_the_cloud_receives() {
    let mut pair = Pair::open();
    for _ in 0..3 {
        pair.now += Duration::from_secs(10);
        pair.device.request_time();
        pair.flush_device();
    }
    assert_eq!(pair.to_cloud, [0x30, 0, 0x30, 0, 0x30, 0, 0x10, 2, 0], "the last of them with a PING");
}

#[test]
fn a_pong_may_be_10_seconds_late_and_no_later() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE;
    pair.flush_device();
    let limit = pair.now + KEEPALIVE_GRACE;
    assert_eq!(pair.device_timeout(limit), Ok(()));
    assert_eq!(pair.device.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.device_timeout(limit + MICROSECOND), Err(TimeoutReason::NoPong));
}

#[test]
fn a_ping_that_cannot_be_sent_counts_as_sent_when_it_was_due() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE;
    let due = pair.now;
    assert_eq!(pair.device.next_timeout(), Some(due));
    assert_eq!(pair.device_timeout(due), Ok(()), "the transport takes nothing, so transmit is not called");
    let limit = due + KEEPALIVE_GRACE;
    assert_eq!(pair.device.next_timeout(), Some(limit + MICROSECOND), "a wake-up is served once");
    assert_eq!(pair.device_timeout(limit), Ok(()));
    assert_eq!(pair.device_timeout(limit + MICROSECOND), Err(TimeoutReason::NoPong));
}

#[test]
fn a_delayed_ping_is_sent_as_soon_as_possible() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE;
    assert_eq!(pair.device_timeout(pair.now), Ok(()));
    pair.now += Duration::from_secs(9);
    assert_eq!(pair.flush_device(), 3);
    assert_eq!(pair.device.next_timeout(), Some(pair.now + KEEPALIVE_GRACE + MICROSECOND));
}

#[test]
fn a_silent_device_times_out_after_two_intervals_and_10_seconds() {
    let mut pair = Pair::open();
    let limit = pair.now + Duration::from_secs(70);
    assert_eq!(pair.cloud_timeout(limit), Ok(()));
    assert_eq!(pair.cloud.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.cloud_timeout(limit + MICROSECOND), Err(TimeoutReason::Silent));
    pair.flush_cloud();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.device_events, [DeviceEvent::Bye { reason: ByeReason::Keepalive }]);
}

#[test]
fn an_empty_receive_does_not_move_the_timeout() {
    let mut pair = Pair::open();
    let (device, cloud) = (pair.device.next_timeout(), pair.cloud.next_timeout());
    pair.now += Duration::from_secs(20);
    pair.deliver_to_cloud(usize::MAX).unwrap();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!((pair.device.next_timeout(), pair.cloud.next_timeout()), (device, cloud));
}

#[test]
fn credit_of_the_cloud_goes_with_the_next_frame() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    pair.device_sends(channel, to_cloud::DATA, &[1; 100]);
    pair.exchange();
    pair.cloud.consume(channel, 100);
    assert_eq!(pair.flush_cloud(), 0);
    pair.cloud.send_time(WALL);
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Time { wall: WALL }, DeviceEvent::Window { channel }]);
    assert_eq!(pair.device.window(channel), WINDOW);
}

#[test]
fn links_stay_small() {
    assert!(size_of::<link::device::DeviceLink>() <= 1536, "{}", size_of::<link::device::DeviceLink>());
    assert!(size_of::<cloud::CloudLink>() <= 2560, "{}", size_of::<cloud::CloudLink>());
}

/// Shows D25.
#[test]
fn the_time_is_requested_and_sent() {
    let mut pair = Pair::open();
    pair.device.request_time();
    pair.exchange();
    assert_eq!(pair.cloud_events, [CloudEvent::TimeQuery]);
    pair.cloud.send_time(WALL + MICROSECOND);
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Time { wall: WALL + MICROSECOND }]);
}

/// Shows D70.
#[test]
fn log_messages_carry_number_and_time_and_are_acknowledged() {
    let mut pair = Pair::open();
    let mut out = [0; LOG_FRAME];
    let text = [b'x'; 1024];
    let head = LogHead { sequence: 7, clock: Instant::from_micros(123_456) };
    let written = pair.device.log_frame(pair.now, &head, text.len(), &mut out).unwrap();
    pair.to_cloud.extend(&out[..written]);
    pair.to_cloud.extend(&text);
    pair.exchange();
    assert_eq!(
        pair.cloud_events,
        [CloudEvent::Log { sequence: 7, clock: Instant::from_micros(123_456), text: text.to_vec() }]
    );
    pair.cloud.acknowledge_logs(7);
    pair.cloud.set_logging(false);
    pair.exchange();
    assert_eq!(
        pair.device_events,
        [DeviceEvent::LogTaken { sequence: 7 }, DeviceEvent::Logging { enabled: false }]
    );
    assert_eq!(pair.device.log_frame(pair.now, &head, 1025, &mut out), None);
}

#[test]
fn after_bye_nothing_received_counts() {
    let mut pair = Pair::open();
    pair.device.send_bye(ByeReason::Done, "the network is no longer needed");
    pair.exchange();
    let text = b"the network is no longer needed".to_vec();
    assert_eq!(pair.cloud_events, [CloudEvent::Bye { reason: ByeReason::Done, text }]);
    pair.to_device.extend([0xff; 40]);
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.device_events, []);
    assert!(pair.device.is_closing() && pair.cloud.is_closing());
}

#[test]
fn a_lost_connection_leaves_nothing_to_the_next() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device.request_time();
    pair.device.handle(pair.now, &mut Input::Lost).unwrap();
    assert_eq!(pair.device.window(channel), 0);
    assert_eq!(pair.device.transmit(pair.now, &mut [0; 160]), 0);
    pair.device.handle(pair.now, &mut Input::Connected(&common::HELLO)).unwrap();
    let mut out = [0; 160];
    let written = pair.device.transmit(pair.now, &mut out);
    assert_eq!(link::Header::decode(&out[..written]).unwrap().unwrap().0.kind, to_cloud::HELLO);
    assert_eq!(written, 2 + 40, "HELLO alone");
}

#[test]
fn open_carries_type_and_ring() {
    let mut pair = Pair::open();
    let channel = pair.device.open_channel(MQTT, RING).unwrap();
    assert_eq!(channel, 1);
    assert_eq!(pair.device.window(channel), 0, "not before OPEN has gone");
    assert_eq!(
        pair.device.channel_frame(pair.now, channel, to_cloud::PUBLISH, 1, false),
        Err(SendError::NotOpen)
    );
    pair.exchange();
    assert_eq!(
        pair.cloud_events,
        [CloudEvent::Open { channel, open: Open { channel_type: MQTT, ring: RING } }]
    );
    assert_eq!(pair.device.window(channel), WINDOW);
    assert_eq!(pair.cloud.free_ring_bytes(channel), RING);
}

#[test]
fn a_channel_closed_before_open_is_sent_needs_no_frames() {
    let mut pair = Pair::open();
    let channel = pair.device.open_channel(MQTT, RING).unwrap();
    pair.device.close_channel(channel);
    assert_eq!(pair.flush_device(), 0);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
}

#[test]
fn a_number_is_reused_only_after_both_close_and_closed() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device.close_channel(channel);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(2));
    pair.flush_device();
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(3), "CLOSE has gone, CLOSED has not come");
    pair.exchange();
    assert_eq!(pair.device_events, [], "the application closed it and gets no event");
    assert!(pair.cloud_events.contains(&CloudEvent::Close { channel }));
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(1));
    pair.exchange();
}

#[test]
fn a_channel_ended_by_the_cloud_frees_its_number_once_close_is_sent() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.cloud.close_channel(channel, ClosureReason::ConnectionTerminated);
    pair.flush_cloud();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(
        pair.device_events,
        [DeviceEvent::Closed { channel, reason: ClosureReason::ConnectionTerminated }]
    );
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(2), "CLOSE is still pending");
    pair.exchange();
    assert_eq!(
        pair.cloud_events,
        [CloudEvent::Open { channel: 2, open: Open { channel_type: MQTT, ring: RING } }]
    );
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(1));
    pair.exchange();
}

#[test]
fn ends_that_close_at_the_same_time_agree() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device.close_channel(channel);
    pair.cloud.close_channel(channel, ClosureReason::ClosedByServer);
    pair.flush_device();
    pair.flush_cloud();
    pair.exchange();
    pair.deliver_to_cloud(usize::MAX).unwrap();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!((pair.device_events.as_slice(), pair.cloud_events.as_slice()), (&[][..], &[][..]));
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.exchange();
    assert!(pair.cloud.is_channel_open(channel));
}

#[test]
fn an_end_that_crosses_a_cut_item_leaves_no_trace_of_it() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::Http);
    let header = pair.device.channel_frame(pair.now, channel, to_cloud::HTTP_REQUEST, 4, true).unwrap();
    pair.to_cloud.extend(header.as_slice());
    pair.to_cloud.extend(b"\x03GET");
    pair.cloud.close_channel(channel, ClosureReason::ConnectionTerminated);
    pair.flush_cloud();
    pair.deliver_to_device(usize::MAX).unwrap();
    pair.exchange();
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.exchange();
    assert_eq!(pair.device_sends(channel, to_cloud::PUBLISH, b"\x00\x01a!"), 4);
    pair.exchange();
}

#[test]
fn an_end_in_the_middle_of_a_message_leaves_no_trace_of_it() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 700).unwrap();
    let (header, length) = pair.cloud.next_fragment(channel, 300).unwrap();
    pair.to_device.extend(header.as_slice());
    pair.to_device.extend([&b"\x00\x01"[..], &vec![b'm'; length - 2]].concat());
    pair.cloud.close_channel(channel, ClosureReason::ResetByServer);
    assert_eq!(pair.cloud.next_fragment(channel, 300), None);
    pair.exchange();
    assert!(matches!(pair.device_events[0], DeviceEvent::Item { first: true, last: false, .. }));
    assert_eq!(
        pair.device_events[1..],
        [DeviceEvent::Closed { channel, reason: ClosureReason::ResetByServer }]
    );
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.exchange();
    pair.device_sends(channel, to_cloud::CONNECT, b"\0\0\0\0\0");
    pair.exchange();
    pair.cloud_answers(channel, to_device::CONNECTED, &[0, 0]);
    pair.exchange();
    assert!(matches!(pair.device_events.last(), Some(DeviceEvent::Answer { .. })));
}

#[test]
fn there_are_15_channel_numbers() {
    let mut pair = Pair::open();
    for channel in 1..=CHANNELS as u8 {
        assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    }
    assert_eq!(pair.device.open_channel(MQTT, RING), Err(NoFreeChannel));
    pair.exchange();
    assert_eq!(pair.cloud_events.len(), CHANNELS);
}

#[test]
fn a_request_gets_one_answer() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device_sends(channel, to_cloud::CONNECT, b"\0\0\0\0\0");
    pair.exchange();
    let outcome = Outcome { state: RequestState::NameNotResolved, reason: 0 };
    let mut body = [0; Outcome::MAX];
    let length = outcome.encode(&mut body);
    pair.cloud_answers(channel, to_device::CONNECTED, &body[..length]);
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Answer { channel, answer: Answer::Connected(outcome) }]);
    let mut out = [0; cloud::ANSWER_FRAME];
    assert_eq!(
        pair.cloud.write_answer(channel, to_device::CONNECTED, &body[..length], &mut out),
        Err(SendError::OutOfOrder)
    );
}

/// Shows D45.
#[test]
fn a_device_keeps_to_the_requests_it_may_have_in_flight() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    for slot in 0..16 {
        assert_eq!(pair.device_sends(channel, to_cloud::PUBLISH, &[slot, 1, b'a']), 3);
    }
    let now = pair.now;
    assert_eq!(
        pair.device.channel_frame(now, channel, to_cloud::PUBLISH, 3, false),
        Err(SendError::OutOfOrder)
    );
    for kind in [to_cloud::SUBSCRIBE, to_cloud::UNSUBSCRIBE, to_cloud::DISCONNECT] {
        assert!(pair.device.channel_frame(now, channel, kind, 0, false).is_ok());
        assert_eq!(pair.device.channel_frame(now, channel, kind, 0, false), Err(SendError::OutOfOrder));
    }
}

#[test]
fn an_item_longer_than_the_window_is_completed() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    let body = vec![7; 100_000];
    let mut sent = 0;
    while sent < body.len() {
        let left = (body.len() - sent) as u32;
        let (length, more) = pair.device.next_fragment(channel, left, usize::MAX).expect("there is credit");
        let header = pair.device.channel_frame(pair.now, channel, to_cloud::PUBLISH, length, more).unwrap();
        pair.to_cloud.extend(header.as_slice());
        pair.to_cloud.extend(&body[sent..][..usize::from(length)]);
        sent += usize::from(length);
        pair.deliver_to_cloud(usize::MAX).unwrap();
        pair.exchange();
    }
    let received: usize = pair
        .cloud_events
        .iter()
        .map(|event| if let CloudEvent::Item { bytes, .. } = event { bytes.len() } else { 0 })
        .sum();
    assert_eq!(received, body.len());
    assert!(matches!(pair.cloud_events.last(), Some(CloudEvent::Item { last: true, .. })));
}

#[test]
fn items_the_cloud_has_not_consumed_hold_the_device_back() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    for _ in 0..4 {
        assert_eq!(pair.device_sends(channel, to_cloud::DATA, &[1; MAX_FRAME_BODY]), MAX_FRAME_BODY);
    }
    pair.exchange();
    assert_eq!(pair.device.window(channel), 0);
    assert_eq!(pair.device_sends(channel, to_cloud::DATA, &[1; 10]), 0);
    assert_eq!(
        pair.device.channel_frame(pair.now, channel, to_cloud::DATA, 1, false),
        Err(SendError::Blocked)
    );
    pair.cloud.consume(channel, 4095);
    pair.exchange();
    assert_eq!(pair.device_events, [], "not yet a quarter");
    pair.cloud.consume(channel, 1);
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Window { channel }]);
    assert_eq!(pair.device.window(channel), 4096);
    pair.cloud.consume(channel, u32::MAX);
    pair.exchange();
    assert_eq!(pair.device.window(channel), WINDOW, "never more than WELCOME said");
}

fn message(pair: &mut Pair, channel: u8, content: usize) {
    pair.cloud_sends(channel, to_device::MESSAGE, b"\x00\x01", &vec![b'm'; content]);
    pair.deliver_to_device(usize::MAX).unwrap();
    pair.device.store(channel, content as u32).unwrap();
}

/// Shows D49.
#[test]
fn a_cloud_sends_no_more_than_the_ring_holds() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 1000);
    assert_eq!(pair.cloud.free_ring_bytes(channel), 536);
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 537), Err(SendError::Blocked));
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING + 1), Err(SendError::Invalid));
    message(&mut pair, channel, 536);
    assert_eq!(pair.cloud.free_ring_bytes(channel), 0);
}

#[test]
fn a_cloud_has_no_more_than_32_messages_outstanding() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    for left in (0..MESSAGE_ITEMS).rev() {
        message(&mut pair, channel, 1);
        assert_eq!(pair.cloud.free_message_items(channel), left);
    }
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 1), Err(SendError::Blocked));
    pair.device.return_credit(channel, 1, 1);
    pair.exchange();
    assert_eq!(pair.cloud.free_message_items(channel), 1, "the cloud waited, so one is enough to send");
}

#[test]
fn credit_is_sent_by_the_quarter() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 1000);
    pair.device.return_credit(channel, 383, 0);
    assert_eq!(pair.flush_device(), 0);
    assert!(!pair.device.wants_transmit(pair.now));
    pair.device.return_credit(channel, 1, 0);
    assert!(pair.device.wants_transmit(pair.now));
    pair.exchange();
    let credit = RingCredit { bytes: 384, items: 0 };
    assert_eq!(pair.cloud_events, [CloudEvent::Credit { channel, credit }]);
    assert_eq!(pair.cloud.free_ring_bytes(channel), 536 + 384);
}

#[test]
fn eight_messages_are_a_quarter_too() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    for _ in 0..8 {
        message(&mut pair, channel, 1);
    }
    pair.device.return_credit(channel, 7, 7);
    assert_eq!(pair.flush_device(), 0);
    pair.device.return_credit(channel, 1, 1);
    assert!(pair.flush_device() > 0);
}

#[test]
fn credit_goes_with_the_next_frame() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 10);
    pair.device.return_credit(channel, 10, 1);
    assert_eq!(pair.flush_device(), 0);
    pair.device.request_time();
    pair.exchange();
    let credit = RingCredit { bytes: 10, items: 1 };
    assert_eq!(pair.cloud_events, [CloudEvent::TimeQuery, CloudEvent::Credit { channel, credit }]);

    message(&mut pair, channel, 10);
    pair.device.return_credit(channel, 10, 1);
    let mut out = [0; 64];
    assert_eq!(pair.device.transmit_credit(pair.now, &mut out), 4);
    assert_eq!(out[..4], [0x21, 4, 10, 1]);
}

#[test]
fn credit_for_a_blocked_message_is_sent_at_once() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 300);
    pair.device.return_credit(channel, 300, 1);
    assert_eq!(pair.flush_device(), 0, "300 of 1536 is below a quarter");
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING), Err(SendError::Blocked));
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING), Err(SendError::Blocked));
    pair.exchange();
    let credit = RingCredit { bytes: 300, items: 1 };
    assert_eq!(pair.cloud_events, [CloudEvent::Credit { channel, credit }]);
    message(&mut pair, channel, RING as usize);
    pair.device.return_credit(channel, 1, 0);
    assert_eq!(pair.flush_device(), 0, "the message has come, so the quarter counts again");
}

#[test]
fn after_blocked_credit_is_sent_as_it_arises() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 1500);
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 40), Err(SendError::Blocked));
    pair.exchange();
    for _ in 0..2 {
        pair.device.return_credit(channel, 2, 0);
        pair.exchange();
    }
    assert_eq!(pair.cloud_events.len(), 2, "each at once");
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 40), Ok(()));
}

#[test]
fn credit_passes_between_the_fragments_of_an_item() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    pair.cloud_sends(channel, to_device::DATA, &[], &[5; 1000]);
    pair.deliver_to_device(usize::MAX).unwrap();
    pair.device.store(channel, 1000).unwrap();
    let header = pair.device.channel_frame(pair.now, channel, to_cloud::DATA, 2, true).unwrap();
    pair.to_cloud.extend(header.as_slice());
    pair.to_cloud.extend([1, 2]);
    pair.device.return_credit(channel, 1000, 0);
    pair.flush_device();
    let header = pair.device.channel_frame(pair.now, channel, to_cloud::DATA, 1, false).unwrap();
    pair.to_cloud.extend(header.as_slice());
    pair.to_cloud.push_back(3);
    pair.exchange();
    assert_eq!(pair.cloud.free_ring_bytes(channel), RING);
    assert_eq!(pair.cloud_events.len(), 3);
}

#[test]
fn frames_that_do_not_fit_wait_for_the_next_turn() {
    let mut pair = Pair::open();
    for _ in 0..3 {
        pair.device.open_channel(MQTT, RING).unwrap();
    }
    let mut out = [0; 7];
    for number in 1..=3 {
        assert_eq!(pair.device.transmit(pair.now, &mut out), 5);
        assert_eq!(out[..5], [number, 6, 1, 0x80, 0x0c]);
    }
    assert_eq!(pair.device.transmit(pair.now, &mut out), 0);
}
