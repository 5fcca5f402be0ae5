//! Departures from MQTT that do no harm (D192): the client continues, counts them, and keeps its promises.

use super::*;
use crate::deviation::Deviation;
use crate::limits::UNREAD_ANSWERS;

/// What was tolerated since the last look.
fn seen(client: &mut Client) -> Vec<(Deviation, u16)> {
    client.take_deviations().iter().collect()
}

/// A PUBLISH of this QoS to topic `t`, as a broker sends it.
fn publish(version: Version, qos: u8, packet_id: u16, dup: bool, payload: &[u8]) -> Vec<u8> {
    let [high, low] = packet_id.to_be_bytes();
    let properties: &[u8] = if version == V5 { &[0] } else { &[] };
    let body = [&[0, 1, b't', high, low], properties, payload].concat();
    [&[0x30 | u8::from(dup) << 3 | qos << 1, body.len() as u8], &body[..]].concat()
}

#[test]
fn a_message_sent_again_without_dup_is_delivered_once_and_acknowledged_once() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, &publish(version, 1, 21, false, b"one"));
        let delivery = message(&mut client).delivery.expect("QoS 1");
        feed(&mut client, &publish(version, 1, 21, false, b"one"));
        assert!(events(&mut client).is_empty());
        assert_eq!(client.unacknowledged(), 1);
        assert_eq!(seen(&mut client), [(Deviation::ResentWithoutDup, 1)]);
        client.acknowledge(delivery).expect("known");
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x15");
        feed(&mut client, &publish(version, 1, 22, false, b"two"));
        assert_eq!(message(&mut client).payload, b"two");
    }
}

#[test]
fn another_message_under_an_identifier_in_use_is_not_lost() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, &publish(version, 1, 7, false, b"one"));
        feed(&mut client, &publish(version, 1, 7, false, b"two"));
        let deliveries = ["one", "two"].map(|payload| {
            let message = message(&mut client);
            assert_eq!(message.payload, payload.as_bytes());
            message.delivery.expect("QoS 1")
        });
        assert_eq!(seen(&mut client), [(Deviation::PacketIdReused, 1)]);
        for delivery in deliveries {
            client.acknowledge(delivery).expect("known");
        }
        assert_eq!(sent(&mut client), b"\x40\x02\x00\x07\x40\x02\x00\x07");
    }
}

/// Shows M34: the application sees QoS 1, the broker a complete QoS 2 exchange.
#[test]
fn a_qos_2_message_is_delivered_as_qos_1_and_answered_as_qos_2() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, &publish(version, 2, 9, false, b"x"));
        let arrived = message(&mut client);
        assert_eq!((arrived.qos, &arrived.payload[..]), (1, &b"x"[..]));
        assert!(sent(&mut client).is_empty(), "not before the application has acknowledged it");
        // Sent again before PUBREC: still the same one.
        feed(&mut client, &publish(version, 2, 9, true, b"x"));
        client.acknowledge(arrived.delivery.expect("QoS 1")).expect("known");
        assert_eq!(sent(&mut client), b"\x50\x02\x00\x09");
        // Sent again before PUBREL: it is not delivered again (MQTT-4.3.3-10).
        feed(&mut client, &publish(version, 2, 9, true, b"x"));
        assert!(events(&mut client).is_empty());
        assert_eq!(sent(&mut client), b"\x50\x02\x00\x09");
        feed(&mut client, b"\x62\x02\x00\x09");
        assert_eq!(sent(&mut client), b"\x70\x02\x00\x09");
        // Released, the identifier names a new message.
        feed(&mut client, &publish(version, 2, 9, false, b"y"));
        assert_eq!(message(&mut client).payload, b"y");
        assert_eq!(seen(&mut client), [(Deviation::Qos2Message, 4)]);
    }
}

/// Shows D48, MQTT-4.6.0-2, MQTT-4.6.0-3.
#[test]
fn acknowledgements_of_either_qos_keep_the_order_of_the_messages() {
    let mut client = connected(V5);
    feed(&mut client, &publish(V5, 2, 1, false, b"a"));
    feed(&mut client, &publish(V5, 1, 2, false, b"b"));
    let deliveries = [1, 2].map(|_| message(&mut client).delivery.expect("QoS 1"));
    client.acknowledge(deliveries[1]).expect("known");
    assert!(sent(&mut client).is_empty());
    client.acknowledge(deliveries[0]).expect("known");
    assert_eq!(sent(&mut client), b"\x50\x02\x00\x01\x40\x02\x00\x02");
}

#[test]
fn a_release_of_an_earlier_connection_is_completed() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, b"\x62\x02\x12\x34");
        assert_eq!(sent(&mut client), b"\x70\x02\x12\x34");
        assert!(seen(&mut client).is_empty(), "a stored session may contain one");
    }
}

#[test]
fn a_broker_that_reads_no_answers_is_read_no_more() {
    let mut client = connected(V3);
    let release = b"\x62\x02\x00\x01".repeat(1000);
    let mut taken = 0;
    while client.can_receive() {
        taken += receive(&mut client, 0, &release).expect("well-formed");
        assert!(taken < 4 << 20, "{taken}");
    }
    assert!(client.untransmitted() <= Limits::default().outgoing_bytes + UNREAD_ANSWERS + 4);
    sent(&mut client);
    assert!(client.can_receive());
}

/// A publish of QoS 1 the broker answers as if it were QoS 2 is with the broker, and a PUBREC for an earlier client's
/// is answered.
#[test]
fn pubrec_is_brought_to_its_end() {
    for version in BOTH {
        let mut client = connected(version);
        client.publish(3, b"t", b"", 1, false).expect("taken");
        assert_eq!(sent(&mut client)[0], 0x32);
        feed(&mut client, b"\x50\x02\x00\x01");
        assert_eq!(events(&mut client), [published(3, 0)]);
        assert_eq!(sent(&mut client), b"\x62\x02\x00\x01");
        feed(&mut client, b"\x70\x02\x00\x01\x50\x02\x00\x63");
        assert_eq!(sent(&mut client), b"\x62\x02\x00\x63");
        assert!(events(&mut client).is_empty());
        assert_eq!(seen(&mut client), [(Deviation::UnexpectedPacket, 2)]);
    }
    let mut client = connected(V5);
    client.publish(3, b"t", b"", 1, false).expect("taken");
    sent(&mut client);
    feed(&mut client, b"\x50\x03\x00\x01\x97");
    assert_eq!(events(&mut client), [published(3, 0x97)]);
    assert!(sent(&mut client).is_empty(), "what was refused is not released (MQTT-4.3.3-4)");
}

#[test]
fn a_session_after_a_clean_start_and_a_maximum_qos_of_2_are_no_reason_to_leave() {
    for version in BOTH {
        let mut client = connecting(&ConnectOptions::new(version, b"dev"), Limits::default());
        feed(&mut client, if version == V3 { b"\x20\x02\x01\x00" } else { b"\x20\x03\x01\x00\x00" });
        assert_eq!(client.poll(START), Some(Event::Connected { session_present: true }));
        assert_eq!(seen(&mut client), [(Deviation::SessionPresent, 1)]);
    }
    let mut client = connected_v5(b"\x24\x02");
    assert_eq!(seen(&mut client), [(Deviation::MaximumQos, 1)]);
    assert_eq!(client.publish(1, b"t", b"", 1, false), Ok(()));
}

/// Shows M56: the application learns that it is connected before it gets a message.
#[test]
fn messages_before_connack_come_after_it() {
    for version in BOTH {
        let options = ConnectOptions { clean_start: false, ..ConnectOptions::new(version, b"dev") };
        let mut client = connecting(&options, Limits::default());
        feed(&mut client, &publish(version, 1, 3, false, b"queued"));
        feed(&mut client, b"\x62\x02\x00\x04");
        assert_eq!((client.poll(START), client.pending_events()), (None, 0));
        feed(&mut client, if version == V3 { b"\x20\x02\x00\x00" } else { b"\x20\x03\x00\x00\x00" });
        assert_eq!(client.poll(START), Some(Event::Connected { session_present: false }));
        let delivery = message(&mut client).delivery.expect("QoS 1");
        client.acknowledge(delivery).expect("known");
        assert_eq!(sent(&mut client), b"\x70\x02\x00\x04\x40\x02\x00\x03");
        assert_eq!(seen(&mut client), [(Deviation::BeforeConnack, 2)]);
    }
}

#[test]
fn messages_before_a_refusal_are_not_delivered() {
    let mut client = connecting(&ConnectOptions::new(V3, b"dev"), Limits::default());
    feed(&mut client, &publish(V3, 1, 3, false, b"queued"));
    feed(&mut client, b"\x20\x02\x00\x05");
    assert_eq!(events(&mut client), [Event::ConnectRefused { reason_code: 5 }]);
    let mut client = connecting(&ConnectOptions::new(V3, b"dev"), Limits::default());
    feed(&mut client, &publish(V3, 1, 3, false, b"queued"));
    assert_fails(&mut client, b"\x00\x00", 0x81);
    assert!(events(&mut client).is_empty());
}

#[test]
fn a_connack_behind_more_than_can_wait_is_not_waited_for() {
    let limits = Limits { events: 3, ..Limits::default() };
    let mut client = connecting(&ConnectOptions::new(V3, b"dev"), limits);
    feed(&mut client, &b"\x30\x03\x00\x01t".repeat(2));
    assert_fails(&mut client, b"\x30\x03\x00\x01t", 0x82);
}

/// Shows M55: the code says why.
#[test]
fn a_disconnect_before_connack_is_a_refusal_with_its_code() {
    let mut client = connecting(&ConnectOptions::new(V5, b"dev"), Limits::default());
    feed(&mut client, b"\xe0\x01\x89");
    assert_eq!(events(&mut client), [Event::ConnectRefused { reason_code: 0x89 }]);
    assert!(client.is_closed());
}

#[test]
fn a_second_connack_changes_nothing_unless_it_refuses() {
    for version in BOTH {
        let mut client = connected(version);
        feed(&mut client, if version == V3 { b"\x20\x02\x00\x00" } else { b"\x20\x03\x00\x00\x00" });
        assert!(client.is_connected() && events(&mut client).is_empty());
        assert_eq!(seen(&mut client), [(Deviation::SecondConnack, 1)]);
        feed(&mut client, if version == V3 { b"\x20\x02\x00\x05" } else { b"\x20\x03\x00\x87\x00" });
        let reason_code = if version == V3 { 5 } else { 0x87 };
        assert_eq!(events(&mut client), [Event::Disconnected { reason_code }]);
    }
}

#[test]
fn a_disconnect_of_a_3_1_1_broker_is_its_end() {
    let mut client = connected(V3);
    feed(&mut client, b"\xe0\x00");
    assert_eq!(events(&mut client), [Event::Disconnected { reason_code: 0 }]);
}

#[test]
fn an_alias_that_was_not_allowed_is_understood_all_the_same() {
    let mut client = connected(V5);
    feed(&mut client, b"\x30\x08\x00\x01a\x03\x23\x00\x05x");
    feed(&mut client, b"\x30\x07\x00\x00\x03\x23\x00\x05y");
    feed(&mut client, b"\x30\x08\x00\x01b\x03\x23\x00\x05z");
    feed(&mut client, b"\x30\x07\x00\x00\x03\x23\x00\x05w");
    let topics: Vec<_> = (0..4).map(|_| message(&mut client).topic).collect();
    assert_eq!(topics, ["a", "a", "b", "b"]);
    assert_eq!(seen(&mut client), [(Deviation::TopicAlias, 4)]);
    assert_fails(&mut client, b"\x30\x07\x00\x00\x03\x23\x00\x06y", 0x94);
}

#[test]
fn aliases_that_were_not_allowed_are_bounded() {
    let mut client = connected(V5);
    for alias in 1..=17 {
        feed(&mut client, &[0x30, 7, 0, 1, b'a', 3, 0x23, 0, alias]);
        message(&mut client);
    }
    feed(&mut client, b"\x30\x06\x00\x00\x03\x23\x00\x10");
    assert_fails(&mut client, b"\x30\x06\x00\x00\x03\x23\x00\x11", 0x94);
}

/// Shows D49: a message that could never fit ends nothing, whichever version it comes by.
#[test]
fn a_version_5_message_over_the_announced_size_is_skipped_and_acknowledged() {
    let options = ConnectOptions { maximum_packet_size: 20, ..ConnectOptions::new(V5, b"dev") };
    let mut client = accepted(&options, Limits::default(), &[]);
    let large = [&b"\x32\xee\x07\x00\x03big\x00\x02\x00"[..], &[0; 998]].concat();
    feed(&mut client, &large);
    let lost = Event::MessageLost { topic: "big".into(), length: 998 };
    assert_eq!(events(&mut client), [lost]);
    assert_eq!(sent(&mut client), b"\x40\x02\x00\x02");
    assert_eq!(seen(&mut client), [(Deviation::PacketTooLarge, 1)]);
}

#[test]
fn an_unsuback_without_codes_means_success() {
    let mut client = connected(V5);
    client.unsubscribe(4, &[b"a", b"b"]).expect("taken");
    sent(&mut client);
    feed(&mut client, b"\xb0\x02\x00\x01");
    assert_eq!(events(&mut client), [Event::Unsubscribed { token: 4, reason_codes: Vec::from([0, 0]) }]);
    assert_eq!(seen(&mut client), [(Deviation::MissingReasonCodes, 1)]);
}

/// What would report to an application something else than what happened ends the connection, however harmless it
/// looks.
#[test]
fn what_would_break_a_promise_still_ends_the_connection() {
    for version in BOTH {
        let mut client = connected(version);
        client.subscribe(4, &[filter(b"a", 1), filter(b"b", 1)]).expect("taken");
        sent(&mut client);
        let suback: &[u8] = if version == V3 { b"\x90\x03\x00\x01\x01" } else { b"\x90\x04\x00\x01\x00\x01" };
        assert_fails(&mut client, suback, 0x82);
        assert_fails(&mut connected(version), &publish(version, 1, 0, false, b""), 0x82);
        assert_fails(&mut connected(version), &publish(version, 3, 1, false, b""), 0x81);
    }
}
