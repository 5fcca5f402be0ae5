//! Literal bytes of every packet, both versions.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::client::Filter;
use crate::deviation::{Deviation, Deviations};
use crate::error::ProtocolError;
use crate::options::{ConnectOptions, Version, Will};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// Cuts exactly one packet out of `bytes` and decodes it.
fn with_decoded<T>(
    version: Version,
    bytes: &[u8],
    look: impl FnOnce(Result<Packet<'_>, ProtocolError>) -> T,
) -> T {
    let mut framer = Framer::new(u32::MAX);
    let mut rest = bytes;
    let frame = framer.next(&mut rest).expect("a well-formed header").expect("a whole packet");
    assert!(rest.is_empty(), "more than one packet");
    look(decode(version, frame.first, &frame.body, &mut Deviations::default()))
}

/// What is tolerated in a packet that is decoded.
fn deviations_of(version: Version, bytes: &[u8]) -> Vec<Deviation> {
    let mut deviations = Deviations::default();
    let body = &bytes[2..];
    decode(version, bytes[0], body, &mut deviations).unwrap_or_else(|error| panic!("{bytes:x?}: {error}"));
    deviations.iter().map(|(deviation, _)| deviation).collect()
}

fn reason_of(version: Version, bytes: &[u8]) -> u8 {
    with_decoded(version, bytes, |packet| packet.expect_err("must be refused").reason_code)
}

fn assert_decodes(version: Version, bytes: &[u8], expected: &Packet<'_>) {
    with_decoded(version, bytes, |packet| assert_eq!(packet.as_ref(), Ok(expected)));
}

fn full_options(version: Version) -> ConnectOptions {
    ConnectOptions {
        username: Some(b"u".to_vec()),
        password: Some(vec![0, 0xff]),
        will: Some(Will { topic: b"w".to_vec(), payload: b"gone".to_vec(), qos: 1, retain: true }),
        keep_alive: 60,
        clean_start: false,
        receive_maximum: 16,
        maximum_packet_size: 0x1000,
        ..ConnectOptions::new(version, b"dev")
    }
}

/// Shows M33, M36, M40.
#[test]
fn connect_of_version_3_1_1_in_bytes() {
    let expected =
        b"\x10\x1f\x00\x04MQTT\x04\xec\x00\x3c\x00\x03dev\x00\x01w\x00\x04gone\x00\x01u\x00\x02\x00\xff";
    assert_eq!(encoded(|out| connect(out, &full_options(V3))), expected);
}

/// Shows M33, M36, M40.
#[test]
fn connect_of_version_5_in_bytes() {
    let expected =
        b"\x10\x2e\x00\x04MQTT\x05\xec\x00\x3c\x0d\x11\xff\xff\xff\xff\x21\x00\x10\x27\x00\x00\x10\x00\
        \x00\x03dev\x00\x00\x01w\x00\x04gone\x00\x01u\x00\x02\x00\xff";
    assert_eq!(encoded(|out| connect(out, &full_options(V5))), expected);
}

/// Shows M31, M32, D41.
#[test]
fn connect_with_a_clean_start_and_an_empty_id_in_bytes() {
    let options = ConnectOptions::new(V3, b"");
    assert_eq!(encoded(|out| connect(out, &options)), b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00");
    let options =
        ConnectOptions { maximum_packet_size: 2, receive_maximum: 0xffff, ..ConnectOptions::new(V5, b"") };
    let expected = b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x02\x00\x00";
    assert_eq!(encoded(|out| connect(out, &options)), expected);
}

fn message(packet_id: Option<u16>, retain: bool, naming: Naming) -> Outbound<'static> {
    Outbound { topic: b"a/b", payload: b"hi", packet_id, retain, naming }
}

/// Shows M41, M60.
#[test]
fn publish_in_bytes() {
    let qos0 = message(None, false, Naming::Plain);
    let qos1 = message(Some(0x1234), true, Naming::Plain);
    assert_eq!(encoded(|out| publish(out, V3, &qos0)), b"\x30\x07\x00\x03a/bhi");
    assert_eq!(encoded(|out| publish(out, V3, &qos1)), b"\x33\x09\x00\x03a/b\x12\x34hi");
    assert_eq!(encoded(|out| publish(out, V5, &qos0)), b"\x30\x08\x00\x03a/b\x00hi");
    assert_eq!(encoded(|out| publish(out, V5, &qos1)), b"\x33\x0a\x00\x03a/b\x12\x34\x00hi");
}

/// Shows MQTT-3.3.2-8.
#[test]
fn publish_with_a_topic_alias_in_bytes() {
    let defining = message(None, false, Naming::Define(2));
    let referring = message(Some(1), false, Naming::Refer(2));
    assert_eq!(encoded(|out| publish(out, V5, &defining)), b"\x30\x0b\x00\x03a/b\x03\x23\x00\x02hi");
    assert_eq!(encoded(|out| publish(out, V5, &referring)), b"\x32\x0a\x00\x00\x00\x01\x03\x23\x00\x02hi");
}

/// Shows MQTT-1.5.5-1.
#[test]
fn remaining_lengths_are_as_short_as_they_can_be() {
    for (payload, length) in [
        (124, &[0x7f][..]),
        (125, &[0x80, 0x01]),
        (16_380, &[0xff, 0x7f]),
        (16_381, &[0x80, 0x80, 0x01]),
        (2_097_148, &[0xff, 0xff, 0x7f]),
        (2_097_149, &[0x80, 0x80, 0x80, 0x01]),
    ] {
        let payload = vec![0; payload];
        let message = Outbound {
            topic: b"t",
            payload: &payload,
            packet_id: None,
            retain: false,
            naming: Naming::Plain,
        };
        let packet = encoded(|out| publish(out, V3, &message));
        assert_eq!(&packet[1..=length.len()], length);
        assert_eq!(packet.len(), publish_size(V3, &message));
    }
}

#[test]
fn short_packets_in_bytes() {
    assert_eq!(encoded(|out| puback(out, 0xabcd)), [0x40, 2, 0xab, 0xcd]);
    assert_eq!(encoded(pingreq), [0xc0, 0]);
    assert_eq!(encoded(|out| disconnect(out, V3, 0x04)), [0xe0, 0]);
    assert_eq!(encoded(|out| disconnect(out, V5, 0x00)), [0xe0, 0]);
    assert_eq!(encoded(|out| disconnect(out, V5, 0x82)), [0xe0, 1, 0x82]);
}

/// Shows M71, M72, M73.
#[test]
fn subscribe_in_bytes() {
    let plain =
        Filter { topic: b"a", qos: 0, no_local: false, retain_as_published: false, retain_handling: 0 };
    let full =
        Filter { topic: b"b/#", qos: 1, no_local: true, retain_as_published: true, retain_handling: 2 };
    let filters = [plain, full];
    let v3 = encoded(|out| subscribe(out, V3, 10, &filters));
    let v5 = encoded(|out| subscribe(out, V5, 10, &filters));
    assert_eq!(v3, b"\x82\x0c\x00\x0a\x00\x01a\x00\x00\x03b/#\x01");
    assert_eq!(v5, b"\x82\x0d\x00\x0a\x00\x00\x01a\x00\x00\x03b/#\x2d");
    assert_eq!((v3.len(), v5.len()), (subscribe_size(V3, &filters), subscribe_size(V5, &filters)));
}

#[test]
fn unsubscribe_in_bytes() {
    let topics: [&[u8]; 2] = [b"a", b"b/#"];
    let v3 = encoded(|out| unsubscribe(out, V3, 11, &topics));
    let v5 = encoded(|out| unsubscribe(out, V5, 11, &topics));
    assert_eq!(v3, b"\xa2\x0a\x00\x0b\x00\x01a\x00\x03b/#");
    assert_eq!(v5, b"\xa2\x0b\x00\x0b\x00\x00\x01a\x00\x03b/#");
    assert_eq!((v3.len(), v5.len()), (unsubscribe_size(V3, &topics), unsubscribe_size(V5, &topics)));
}

fn connack(session_present: bool, reason_code: u8, properties: Properties) -> Packet<'static> {
    Packet::ConnAck { session_present, reason_code, properties }
}

/// Shows M55.
#[test]
fn connack_is_read() {
    let none = Properties::default();
    assert_decodes(V3, b"\x20\x02\x01\x00", &connack(true, 0, none));
    assert_decodes(V3, b"\x20\x02\x00\x05", &connack(false, 5, none));
    assert_decodes(V5, b"\x20\x03\x01\x00\x00", &connack(true, 0, none));
    assert_decodes(V5, b"\x20\x03\x00\x87\x00", &connack(false, 0x87, none));
    assert_decodes(V5, b"\x20\x02\x00\x01", &connack(false, 1, none));
}

#[test]
fn every_property_of_connack_is_read() {
    let bytes = b"\x20\x48\x00\x00\x45\
        \x11\x00\x00\x00\x05\x21\x00\x0a\x24\x01\x25\x00\x27\x00\x00\x04\x00\x12\x00\x02id\x22\x00\x03\
        \x1f\x00\x02ok\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01v\x28\x00\x29\x01\x2a\x00\x13\x00\x1e\
        \x1a\x00\x01r\x1c\x00\x01s\x15\x00\x01m\x16\x00\x01\xff";
    let properties = Properties {
        server_keep_alive: Some(30),
        receive_maximum: Some(10),
        topic_alias_maximum: Some(3),
        topic_alias: None,
        maximum_qos: Some(1),
        retain_available: Some(false),
        maximum_packet_size: Some(1024),
        wildcard_subscriptions: Some(false),
        shared_subscriptions: Some(false),
    };
    assert_decodes(V5, bytes, &connack(false, 0, properties));
}

#[test]
fn publish_is_read() {
    let expected = |packet_id, dup, retain| {
        let qos = u8::from(Option::is_some(&packet_id));
        Packet::Publish(Publish {
            packet_id,
            qos,
            dup,
            retain,
            topic: "a/b",
            topic_alias: None,
            payload: b"hi",
        })
    };
    assert_decodes(V3, b"\x30\x07\x00\x03a/bhi", &expected(None, false, false));
    assert_decodes(V3, b"\x3b\x09\x00\x03a/b\x00\x07hi", &expected(Some(7), true, true));
    assert_decodes(V5, b"\x31\x08\x00\x03a/b\x00hi", &expected(None, false, true));
    let properties =
        b"\x32\x2e\x00\x03a/b\x00\x07\x24\x01\x01\x02\x00\x00\x00\x09\x08\x00\x01r\x09\x00\x01\xff\
        \x0b\x01\x0b\x80\x01\x03\x00\x01c\x26\x00\x01k\x00\x01vhi";
    let length = properties.len() - 2;
    let mut bytes = properties.to_vec();
    bytes[1] = length as u8;
    bytes[9] = (length - 2 - 3 - 2 - 1 - 2) as u8;
    assert_decodes(V5, &bytes, &expected(Some(7), false, false));
}

/// Shows M55, M80.
#[test]
fn acknowledgements_are_read() {
    assert_decodes(V3, b"\x40\x02\x00\x07", &Packet::PubAck { packet_id: 7, reason_code: 0 });
    assert_decodes(V5, b"\x40\x02\x00\x07", &Packet::PubAck { packet_id: 7, reason_code: 0 });
    assert_decodes(V5, b"\x40\x03\x00\x07\x10", &Packet::PubAck { packet_id: 7, reason_code: 0x10 });
    let reasoned = b"\x40\x09\x00\x07\x87\x05\x1f\x00\x02no";
    assert_decodes(V5, reasoned, &Packet::PubAck { packet_id: 7, reason_code: 0x87 });
    assert_decodes(
        V3,
        b"\x90\x04\x00\x08\x01\x80",
        &Packet::SubAck { packet_id: 8, reason_codes: &[1, 0x80] },
    );
    assert_decodes(
        V5,
        b"\x90\x05\x00\x08\x00\x01\x87",
        &Packet::SubAck { packet_id: 8, reason_codes: &[1, 0x87] },
    );
    assert_decodes(V3, b"\xb0\x02\x00\x09", &Packet::UnsubAck { packet_id: 9, reason_codes: &[] });
    assert_decodes(
        V5,
        b"\xb0\x05\x00\x09\x00\x00\x11",
        &Packet::UnsubAck { packet_id: 9, reason_codes: &[0, 0x11] },
    );
}

#[test]
fn pingresp_and_disconnect_are_read() {
    assert_decodes(V3, b"\xd0\x00", &Packet::PingResp);
    assert_decodes(V5, b"\xd0\x00", &Packet::PingResp);
    assert_decodes(V5, b"\xe0\x00", &Packet::Disconnect { reason_code: 0 });
    assert_decodes(V5, b"\xe0\x01\x8b", &Packet::Disconnect { reason_code: 0x8b });
    let reasoned = b"\xe0\x0b\x8e\x09\x1f\x00\x02no\x1c\x00\x01s";
    assert_decodes(V5, reasoned, &Packet::Disconnect { reason_code: 0x8e });
}

/// Shows MQTT-1.5.4-1, MQTT-1.5.4-2, MQTT-3.3.1-4.
#[test]
fn malformed_packets_are_refused_as_malformed() {
    for bytes in [
        &b"\x00\x00"[..],                // type 0
        b"\x20\x01\x00",                 // ends early
        b"\x36\x05\x00\x01a\x00\x01",    // QoS 3
        b"\x30\x04\x00\x05ab",           // topic longer than the packet
        b"\x30\x04\x00\x02\xc3\x28",     // not UTF-8
        b"\x30\x05\x00\x03\xed\xa0\x80", // a surrogate
        b"\x30\x05\x00\x03a\x00b",       // U+0000
        b"\x32\x04\x00\x01a\x00",        // half a packet identifier
        b"\x40\x01\x00",                 // likewise
        b"\x62\x01\x00",                 // likewise
        b"\x90\x01\x00",                 // likewise
    ] {
        assert_eq!(reason_of(V3, bytes), 0x81, "{bytes:x?}");
        assert_eq!(reason_of(V5, bytes), 0x81, "{bytes:x?}");
    }
    assert_eq!(reason_of(V3, b"\xf0\x00"), 0x81);
}

/// Shows MQTT-2.2.1-4, MQTT-4.7.3-1, MQTT-4.12.0-6.
#[test]
fn well_formed_packets_out_of_place_are_protocol_errors() {
    for bytes in [
        &b"\x10\x00"[..],             // CONNECT
        b"\x32\x05\x00\x01a\x00\x00", // packet identifier 0
        b"\x34\x05\x00\x01a\x00\x00", // likewise
        b"\x40\x02\x00\x00",          // likewise
        b"\x62\x02\x00\x00",          // likewise
        b"\x82\x02\x00\x01",          // SUBSCRIBE
        b"\xa2\x02\x00\x01",          // UNSUBSCRIBE
    ] {
        assert_eq!(reason_of(V3, bytes), 0x82, "{bytes:x?}");
        assert_eq!(reason_of(V5, bytes), 0x82, "{bytes:x?}");
    }
    assert_eq!(reason_of(V5, b"\xf0\x00"), 0x82);
    assert_eq!(reason_of(V3, b"\x30\x02\x00\x00"), 0x82);
    assert_eq!(reason_of(V5, b"\x30\x03\x00\x00\x00"), 0x82);
}

/// Shows MQTT-2.2.2-1: where the properties end, and with them where the payload begins, may not be in doubt.
#[test]
fn properties_whose_end_is_in_doubt_are_refused() {
    let malformed: [&[u8]; 5] = [
        b"\x20\x02\x00\x00",                     // accepted, without a property length
        b"\x30\x03\x00\x01a",                    // likewise
        b"\x20\x03\x00\x00\x01",                 // longer than the packet
        b"\x20\x07\x00\x00\xff\xff\xff\xff\x7f", // a length of five bytes
        b"\x20\x05\x00\x00\x02\x21\x00",         // half a value
    ];
    for bytes in malformed {
        assert_eq!(reason_of(V5, bytes), 0x81, "{bytes:x?}");
    }
}

/// Shows D192.
#[test]
fn what_does_no_harm_in_a_packet_is_counted() {
    use Deviation as D;
    let both: [(&[u8], &[Deviation]); 9] = [
        (b"\x40\x02\x00\x07", &[]),
        (b"\xd1\x00", &[D::ReservedFlags]),
        (b"\x42\x02\x00\x07", &[D::ReservedFlags]),
        (b"\x60\x02\x00\x07", &[D::ReservedFlags]),
        (b"\x62\x02\x00\x07", &[]),
        (b"\xd0\x01\x00", &[D::TrailingBytes]),
        (b"\xc0\x00", &[D::UnexpectedPacket]),
        (b"\x38\x04\x00\x01a\x00", &[D::DupOnQos0]),
        (b"\x34\x06\x00\x01a\x00\x01\x00", &[D::Qos2Message]),
    ];
    for (bytes, expected) in both {
        assert_eq!(deviations_of(V3, bytes), expected, "{bytes:x?}");
        assert_eq!(deviations_of(V5, bytes), expected, "{bytes:x?}");
    }
    assert_eq!(deviations_of(V3, b"\x20\x02\x02\x00"), [D::ReservedFlags]);
    assert_eq!(deviations_of(V3, b"\x40\x03\x00\x07\x00"), [D::TrailingBytes]);
    assert_eq!(deviations_of(V3, b"\x30\x05\x00\x03a/#"), [D::WildcardInTopic]);
    assert_eq!(deviations_of(V5, b"\x30\x06\x00\x03a/+\x00"), [D::WildcardInTopic]);
    assert_eq!(deviations_of(V3, b"\xe0\x00"), [D::UnexpectedPacket]);
}

/// Shows D192.
#[test]
fn odd_properties_are_passed_over_and_those_beside_them_are_read() {
    let read = |properties: &[u8]| {
        let length = properties.len() as u8;
        let bytes = [&[0x20, 3 + length, 0, 0, length], properties].concat();
        with_decoded(V5, &bytes, |packet| match packet {
            Ok(Packet::ConnAck { properties, .. }) => properties,
            other => panic!("{other:?}"),
        })
    };
    let kept = Properties { server_keep_alive: Some(30), ..Properties::default() };
    let odd: [&[u8]; 9] = [
        b"\x23\x00\x01",                               // topic alias, of PUBLISH
        b"\x11\x00\x00\x00\x01\x17\x01",               // request problem information, of CONNECT
        b"\x27\x00\x00\x00\x00",                       // maximum packet size 0
        b"\x24\x02",                                   // maximum QoS 2
        b"\x24\xff",                                   // maximum QoS 255
        b"\x1f\x00\x01\xff",                           // a reason that is not UTF-8
        b"\x13\x00\x1e\x13\x00\x05",                   // server keep alive twice: the first counts
        b"\x0b\x00\x02\x00\x00\x00\x01", // of PUBLISH: subscription identifier 0, message expiry
        b"\x26\x00\x01k\x00\x01v\x18\x00\x00\x00\x05", // will delay, of CONNECT
    ];
    for properties in odd {
        assert_eq!(read(&[b"\x13\x00\x1e", properties].concat()), kept, "{properties:x?}");
        if properties[0] != 0x13 {
            assert_eq!(read(&[properties, b"\x13\x00\x1e"].concat()), kept, "{properties:x?}");
        }
    }
    // Behind an unknown one nothing can be read, but what stood before it was.
    assert_eq!(read(b"\x13\x00\x1e\x7f\x00\x21\x00\x05"), kept);
    assert_eq!(read(b"\x13\x00\x1e\xff"), kept);
    // One at a time is the fewest a client can work with.
    assert_eq!(read(b"\x21\x00\x00").receive_maximum, Some(1));
    assert_eq!(read(b"\x25\x02").retain_available, Some(true));
    assert_eq!(deviations_of(V5, b"\x30\x06\x00\x01a\x02\x0b\x00"), [Deviation::Property]);
    assert_eq!(deviations_of(V5, b"\xe0\x07\x00\x05\x11\x00\x00\x00\x01"), [Deviation::Property]);
}

#[test]
fn a_packet_is_cut_out_at_its_exact_size_limit() {
    let packet = b"\x30\x05\x00\x01abc";
    let cut = |maximum, packet: &[u8]| {
        let mut framer = Framer::new(maximum);
        let frame = framer.next(&mut &packet[..]).map(|frame| frame.expect("whole"))?;
        Ok::<_, ProtocolError>((frame.body.to_vec(), frame.dropped > 0))
    };
    assert_eq!(cut(7, packet), Ok((b"\x00\x01abc".to_vec(), false)));
    assert_eq!(cut(6, packet), Ok((b"\x00\x01ab".to_vec(), true)));
    assert_eq!(cut(6, b"\x90\x05\x00\x01abc").expect_err("no PUBLISH").reason_code, 0x95);
}

#[test]
fn a_remaining_length_of_five_bytes_is_malformed() {
    let mut framer = Framer::new(u32::MAX);
    let error = framer.next(&mut &b"\x30\xff\xff\xff\xff\x01"[..]).err().expect("five bytes");
    assert_eq!(error.reason_code, 0x81);
}

#[test]
fn memory_grows_with_what_arrived_and_not_with_what_was_promised() {
    let mut framer = Framer::new(1 << 20);
    assert!(framer.next(&mut &b"\x30\xf0\xff\x3f\x00\x01a"[..]).expect("a header").is_none());
    assert!(framer.reserved() <= 16, "{} bytes for 3", framer.reserved());
    for size in 4..5000 {
        assert!(framer.next(&mut &b"x"[..]).expect("more").is_none());
        assert!(framer.reserved() <= 2 * size, "{} bytes for {size}", framer.reserved());
    }
}

/// What a broker makes of a PUBLISH is what the client put in: the two directions share the format.
fn assert_publish_round_trip(version: Version, message: &Outbound<'_>) {
    let bytes = encoded(|out| publish(out, version, message));
    assert_eq!(bytes.len(), publish_size(version, message));
    let topic = core::str::from_utf8(message.topic).expect("text");
    let (packet_id, retain, payload) = (message.packet_id, message.retain, message.payload);
    assert_decodes(
        version,
        &bytes,
        &Packet::Publish(Publish {
            packet_id,
            qos: u8::from(packet_id.is_some()),
            dup: false,
            retain,
            topic,
            topic_alias: None,
            payload,
        }),
    );
}

proptest! {
    // A failure prints its smallest case; there is no file of old cases to keep.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_publish_survives_the_round_trip(
        topic in "[^\0#+]{1,300}",
        payload in prop::collection::vec(any::<u8>(), 0..300),
        packet_id in prop::option::of(1_u16..),
        retain: bool,
    ) {
        for version in [V3, V5] {
            let (topic, payload) = (topic.as_bytes(), &payload[..]);
            let message = Outbound { topic, payload, packet_id, retain, naming: Naming::Plain };
            assert_publish_round_trip(version, &message);
        }
    }

    #[test]
    fn no_body_makes_decoding_panic(first: u8, body in prop::collection::vec(any::<u8>(), 0..64)) {
        for version in [V3, V5] {
            let _ = decode(version, first, &body, &mut Deviations::default());
        }
    }
}
