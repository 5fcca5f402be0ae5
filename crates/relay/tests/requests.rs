//! Publishing, subscribing, messages and acknowledgements on a connected channel.

mod common;

use common::{
    ConnectRequest, RING, Received, Rig, SocketState, connected, disconnected, not_subscribed,
    not_unsubscribed, published, subscribed, unsubscribed,
};
use link::kind::to_cloud;
use link::mqtt::{RequestState as State, SubscribeOptions};
use link::violation;
use relay::Notice;

/// Shows M12, M60, M61, M64, D47.
#[test]
fn a_qos_0_publish_completes_when_the_connection_took_its_last_byte() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.writes = false;
    rig.send(channel, to_cloud::PUBLISH, &common::publish(3, 0, "t", "hi"));
    assert_eq!(rig.sent(1), [0x30, 5, 0, 1, b't', b'h', b'i']);
    assert_eq!(rig.received, []);
    rig.written(1, 6);
    assert_eq!(rig.received, []);
    rig.written(1, 1);
    assert_eq!(rig.answers(), [published(3, State::Completed, 0)]);
}

/// Shows M12, M60, M64, D47.
#[test]
fn a_qos_1_publish_completes_when_the_broker_acknowledges() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 1, "t", ""));
    assert_eq!(rig.sent(1), [0x32, 6, 0, 1, b't', 0, 1, 0]);
    assert_eq!(rig.received, []);
    rig.broker_sends(1, [0x40, 3, 0, 1, 0x10]);
    assert_eq!(rig.answers(), [published(0, State::Completed, 0x10)], "no client has subscribed");
}

/// Shows M64, D92.
#[test]
fn a_publish_the_broker_does_not_accept_is_not_completed() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(9, 1, "t", ""));
    rig.broker_sends(1, [0x40, 3, 0, 1, 0x87]);
    assert_eq!(rig.answers(), [published(9, State::InvalidParameters, 0x87)]);
}

/// Shows M41, M65, M69.
#[test]
fn publishes_are_answered_by_their_slots_in_any_order() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    for slot in 0..16 {
        rig.send(channel, to_cloud::PUBLISH, &common::publish(slot, 1, "t", [slot]));
    }
    for packet_id in (1..=16).rev() {
        rig.broker_sends(1, common::puback(packet_id));
        assert_eq!(rig.answers(), [published(packet_id - 1, State::Completed, 0)]);
    }
}

/// Shows M41.
#[test]
fn the_retain_flag_goes_to_the_broker() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::PUBLISH, &[&[0x20, 1][..], b"tp"].concat());
    assert_eq!(rig.sent(1), [0x31, 4, 0, 1, b't', b'p']);
}

/// Shows M12.
#[test]
fn a_slot_is_not_used_twice() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 1, "t", ""));
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 1, "t", ""));
    assert_eq!(rig.violation, Some(violation::SLOT_IN_USE));
}

/// Shows M66, M69, M70, M71, M78, M80.
#[test]
fn a_subscribe_is_answered_with_a_code_for_each_filter() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    let options = SubscribeOptions { qos: 1, no_local: true, retain_as_published: true, retain_handling: 2 };
    let body = [common::subscribe(&[(0, "a")]), vec![options.code()], common::str("b/#")].concat();
    rig.send(channel, to_cloud::SUBSCRIBE, &body);
    assert_eq!(rig.sent(1), *b"\x82\x0d\x00\x01\x00\x00\x01a\x00\x00\x03b/#\x2d");
    rig.broker_sends(1, [0x90, 5, 0, 1, 0, 0, 0x87]);
    assert_eq!(rig.answers(), [subscribed(&[0, 0x87])]);
}

/// Shows M71, M73.
#[test]
fn on_3_1_1_a_subscribe_has_its_qos_only() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    let options = SubscribeOptions { qos: 1, no_local: true, retain_as_published: true, retain_handling: 3 };
    rig.send(channel, to_cloud::SUBSCRIBE, &[vec![options.code()], common::str("a")].concat());
    assert_eq!(rig.sent(1), [0x82, 6, 0, 1, 0, 1, b'a', 1], "retain handling means nothing here");
    rig.broker_sends(1, [0x90, 3, 0, 1, 1]);
    assert_eq!(rig.answers(), [subscribed(&[1])]);
}

/// Shows M89.
#[test]
fn an_unsubscribe_is_answered_with_a_code_for_each_filter() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a", "b"]));
    assert_eq!(rig.sent(1), *b"\xa2\x09\x00\x01\x00\x00\x01a\x00\x01b");
    rig.broker_sends(1, [0xb0, 5, 0, 1, 0, 0x11, 0]);
    assert_eq!(rig.answers(), [unsubscribed(&[0x11, 0])]);
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a", "b"]));
    rig.broker_sends(1, [0xb0, 2, 0, 1]);
    assert_eq!(rig.answers(), [unsubscribed(&[0, 0])], "3.1.1 has no codes");
}

/// Shows M16, M34, D46.
#[test]
fn requests_the_broker_may_not_be_sent_are_invalid() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    let invalid = published(0, State::InvalidParameters, 0);
    for (qos, topic) in [(2, &b"t"[..]), (0, b"t/#"), (0, b""), (1, b"\xff"), (1, b"t\0")] {
        rig.send(channel, to_cloud::PUBLISH, &common::publish(0, qos, topic, "p"));
        assert_eq!(rig.answers(), [invalid]);
    }
    let reason = |topic| {
        rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, topic, "p"));
        let Some(Notice::RequestRefused { request: "publish", reason, .. }) = rig.notices.pop() else {
            panic!("no refusal is reported")
        };
        assert_eq!(rig.answers(), [invalid]);
        reason
    };
    let reasons = [&b"t/#"[..], b""].map(reason);
    assert_eq!(reasons[0], "topic \"t/#\": a topic to publish to has no wildcards");
    assert_eq!(reasons[1], "topic \"\": a topic to publish to cannot be empty");
    for filters in [&[(0, "a/#/b")][..], &[(3, "a")], &[(0, "a"), (0, "")]] {
        rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(filters));
        assert_eq!(rig.answers(), [not_subscribed(State::InvalidParameters)]);
    }
    rig.send(channel, to_cloud::SUBSCRIBE, &[vec![0x30], common::str("a")].concat());
    assert_eq!(rig.answers(), [not_subscribed(State::InvalidParameters)], "retain handling 3");
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a+"]));
    assert_eq!(rig.answers(), [not_unsubscribed(State::InvalidParameters)]);
    assert_eq!(rig.sent(1), b"", "the broker was sent nothing");
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
    assert_eq!(rig.answers(), [published(0, State::Completed, 0)], "M09: the channel stays usable");
}

/// Shows M18, D46.
#[test]
fn a_request_before_any_connect_is_answered_not_connected() {
    let (mut rig, channel) = Rig::with_channel(RING);
    all_requests_are_not_connected(&mut rig, channel);
}

/// Shows M12, M18.
#[test]
fn a_request_before_connack_is_answered_not_connected() {
    let (mut rig, channel) = Rig::with_channel(RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 0, "t", "p"));
    rig.opened(1);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 0, "t", "p"));
    let refused = published(1, State::NotConnected, 0);
    assert_eq!(rig.answers(), [refused, refused]);
    rig.broker_sends(1, common::connack(false));
    assert_eq!(rig.answers(), [connected(State::Completed, 0)]);
}

/// Shows M18.
#[test]
fn a_request_after_a_disconnect_is_answered_not_connected() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    rig.received.clear();
    all_requests_are_not_connected(&mut rig, channel);
}

fn all_requests_are_not_connected(rig: &mut Rig, channel: u8) {
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 0, "t", "p"));
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "a")]));
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a"]));
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(0));
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    let answers = [
        published(1, State::NotConnected, 0),
        not_subscribed(State::NotConnected),
        not_unsubscribed(State::NotConnected),
        disconnected(State::NotConnected, 0),
    ];
    assert_eq!(rig.answers(), answers);
}

/// Shows M81, M83, M85, M86, M88.
#[test]
fn messages_come_with_topic_payload_qos_and_retain_flag() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.broker_sends(1, *b"\x31\x05\x00\x01thi\x32\x06\x00\x02ab\x00\x07");
    let first = Received::Message {
        channel,
        delivery: None,
        retain: true,
        topic: b"t".into(),
        payload: b"hi".into(),
    };
    let second = Received::Message {
        channel,
        delivery: Some(0),
        retain: false,
        topic: b"ab".into(),
        payload: Vec::new(),
    };
    assert_eq!(rig.received(), [first, second]);
    assert_eq!(rig.sent(1), b"", "nothing is acknowledged by itself");
}

/// Shows M86, M87, M92, D48, D97.
#[test]
fn messages_are_acknowledged_in_the_order_the_broker_sent_them() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    for packet_id in [7, 8, 9] {
        rig.broker_sends(1, common::message(false, Some(packet_id), "t", ""));
    }
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(2));
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(1));
    assert_eq!(rig.sent(1), b"");
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(0));
    assert_eq!(rig.sent(1), [0x40, 2, 0, 7, 0x40, 2, 0, 8, 0x40, 2, 0, 9]);
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(0));
    rig.send(channel, to_cloud::ACKNOWLEDGE, &common::acknowledge(77));
    assert_eq!(rig.sent(1), b"", "an acknowledgement of nothing means nothing");
}

/// Shows M12, M90, M91, D50.
#[test]
fn a_disconnect_completes_when_the_broker_connection_has_accepted_it() {
    for version5 in [false, true] {
        let (mut rig, channel) = Rig::with_broker(version5, RING);
        rig.writes = false;
        rig.send(channel, to_cloud::DISCONNECT, &[]);
        assert_eq!(rig.sent(1), [0xe0, 0]);
        rig.written(1, 1);
        assert_eq!(rig.received, []);
        rig.written(1, 1);
        assert_eq!(
            rig.received(),
            [common::answer(channel, disconnected(State::Completed, 0))],
            "and no CLOSED"
        );
        assert_eq!(rig.socket(1).aborted, Some(false));
        rig.close(channel);
        assert_eq!(rig.received, []);
    }
}

/// Shows M12, M90, D47.
#[test]
fn at_a_disconnect_publishes_of_qos_0_complete_and_the_rest_is_answered_not_connected() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.writes = false;
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 1, "t", "p"));
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "a")]));
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a"]));
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    assert_eq!(rig.received, []);
    rig.written(1, usize::MAX);
    let answers = [
        published(0, State::Completed, 0),
        published(1, State::NotConnected, 0),
        not_subscribed(State::NotConnected),
        not_unsubscribed(State::NotConnected),
        disconnected(State::Completed, 0),
    ];
    assert_eq!(rig.answers(), answers);
}

/// Shows M12, D47, D93.
#[test]
fn at_a_disconnect_a_full_ring_costs_no_completion_and_no_message() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    (rig.reads, rig.writes) = (false, false);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(5, 0, "t", "p"));
    for number in 0..60u8 {
        rig.broker_sends(1, common::message(false, None, "t", vec![number; 400]));
    }
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    rig.written(1, usize::MAX);
    let answers = rig.answers();
    assert_eq!(answers, [published(5, State::Completed, 0), disconnected(State::Completed, 0)]);
    rig.reads = true;
    rig.read(channel, usize::MAX);
    rig.pump();
    assert_eq!(rig.received().len(), 59, "the first was received before");
}

/// Shows M12, D93.
#[test]
fn a_disconnect_the_broker_does_not_accept_fails_after_10_seconds() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.writes = false;
    rig.send(channel, to_cloud::PUBLISH, &common::publish(5, 0, "t", "p"));
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    rig.wait(9_999);
    assert_eq!(rig.received, []);
    rig.wait(1);
    let answers = [published(5, State::NotConnected, 0), disconnected(State::NotConnected, 0)];
    assert_eq!(rig.answers(), answers);
    assert_eq!((rig.socket(1).state, rig.socket(1).aborted), (SocketState::Closed, Some(true)));
}

/// Shows M18, D93.
#[test]
fn a_connection_that_ends_before_it_took_the_disconnect_was_lost() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.writes = false;
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    rig.broker_closes(1, false);
    assert_eq!(
        rig.received(),
        [common::answer(channel, disconnected(State::NotConnected, 0))],
        "and no CLOSED"
    );
}

/// Shows M57, M61.
#[test]
fn topic_numbers_stand_for_the_names_they_were_given() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::TOPIC, &common::topic(7, "a"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish_numbered(0, false, 7, "1"));
    rig.send(channel, to_cloud::TOPIC, &common::topic(7, "b"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish_numbered(0, false, 7, "2"));
    assert_eq!(rig.sent(1), *b"\x30\x04\x00\x01a1\x30\x04\x00\x01b2");
}

/// Shows D46.
#[test]
fn a_topic_number_for_no_name_at_all_is_an_invalid_topic() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::TOPIC, &common::topic(0, ""));
    rig.send(channel, to_cloud::PUBLISH, &common::publish_numbered(0, false, 0, "1"));
    assert_eq!(rig.answers(), [published(0, State::InvalidParameters, 0)]);
}

/// Shows M61.
#[test]
fn a_topic_number_never_given_is_a_violation() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::TOPIC, &common::topic(0, "t"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish_numbered(0, false, 1, "1"));
    assert_eq!(rig.violation, Some(violation::UNKNOWN_TOPIC_NUMBER));
    assert_eq!(rig.socket(1).aborted, Some(true));
}

/// Shows D54.
#[test]
fn the_cloud_keeps_the_brokers_keepalive_by_itself() {
    let (mut rig, channel) = Rig::with_channel(RING);
    rig.send(
        channel,
        to_cloud::CONNECT,
        &ConnectRequest { keepalive: 20, ..ConnectRequest::default() }.body(),
    );
    rig.opened(1);
    rig.broker_sends(1, common::connack(false));
    rig.received.clear();
    rig.sent(1);
    for _ in 0..3 {
        rig.wait(20_000);
        assert_eq!(rig.sent(1), [0xc0, 0]);
        rig.broker_sends(1, [0xd0, 0]);
    }
    assert_eq!(rig.received, [], "the device is not woken");
    rig.wait(20_000);
    rig.wait(19_999);
    assert_eq!(rig.received, []);
    rig.wait(1);
    let received = rig.received();
    assert_eq!(received[0], common::answer(channel, disconnected(State::Completed, 0)));
    assert!(matches!(received[1], Received::Closed { .. }));
}
