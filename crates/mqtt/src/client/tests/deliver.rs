//! Messages from the broker and their acknowledgement.

use super::*;
use crate::deliveries::{DeliveryId, UnknownDelivery};

/// A client to which the broker has sent QoS 1 messages with these identifiers, all polled.
fn with_messages(version: Version, packet_ids: &[u16]) -> (Client, Vec<DeliveryId>) {
    let mut client = connected(version);
    let mut deliveries = Vec::new();
    for packet_id in packet_ids {
        feed(&mut client, &qos1(version, *packet_id, false));
        deliveries.push(message(&mut client).delivery.expect("QoS 1"));
    }
    (client, deliveries)
}

#[test]
fn a_message_is_handed_over_with_everything_the_broker_said() {
    let mut client = connected(V5);
    feed(&mut client, b"\x3b\x0b\x00\x03a/b\x00\x07\x02\x0b\x05x\x30\x06\x00\x01t\x00yz");
    let first = message(&mut client);
    assert_eq!((first.topic.as_str(), &first.payload[..]), ("a/b", &b"x"[..]));
    assert_eq!((first.qos, first.retain, first.dup), (1, true, true));
    assert!(first.delivery.is_some());
    let second = message(&mut client);
    assert_eq!((second.topic.as_str(), &second.payload[..]), ("t", &b"yz"[..]));
    assert_eq!((second.qos, second.retain, second.dup, second.delivery), (0, false, false, None));
}

/// Shows M86, D48.
#[test]
fn no_acknowledgement_leaves_before_the_application_gives_it() {
    for version in BOTH {
        let (mut client, deliveries) = with_messages(version, &[7]);
        assert!(!client.wants_transmit());
        assert!(sent(&mut client).is_empty());
        client.acknowledge(deliveries[0]).expect("known");
        assert!(client.wants_transmit());
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x07");
        assert_eq!(client.unacknowledged(), 0);
    }
}

/// Shows D48, MQTT-4.6.0-2.
#[test]
fn acknowledgements_leave_in_the_order_the_broker_sent_the_messages() {
    for version in BOTH {
        let (mut client, deliveries) = with_messages(version, &[9, 3, 5]);
        client.acknowledge(deliveries[2]).expect("known");
        assert!(sent(&mut client).is_empty());
        client.acknowledge(deliveries[0]).expect("known");
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x09");
        client.acknowledge(deliveries[1]).expect("known");
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x03\x40\x02\x00\x05");
    }
}

#[test]
fn an_unknown_or_repeated_acknowledgement_is_refused() {
    let (mut client, deliveries) = with_messages(V5, &[1, 2]);
    client.acknowledge(deliveries[1]).expect("known");
    assert_eq!(client.acknowledge(deliveries[1]), Err(UnknownDelivery));
    assert_eq!(client.acknowledge(DeliveryId::from(77)), Err(UnknownDelivery));
    assert_eq!(client.acknowledge(DeliveryId::from(u32::MAX)), Err(UnknownDelivery));
    client.acknowledge(deliveries[0]).expect("known");
    sent(&mut client);
    assert_eq!(client.acknowledge(deliveries[0]), Err(UnknownDelivery));
    client.disconnect(0);
    assert_eq!(client.acknowledge(deliveries[0]), Err(UnknownDelivery));
}

/// Shows MQTT-4.3.2-5.
#[test]
fn a_message_sent_again_is_delivered_once_until_its_acknowledgement_has_left() {
    for version in BOTH {
        let (mut client, deliveries) = with_messages(version, &[7]);
        feed(&mut client, &qos1(version, 7, true));
        assert!(events(&mut client).is_empty());
        client.acknowledge(deliveries[0]).expect("known");
        feed(&mut client, &qos1(version, 7, true));
        assert!(events(&mut client).is_empty());
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x07");
        feed(&mut client, &qos1(version, 7, true));
        let again = message(&mut client).delivery.expect("QoS 1");
        assert_ne!(again, deliveries[0]);
    }
}

/// Shows MQTT-3.3.4-9.
#[test]
fn more_messages_than_the_receive_maximum_end_the_connection() {
    let options = ConnectOptions { receive_maximum: 2, ..ConnectOptions::new(V5, b"dev") };
    let mut client = accepted(&options, Limits::default(), &[]);
    feed(&mut client, &qos1(V5, 1, false));
    feed(&mut client, &qos1(V5, 2, false));
    // Neither QoS 0 nor a repetition counts.
    feed(&mut client, b"\x30\x04\x00\x01t\x00");
    feed(&mut client, &qos1(V5, 2, true));
    assert_fails(&mut client, &qos1(V5, 3, false), 0x93);
}

#[test]
fn an_overrun_of_the_receive_maximum_is_tolerated_as_far_as_allowed() {
    let options = ConnectOptions { receive_maximum: 1, ..ConnectOptions::new(V5, b"dev") };
    let limits = Limits { receive_maximum_excess: 2, ..Limits::default() };
    let mut client = accepted(&options, limits, &[]);
    for packet_id in 1..=3 {
        feed(&mut client, &qos1(V5, packet_id, false));
    }
    assert_fails(&mut client, &qos1(V5, 4, false), 0x93);
}

#[test]
fn the_receive_maximum_is_free_again_when_an_acknowledgement_has_left() {
    let options = ConnectOptions { receive_maximum: 1, ..ConnectOptions::new(V5, b"dev") };
    let mut client = accepted(&options, Limits::default(), &[]);
    for packet_id in 1..100 {
        feed(&mut client, &qos1(V5, packet_id, false));
        let delivery = message(&mut client).delivery.expect("QoS 1");
        client.acknowledge(delivery).expect("known");
        assert_eq!(sent(&mut client), [0x40, 2, 0, packet_id as u8]);
    }
}

/// Shows D49.
#[test]
fn a_full_event_queue_leaves_the_rest_to_the_connection() {
    let limits = Limits { events: 2, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    let one = b"\x30\x03\x00\x01t";
    let four = one.repeat(4);
    assert_eq!(receive(&mut client, 0, &four), Ok(10));
    assert!(!client.can_receive());
    assert_eq!(receive(&mut client, 0, &four[10..]), Ok(0));
    message(&mut client);
    assert_eq!(receive(&mut client, 0, &four[10..]), Ok(5));
    assert_eq!(client.pending_events(), 2);
}

/// Shows D49.
#[test]
fn waiting_bytes_are_bounded_too() {
    let limits = Limits { event_bytes: 4, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    let three = b"\x30\x05\x00\x01tab".repeat(3);
    assert_eq!(receive(&mut client, 0, &three), Ok(14));
    assert_eq!(client.pending_event_bytes(), 6);
    message(&mut client);
    assert_eq!(receive(&mut client, 0, &three[14..]), Ok(7));
}

/// Shows D49.
#[test]
fn unacknowledged_messages_hold_a_3_1_1_broker_back() {
    let limits = Limits { unacknowledged: 1, ..Limits::default() };
    let mut client = accepted(&ConnectOptions::new(V3, b"dev"), limits, &[]);
    let two = [qos1(V3, 1, false), qos1(V3, 2, false)].concat();
    assert_eq!(receive(&mut client, 0, &two), Ok(7));
    let delivery = message(&mut client).delivery.expect("QoS 1");
    assert_eq!(receive(&mut client, 0, &two[7..]), Ok(0));
    client.acknowledge(delivery).expect("known");
    assert_eq!(sent(&mut client), b"\x40\x02\x00\x01");
    assert_eq!(receive(&mut client, 0, &two[7..]), Ok(7));
}

/// Shows D49.
#[test]
fn a_message_too_large_for_a_3_1_1_client_is_skipped_and_acknowledged_in_turn() {
    let options = ConnectOptions { maximum_packet_size: 20, ..ConnectOptions::new(V3, b"dev") };
    let mut client = accepted(&options, Limits::default(), &[]);
    feed(&mut client, &qos1(V3, 1, false));
    let delivery = message(&mut client).delivery.expect("QoS 1");
    let large = [&b"\x32\xed\x07\x00\x03big\x00\x02"[..], &[0; 998]].concat();
    for byte in &large {
        feed(&mut client, &[*byte]);
        assert!(client.framer.reserved() <= 20);
    }
    let lost = Event::MessageLost { topic: "big".into(), length: 998 };
    assert_eq!(client.poll(START).as_ref(), Some(&lost));
    assert!(sent(&mut client).is_empty());
    client.acknowledge(delivery).expect("known");
    assert_eq!(sent(&mut client), b"\x40\x02\x00\x01\x40\x02\x00\x02");
    feed(&mut client, &large);
    feed(&mut client, b"\x30\x03\x00\x01t");
    assert_eq!(events(&mut client)[0], lost);
    assert_eq!(sent(&mut client), b"\x40\x02\x00\x02");
}
