//! A broker that breaks the protocol.

use super::*;

#[test]
fn a_violation_is_sent_to_a_version_5_broker_and_ends_the_connection() {
    for version in BOTH {
        assert_fails(&mut connected(version), b"\x00\x00", 0x81);
        assert_fails(&mut connected(version), b"\x82\x02\x00\x01", 0x82);
    }
    assert_fails(&mut connected(V5), b"\x30\x06\x00\x00\x03\x23\x00\x01", 0x94);
    assert_fails(&mut connected(V5), b"\xf0\x00", 0x82);
}

/// Shows MQTT-3.1.2-24: what is too large and no message is refused at its header.
#[test]
fn a_packet_over_the_announced_size_that_is_no_message_is_refused_at_its_header() {
    for version in BOTH {
        let options = ConnectOptions { maximum_packet_size: 7, ..ConnectOptions::new(version, b"dev") };
        assert_fails(&mut accepted(&options, Limits::default(), &[]), b"\x90\x06", 0x95);
    }
}

#[test]
fn a_skipped_message_is_judged_like_any_other() {
    let options = ConnectOptions { maximum_packet_size: 8, ..ConnectOptions::new(V3, b"dev") };
    let cases: [(&[u8], u8); 3] = [
        (b"\x30\x0a\x00\x07aaaaaaaa", 0x81),
        (b"\x32\x0a\x00\x01t\x00\x00xxxxx", 0x82),
        (b"\x30\x0a\x00\x00xxxxxxxx", 0x82),
    ];
    for (bytes, reason) in cases {
        assert_fails(&mut accepted(&options, Limits::default(), &[]), bytes, reason);
    }
}

#[test]
fn what_arrived_before_a_fault_can_still_be_polled() {
    let mut client = connected(V5);
    client.publish(3, b"t", b"", 1, false).expect("taken");
    assert_fails(&mut client, b"\x30\x04\x00\x01t\x00\x40\x02\x00\x01\x10\x00", 0x82);
    assert_eq!(message(&mut client).topic, "t");
    assert_eq!(events(&mut client), [published(3, 0)]);
}
