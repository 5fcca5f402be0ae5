//! Literal bytes: what a client may send, what it must not, and what the broker sends.

use super::*;
use crate::hub::RetainHandling;

/// The one packet in `bytes`, of a client that has connected.
fn read(version: Version, bytes: &[u8]) -> Result<Incoming, ProtocolError> {
    let mut framer = connected();
    framer.push(bytes);
    let whole = framer.next()?.expect("a whole packet");
    packet(version, &whole)
}

fn connected() -> Framer {
    let mut framer = Framer::default();
    framer.push(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c");
    assert!(framer.next().unwrap().is_some());
    framer
}

fn read_connect(bytes: &[u8]) -> Result<Connect, ConnectError> {
    let mut framer = Framer::default();
    framer.push(bytes);
    let whole = framer.next().map_err(|fault| ConnectError { fault, answer: None })?;
    connect(&whole.expect("a whole packet"))
}

fn message(topic: &str, payload: &[u8], qos: u8) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        qos,
        retain: false,
        properties: Vec::new(),
        expires: None,
        identifiers: Vec::new(),
    }
}

#[test]
fn a_connect_of_each_version_with_everything_in_it() {
    let plain = read_connect(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01c").unwrap();
    assert_eq!((plain.version, plain.client.as_str(), plain.keep_alive), (Version::V3, "c", 10));
    assert!(plain.clean && plain.will.is_none());
    let full = read_connect(
        b"\x10\x35\x00\x04MQTT\x05\xee\x00\x3c\x0d\x21\x00\x05\x27\x00\x00\x10\x00\x11\x00\x00\x00\x01\x00\x01c\
          \x05\x18\x00\x00\x00\x01\x00\x01w\x00\x04gone\x00\x04name\x00\x03key",
    );
    let full = full.unwrap();
    assert_eq!(full.will, Some(Message { retain: true, ..message("w", b"gone", 1) }));
    assert_eq!((full.receive_maximum, full.maximum_packet_size), (5, 4096));
    assert!(full.has_session_expiry);
}

/// Topic Alias Maximum 0 is the value of a client that takes no aliases (MQTT 5, 3.1.2.11.5).
#[test]
fn a_topic_alias_maximum_of_zero_is_accepted() {
    let connect = read_connect(b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x03\x22\x00\x00\x00\x01c").unwrap();
    assert_eq!(connect.client, "c");
}

/// Shows D200.
#[test]
fn a_connect_that_breaks_a_rule_is_refused_with_its_reason() {
    let cases: &[(&[u8], u8, Option<Version>)] = &[
        // Protocol name and level.
        (b"\x10\x0d\x00\x04MQTt\x04\x02\x00\x00\x00\x01c", 0x84, None),
        (b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x00\x00\x01c", 0x84, Some(Version::V3)),
        (b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01c", 0x84, Some(Version::V5)),
        (b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c", 0x84, Some(Version::V3)),
        // Connect flags: reserved, will QoS 3, will QoS or retain without a will, a password alone.
        (b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01c", 0x81, None),
        (b"\x10\x13\x00\x04MQTT\x04\x1e\x00\x00\x00\x01c\x00\x01w\x00\x01x", 0x81, None),
        (b"\x10\x0d\x00\x04MQTT\x04\x0a\x00\x00\x00\x01c", 0x81, None),
        (b"\x10\x0d\x00\x04MQTT\x04\x22\x00\x00\x00\x01c", 0x81, None),
        (b"\x10\x10\x00\x04MQTT\x04\x42\x00\x00\x00\x01c\x00\x01p", 0x81, None),
        // Strings: U+0000, not UTF-8, a surrogate; a will topic with a wildcard, and an empty one.
        (b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x00", 0x81, None),
        (b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\xff", 0x81, None),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x03\xed\xa0\x80", 0x81, Some(Version::V5)),
        (b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01#\x00\x01x", 0x90, None),
        (b"\x10\x12\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x00\x00\x01x", 0x90, None),
        // Properties: not of CONNECT, twice, no such one, 0 where it must not be, not a flag, longer than the packet.
        (b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x03\x23\x00\x01\x00\x01c", 0x81, Some(Version::V5)),
        (
            b"\x10\x14\x00\x04MQTT\x05\x02\x00\x00\x06\x21\x00\x01\x21\x00\x01\x00\x01c",
            0x82,
            Some(Version::V5),
        ),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x02\x7f\x00\x00\x01c", 0x81, Some(Version::V5)),
        (b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x01c", 0x82, Some(Version::V5)),
        (b"\x10\x13\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x01c", 0x82, Some(Version::V5)),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x02\x00\x01c", 0x82, Some(Version::V5)),
        (b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x7f\x00\x01c", 0x81, Some(Version::V5)),
        // Authentication: a method, and data without one.
        (b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x04\x15\x00\x01a\x00\x01c", 0x8c, Some(Version::V5)),
        (b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01a\x00\x01c", 0x82, Some(Version::V5)),
        // Too short, too long.
        (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x01", 0x81, None),
        (b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x01cc", 0x81, None),
        (b"\x10\x00", 0x81, None),
        // Not CONNECT, or CONNECT with flags.
        (b"\x11\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c", 0x81, None),
        (b"\xc0\x00", 0x82, None),
        (b"\x00\x00", 0x82, None),
    ];
    for (bytes, code, answer) in cases {
        let refused = read_connect(bytes).expect_err(&format!("{bytes:02x?}"));
        assert_eq!((refused.fault.code, refused.answer), (*code, *answer), "{bytes:02x?}: {refused:?}");
    }
}

/// Shows D200: packets that are refused in both versions, or in one, with the reason a version 5 client is sent.
#[test]
fn a_packet_that_breaks_a_rule_is_refused_with_its_reason() {
    let (three, five): (&[_], &[_]) = (&[Version::V3], &[Version::V5]);
    let both: &[_] = &[Version::V3, Version::V5];
    let cases: &[(&[Version], &[u8], u8)] = &[
        // PUBLISH: QoS 3, DUP on QoS 0, packet identifier 0, an empty topic, wildcards, U+0000, too short.
        (both, b"\x36\x07\x00\x01t\x00\x01\x00x", 0x81),
        (both, b"\x38\x05\x00\x01t\x00x", 0x81),
        (both, b"\x32\x07\x00\x01t\x00\x00\x00x", 0x82),
        (both, b"\x34\x07\x00\x01t\x00\x00\x00x", 0x82),
        (both, b"\x30\x03\x00\x00\x00", 0x90),
        (both, b"\x30\x04\x00\x01#\x00", 0x90),
        (both, b"\x30\x04\x00\x01+\x00", 0x90),
        (both, b"\x30\x04\x00\x01\x00\x00", 0x81),
        (both, b"\x30\x02\x00\x05", 0x81),
        (both, b"\x32\x03\x00\x01t", 0x81),
        // PUBLISH, version 5: a response topic with a wildcard, topic alias 0, a subscription identifier, no
        // properties.
        (five, b"\x30\x08\x00\x01t\x04\x08\x00\x01#", 0x82),
        (five, b"\x30\x07\x00\x01t\x03\x23\x00\x00", 0x94),
        (five, b"\x30\x06\x00\x01t\x02\x0b\x01", 0x81),
        (five, b"\x30\x03\x00\x01t", 0x81),
        // A variable byte integer longer than it needs to be.
        (five, b"\x30\x05\x00\x01t\x80\x00", 0x81),
        // Acknowledgements: flags, packet identifier 0, too short, too long, a reason code of another packet.
        (both, b"\x41\x02\x00\x01", 0x81),
        (both, b"\x40\x02\x00\x00", 0x82),
        (both, b"\x40\x01\x00", 0x81),
        (both, b"\x60\x02\x00\x01", 0x81),
        (three, b"\x40\x03\x00\x01\x00", 0x81),
        (five, b"\x40\x03\x00\x01\x92", 0x82),
        (five, b"\x62\x03\x00\x01\x10", 0x82),
        (five, b"\x40\x05\x00\x01\x00\x00\x00", 0x81),
        (five, b"\x40\x04\x00\x01\x00\x01", 0x81),
        // SUBSCRIBE: flags, packet identifier 0, no filter, an empty one, options.
        (both, b"\x80\x07\x00\x01\x00\x00\x01a\x00", 0x81),
        (both, b"\x82\x07\x00\x00\x00\x00\x01a\x00", 0x82),
        (three, b"\x82\x02\x00\x01", 0x81),
        (five, b"\x82\x03\x00\x01\x00", 0x81),
        (three, b"\x82\x05\x00\x01\x00\x00\x00", 0x81),
        (three, b"\x82\x06\x00\x01\x00\x01a\x03", 0x81),
        (three, b"\x82\x06\x00\x01\x00\x01a\x04", 0x81),
        (five, b"\x82\x07\x00\x01\x00\x00\x01a\x03", 0x81),
        (five, b"\x82\x07\x00\x01\x00\x00\x01a\x30", 0x81),
        (five, b"\x82\x07\x00\x01\x00\x00\x01a\x40", 0x81),
        (five, b"\x82\x0f\x00\x01\x00\x00\x09$share/a/\x04", 0x82),
        (five, b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00", 0x82),
        // UNSUBSCRIBE: flags, packet identifier 0, no filter.
        (both, b"\xa0\x06\x00\x01\x00\x00\x01a", 0x81),
        (both, b"\xa2\x06\x00\x00\x00\x00\x01a", 0x82),
        (three, b"\xa2\x02\x00\x01", 0x81),
        // Wildcards where they must not stand, and control characters.
        (three, b"\x82\x07\x00\x01\x00\x02+e\x00", 0x81),
        (five, b"\xa2\x09\x00\x01\x00\x00\x04#/ab", 0x81),
        (three, b"\x30\x04\x00\x01\x1b\x00", 0x81),
        (five, b"\x30\x05\x00\x02\xc2\x9b\x00", 0x81),
        // PINGREQ and DISCONNECT with more than they have; a DISCONNECT only servers send.
        (both, b"\xc0\x01\x00", 0x81),
        (three, b"\xe0\x01\x00", 0x81),
        (both, b"\xe1\x00", 0x81),
        (five, b"\xe0\x01\x8e", 0x82),
        // Packets only servers send, AUTH, a second CONNECT, type 0.
        (both, b"\x20\x02\x00\x00", 0x82),
        (both, b"\x90\x03\x00\x01\x00", 0x82),
        (both, b"\xb0\x02\x00\x01", 0x82),
        (both, b"\xd0\x00", 0x82),
        (both, b"\xf0\x00", 0x82),
        (both, b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c", 0x82),
        (both, b"\x00\x00", 0x82),
        // Lengths: five bytes, and more than is taken.
        (both, b"\x30\x80\x80\x80\x80\x01", 0x81),
        (both, b"\x30\xff\xff\xff\x7f", 0x95),
    ];
    for (versions, bytes, code) in cases {
        for version in *versions {
            let refused = read(*version, bytes).expect_err(&format!("{version:?} {bytes:02x?}"));
            assert_eq!(refused.code, *code, "{version:?} {bytes:02x?}: {refused:?}");
        }
    }
}

#[test]
fn what_a_client_may_send_is_understood() {
    let publish =
        |message, qos, id, topic_alias| Incoming::Publish(Publish { message, qos, id, topic_alias });
    let (v3, v5) = (Version::V3, Version::V5);
    assert_eq!(read(v3, b"\x30\x05\x00\x01thi"), Ok(publish(message("t", b"hi", 0), 0, 0, None)));
    let twice = Message { retain: true, ..message("t", b"", 1) };
    assert_eq!(read(v3, b"\x3d\x05\x00\x01t\x12\x34"), Ok(publish(twice, 2, 0x1234, None)));
    let typed =
        Message { properties: b"\x03\x00\x01x\x26\x00\x00\x00\x00".to_vec(), ..message("t", b"hi", 1) };
    let bytes = b"\x32\x11\x00\x01t\x00\x01\x09\x03\x00\x01x\x26\x00\x00\x00\x00hi";
    assert_eq!(read(v5, bytes), Ok(publish(typed, 1, 1, None)));
    let aliased = publish(message("", b"", 0), 0, 0, Some(3));
    assert_eq!(read(v5, b"\x30\x06\x00\x00\x03\x23\x00\x03"), Ok(aliased));
    assert_eq!(read(v3, b"\x40\x02\x00\x01"), Ok(Incoming::Puback { id: 1 }));
    assert_eq!(read(v5, b"\x50\x04\x00\x01\x80\x00"), Ok(Incoming::Pubrec { id: 1, code: 0x80 }));
    assert_eq!(read(v5, b"\x62\x03\x00\x01\x92"), Ok(Incoming::Pubrel { id: 1 }));
    assert_eq!(read(v3, b"\x70\x02\x00\x01"), Ok(Incoming::Pubcomp { id: 1 }));
    assert_eq!(read(v3, b"\xc0\x00"), Ok(Incoming::Pingreq));
    let filters = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(read(v3, b"\xa2\x08\x00\x01\x00\x01a\x00\x01b"), Ok(Incoming::Unsubscribe { id: 1, filters }));
    let left = |code, sets_session_expiry| Ok(Incoming::Disconnect { code, sets_session_expiry });
    assert_eq!(read(v3, b"\xe0\x00"), left(0, false));
    assert_eq!(read(v5, b"\xe0\x07\x04\x05\x11\x00\x00\x00\x01"), left(4, true));
}

#[test]
fn subscription_options_are_understood() {
    let wanted = Subscription {
        filter: "a".into(),
        qos: 1,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        identifier: Some(128),
    };
    let bytes = b"\x82\x0a\x00\x01\x03\x0b\x80\x01\x00\x01a\x2e";
    assert_eq!(read(Version::V5, bytes), Ok(Incoming::Subscribe { id: 1, wanted: vec![wanted] }));
}

/// Shows D200.
#[test]
fn no_bytes_make_the_codec_panic() {
    let packets: &[&[u8]] = &[
        b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01w\x00\x01x",
        b"\x10\x14\x00\x04MQTT\x05\x02\x00\x00\x06\x21\x00\x01\x22\x00\x01\x00\x01c",
        b"\x32\x11\x00\x01t\x00\x01\x09\x03\x00\x01x\x26\x00\x00\x00\x00hi",
        b"\x82\x0a\x00\x01\x03\x0b\x80\x01\x00\x01a\x2e",
        b"\xa2\x08\x00\x01\x00\x01a\x00\x01b",
        b"\xe0\x07\x04\x05\x11\x00\x00\x00\x01",
    ];
    let mut state: u64 = 1;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for round in 0..60_000 {
        let mut bytes = packets[round % packets.len()].to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(1 + random(bytes.len()));
        for mut framer in [Framer::default(), connected()] {
            framer.push(&bytes);
            while let Ok(Some(whole)) = framer.next() {
                let _ = connect(&whole);
                let _ = packet(Version::V3, &whole);
                let _ = packet(Version::V5, &whole);
            }
        }
    }
}

#[test]
fn what_the_broker_sends_is_what_the_standard_says() {
    let (v3, v5) = (Version::V3, Version::V5);
    let three = read_connect(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c").unwrap();
    assert_eq!(connack(&three, None), b"\x20\x02\x00\x00");
    let mut five = read_connect(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00").unwrap();
    let expected = b"\x20\x10\x00\x00\x0d\x21\x00\x20\x27\x00\x10\x00\x00\x22\x00\x0a\x2a\x00";
    assert_eq!(connack(&five, None), expected);
    five.has_session_expiry = true;
    let expected =
        b"\x20\x19\x00\x00\x16\x11\0\0\0\0\x21\x00\x20\x27\x00\x10\x00\x00\x22\x00\x0a\x2a\x00\x12\x00\x01x";
    assert_eq!(connack(&five, Some("x")), expected);
    assert_eq!(refusal(v3, CONNECTION_REFUSED_IDENTIFIER), b"\x20\x02\x00\x02");
    assert_eq!(refusal(v5, 0x84), b"\x20\x03\x00\x84\x00");
    let hello = message("t", b"hi", 1);
    assert_eq!(publish(v3, &hello, Some(7)).unwrap(), b"\x32\x07\x00\x01t\x00\x07hi");
    let retained = Message { retain: true, identifiers: vec![1, 128], ..hello };
    assert_eq!(publish(v5, &retained, None).unwrap(), b"\x31\x0b\x00\x01t\x05\x0b\x01\x0b\x80\x01hi");
    assert_eq!(acknowledgement(v3, kind::PUBCOMP, 1, 0x92), b"\x70\x02\x00\x01");
    assert_eq!(acknowledgement(v5, kind::PUBREL, 1, 0x92), b"\x62\x03\x00\x01\x92");
    assert_eq!(acknowledgement(v5, kind::PUBACK, 1, 0), b"\x40\x02\x00\x01");
    assert_eq!(suback(v3, 1, &[0, 1, 0x9e]), b"\x90\x05\x00\x01\x00\x01\x80");
    assert_eq!(suback(v5, 1, &[0, 1, 0x9e]), b"\x90\x06\x00\x01\x00\x00\x01\x9e");
    assert_eq!(unsuback(v3, 1, &[0]), b"\xb0\x02\x00\x01");
    assert_eq!(unsuback(v5, 1, &[0x11]), b"\xb0\x04\x00\x01\x00\x11");
    assert_eq!(disconnect(0x8e), b"\xe0\x01\x8e");
}

/// MQTT-3.3.2-5, MQTT-3.3.2-6.
#[tokio::test(start_paused = true)]
async fn the_expiry_counts_down_and_an_expired_message_is_not_sent() {
    let Ok(Incoming::Publish(received)) = read(Version::V5, b"\x30\x09\x00\x01t\x05\x02\x00\x00\x00\x0a")
    else {
        panic!("a PUBLISH with an expiry of 10 s")
    };
    tokio::time::advance(std::time::Duration::from_millis(2500)).await;
    let sent = publish(Version::V5, &received.message, None);
    assert_eq!(sent.unwrap(), b"\x30\x09\x00\x01t\x05\x02\x00\x00\x00\x08");
    tokio::time::advance(std::time::Duration::from_secs(8)).await;
    assert_eq!(publish(Version::V5, &received.message, None), None);
}
