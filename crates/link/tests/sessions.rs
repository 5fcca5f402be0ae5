//! The two ends driven against each other (link.md §3, §5, §6).

mod common;

use common::{Heard, KEEPALIVE, Pair, RING, Told, WALL, WINDOW};
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
fn a_device_says_hello_and_is_welcomed() {
    let mut pair = Pair::connected();
    pair.settle();
    assert_eq!(pair.heard, [Heard::Hello(common::HELLO)]);
    assert!(!pair.device.is_open());
    pair.cloud.send_welcome(KEEPALIVE, WINDOW, WALL, true);
    pair.settle();
    assert_eq!(pair.told, [Told::Welcome { wall: WALL, logging: true }]);
    assert!(pair.device.is_open());
}

#[test]
fn a_device_of_another_version_is_told_so() {
    let mut pair = Pair::connected();
    let hello = link::connection::Hello { version: 2, ..common::HELLO };
    pair.device.handle(pair.now, &mut Input::Connected(&hello)).unwrap();
    pair.settle();
    assert_eq!(pair.heard, []);
    assert_eq!(pair.told, [Told::Bye { reason: ByeReason::Version }]);
    assert!(pair.cloud.is_closing() && pair.device.is_closing());
}

#[test]
fn a_device_turned_away_is_told_why() {
    let mut pair = Pair::connected();
    pair.settle();
    pair.cloud.send_bye(ByeReason::Revoked, "revoked");
    pair.settle();
    assert_eq!(pair.told, [Told::Bye { reason: ByeReason::Revoked }]);
}

#[test]
fn a_device_waits_15_seconds_for_its_welcome_and_no_longer() {
    let mut pair = Pair::connected();
    pair.flush_device();
    let limit = pair.now + HELLO_TIMEOUT;
    assert_eq!(pair.device_timeout(limit), Ok(()));
    assert_eq!(pair.device.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.device_timeout(limit + MICROSECOND), Err(TimeoutReason::NoWelcome));
}

#[test]
fn a_cloud_waits_15_seconds_for_a_hello_and_no_longer() {
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
    assert_eq!((pair.told, pair.heard), (vec![], vec![]));
}

#[test]
fn a_device_that_only_sends_pings_to_learn_whether_anyone_hears() {
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
fn a_ping_that_finds_no_way_out_counts_as_sent_when_it_was_due() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE;
    let due = pair.now;
    assert_eq!(pair.device.next_timeout(), Some(due));
    assert_eq!(pair.device_timeout(due), Ok(()), "the transport takes nothing, so nothing is asked for");
    let limit = due + KEEPALIVE_GRACE;
    assert_eq!(pair.device.next_timeout(), Some(limit + MICROSECOND), "a wake-up is served once");
    assert_eq!(pair.device_timeout(limit), Ok(()));
    assert_eq!(pair.device_timeout(limit + MICROSECOND), Err(TimeoutReason::NoPong));
}

#[test]
fn a_ping_that_was_held_up_leaves_as_soon_as_it_can() {
    let mut pair = Pair::open();
    pair.now += KEEPALIVE;
    assert_eq!(pair.device_timeout(pair.now), Ok(()));
    pair.now += Duration::from_secs(9);
    assert_eq!(pair.flush_device(), 3);
    assert_eq!(pair.device.next_timeout(), Some(pair.now + KEEPALIVE_GRACE + MICROSECOND));
}

#[test]
fn a_silent_device_is_given_up_after_two_intervals_and_10_seconds() {
    let mut pair = Pair::open();
    let limit = pair.now + Duration::from_secs(70);
    assert_eq!(pair.cloud_timeout(limit), Ok(()));
    assert_eq!(pair.cloud.next_timeout(), Some(limit + MICROSECOND));
    assert_eq!(pair.cloud_timeout(limit + MICROSECOND), Err(TimeoutReason::Silent));
    pair.flush_cloud();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.told, [Told::Bye { reason: ByeReason::Keepalive }]);
}

#[test]
fn nothing_received_is_no_sign_of_life() {
    let mut pair = Pair::open();
    let (device, cloud) = (pair.device.next_timeout(), pair.cloud.next_timeout());
    pair.now += Duration::from_secs(20);
    pair.deliver_to_cloud(usize::MAX).unwrap();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!((pair.device.next_timeout(), pair.cloud.next_timeout()), (device, cloud));
}

#[test]
fn credit_of_the_cloud_rides_with_whatever_goes_anyway() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    pair.device_sends(channel, to_cloud::DATA, &[1; 100]);
    pair.settle();
    pair.cloud.consume(channel, 100);
    assert_eq!(pair.flush_cloud(), 0);
    pair.cloud.send_time(WALL);
    pair.settle();
    assert_eq!(pair.told, [Told::Time { wall: WALL }, Told::Window { channel }]);
    assert_eq!(pair.device.window(channel), WINDOW);
}

#[test]
fn sessions_stay_small() {
    assert!(size_of::<link::device::DeviceLink>() <= 1536, "{}", size_of::<link::device::DeviceLink>());
    assert!(size_of::<cloud::CloudLink>() <= 2560, "{}", size_of::<cloud::CloudLink>());
}

/// Shows D25.
#[test]
fn the_time_is_asked_for_and_told() {
    let mut pair = Pair::open();
    pair.device.request_time();
    pair.settle();
    assert_eq!(pair.heard, [Heard::TimeQuery]);
    pair.cloud.send_time(WALL + MICROSECOND);
    pair.settle();
    assert_eq!(pair.told, [Told::Time { wall: WALL + MICROSECOND }]);
}

/// Shows D70.
#[test]
fn log_messages_travel_with_number_and_time_and_are_taken() {
    let mut pair = Pair::open();
    let mut out = [0; LOG_FRAME];
    let text = [b'x'; 1024];
    let head = LogHead { sequence: 7, clock: Instant::from_micros(123_456) };
    let written = pair.device.log_frame(pair.now, &head, text.len(), &mut out).unwrap();
    pair.to_cloud.extend(&out[..written]);
    pair.to_cloud.extend(&text);
    pair.settle();
    assert_eq!(
        pair.heard,
        [Heard::Log { sequence: 7, clock: Instant::from_micros(123_456), text: text.to_vec() }]
    );
    pair.cloud.acknowledge_logs(7);
    pair.cloud.set_logging(false);
    pair.settle();
    assert_eq!(pair.told, [Told::LogTaken { sequence: 7 }, Told::Logging { enabled: false }]);
    assert_eq!(pair.device.log_frame(pair.now, &head, 1025, &mut out), None);
}

#[test]
fn either_end_says_bye_and_hears_nothing_more() {
    let mut pair = Pair::open();
    pair.device.send_bye(ByeReason::Done, "nobody needs the network");
    pair.settle();
    let text = b"nobody needs the network".to_vec();
    assert_eq!(pair.heard, [Heard::Bye { reason: ByeReason::Done, text }]);
    pair.to_device.extend([0xff; 40]);
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.told, []);
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
fn an_opened_channel_is_told_with_type_and_ring() {
    let mut pair = Pair::open();
    let channel = pair.device.open_channel(MQTT, RING).unwrap();
    assert_eq!(channel, 1);
    assert_eq!(pair.device.window(channel), 0, "not before OPEN has gone");
    assert_eq!(
        pair.device.channel_frame(pair.now, channel, to_cloud::PUBLISH, 1, false),
        Err(SendError::NotOpen)
    );
    pair.settle();
    assert_eq!(pair.heard, [Heard::Open { channel, open: Open { channel_type: MQTT, ring: RING } }]);
    assert_eq!(pair.device.window(channel), WINDOW);
    assert_eq!(pair.cloud.free_ring_bytes(channel), RING);
}

#[test]
fn a_channel_closed_before_its_open_went_out_costs_nothing() {
    let mut pair = Pair::open();
    let channel = pair.device.open_channel(MQTT, RING).unwrap();
    pair.device.close_channel(channel);
    assert_eq!(pair.flush_device(), 0);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
}

#[test]
fn a_number_is_used_again_only_when_both_halves_have_passed() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device.close_channel(channel);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(2));
    pair.flush_device();
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(3), "CLOSE has gone, CLOSED has not come");
    pair.settle();
    assert_eq!(pair.told, [], "the application closed it and is told nothing");
    assert!(pair.heard.contains(&Heard::Close { channel }));
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(1));
    pair.settle();
}

#[test]
fn a_channel_ended_by_the_cloud_frees_its_number_once_close_has_gone() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.cloud.close_channel(channel, ClosureReason::ConnectionTerminated);
    pair.flush_cloud();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(pair.told, [Told::Closed { channel, reason: ClosureReason::ConnectionTerminated }]);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(2), "CLOSE is still owed");
    pair.settle();
    assert_eq!(pair.heard, [Heard::Open { channel: 2, open: Open { channel_type: MQTT, ring: RING } }]);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(1));
    pair.settle();
}

#[test]
fn ends_that_close_at_the_same_time_agree() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device.close_channel(channel);
    pair.cloud.close_channel(channel, ClosureReason::ClosedByServer);
    pair.flush_device();
    pair.flush_cloud();
    pair.settle();
    pair.deliver_to_cloud(usize::MAX).unwrap();
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!((pair.told.as_slice(), pair.heard.as_slice()), (&[][..], &[][..]));
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.settle();
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
    pair.settle();
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.settle();
    assert_eq!(pair.device_sends(channel, to_cloud::PUBLISH, b"\x00\x01a!"), 4);
    pair.settle();
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
    pair.settle();
    assert!(matches!(pair.told[0], Told::Item { first: true, last: false, .. }));
    assert_eq!(pair.told[1..], [Told::Closed { channel, reason: ClosureReason::ResetByServer }]);
    assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    pair.settle();
    pair.device_sends(channel, to_cloud::CONNECT, b"\0\0\0\0\0");
    pair.settle();
    pair.cloud_answers(channel, to_device::CONNECTED, &[0, 0]);
    pair.settle();
    assert!(matches!(pair.told.last(), Some(Told::Answer { .. })));
}

#[test]
fn numbers_are_finite() {
    let mut pair = Pair::open();
    for channel in 1..=CHANNELS as u8 {
        assert_eq!(pair.device.open_channel(MQTT, RING), Ok(channel));
    }
    assert_eq!(pair.device.open_channel(MQTT, RING), Err(NoFreeChannel));
    pair.settle();
    assert_eq!(pair.heard.len(), CHANNELS);
}

#[test]
fn a_request_gets_its_answer() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    pair.device_sends(channel, to_cloud::CONNECT, b"\0\0\0\0\0");
    pair.settle();
    let outcome = Outcome { state: RequestState::NameNotResolved, reason: 0 };
    let mut body = [0; Outcome::MAX];
    let length = outcome.encode(&mut body);
    pair.cloud_answers(channel, to_device::CONNECTED, &body[..length]);
    pair.settle();
    assert_eq!(pair.told, [Told::Answer { channel, answer: Answer::Connected(outcome) }]);
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
fn an_item_longer_than_the_window_comes_to_its_end() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    let body = vec![7; 100_000];
    let mut sent = 0;
    while sent < body.len() {
        let left = (body.len() - sent) as u32;
        let (length, more) = pair.device.next_fragment(channel, left, usize::MAX).expect("credit came");
        let header = pair.device.channel_frame(pair.now, channel, to_cloud::PUBLISH, length, more).unwrap();
        pair.to_cloud.extend(header.as_slice());
        pair.to_cloud.extend(&body[sent..][..usize::from(length)]);
        sent += usize::from(length);
        pair.deliver_to_cloud(usize::MAX).unwrap();
        pair.settle();
    }
    let received: usize = pair
        .heard
        .iter()
        .map(|heard| if let Heard::Item { bytes, .. } = heard { bytes.len() } else { 0 })
        .sum();
    assert_eq!(received, body.len());
    assert!(matches!(pair.heard.last(), Some(Heard::Item { last: true, .. })));
}

#[test]
fn items_the_cloud_has_not_taken_further_hold_the_device_back() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    for _ in 0..4 {
        assert_eq!(pair.device_sends(channel, to_cloud::DATA, &[1; MAX_FRAME_BODY]), MAX_FRAME_BODY);
    }
    pair.settle();
    assert_eq!(pair.device.window(channel), 0);
    assert_eq!(pair.device_sends(channel, to_cloud::DATA, &[1; 10]), 0);
    assert_eq!(
        pair.device.channel_frame(pair.now, channel, to_cloud::DATA, 1, false),
        Err(SendError::Blocked)
    );
    pair.cloud.consume(channel, 4095);
    pair.settle();
    assert_eq!(pair.told, [], "not yet a quarter");
    pair.cloud.consume(channel, 1);
    pair.settle();
    assert_eq!(pair.told, [Told::Window { channel }]);
    assert_eq!(pair.device.window(channel), 4096);
    pair.cloud.consume(channel, u32::MAX);
    pair.settle();
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
    pair.settle();
    assert_eq!(pair.cloud.free_message_items(channel), 1, "the cloud waited, so one was enough to tell");
}

#[test]
fn credit_goes_out_by_the_quarter() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 1000);
    pair.device.return_credit(channel, 383, 0);
    assert_eq!(pair.flush_device(), 0);
    assert!(!pair.device.wants_transmit(pair.now));
    pair.device.return_credit(channel, 1, 0);
    assert!(pair.device.wants_transmit(pair.now));
    pair.settle();
    let credit = RingCredit { bytes: 384, items: 0 };
    assert_eq!(pair.heard, [Heard::Credit { channel, credit }]);
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
fn credit_rides_with_whatever_goes_anyway() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 10);
    pair.device.return_credit(channel, 10, 1);
    assert_eq!(pair.flush_device(), 0);
    pair.device.request_time();
    pair.settle();
    let credit = RingCredit { bytes: 10, items: 1 };
    assert_eq!(pair.heard, [Heard::TimeQuery, Heard::Credit { channel, credit }]);

    message(&mut pair, channel, 10);
    pair.device.return_credit(channel, 10, 1);
    let mut out = [0; 64];
    assert_eq!(pair.device.transmit_credit(pair.now, &mut out), 4);
    assert_eq!(out[..4], [0x21, 4, 10, 1]);
}

#[test]
fn a_message_that_waits_for_room_gets_it_whatever_the_quarter_says() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 300);
    pair.device.return_credit(channel, 300, 1);
    assert_eq!(pair.flush_device(), 0, "300 of 1536 is below a quarter");
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING), Err(SendError::Blocked));
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING), Err(SendError::Blocked));
    pair.settle();
    let credit = RingCredit { bytes: 300, items: 1 };
    assert_eq!(pair.heard, [Heard::Credit { channel, credit }]);
    message(&mut pair, channel, RING as usize);
    pair.device.return_credit(channel, 1, 0);
    assert_eq!(pair.flush_device(), 0, "the message has come, so the quarter counts again");
}

#[test]
fn room_wanted_before_anything_is_free_is_told_as_it_becomes_free() {
    let (mut pair, channel) = Pair::with_channel(MQTT);
    message(&mut pair, channel, 1500);
    assert_eq!(pair.cloud.begin_item(channel, to_device::MESSAGE, 2, 40), Err(SendError::Blocked));
    pair.settle();
    for _ in 0..2 {
        pair.device.return_credit(channel, 2, 0);
        pair.settle();
    }
    assert_eq!(pair.heard.len(), 2, "each at once");
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
    pair.settle();
    assert_eq!(pair.cloud.free_ring_bytes(channel), RING);
    assert_eq!(pair.heard.len(), 3);
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
