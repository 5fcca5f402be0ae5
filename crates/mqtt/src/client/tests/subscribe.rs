//! Subscriptions.

use super::*;
use crate::error::RequestError;
use crate::topic::{is_valid_topic_filter, is_valid_topic_name};

fn subscribed(token: u32, reason_codes: &[u8]) -> Event {
    Event::Subscribed { token, reason_codes: reason_codes.to_vec() }
}

fn unsubscribed(token: u32, reason_codes: &[u8]) -> Event {
    Event::Unsubscribed { token, reason_codes: reason_codes.to_vec() }
}

/// Shows M78, M80.
#[test]
fn the_codes_of_a_subscribe_come_back_as_the_broker_sent_them() {
    let filters = [filter(b"a", 0), filter(b"b", 1), filter(b"c", 1)];
    let mut client = connected(V3);
    client.subscribe(5, &filters).expect("taken");
    feed(&mut client, b"\x90\x05\x00\x01\x00\x01\x80");
    assert_eq!(events(&mut client), [subscribed(5, &[0, 1, 0x80])]);
    let mut client = connected(V5);
    client.subscribe(6, &filters).expect("taken");
    feed(&mut client, b"\x90\x06\x00\x01\x00\x00\x01\x97");
    assert_eq!(events(&mut client), [subscribed(6, &[0, 1, 0x97])]);
}

#[test]
fn an_unsubscribe_has_a_code_for_each_filter_in_both_versions() {
    let mut client = connected(V3);
    client.unsubscribe(5, &[b"a", b"b"]).expect("taken");
    feed(&mut client, b"\xb0\x02\x00\x01");
    assert_eq!(events(&mut client), [unsubscribed(5, &[0, 0])]);
    let mut client = connected(V5);
    client.unsubscribe(6, &[b"a", b"b"]).expect("taken");
    feed(&mut client, b"\xb0\x05\x00\x01\x00\x11\x00");
    assert_eq!(events(&mut client), [unsubscribed(6, &[0x11, 0])]);
}

/// Shows M69.
#[test]
fn answers_may_come_in_any_order() {
    let mut client = connected(V3);
    client.subscribe(1, &[filter(b"a", 0)]).expect("taken");
    client.publish(2, b"t", b"", 1, false).expect("taken");
    client.unsubscribe(3, &[b"b"]).expect("taken");
    feed(&mut client, b"\xb0\x02\x00\x03\x40\x02\x00\x02\x90\x03\x00\x01\x00");
    assert_eq!(events(&mut client), [unsubscribed(3, &[0]), published(2, 0), subscribed(1, &[0])]);
}

/// Shows MQTT-3.8.4-6.
#[test]
fn a_wrong_number_of_codes_is_a_protocol_error() {
    let wrong: [(Version, &[u8]); 4] = [
        (V3, b"\x90\x02\x00\x01"),
        (V3, b"\x90\x04\x00\x01\x00\x00"),
        (V5, b"\x90\x03\x00\x01\x00"),
        (V5, b"\x90\x05\x00\x01\x00\x00\x00"),
    ];
    for (version, suback) in wrong {
        let mut client = connected(version);
        client.subscribe(1, &[filter(b"a", 0)]).expect("taken");
        assert_fails(&mut client, suback, 0x82);
    }
    let mut client = connected(V5);
    client.unsubscribe(1, &[b"a"]).expect("taken");
    assert_fails(&mut client, b"\xb0\x05\x00\x01\x00\x00\x00", 0x82);
}

/// Shows D46, MQTT-3.8.3-2, MQTT-3.8.3-4, MQTT-4.8.2-1, MQTT-4.8.2-2.
#[test]
fn invalid_subscriptions_are_refused() {
    let good = filter(b"$share/g/a", 1);
    let cases = [
        filter(b"a/#/b", 0),
        filter(b"a", 2),
        filter(b"$share/g", 0),
        filter(b"$share/g/", 0),
        filter(b"$share//a", 0),
        filter(b"$share/+/a", 0),
        Filter { no_local: true, ..good },
        Filter { retain_handling: 3, ..good },
    ];
    let mut client = connected(V5);
    for case in cases {
        assert_eq!(client.subscribe(1, &[good, case]), Err(RequestError::Invalid), "{case:?}");
    }
    assert_eq!(client.subscribe(1, &[]), Err(RequestError::Invalid));
    assert_eq!(client.unsubscribe(1, &[]), Err(RequestError::Invalid));
    assert_eq!(client.unsubscribe(1, &[b"a", b""]), Err(RequestError::Invalid));
    assert!(sent(&mut client).is_empty());
    client.subscribe(1, &[good]).expect("valid");
}

/// Shows M71.
#[test]
fn version_3_1_1_has_no_shares_and_no_subscription_options() {
    let mut client = connected(V3);
    let odd =
        Filter { topic: b"$share/x", qos: 1, no_local: true, retain_as_published: true, retain_handling: 9 };
    client.subscribe(1, &[odd]).expect("an ordinary filter");
    assert_eq!(sent(&mut client), b"\x82\x0d\x00\x01\x00\x08$share/x\x01");
}

/// Shows MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1, MQTT-4.7.3-2, MQTT-4.7.3-3.
#[test]
fn topic_names_and_filters_are_judged_as_mqtt_does() {
    let longest = alloc::vec![b'a'; 65_535];
    let too_long = alloc::vec![b'a'; 65_536];
    for name in [&b"a"[..], b"/", b"a//b", b" ", b"$SYS/x", "\u{1f980}".as_bytes(), &longest] {
        assert!(is_valid_topic_name(name) && is_valid_topic_filter(name), "{name:?}");
    }
    for filter in [&b"#"[..], b"+", b"a/#", b"+/+", b"/+", b"+/a/#", b"/#"] {
        assert!(is_valid_topic_filter(filter) && !is_valid_topic_name(filter), "{filter:?}");
    }
    for neither in [&b""[..], b"a#", b"a/#/b", b"#/a", b"a+", b"+a/b", b"##", b"a\0b", b"\xc0\x80", &too_long]
    {
        assert!(!is_valid_topic_filter(neither) && !is_valid_topic_name(neither), "{neither:?}");
    }
}
