//! From CONNECT to CONNACK, and the end.

use super::*;
use crate::options::{InvalidOptions, Will};
use crate::reason;

/// Shows M55, M56.
#[test]
fn the_broker_accepts_and_a_stored_session_is_reported() {
    for version in BOTH {
        let options = ConnectOptions { clean_start: false, ..ConnectOptions::new(version, b"dev") };
        let mut client = connecting(&options, Limits::default());
        feed(&mut client, if version == V3 { b"\x20\x02\x01\x00" } else { b"\x20\x03\x01\x00\x00" });
        assert!(client.is_connected());
        assert_eq!(client.poll(START), Some(Event::Connected { session_present: true }));
    }
}

/// Shows M31, M55, D41.
#[test]
fn a_refusal_is_passed_on_as_the_broker_sent_it() {
    let refusals: [(Version, &[u8], u8); 4] = [
        (V3, b"\x20\x02\x00\x02", 2),
        (V3, b"\x20\x02\x00\xff", 0xff),
        (V5, b"\x20\x03\x00\x85\x00", 0x85),
        (V5, b"\x20\x02\x00\x01", 1),
    ];
    for (version, connack, reason_code) in refusals {
        let mut client = connecting(&ConnectOptions::new(version, b""), Limits::default());
        feed(&mut client, connack);
        assert_eq!(events(&mut client), [Event::ConnectRefused { reason_code }]);
        assert_eq!(receive(&mut client, 0, b"\xd0\x00"), Err(Error::Closed));
        assert!(sent(&mut client).is_empty());
    }
}

/// Shows MQTT-3.2.0-1, MQTT-3.14.0-1.
#[test]
fn no_answer_comes_before_connack() {
    let firsts: [&[u8]; 4] =
        [b"\xd0\x00", b"\x40\x02\x00\x01", b"\x90\x04\x00\x01\x00\x00", b"\x50\x02\x00\x01"];
    for first in firsts {
        assert_fails(&mut connecting(&ConnectOptions::new(V5, b"dev"), Limits::default()), first, 0x82);
    }
    assert_fails(&mut connecting(&ConnectOptions::new(V5, b"dev"), Limits::default()), b"\xe0\x00", 0x82);
}

/// Shows D190: the cause is known from the first byte, however long the packet would be that it seems to begin.
#[test]
fn what_is_not_mqtt_is_detected_at_once() {
    for (bytes, cause) in [
        (&b"HTTP/1.1 400 Bad Request"[..], "HTTP instead of MQTT, by its first byte"),
        (b"\x15\x03\x03\x00\x02", "TLS instead of MQTT: on this port the broker expects TLS"),
        (b"SSH-2.0-OpenSSH", "a packet before CONNACK (MQTT-3.2.0-1)"),
    ] {
        let mut client = connecting(&ConnectOptions::new(V3, b"dev"), Limits::default());
        let error = receive(&mut client, 0, &bytes[..1]).expect_err("no CONNACK");
        assert!(matches!(error, Error::Protocol(error) if error.cause == cause), "{error}");
    }
}

#[test]
fn a_broker_that_does_not_answer_is_abandoned_at_the_timeout() {
    let limits = Limits { connect_timeout: Duration::from_millis(500), ..Limits::default() };
    let mut client = Client::new(&ConnectOptions::new(V5, b"dev"), limits, at(1000)).expect("valid");
    assert_eq!(client.next_timeout(), Some(at(1500)));
    assert_eq!(timeout(&mut client, 1499), Ok(()));
    assert_eq!(timeout(&mut client, 1500), Err(Error::ConnectTimeout));
    assert_eq!(timeout(&mut client, 1501), Ok(()));
    assert_eq!(receive(&mut client, 1501, b"\x20\x03\x00\x00\x00"), Err(Error::Closed));
}

#[test]
fn options_mqtt_does_not_allow_are_refused() {
    let good = ConnectOptions::new(V3, b"dev");
    let will = |topic: &[u8], payload: usize, qos| {
        Some(Will { topic: topic.to_vec(), payload: alloc::vec![0; payload], qos, retain: false })
    };
    let cases = [
        (InvalidOptions::ClientId, ConnectOptions { client_id: b"a\0".to_vec(), ..good.clone() }),
        (InvalidOptions::ClientId, ConnectOptions { client_id: alloc::vec![b'a'; 65_536], ..good.clone() }),
        (InvalidOptions::Username, ConnectOptions { username: Some(b"\xff".to_vec()), ..good.clone() }),
        (InvalidOptions::Password, ConnectOptions { password: Some(Vec::new()), ..good.clone() }),
        (InvalidOptions::Will, ConnectOptions { will: will(b"a/#", 0, 0), ..good.clone() }),
        (InvalidOptions::Will, ConnectOptions { will: will(b"a", 0, 2), ..good.clone() }),
        (InvalidOptions::Will, ConnectOptions { will: will(b"a", 65_536, 0), ..good.clone() }),
        (InvalidOptions::ReceiveMaximum, ConnectOptions { receive_maximum: 0, ..good.clone() }),
        (InvalidOptions::MaximumPacketSize, ConnectOptions { maximum_packet_size: 1, ..good.clone() }),
    ];
    for (fault, options) in cases {
        assert_eq!(Client::new(&options, Limits::default(), START).err(), Some(fault));
    }
    let limits = Limits { events: 0, ..Limits::default() };
    assert_eq!(Client::new(&good, limits, START).err(), Some(InvalidOptions::Limits));
}

#[test]
fn a_password_without_a_user_name_is_for_version_5() {
    let options = ConnectOptions { password: Some(b"p".to_vec()), ..ConnectOptions::new(V5, b"dev") };
    assert!(Client::new(&options, Limits::default(), START).is_ok());
}

/// Shows M91.
#[test]
fn a_disconnect_stands_behind_everything_else() {
    for version in BOTH {
        let mut client = connected(version);
        client.publish(1, b"t", b"", 0, false).expect("taken");
        client.disconnect(reason::SUCCESS);
        client.disconnect(reason::SUCCESS);
        let bytes = sent(&mut client);
        assert_eq!(bytes[0], 0x30);
        assert_eq!(bytes[2 + usize::from(bytes[1])..], [0xe0, 0]);
        assert_eq!(events(&mut client), [published(1, 0)]);
        assert!(client.is_closed());
    }
}

/// Shows D48.
#[test]
fn acknowledgements_that_are_due_leave_before_a_disconnect() {
    let mut client = connected(V5);
    feed(&mut client, &qos1(V5, 9, false));
    let delivery = message(&mut client).delivery.expect("QoS 1");
    client.acknowledge(delivery).expect("known");
    client.disconnect(reason::DISCONNECT_WITH_WILL);
    assert_eq!(sent(&mut client), b"\x40\x02\x00\x09\xe0\x01\x04");
    assert!(!client.wants_transmit());
}

/// Shows D50.
#[test]
fn the_disconnect_of_a_version_5_broker_is_reported() {
    let mut client = connected(V5);
    assert_eq!(receive(&mut client, 0, b"\xe0\x01\x8b\xd0\x00"), Ok(5));
    assert_eq!(events(&mut client), [Event::Disconnected { reason_code: 0x8b }]);
    assert!(client.is_closed());
    assert!(sent(&mut client).is_empty());
}

#[test]
fn errors_say_what_was_wrong() {
    let error = receive(&mut connected(V5), 0, b"\x00\x00").expect_err("type 0");
    let text = alloc::format!("{error}");
    assert_eq!(text, "the broker broke the protocol: a reserved packet type (reason code 0x81)");
}
