//! Every rule of link.md a peer can break, broken: the link refuses it with the rule's own text, and says `BYE`.

mod common;

use std::collections::BTreeSet;

use common::{DeviceEvent, Pair, RING, WINDOW};
use link::channel::{ChannelType, ClosureReason};
use link::connection::ByeReason;
use link::kind::{to_cloud, to_device};
use link::violation::{self, *};
use link::{Header, MAX_BYE_TEXT, Violation};

fn frame(kind: u8, channel: u8, body: &[u8]) -> Vec<u8> {
    cut(kind, channel, body, false)
}

fn cut(kind: u8, channel: u8, body: &[u8], more: bool) -> Vec<u8> {
    let header = Header { kind, channel, length: body.len() as u16, more }.to_bytes();
    [header.as_slice(), body].concat()
}

/// The rule that the cloud finds broken. It also checks that `BYE` names the same rule and that nothing later counts.
fn cloud_refuses(mut pair: Pair, bytes: &[u8]) -> Violation {
    pair.to_cloud.extend(bytes);
    let broken = pair.deliver_to_cloud(usize::MAX).unwrap_err();
    assert!(pair.cloud.is_closing());
    pair.device_events.clear();
    pair.to_cloud.extend([0xff; 20]);
    pair.deliver_to_cloud(usize::MAX).unwrap();
    pair.flush_cloud();
    let bye: Vec<u8> = pair.to_device.drain(..).collect();
    let expected = frame(to_device::BYE, 0, &[&[2], broken.text().as_bytes()].concat());
    assert_eq!(bye, expected);
    broken
}

fn device_refuses(mut pair: Pair, bytes: &[u8]) -> Violation {
    pair.to_device.extend(bytes);
    let broken = pair.deliver_to_device(usize::MAX).unwrap_err();
    assert!(pair.device.is_closing());
    pair.to_device.extend([0xff; 20]);
    pair.deliver_to_device(usize::MAX).unwrap();
    pair.to_cloud.clear();
    pair.flush_device();
    let bye: Vec<u8> = pair.to_cloud.drain(..).collect();
    assert_eq!(bye, frame(to_cloud::BYE, 0, &[&[2], broken.text().as_bytes()].concat()));
    broken
}

fn with_channel() -> Pair {
    Pair::with_channel(ChannelType::Mqtt).0
}

#[test]
fn every_rule_has_its_own_text_and_fits_a_bye() {
    let texts: BTreeSet<_> = violation::ALL.iter().map(|rule| rule.text()).collect();
    assert_eq!(texts.len(), violation::ALL.len());
    assert!(texts.iter().all(|text| text.len() <= MAX_BYE_TEXT));
}

#[test]
fn headers_and_lengths_are_checked() {
    let cases: [(&[u8], Violation); 10] = [
        (&[0x10, 0x80, 0x00], VARINT_NOT_MINIMAL),
        (&[0x10, 0x80, 0x80], VARINT_TOO_LONG),
        (&[0xc1, 0x82, 0x40], FRAME_TOO_LONG),
        (&[0x10, 12], BODY_TOO_LONG),
        (&[0x21, 22], BODY_TOO_LONG),
        (&[0x10, 3], MUST_BE_ONE_FRAME),
        (&[0x41, 1], EMPTY_FRAGMENT),
        (&[0x41, 3, 0, 0x51, 2], ITEM_UNFINISHED),
        (&[0x50, 0], UNKNOWN_KIND),
        (&[0xd1, 0], UNKNOWN_KIND),
    ];
    for (bytes, rule) in cases {
        assert_eq!(cloud_refuses(with_channel(), bytes), rule, "{bytes:02x?}");
    }
}

#[test]
fn an_item_ends_at_262144_bytes() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    let mut feed = |bytes: &[u8]| {
        pair.to_cloud.extend(bytes);
        let result = pair.deliver_to_cloud(usize::MAX);
        while pair.flush_cloud() > 0 {}
        result
    };
    for _ in 0..64 {
        assert_eq!(feed(&cut(to_cloud::DATA, channel, &[0; 4096], true)), Ok(()));
    }
    assert_eq!(feed(&cut(to_cloud::DATA, channel, &[0], false)), Err(ITEM_TOO_LONG));
}

#[test]
fn the_device_begins_with_hello_and_waits() {
    let hello = [&[0x00, 80][..], &[1; 4], &[0; 36]].concat();
    assert_eq!(cloud_refuses(Pair::connected(), &frame(to_cloud::PING, 0, &[0])), HELLO_EXPECTED);
    assert_eq!(cloud_refuses(Pair::connected(), &frame(to_cloud::OPEN, 1, &[1, 1])), HELLO_EXPECTED);
    let after_hello = || {
        let mut pair = Pair::connected();
        pair.exchange();
        pair
    };
    assert_eq!(cloud_refuses(after_hello(), &hello), HELLO_TWICE);
    assert_eq!(cloud_refuses(after_hello(), &frame(to_cloud::PING, 0, &[0])), BEFORE_WELCOME);
    assert_eq!(cloud_refuses(after_hello(), &frame(to_cloud::OPEN, 1, &[1, 1])), BEFORE_WELCOME);
    assert_eq!(cloud_refuses(Pair::open(), &hello), HELLO_TWICE);
}

#[test]
fn the_cloud_begins_with_welcome() {
    let welcome = frame(to_device::WELCOME, 0, &[1, 30, 0x80, 0x80, 1, 0, 1]);
    let awaiting_welcome = || {
        let mut pair = Pair::connected();
        pair.flush_device();
        pair
    };
    assert_eq!(device_refuses(awaiting_welcome(), &frame(to_device::TIME, 0, &[0])), BEFORE_WELCOME);
    assert_eq!(device_refuses(awaiting_welcome(), &frame(to_device::CREDIT, 1, &[0])), BEFORE_WELCOME);
    let other = frame(to_device::WELCOME, 0, &[2, 30, 0x80, 0x80, 1, 0, 1]);
    assert_eq!(device_refuses(awaiting_welcome(), &other), OTHER_VERSION);
    assert_eq!(device_refuses(Pair::open(), &welcome), WELCOME_TWICE);
    let mut silent = Pair::connected();
    silent.to_device.extend(&welcome);
    assert_eq!(silent.deliver_to_device(usize::MAX), Err(HELLO_EXPECTED), "before HELLO went out");
}

#[test]
fn welcome_has_an_interval_and_a_window_in_range() {
    let awaiting_welcome = || {
        let mut pair = Pair::connected();
        pair.flush_device();
        pair
    };
    let cases: [&[u8]; 4] = [
        &[1, 0, 0x80, 0x80, 1, 0, 1],
        &[1, 0x91, 0x1c, 0x80, 0x80, 1, 0, 1],
        &[1, 30, 0xff, 0x7f, 0, 1],
        &[1, 30, 0x80, 0x80, 1, 0, 2],
    ];
    for body in cases {
        let bytes = frame(to_device::WELCOME, 0, body);
        assert_eq!(device_refuses(awaiting_welcome(), &bytes), VALUE_OUT_OF_RANGE, "{body:?}");
    }
}

#[test]
fn ping_and_pong_alternate() {
    let ping = frame(to_cloud::PING, 0, &[0]);
    assert_eq!(cloud_refuses(Pair::open(), &[ping.clone(), ping].concat()), PING_TWICE);
    assert_eq!(device_refuses(Pair::open(), &frame(to_device::PONG, 0, &[0])), UNEXPECTED_PONG);
    let mut pair = Pair::open();
    pair.now += common::KEEPALIVE;
    pair.flush_device();
    assert_eq!(device_refuses(pair, &frame(to_device::PONG, 0, &[1])), UNEXPECTED_PONG, "of another token");
}

#[test]
fn logs_are_numbered_from_1_and_acknowledged_once_sent() {
    assert_eq!(cloud_refuses(Pair::open(), &frame(to_cloud::LOG, 0, &[0, 0])), VALUE_OUT_OF_RANGE);
    let long = frame(to_cloud::LOG, 0, &[&[1, 0][..], &[b'x'; 1025]].concat());
    assert_eq!(cloud_refuses(Pair::open(), &long), BODY_TOO_LONG);
    assert_eq!(device_refuses(Pair::open(), &frame(to_device::LOG_TAKEN, 0, &[1])), LOG_NOT_SENT);
}

#[test]
fn bodies_end_where_their_fields_do() {
    assert_eq!(cloud_refuses(Pair::open(), &frame(to_cloud::PING, 0, &[])), BODY_TOO_SHORT);
    assert_eq!(cloud_refuses(Pair::open(), &frame(to_cloud::PING, 0, &[0, 0])), BYTES_LEFT_OVER);
    assert_eq!(device_refuses(Pair::open(), &frame(to_device::TIME, 0, &[0x80])), BODY_TOO_SHORT);
    assert_eq!(device_refuses(with_channel(), &frame(to_device::CLOSED, 1, &[8])), VALUE_OUT_OF_RANGE);
    assert_eq!(device_refuses(Pair::open(), &frame(to_device::LOGGING, 0, &[2])), VALUE_OUT_OF_RANGE);
}

#[test]
fn the_cloud_tracks_the_state_of_numbers() {
    let open = frame(to_cloud::OPEN, 1, &[1, 1]);
    let close = frame(to_cloud::CLOSE, 1, &[]);
    let data = frame(to_cloud::PUBLISH, 1, &[0, 1, b'a']);
    assert_eq!(cloud_refuses(Pair::open(), &data), CHANNEL_NOT_OPEN);
    assert_eq!(cloud_refuses(Pair::open(), &close), CHANNEL_NOT_OPEN);
    assert_eq!(cloud_refuses(with_channel(), &open), CHANNEL_IN_USE);
    assert_eq!(cloud_refuses(with_channel(), &[close.clone(), open.clone()].concat()), CHANNEL_IN_USE);
    assert_eq!(cloud_refuses(with_channel(), &[close.clone(), close.clone()].concat()), CLOSED_TWICE);
    assert_eq!(cloud_refuses(with_channel(), &[close, data].concat()), CHANNEL_NOT_OPEN);
    let mut ended = with_channel();
    ended.cloud.close_channel(1, ClosureReason::ClosedByServer);
    ended.flush_cloud();
    ended.to_device.clear();
    assert_eq!(cloud_refuses(ended, &open), CHANNEL_IN_USE, "CLOSED has gone, CLOSE has not come");
    assert_eq!(cloud_refuses(Pair::open(), &frame(to_cloud::OPEN, 1, &[4, 1])), VALUE_OUT_OF_RANGE);
}

#[test]
fn the_device_tracks_the_state_of_numbers() {
    let closed = frame(to_device::CLOSED, 1, &[0]);
    let message = frame(to_device::MESSAGE, 1, &[0, 1, b'a']);
    assert_eq!(device_refuses(Pair::open(), &message), CHANNEL_NOT_OPEN);
    assert_eq!(device_refuses(Pair::open(), &closed), CHANNEL_NOT_OPEN);
    assert_eq!(device_refuses(with_channel(), &[closed.clone(), closed.clone()].concat()), CLOSED_TWICE);
    assert_eq!(device_refuses(with_channel(), &[closed, message].concat()), CHANNEL_NOT_OPEN);
}

#[test]
fn answers_follow_their_requests() {
    let answers: [(ChannelType, u8, &[u8]); 6] = [
        (ChannelType::Mqtt, to_device::PUBLISHED, &[0]),
        (ChannelType::Mqtt, to_device::CONNECTED, &[0, 0]),
        (ChannelType::Mqtt, to_device::SUBSCRIBED, &[0, 0]),
        (ChannelType::Mqtt, to_device::UNSUBSCRIBED, &[0, 0]),
        (ChannelType::Http, to_device::HTTP_RESPONSE, &[0, 0, 0]),
        (ChannelType::ConfigFetch, to_device::CONFIG_RESPONSE, &[0, 0]),
    ];
    for (channel_type, kind, body) in answers {
        let (pair, channel) = Pair::with_channel(channel_type);
        assert_eq!(device_refuses(pair, &frame(kind, channel, body)), UNEXPECTED_ANSWER, "kind {kind}");
    }
    let ended = frame(to_device::DISCONNECTED, 1, &[0, 0]);
    assert_eq!(device_refuses(with_channel(), &[ended.clone(), ended].concat()), UNEXPECTED_ANSWER);
}

/// Shows D45.
#[test]
fn a_second_request_in_flight_is_refused() {
    let once: [(ChannelType, u8, &[u8]); 5] = [
        (ChannelType::Mqtt, to_cloud::SUBSCRIBE, &[0, 1, b'a']),
        (ChannelType::Mqtt, to_cloud::UNSUBSCRIBE, &[1, b'a']),
        (ChannelType::Mqtt, to_cloud::DISCONNECT, &[]),
        (ChannelType::Http, to_cloud::HTTP_REQUEST, &[0, 0, 0, 0]),
        (ChannelType::ConfigFetch, to_cloud::CONFIG_FETCH, &[0, 1, b'a']),
    ];
    for (channel_type, kind, body) in once {
        let (pair, channel) = Pair::with_channel(channel_type);
        let request = frame(kind, channel, body);
        assert_eq!(cloud_refuses(pair, &[request.clone(), request].concat()), REQUEST_TWICE);
    }
    let publishes = frame(to_cloud::PUBLISH, 1, &[0, 1, b'a']).repeat(17);
    assert_eq!(cloud_refuses(with_channel(), &publishes), SLOT_IN_USE);
}

#[test]
fn a_cloud_that_sends_beyond_the_ring_is_refused() {
    let mut pair = with_channel();
    assert_eq!(pair.device.store(1, RING), Ok(()));
    assert_eq!(pair.device.store(1, 1), Err(RING_EXCEEDED));
    assert!(pair.device.is_closing());
}

#[test]
fn a_cloud_that_sends_a_33rd_message_is_refused() {
    let message = frame(to_device::MESSAGE, 1, &[0, 1, b'a']);
    let mut pair = with_channel();
    pair.to_device.extend(message.repeat(32));
    pair.deliver_to_device(usize::MAX).unwrap();
    assert_eq!(device_refuses(pair, &message), ITEMS_EXCEEDED);
}

#[test]
fn a_device_that_sends_beyond_the_window_is_refused() {
    let (pair, channel) = Pair::with_channel(ChannelType::OpaqueBytes);
    let data = frame(to_cloud::DATA, channel, &[0; 4096]).repeat(WINDOW as usize / 4096);
    let more = frame(to_cloud::DATA, channel, &[0]);
    assert_eq!(cloud_refuses(pair, &[data, more].concat()), WINDOW_EXCEEDED);
}

#[test]
fn credit_for_what_was_never_sent_is_refused() {
    assert_eq!(cloud_refuses(with_channel(), &frame(to_cloud::CREDIT, 1, &[1, 0])), CREDIT_EXCEEDED);
    assert_eq!(cloud_refuses(with_channel(), &frame(to_cloud::CREDIT, 1, &[0, 1])), CREDIT_EXCEEDED);
    assert_eq!(device_refuses(with_channel(), &frame(to_device::CREDIT, 1, &[1])), CREDIT_EXCEEDED);
}

#[test]
fn frames_for_a_closing_channel_are_ignored_until_it_is_closed() {
    let mut pair = with_channel();
    pair.device.close_channel(1);
    pair.to_device.extend(frame(to_device::MESSAGE, 1, &[0, 1, b'a']));
    pair.to_device.extend(frame(to_device::CREDIT, 1, &[100]));
    pair.to_device.extend(frame(to_device::PUBLISHED, 1, &[0]));
    pair.exchange();
    assert_eq!(pair.device_events, []);

    let mut pair = with_channel();
    pair.cloud.close_channel(1, ClosureReason::ClosedByServer);
    pair.to_cloud.extend(frame(to_cloud::PUBLISH, 1, &[0, 1, b'a']));
    pair.to_cloud.extend(frame(to_cloud::CREDIT, 1, &[100, 1]));
    pair.exchange();
    assert_eq!(pair.cloud_events, []);
    assert_eq!(
        pair.device_events,
        [DeviceEvent::Closed { channel: 1, reason: ClosureReason::ClosedByServer }]
    );
}

#[test]
fn a_violation_reaches_the_peer_as_bye() {
    let mut pair = with_channel();
    pair.to_cloud.extend([0xf1, 0]);
    pair.deliver_to_cloud(usize::MAX).unwrap_err();
    pair.exchange();
    assert_eq!(pair.device_events, [DeviceEvent::Bye { reason: ByeReason::Violation }]);
}

#[test]
fn a_channel_carries_the_kinds_of_its_type_only() {
    let types = [ChannelType::OpaqueBytes, ChannelType::Mqtt, ChannelType::Http, ChannelType::ConfigFetch];
    let type_of = |kind: u8, most: u8, from: u8| match kind {
        _ if kind < from => None,
        _ if kind == most => Some(ChannelType::OpaqueBytes),
        _ if kind == most - 1 => Some(ChannelType::ConfigFetch),
        _ if kind == most - 2 => Some(ChannelType::Http),
        _ => Some(ChannelType::Mqtt),
    };
    for channel_type in types {
        for kind in to_cloud::TOPIC..=to_cloud::DATA {
            let (mut pair, channel) = Pair::with_channel(channel_type);
            pair.to_cloud.extend(frame(kind, channel, &[]));
            let refused = pair.deliver_to_cloud(usize::MAX) == Err(WRONG_CHANNEL_TYPE);
            assert_eq!(
                refused,
                type_of(kind, to_cloud::DATA, 3) != Some(channel_type),
                "{channel_type:?} {kind}"
            );
        }
        for kind in to_device::MESSAGE..=to_device::DATA {
            let (mut pair, channel) = Pair::with_channel(channel_type);
            pair.to_device.extend(frame(kind, channel, &[]));
            let refused = pair.deliver_to_device(usize::MAX) == Err(WRONG_CHANNEL_TYPE);
            assert_eq!(
                refused,
                type_of(kind, to_device::DATA, 4) != Some(channel_type),
                "{channel_type:?} {kind}"
            );
        }
    }
}
