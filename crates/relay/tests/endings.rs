//! How a channel ends: by its broker, by its device, by too many messages. And brokers that break the rules.

mod common;

use common::{
    ConnectRequest, RING, Received, Rig, SocketState, answer, connected, disconnected, not_subscribed,
    not_unsubscribed, published, subscribed,
};
use link::channel::ClosureReason;
use link::connection::ByeReason;
use link::kind::to_cloud;
use link::mqtt::RequestState as State;
use link::violation;
use relay::{Input, Settings};

fn closed(channel: u8, reason: ClosureReason) -> Received {
    Received::Closed { channel, reason }
}

/// With one request of each kind in flight.
fn busy(version5: bool) -> (Rig, u8) {
    let (mut rig, channel) = Rig::with_broker(version5, RING);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(4, 1, "t", "p"));
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "a")]));
    rig.send(channel, to_cloud::UNSUBSCRIBE, &common::unsubscribe(&["a"]));
    (rig, channel)
}

fn lost(channel: u8, state: State, outcome: (State, u32), reason: ClosureReason) -> Vec<Received> {
    let answers = [
        published(4, state, 0),
        not_subscribed(state),
        not_unsubscribed(state),
        disconnected(outcome.0, outcome.1),
    ];
    answers.into_iter().map(|said| answer(channel, said)).chain([closed(channel, reason)]).collect()
}

/// Shows M12, M18, D50, D94.
#[test]
fn a_broker_that_closes_the_connection_ends_the_channel_with_answers_first() {
    for (clean, reason) in [(true, ClosureReason::ClosedByServer), (false, ClosureReason::ResetByServer)] {
        let (mut rig, channel) = busy(false);
        rig.broker_closes(1, clean);
        assert_eq!(rig.received(), lost(channel, State::NotConnected, (State::Completed, 0), reason));
        rig.pump();
        let again = rig.open_channel(link::channel::ChannelType::Mqtt, RING);
        rig.connect(again, false, 2);
    }
}

/// Shows M12, M18, D50, D94.
#[test]
fn a_disconnect_of_the_broker_is_reported_with_its_code() {
    let (mut rig, channel) = busy(true);
    rig.broker_sends(1, [0xe0, 1, 0x8b]);
    let expected =
        lost(channel, State::NotConnected, (State::Completed, 0x8b), ClosureReason::ClosedByServer);
    assert_eq!(rig.received(), expected);
    assert_eq!(rig.socket(1).state, SocketState::Closed);
}

/// Shows D49, D50.
#[test]
fn what_the_broker_sent_before_its_end_is_delivered_first_as_room_appears() {
    for version5 in [false, true] {
        let (mut rig, channel) = Rig::with_broker(version5, 512);
        rig.reads = false;
        rig.send(channel, to_cloud::PUBLISH, &common::publish(4, 1, "t", "p"));
        let mut last = Vec::new();
        for number in 0..150u8 {
            last.extend(common::message(version5, None, "t", [number; 300]));
        }
        last.extend(if version5 { vec![0x40, 2, 0, 1, 0xe0, 1, 0x8b] } else { vec![0x40, 2, 0, 1] });
        rig.broker_sends(1, &last);
        rig.broker_closes(1, true);
        assert_eq!(rig.received().len(), 1, "one fits");
        let mut received = Vec::new();
        for _ in 0..150 {
            rig.read(channel, 1);
            rig.pump();
            received.extend(rig.received());
        }
        let code = if version5 { 0x8b } else { 0 };
        assert_eq!(
            received.iter().filter(|received| matches!(received, Received::Message { .. })).count(),
            149
        );
        let acknowledged = answer(channel, published(4, State::Completed, 0));
        assert!(received.contains(&acknowledged), "it was acknowledged before the end");
        let end = answer(channel, disconnected(State::Completed, code));
        assert_eq!(received[150..], [end, closed(channel, ClosureReason::ClosedByServer)]);
        assert_eq!(received.len(), 152);
    }
}

/// Shows D50, M12.
#[test]
fn a_request_after_the_brokers_end_is_still_answered_before_closed() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.reads = false;
    let message = common::message(false, None, "t", [0; 400]);
    rig.broker_sends(1, [message.clone(), message].concat());
    rig.broker_closes(1, true);
    assert_eq!(rig.received().len(), 1);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    let refused = [published(0, State::NotConnected, 0), disconnected(State::NotConnected, 0)];
    assert_eq!(rig.answers(), refused);
    rig.read(channel, 1);
    rig.pump();
    let received = rig.received();
    assert!(matches!(received[0], Received::Message { .. }));
    let end = answer(channel, disconnected(State::Completed, 0));
    assert_eq!(received[1..], [end, closed(channel, ClosureReason::ClosedByServer)]);
}

/// Shows M22, D51.
#[test]
fn a_flood_is_cut_off_and_says_so() {
    let mut rig = Rig::open_with(Settings { messages_per_second: 2, ..Settings::default() });
    let channel = rig.open_channel(link::channel::ChannelType::Mqtt, RING);
    rig.connect(channel, false, 1);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(4, 1, "t", "p"));
    for _ in 0..20 {
        rig.broker_sends(1, common::message(false, None, "t", ""));
    }
    assert_eq!(rig.received().len(), 20, "ten seconds' worth at once");
    rig.broker_sends(1, common::message(false, None, "t", ""));
    let breaker = State::CircuitBreaker;
    let received = [answer(channel, published(4, breaker, 0)), answer(channel, disconnected(breaker, 0))];
    assert_eq!(
        rig.received(),
        [&received[..], &[closed(channel, ClosureReason::ConnectionTerminated)]].concat()
    );
    assert_eq!(rig.socket(1).state, SocketState::Closed);
    assert!(!rig.sent(1).contains(&0xe0), "no DISCONNECT");
}

/// Shows M37, D52.
#[test]
fn a_channel_that_is_closed_leaves_its_broker_without_disconnect() {
    let (mut rig, channel) = busy(false);
    rig.sent(1);
    rig.close(channel);
    assert_eq!((rig.sent(1), rig.socket(1).aborted), (vec![], Some(true)));
    assert_eq!(rig.received, []);
}

/// Shows M37, D52.
#[test]
fn when_the_link_ends_every_broker_is_left_without_disconnect() {
    for how in 0..4 {
        let (mut rig, first) = Rig::with_broker(false, RING);
        let second = rig.open_channel(link::channel::ChannelType::Mqtt, RING);
        rig.connect(second, true, 2);
        let third = rig.open_channel(link::channel::ChannelType::Mqtt, RING);
        rig.send(third, to_cloud::CONNECT, &ConnectRequest::default().body());
        let reason = match how {
            0 => ByeReason::Replaced,
            1 => ByeReason::Violation,
            2 => ByeReason::Keepalive,
            _ => ByeReason::Done,
        };
        match how {
            0 => rig.input(Input::Shutdown { reason }),
            1 => rig.send(first, to_cloud::SUBSCRIBE, &[9, 9]),
            2 => rig.wait(130_001),
            _ => {
                rig.device.send_bye(ByeReason::Done, "");
                rig.pump();
            }
        }
        assert_eq!(rig.disconnected, Some(reason));
        for connection in [1, 2, 3] {
            assert_eq!(rig.socket(connection).aborted, Some(true));
            assert_eq!(rig.socket(connection).sent, b"");
        }
        let received: &[Received] = if how == 3 { &[] } else { &[Received::Bye { reason }] };
        assert_eq!(rig.received, received);
        assert_eq!(rig.relay.next_timeout(), None);
    }
}

/// Shows D52.
#[test]
fn a_channel_closed_while_its_brokers_end_is_pending_names_no_connection() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.reads = false;
    let message = common::message(false, None, "t", [0; 400]);
    for _ in 0..100 {
        rig.broker_sends(1, &message);
    }
    rig.broker_closes(1, true);
    rig.close(channel);
    assert_eq!(rig.socket(1).aborted, None);
}

/// Shows D54.
#[test]
fn a_broker_that_is_gone_is_not_kept_alive() {
    let (mut rig, channel) = Rig::with_channel(512);
    rig.reads = false;
    rig.send(
        channel,
        to_cloud::CONNECT,
        &ConnectRequest { keepalive: 1, ..ConnectRequest::default() }.body(),
    );
    rig.opened(1);
    rig.broker_sends(1, common::connack(false));
    rig.received.clear();
    let message = common::message(false, None, "t", [0; 400]);
    rig.broker_sends(1, message.repeat(40));
    rig.broker_closes(1, true);
    rig.wait(60_000);
    let messages = |received: &[Received]| {
        received.iter().filter(|received| matches!(received, Received::Message { .. })).count()
    };
    assert_eq!(rig.received.len(), 1);
    rig.reads = true;
    rig.read(channel, 1);
    rig.pump();
    assert_eq!((messages(&rig.received), rig.received.len()), (40, 42));
}

/// Everything said before the fault counts; then the channel ends. With exactly one answer for each request.
fn broken(version5: bool, bytes: &[u8], code: u32) {
    for split in [bytes.len(), 1] {
        let (mut rig, channel) = busy(version5);
        rig.sent(1);
        for chunk in bytes.chunks(split) {
            if rig.socket(1).state == SocketState::Open {
                rig.broker_sends(1, chunk);
            }
        }
        let expected =
            lost(channel, State::NotConnected, (State::Completed, code), ClosureReason::ConnectionTerminated);
        assert_eq!(rig.received(), expected, "{bytes:x?}");
        let goodbye = if version5 { vec![0xe0, 1, code as u8] } else { Vec::new() };
        assert_eq!(rig.sent(1), goodbye);
        assert_eq!(rig.socket(1).aborted, Some(false), "what is left to say is said");
    }
}

/// Shows M12, D50, D95.
#[test]
fn a_broker_that_breaks_the_protocol_ends_the_channel() {
    broken(true, &[0x00, 0], 0x81);
    broken(true, &[0x30, 1, 0], 0x81);
    broken(true, &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff], 0x81);
    broken(true, &[0x90, 5, 0, 2, 0, 0, 0], 0x82);
    broken(false, &[0x90, 2, 0, 2], 0);
    broken(false, &[0x36, 5, 0, 1, b't', 0, 1], 0);
    broken(true, &[0x40, 2, 0, 0], 0x82);
    broken(true, &[0x90, 0xff, 0xff, 0x7f], 0x95);
    broken(true, &[0x30, 4, 0, 1, 0, 0], 0x81);
}

/// Shows M12, M15, D49.
#[test]
fn what_a_broker_said_before_it_broke_the_protocol_counts() {
    let (mut rig, channel) = busy(true);
    let mut bytes = common::message(true, None, "t", "last");
    bytes.extend(common::puback(1));
    bytes.extend([0x90, 4, 0, 2, 0, 1, 0, 0]);
    rig.broker_sends(1, bytes);
    let received = rig.received();
    assert_eq!(received[0], answer(channel, published(4, State::Completed, 0)));
    assert_eq!(received[1], answer(channel, subscribed(&[1])));
    assert_eq!(received[2], answer(channel, not_unsubscribed(State::NotConnected)));
    assert!(matches!(received[3], Received::Message { .. }));
    assert_eq!(received[4], answer(channel, disconnected(State::Completed, 0x81)));
    assert_eq!(received.len(), 6);
}

/// Shows M12, M56.
#[test]
fn a_broker_that_accepts_and_then_breaks_the_protocol_was_connected() {
    let (mut rig, channel) = Rig::with_channel(RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    rig.opened(1);
    rig.broker_sends(1, [0x20, 2, 0, 0, 0, 0]);
    let received = [
        answer(channel, connected(State::Completed, 0)),
        answer(channel, disconnected(State::Completed, 0)),
        closed(channel, ClosureReason::ConnectionTerminated),
    ];
    assert_eq!(rig.received(), received);
}

/// Shows M12, M21.
#[test]
fn a_broker_that_does_not_speak_mqtt_is_a_socket_error() {
    let http = [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[b'.'; 100]].concat();
    for bytes in [&http[..], &[0x15, 3, 3, 0, 2, 2, 80], &[0xd0, 0]] {
        let (mut rig, channel) = Rig::with_channel(RING);
        rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
        rig.opened(1);
        rig.broker_sends(1, bytes);
        assert_eq!(rig.received(), [answer(channel, connected(State::SocketError, 0))]);
        assert_eq!(rig.socket(1).state, SocketState::Closed);
    }
}

/// Shows M12.
#[test]
fn answers_to_nothing_are_passed_over() {
    for version5 in [false, true] {
        let (mut rig, channel) = busy(version5);
        rig.broker_sends(1, [0x40, 2, 0, 77, 0x40, 2, 0, 2]);
        rig.broker_sends(1, if version5 { &[0x90, 4, 0, 1, 0, 0][..] } else { &[0x90, 3, 0, 1, 0] });
        rig.broker_sends(1, if version5 { &[0xb0, 4, 0, 2, 0, 0][..] } else { &[0xb0, 2, 0, 2] });
        assert_eq!(rig.received, []);
        rig.broker_sends(1, [0x40, 2, 0, 1, 0x40, 2, 0, 1]);
        assert_eq!(rig.received(), [answer(channel, published(4, State::Completed, 0))]);
    }
}

/// Shows M12, D50.
#[test]
fn half_a_packet_and_then_the_end_is_just_the_end() {
    let (mut rig, channel) = busy(false);
    rig.broker_sends(1, [0x30, 100, 0, 1, b't']);
    rig.broker_closes(1, true);
    let reason = ClosureReason::ClosedByServer;
    assert_eq!(rig.received(), lost(channel, State::NotConnected, (State::Completed, 0), reason));
}

/// Shows M12.
#[test]
fn a_device_that_breaks_a_rule_receives_it_and_is_disconnected() {
    for (kind, body) in [
        (to_cloud::CONNECT, &[0x80, 0, 0][..]),
        (to_cloud::PUBLISH, &[0, 200, 1]),
        (to_cloud::UNSUBSCRIBE, &[]),
        (to_cloud::ACKNOWLEDGE, &[]),
        (to_cloud::TOPIC, &[8]),
    ] {
        let (mut rig, channel) = Rig::with_broker(false, RING);
        rig.send(channel, kind, body);
        assert!(rig.violation.is_some());
        assert_eq!(rig.received, [Received::Bye { reason: ByeReason::Violation }]);
        assert_eq!(rig.disconnected, Some(ByeReason::Violation));
        assert_eq!(rig.socket(1).aborted, Some(true));
        rig.input(Input::LinkReceived(&[0xff; 40]));
        rig.input(Input::LogStored { sequence: 1 });
    }
}

#[test]
fn a_frame_of_another_channel_type_is_a_violation() {
    let mut rig = Rig::open();
    let channel = rig.open_channel(link::channel::ChannelType::Http, RING);
    rig.input(Input::LinkReceived(&[0x80 | channel, 0]));
    assert_eq!(rig.violation, Some(violation::WRONG_CHANNEL_TYPE));
    assert_eq!(rig.received, [Received::Bye { reason: ByeReason::Violation }]);
}
