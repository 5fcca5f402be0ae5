//! Backpressure both ways, long items, and what is too large.

mod common;

use common::{ConnectRequest, RING, Received, Rig, published};
use link::channel::ChannelType;
use link::kind::to_cloud;
use link::mqtt::RequestState as State;
use link::{MAX_ITEM, MESSAGE_ITEMS};

fn numbered(version5: bool, number: u16, length: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(length, 0x55);
    common::message(version5, None, "t", payload)
}

fn numbers(received: &[Received]) -> Vec<u16> {
    let number = |received: &Received| match received {
        Received::Message { payload, .. } => Some(u16::from_be_bytes([payload[0], payload[1]])),
        _ => None,
    };
    received.iter().filter_map(number).collect()
}

/// Shows D49.
#[test]
fn a_full_ring_holds_the_broker_back_and_nothing_is_lost() {
    for version5 in [false, true] {
        let (mut rig, channel) = Rig::with_broker(version5, RING);
        rig.reads = false;
        let mut sent = 0;
        while !rig.socket(1).is_paused {
            rig.broker_sends(1, numbered(version5, sent, 500));
            sent += 1;
            assert!(sent < 300, "the broker is not held back");
        }
        assert_eq!(numbers(&rig.received), [0, 1, 2], "three fit the ring");
        rig.reads = true;
        rig.read(channel, 1);
        rig.pump();
        assert!(!rig.socket(1).is_paused);
        assert_eq!(numbers(&rig.received), (0..sent).collect::<Vec<_>>());
    }
}

/// Shows D49.
#[test]
fn no_more_than_32_messages_are_outstanding_however_small() {
    let (mut rig, channel) = Rig::with_broker(false, 65_536);
    rig.reads = false;
    for number in 0..90 {
        rig.broker_sends(1, numbered(false, number, 2));
    }
    assert_eq!(rig.received.len(), usize::from(MESSAGE_ITEMS));
    rig.reads = true;
    rig.read(channel, usize::MAX);
    rig.pump();
    assert_eq!(numbers(&rig.received), (0..90).collect::<Vec<_>>());
}

/// Shows D49.
#[test]
fn messages_continue_without_another_input_when_the_device_has_room() {
    let (mut rig, channel) = Rig::with_broker(false, 600_000);
    rig.reads = false;
    let mut bytes = Vec::new();
    for number in 0..5 {
        bytes.extend(numbered(false, number, 40_000));
    }
    rig.broker_sends(1, bytes);
    assert_eq!(numbers(&rig.received), [0, 1, 2, 3, 4]);
    assert!(!rig.socket(1).is_paused);
    assert_eq!(rig.unread(channel), 5);
}

/// Shows M12, D47, D96.
#[test]
fn a_full_ring_delays_no_answer_that_is_known() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.reads = false;
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 1, "t", "p"));
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "a")]));
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a"]));
    rig.broker_sends(1, numbered(false, 0, 500).repeat(60));
    rig.broker_sends(1, [0x40, 2, 0, 1, 0x90, 3, 0, 2, 0, 0xb0, 2, 0, 3]);
    assert!(!rig.socket(1).is_paused, "it was all taken");
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
    let completed = |slot| published(slot, State::Completed, 0);
    let (subscribed, unsubscribed) = (common::subscribed(&[0]), common::unsubscribed(&[0]));
    assert_eq!(rig.answers(), [completed(1), subscribed, unsubscribed, completed(0)]);
    assert_eq!(rig.unread(channel), 1);
}

/// Shows D49.
#[test]
fn a_slow_channel_does_not_stall_another() {
    let (mut rig, slow) = Rig::with_broker(false, 512);
    rig.reads = false;
    rig.broker_sends(1, numbered(false, 0, 500).repeat(120));
    assert!(rig.socket(1).is_paused);
    let quick = rig.open_channel(ChannelType::Mqtt, RING);
    rig.received.clear();
    rig.connect(quick, false, 2);
    rig.reads = true;
    for number in 0..200 {
        rig.broker_sends(2, numbered(false, number, 900));
    }
    assert_eq!(numbers(&rig.received), (0..200).collect::<Vec<_>>());
    assert_eq!(rig.unread(slow), 1);
    rig.send(quick, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
    assert!(rig.answers().contains(&published(0, State::Completed, 0)));
}

/// Shows D49.
#[test]
fn long_messages_of_two_channels_take_turns() {
    let (mut rig, first) = Rig::with_broker(false, 200_000);
    let second = rig.open_channel(ChannelType::Mqtt, 200_000);
    rig.connect(second, false, 2);
    for (connection, bytes) in [(1, numbered(false, 1, 100_000)), (2, numbered(false, 2, 10))] {
        let connection = relay::ConnectionId(connection);
        rig.relay.handle(rig.now, relay::Input::ConnectionReceived { connection, bytes: &bytes }).unwrap();
    }
    rig.pump();
    let channels =
        |received: &Received| if let Received::Message { channel, .. } = received { *channel } else { 0 };
    let order: Vec<u8> = rig.received().iter().map(channels).collect();
    assert_eq!(order, [second, first], "the short one did not wait for the long one that was first");
}

/// Shows D49.
#[test]
fn a_message_that_could_never_fit_is_announced_and_acknowledged() {
    for version5 in [false, true] {
        let (mut rig, channel) = Rig::with_broker(version5, 512);
        rig.broker_sends(1, common::message(version5, Some(9), "topic", [0; 508]));
        assert_eq!(rig.received(), [Received::Lost { channel, length: 508, topic: b"topic".into() }]);
        assert_eq!(rig.sent(1), [0x40, 2, 0, 9]);
        rig.broker_sends(1, common::message(version5, Some(9), "topic", [0; 507]));
        assert!(matches!(rig.received()[..], [Received::Message { .. }]), "just fits");
        assert_eq!(rig.sent(1), b"");
    }
}

/// Shows D48, D49.
#[test]
fn the_acknowledgement_of_a_lost_message_waits_for_those_before_it() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.broker_sends(1, common::message(false, Some(8), "t", ""));
    rig.broker_sends(1, common::message(false, Some(9), "t", [0; 600]));
    assert_eq!(rig.sent(1), b"");
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(0));
    assert_eq!(rig.sent(1), [0x40, 2, 0, 8, 0x40, 2, 0, 9]);
}

/// Shows D49.
#[test]
fn the_topic_of_a_lost_message_is_cut_to_the_ring() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.broker_sends(1, common::message(false, None, "x".repeat(600), "payload"));
    assert_eq!(rig.received(), [Received::Lost { channel, length: 7, topic: vec![b'x'; 512] }]);
}

/// Shows D49, D98.
#[test]
fn a_message_longer_than_an_item_is_lost_whatever_the_ring() {
    let (mut rig, channel) = Rig::with_broker(false, 600_000);
    let fits = MAX_ITEM as usize - 1 - 1 - 1;
    rig.broker_sends(1, common::message(false, None, "t", vec![7; fits]));
    assert!(matches!(&rig.received()[..], [Received::Message { payload, .. }] if payload.len() == fits));
    rig.broker_sends(1, common::message(false, Some(3), "t", vec![7; fits]));
    assert_eq!(rig.received(), [Received::Lost { channel, length: fits as u32, topic: b"t".into() }]);
    assert_eq!(rig.sent(1), [0x40, 2, 0, 3]);
}

/// Shows D49.
#[test]
fn on_3_1_1_a_message_beyond_all_bounds_is_lost_and_the_connection_stays() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    let bytes = common::message(false, Some(3), "t", vec![7; 1_000_000]);
    for chunk in bytes.chunks(16_384) {
        rig.broker_sends(1, chunk);
    }
    assert_eq!(rig.received(), [Received::Lost { channel, length: 1_000_000, topic: b"t".into() }]);
    assert_eq!(rig.sent(1), [0x40, 2, 0, 3]);
}

/// Shows M61.
#[test]
fn a_publish_as_long_as_an_item_can_be_goes_to_the_broker() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    let payload: Vec<u8> = (0..MAX_ITEM - 3).map(|number| number as u8).collect();
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", &payload));
    assert_eq!(rig.answers(), [published(0, State::Completed, 0)]);
    let sent = rig.sent(1);
    assert_eq!(sent[..7], [0x30, 0x80, 0x80, 0x10, 0, 1, b't']);
    assert_eq!(sent[7..], payload);
}

/// Shows M61, D45.
#[test]
fn sixteen_publishes_of_the_greatest_length_can_be_in_flight() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    let topic = "x".repeat(65_535);
    rig.send(channel, to_cloud::TOPIC, &common::topic(0, &topic));
    let payload = vec![1; MAX_ITEM as usize - 2];
    for slot in 0..16 {
        rig.send(channel, to_cloud::PUBLISH, &common::publish_numbered(slot, true, 0, &payload));
    }
    assert_eq!(rig.received, []);
    assert_eq!(rig.sent(1).len(), 16 * (1 + 3 + 2 + 65_535 + 2 + payload.len()));
}

/// Shows D45, D124.
#[test]
fn sixteen_with_the_longest_topics_come_through_a_broker_that_seldom_takes_anything() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::TOPIC, &common::topic(0, "x".repeat(65_535)));
    rig.writes = false;
    let payload = vec![1; 63 * 4096 - 1];
    for slot in 0..16 {
        let body = common::publish_numbered(slot, true, 0, &payload);
        let mut sent = rig.try_send(channel, to_cloud::PUBLISH, &body);
        while sent < body.len() {
            rig.written(1, usize::MAX);
            sent += rig.try_send(channel, to_cloud::PUBLISH, &body[sent..]);
        }
    }
    assert_eq!(rig.received, [], "none was refused");
}

/// Shows D45.
#[test]
fn sixteen_of_the_longest_are_taken_though_the_broker_takes_nothing() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    rig.writes = false;
    let payload = vec![1; MAX_ITEM as usize - 3];
    let mut sent = 0;
    for slot in 0..16 {
        let body = common::publish(slot, 1, "t", &payload);
        sent += rig.try_send(channel, to_cloud::PUBLISH, &body);
        if rig.device.window(channel) < 4096 {
            break;
        }
    }
    assert!(rig.received.is_empty(), "none was refused");
    assert!(sent < 2 << 20, "the window shut while the broker took nothing: {sent}");
    rig.written(1, usize::MAX);
    rig.written(1, usize::MAX);
    assert_eq!(rig.device.window(channel), relay::limits::WINDOW);
}

/// Shows M61.
#[test]
fn the_window_opens_only_as_the_broker_takes_bytes() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.writes = false;
    let mut slot = 0;
    while rig.device.window(channel) >= 4096 {
        rig.send(channel, to_cloud::PUBLISH, &common::publish(slot % 16, 0, "t", vec![0; 4000]));
        slot += 1;
        if slot % 16 == 0 {
            break;
        }
    }
    assert_eq!(rig.received, []);
    let total = rig.socket(1).untaken.len();
    assert!(total < relay::limits::MAX_UNSENT_BYTES + 2 * relay::limits::WINDOW as usize, "{total}");
    rig.written(1, usize::MAX);
    rig.written(1, usize::MAX);
    assert!(rig.device.window(channel) > 3 * relay::limits::WINDOW / 4);
}

/// Shows M61.
#[test]
fn the_window_is_given_back_however_the_bytes_come() {
    for chunk in [1, 2, 3, 100] {
        let (mut rig, channel) = Rig::with_broker(false, RING);
        for _ in 0..100 {
            let body = common::publish(0, 0, "t", vec![0; 1000]);
            let (length, more) =
                rig.device.next_fragment(channel, body.len() as u32, 4096).expect("the window stays open");
            assert!(!more);
            let header = rig.device.channel_frame(rig.now, channel, to_cloud::PUBLISH, length, more).unwrap();
            let frame = [header.as_slice(), &body].concat();
            for bytes in frame.chunks(chunk) {
                rig.input(relay::Input::LinkReceived(bytes));
            }
        }
        assert_eq!(rig.answers().len(), 100);
        assert!(rig.device.window(channel) > 3 * relay::limits::WINDOW / 4);
    }
}

/// Shows D48, D49.
#[test]
fn on_version_5_unacknowledged_messages_stay_within_what_was_announced() {
    let (mut rig, channel) = Rig::with_broker(true, 65_536);
    for packet_id in 1..=32 {
        rig.broker_sends(1, common::message(true, Some(packet_id), "t", ""));
    }
    assert_eq!(rig.received().len(), 32);
    for delivery in 0..32 {
        rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(delivery));
    }
    assert_eq!(rig.sent(1).len(), 32 * 4);
}

/// Shows D49.
#[test]
fn a_slow_application_does_not_cost_the_broker_its_keepalive() {
    let (mut rig, channel) = Rig::with_channel(512);
    rig.send(
        channel,
        to_cloud::CONNECT,
        &ConnectRequest { keepalive: 5, ..ConnectRequest::default() }.body(),
    );
    rig.opened(1);
    rig.broker_sends(1, common::connack(false));
    rig.received.clear();
    rig.reads = false;
    rig.broker_sends(1, numbered(false, 1, 500).repeat(120));
    assert!(rig.socket(1).is_paused);
    rig.wait(100_000);
    rig.reads = true;
    rig.read(channel, 1);
    rig.pump();
    assert_eq!(rig.received.len(), 120);
    assert!(rig.sent(1).contains(&0xc0));
}
