//! Outgoing messages: quota, aliases, limits and completion.

use super::*;
use crate::error::RequestError;

/// Shows D47.
#[test]
fn a_qos_0_publish_is_done_when_its_last_byte_is_taken() {
    for version in BOTH {
        let mut client = connected(version);
        client.publish(7, b"t", b"hello", 0, false).expect("taken");
        client.publish(8, b"t", b"", 0, false).expect("taken");
        let mut out = Vec::new();
        client.transmit(&mut out);
        let first = 2 + usize::from(out[1]);
        transmitted(&mut client, 0, first - 1);
        assert_eq!(client.poll(START), None);
        transmitted(&mut client, 0, 1);
        assert_eq!(client.poll(START), Some(published(7, 0)));
        assert_eq!(client.poll(START), None);
        transmitted(&mut client, 0, out.len() - first);
        assert_eq!(client.poll(START), Some(published(8, 0)));
    }
}

/// Shows D47.
#[test]
fn bytes_not_yet_handed_out_do_not_complete_a_publish() {
    let mut client = connected(V3);
    client.publish(7, b"t", b"", 0, false).expect("taken");
    transmitted(&mut client, 0, 1000);
    assert_eq!(client.poll(START), None);
    assert_eq!(sent(&mut client), b"\x30\x03\x00\x01t");
    assert_eq!(client.poll(START), Some(published(7, 0)));
}

/// Shows M64, D47.
#[test]
fn a_qos_1_publish_is_done_when_the_broker_answers() {
    let mut client = connected(V3);
    client.publish(7, b"t", b"x", 1, true).expect("taken");
    assert_eq!(sent(&mut client), b"\x33\x06\x00\x01t\x00\x01x");
    assert_eq!(client.poll(START), None);
    feed(&mut client, b"\x40\x02\x00\x01");
    assert_eq!(events(&mut client), [published(7, 0)]);
    let mut client = connected(V5);
    client.publish(9, b"t", b"", 1, false).expect("taken");
    feed(&mut client, b"\x40\x04\x00\x01\x87\x00");
    assert_eq!(events(&mut client), [published(9, 0x87)]);
}

/// Shows MQTT-3.3.4-7.
#[test]
fn the_brokers_receive_maximum_is_kept_and_the_queue_drains() {
    let mut client = connected_v5(&[0x21, 0, 2]);
    for token in 0..5 {
        client.publish(token, b"t", &[token as u8], 1, false).expect("taken");
    }
    assert_eq!(sent(&mut client), b"\x32\x07\x00\x01t\x00\x01\x00\x00\x32\x07\x00\x01t\x00\x02\x00\x01");
    feed(&mut client, b"\x40\x02\x00\x02");
    assert_eq!(sent(&mut client), b"\x32\x07\x00\x01t\x00\x03\x00\x02");
    feed(&mut client, b"\x40\x02\x00\x01\x40\x02\x00\x03");
    assert_eq!(sent(&mut client), b"\x32\x07\x00\x01t\x00\x04\x00\x03\x32\x07\x00\x01t\x00\x05\x00\x04");
    feed(&mut client, b"\x40\x02\x00\x04\x40\x02\x00\x05");
    let tokens = [1, 0, 2, 3, 4].map(|token| published(token, 0));
    assert_eq!(events(&mut client), tokens);
    assert_eq!(client.untransmitted(), 0);
}

/// Shows MQTT-3.3.4-8.
#[test]
fn a_qos_0_publish_and_a_subscribe_do_not_wait_for_the_quota() {
    let mut client = connected_v5(&[0x21, 0, 1]);
    client.publish(1, b"t", b"", 1, false).expect("taken");
    client.publish(2, b"t", b"", 1, false).expect("taken");
    sent(&mut client);
    client.publish(3, b"t", b"", 0, false).expect("taken");
    client.subscribe(4, &[filter(b"f", 1)]).expect("taken");
    assert_eq!(sent(&mut client), b"\x30\x04\x00\x01t\x00\x82\x07\x00\x02\x00\x00\x01f\x01");
}

#[test]
fn an_acknowledgement_of_nothing_is_passed_over_and_raises_no_quota() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, b"\x40\x02\x00\x63");
        assert!(events(&mut client).is_empty());
    }
    let mut client = connected_v5(&[0x21, 0, 1]);
    client.publish(1, b"t", b"", 1, false).expect("taken");
    client.publish(2, b"t", b"", 1, false).expect("taken");
    sent(&mut client);
    feed(&mut client, b"\x40\x02\x00\x63");
    assert!(sent(&mut client).is_empty());
    feed(&mut client, b"\x40\x02\x00\x01\x40\x02\x00\x01");
    assert_eq!(sent(&mut client), b"\x32\x06\x00\x01t\x00\x02\x00");
    assert_eq!(events(&mut client), [published(1, 0)]);
}

#[test]
fn an_acknowledgement_of_another_kind_does_not_end_a_request() {
    let mut client = connected(V3);
    client.subscribe(1, &[filter(b"f", 1)]).expect("taken");
    feed(&mut client, b"\x40\x02\x00\x01\xb0\x02\x00\x01");
    assert!(events(&mut client).is_empty());
    feed(&mut client, b"\x90\x03\x00\x01\x01");
    assert_eq!(client.pending_events(), 1);
}

/// Shows MQTT-2.2.1-3.
#[test]
fn packet_identifiers_wrap_without_0_and_without_collision() {
    let mut client = connected(V3);
    client.publish(u32::MAX, b"t", b"", 1, false).expect("taken");
    assert_eq!(sent(&mut client)[5..], [0, 1]);
    // The first stays in flight while the identifiers go around twice.
    let mut expected = 1_u16;
    for token in 0..2 * 65_535 {
        client.publish(token, b"t", b"", 1, false).expect("taken");
        let bytes = sent(&mut client);
        let packet_id = u16::from_be_bytes([bytes[5], bytes[6]]);
        expected = if expected == u16::MAX { 2 } else { expected + 1 };
        assert_eq!(packet_id, expected);
        feed(&mut client, &[0x40, 2, bytes[5], bytes[6]]);
        assert_eq!(client.poll(START), Some(published(token, 0)));
    }
    feed(&mut client, b"\x40\x02\x00\x01");
    assert_eq!(client.poll(START), Some(published(u32::MAX, 0)));
}

/// Shows MQTT-3.2.2-17, MQTT-3.2.2-18.
#[test]
fn topic_aliases_are_used_as_far_as_the_broker_allows() {
    let mut client = connected_v5(&[0x22, 0, 2]);
    let mut publish = |topic: &[u8]| {
        client.publish(0, topic, b"", 0, false).expect("taken");
        sent(&mut client)
    };
    assert_eq!(publish(b"long/a"), b"\x30\x0c\x00\x06long/a\x03\x23\x00\x01");
    assert_eq!(publish(b"long/a"), b"\x30\x06\x00\x00\x03\x23\x00\x01");
    assert_eq!(publish(b"t/t"), b"\x30\x06\x00\x03t/t\x00");
    assert_eq!(publish(b"long/b"), b"\x30\x0c\x00\x06long/b\x03\x23\x00\x02");
    assert_eq!(publish(b"long/a"), b"\x30\x06\x00\x00\x03\x23\x00\x01");
    // The topic unused for longest loses its alias.
    assert_eq!(publish(b"long/c"), b"\x30\x0c\x00\x06long/c\x03\x23\x00\x02");
    assert_eq!(publish(b"long/b"), b"\x30\x0c\x00\x06long/b\x03\x23\x00\x01");
}

/// Shows MQTT-3.3.2-7.
#[test]
fn a_new_client_knows_no_alias_and_no_identifier_of_an_old_one() {
    for _ in 0..2 {
        let mut client = connected_v5(&[0x22, 0, 9]);
        client.publish(0, b"long/a", b"", 1, false).expect("taken");
        assert_eq!(sent(&mut client), b"\x32\x0e\x00\x06long/a\x00\x01\x03\x23\x00\x01");
    }
    let mut client = connected_v5(&[]);
    client.publish(0, b"long/a", b"", 0, false).expect("taken");
    assert_eq!(sent(&mut client), b"\x30\x09\x00\x06long/a\x00");
}

/// Shows MQTT-3.3.2-7, MQTT-3.3.4-7.
#[test]
fn a_publish_that_waited_defines_its_alias_when_it_is_sent() {
    let mut client = connected_v5(&[0x22, 0, 1, 0x21, 0, 1]);
    client.publish(1, b"long/a", b"", 1, false).expect("taken");
    client.publish(2, b"long/b", b"", 1, false).expect("taken");
    client.publish(3, b"long/a", b"", 0, false).expect("taken");
    sent(&mut client);
    feed(&mut client, b"\x40\x02\x00\x01");
    assert_eq!(sent(&mut client), b"\x32\x0e\x00\x06long/b\x00\x02\x03\x23\x00\x01");
    client.publish(4, b"long/a", b"", 0, false).expect("taken");
    assert_eq!(sent(&mut client), b"\x30\x0c\x00\x06long/a\x03\x23\x00\x01");
}

/// Shows MQTT-3.2.2-15.
#[test]
fn nothing_larger_than_the_brokers_maximum_packet_size_is_sent() {
    let mut client = connected_v5(&[0x27, 0, 0, 0, 10, 0x22, 0, 1]);
    assert_eq!(client.publish(1, b"long", b"xx", 0, false), Err(RequestError::TooLarge));
    // Ten bytes fit, the alias does not.
    client.publish(2, b"long", b"x", 0, false).expect("fits");
    assert_eq!(sent(&mut client), b"\x30\x08\x00\x04long\x00x");
    assert_eq!(client.subscribe(3, &[filter(b"a", 1), filter(b"b", 1)]), Err(RequestError::TooLarge));
    client.subscribe(4, &[filter(b"a", 1)]).expect("fits");
    assert_eq!(client.unsubscribe(5, &[b"abcd"]), Err(RequestError::TooLarge));
    client.unsubscribe(6, &[b"abc"]).expect("fits");
    assert_eq!(sent(&mut client), b"\x82\x07\x00\x01\x00\x00\x01a\x01\xa2\x08\x00\x02\x00\x00\x03abc");
}

/// Shows D46, MQTT-3.2.2-11, MQTT-3.2.2-14.
#[test]
fn what_the_broker_does_not_offer_is_refused_here() {
    let mut client = connected_v5(&[0x24, 0, 0x25, 0, 0x28, 0, 0x2a, 0]);
    assert_eq!(client.publish(1, b"t", b"", 1, false), Err(RequestError::Unsupported));
    assert_eq!(client.publish(1, b"t", b"", 0, true), Err(RequestError::Unsupported));
    assert_eq!(client.subscribe(1, &[filter(b"a/+", 0)]), Err(RequestError::Unsupported));
    assert_eq!(client.subscribe(1, &[filter(b"$share/g/a", 0)]), Err(RequestError::Unsupported));
    client.publish(1, b"t", b"", 0, false).expect("offered");
    client.subscribe(2, &[filter(b"a", 1)]).expect("offered");
}

/// Shows D46, M34.
#[test]
fn what_mqtt_does_not_allow_is_refused_and_the_connection_continues() {
    for version in BOTH {
        let mut client = connected(version);
        for topic in [&b""[..], b"a/#", b"+", b"a\0", b"\xff"] {
            assert_eq!(client.publish(1, topic, b"", 0, false), Err(RequestError::Invalid));
        }
        assert_eq!(client.publish(1, b"t", b"", 2, false), Err(RequestError::Invalid));
        assert!(sent(&mut client).is_empty());
        client.publish(1, b"t", b"", 1, false).expect("still usable");
    }
}

/// Shows M18, D46.
#[test]
fn before_connack_and_after_the_end_nothing_is_taken() {
    let mut client = connecting(&ConnectOptions::new(V5, b"dev"), Limits::default());
    assert_eq!(client.publish(1, b"", b"", 9, false), Err(RequestError::NotConnected));
    assert_eq!(client.subscribe(1, &[]), Err(RequestError::NotConnected));
    assert_eq!(client.unsubscribe(1, &[]), Err(RequestError::NotConnected));
    let mut client = connected(V5);
    client.disconnect(0);
    assert_eq!(client.publish(1, b"t", b"", 0, false), Err(RequestError::NotConnected));
}

#[test]
fn what_still_waits_at_the_end_is_dropped() {
    let mut client = connected_v5(&[0x21, 0, 1]);
    client.publish(1, b"t", b"", 1, false).expect("taken");
    client.publish(2, b"t", &[0; 1000], 1, false).expect("taken");
    sent(&mut client);
    assert_eq!(client.untransmitted(), 1001);
    client.disconnect(0);
    assert_eq!(client.untransmitted(), 2);
    assert_eq!(sent(&mut client), b"\xe0\x00");
    assert!(events(&mut client).is_empty());
}

#[test]
fn requests_whose_outcome_is_not_polled_are_bounded() {
    let limits = Limits { requests: 3, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    client.publish(1, b"t", b"", 0, false).expect("first");
    client.publish(2, b"t", b"", 1, false).expect("second");
    client.unsubscribe(3, &[b"t"]).expect("third");
    assert_eq!(client.publish(4, b"t", b"", 0, false), Err(RequestError::QueueFull));
    sent(&mut client);
    assert_eq!(client.publish(4, b"t", b"", 0, false), Err(RequestError::QueueFull));
    assert_eq!(client.poll(START), Some(published(1, 0)));
    client.publish(4, b"t", b"", 0, false).expect("one was polled");
}

#[test]
fn bytes_the_connection_has_not_taken_are_bounded() {
    let limits = Limits { outgoing_bytes: 20, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    assert_eq!(client.publish(1, b"t", &[0; 16], 0, false), Err(RequestError::TooLarge));
    client.publish(1, b"t", &[0; 15], 0, false).expect("fits exactly");
    assert_eq!(client.publish(2, b"t", b"", 0, false), Err(RequestError::QueueFull));
    let mut out = Vec::new();
    client.transmit(&mut out);
    assert_eq!(client.publish(2, b"t", b"", 0, false), Err(RequestError::QueueFull));
    transmitted(&mut client, 0, 5);
    client.publish(2, b"t", b"", 0, false).expect("five were taken");
    assert_eq!(client.untransmitted(), 20);
}

/// Shows D47, D96.
#[test]
fn outcomes_can_be_polled_ahead_of_messages() {
    let limits = Limits { requests: 2, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    client.publish(1, b"t", b"", 1, false).expect("first");
    client.publish(2, b"t", b"", 0, false).expect("second");
    feed(&mut client, b"\x30\x04\x00\x01tx\x40\x02\x00\x01\x30\x04\x00\x01ty");
    sent(&mut client);
    assert_eq!(client.poll_outcome(START), Some(published(1, 0)));
    assert_eq!(client.poll_outcome(START), Some(published(2, 0)));
    assert_eq!(client.poll_outcome(START), None, "messages stay");
    assert_eq!((client.pending_events(), client.pending_event_bytes()), (2, 4));
    assert_eq!((message(&mut client).payload, message(&mut client).payload), (b"x".to_vec(), b"y".to_vec()));
    client.publish(3, b"t", b"", 0, false).expect("the places are free again");
}
