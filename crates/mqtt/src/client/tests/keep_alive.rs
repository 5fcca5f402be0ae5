//! The keepalive, at its exact times.

use super::*;

const PING: &[u8] = b"\xc0\x00";

/// A client with a keepalive of 10 s and a ping timeout of 2 s, connected at time 0.
fn with_keep_alive(version: Version, properties: &[u8]) -> Client {
    let options = ConnectOptions { keep_alive: 10, ..ConnectOptions::new(version, b"dev") };
    let limits = Limits { ping_timeout: Duration::from_secs(2), events: 2, ..Limits::default() };
    accepted(&options, limits, properties)
}

fn sent_at(client: &mut Client, now: u64) -> Vec<u8> {
    let mut out = Vec::new();
    client.transmit(&mut out);
    transmitted(client, now, out.len());
    out
}

/// Lets the client ping at `now`.
fn ping(client: &mut Client, now: u64) {
    assert_eq!(client.next_timeout(), Some(at(now)));
    assert_eq!(timeout(client, now), Ok(()));
    assert_eq!(sent_at(client, now), PING);
}

/// Shows D54, MQTT-3.1.2-20.
#[test]
fn an_idle_client_pings_at_the_keepalive_and_not_before() {
    for version in BOTH {
        let mut client = with_keep_alive(version, &[]);
        assert_eq!(timeout(&mut client, 9_999), Ok(()));
        assert!(sent(&mut client).is_empty());
        ping(&mut client, 10_000);
        assert_eq!(receive(&mut client, 10_500, b"\xd0\x00"), Ok(2));
        ping(&mut client, 20_000);
    }
}

#[test]
fn a_timeout_that_was_handled_is_no_longer_due() {
    let mut client = with_keep_alive(V5, &[]);
    let mut sink = |event| panic!("{event:?}");
    assert_eq!(sansio::drive_timeout(&mut client, at(10_000), &mut sink), Ok(true));
    assert_eq!(sansio::drive_timeout(&mut client, at(12_000), &mut sink), Err(Error::KeepAliveTimeout));
    assert_eq!(sansio::drive_timeout(&mut client, at(12_000), &mut sink), Ok(false));
}

/// Shows D54.
#[test]
fn a_ping_without_an_answer_ends_the_connection_at_the_timeout() {
    let mut client = with_keep_alive(V5, &[]);
    ping(&mut client, 10_000);
    assert_eq!(client.next_timeout(), Some(at(12_000)));
    assert_eq!(timeout(&mut client, 11_999), Ok(()));
    assert_eq!(timeout(&mut client, 12_000), Err(Error::KeepAliveTimeout));
    assert!(client.is_closed());
    assert!(sent(&mut client).is_empty());
}

#[test]
fn a_client_that_only_sends_still_notices_a_dead_broker() {
    let mut client = with_keep_alive(V5, &[]);
    for now in [4_000, 8_000, 9_999] {
        client.publish(1, b"t", b"", 0, false).expect("taken");
        sent_at(&mut client, now);
        assert_eq!(client.poll(START), Some(published(1, 0)));
    }
    ping(&mut client, 10_000);
    client.publish(1, b"t", b"", 0, false).expect("taken");
    sent_at(&mut client, 11_000);
    assert_eq!(timeout(&mut client, 12_000), Err(Error::KeepAliveTimeout));
}

#[test]
fn a_client_that_only_receives_still_keeps_the_broker_content() {
    let mut client = with_keep_alive(V5, &[]);
    assert_eq!(receive(&mut client, 9_000, b"\x30\x04\x00\x01t\x00"), Ok(6));
    ping(&mut client, 10_000);
}

#[test]
fn traffic_both_ways_puts_the_ping_off() {
    let mut client = with_keep_alive(V5, &[]);
    client.publish(1, b"t", b"", 1, false).expect("taken");
    sent_at(&mut client, 5_000);
    assert_eq!(receive(&mut client, 6_000, b"\x40\x02\x00\x01"), Ok(4));
    assert_eq!(client.next_timeout(), Some(at(15_000)));
}

#[test]
fn any_byte_shows_that_the_broker_lives() {
    let mut client = with_keep_alive(V5, &[]);
    ping(&mut client, 10_000);
    assert_eq!(receive(&mut client, 11_999, b"\x30\x80"), Ok(2));
    assert_eq!(timeout(&mut client, 12_000), Ok(()));
    assert_eq!(timeout(&mut client, 13_999), Err(Error::KeepAliveTimeout));
}

/// Shows D49, D54.
#[test]
fn input_held_back_by_this_side_does_not_count_against_the_broker() {
    let mut client = with_keep_alive(V5, &[]);
    ping(&mut client, 10_000);
    let input = [&b"\x30\x04\x00\x01t\x00".repeat(2)[..], b"\xd0\x00"].concat();
    assert_eq!(receive(&mut client, 10_001, &input), Ok(12));
    assert_eq!(client.next_timeout(), Some(at(12_001)));
    assert_eq!(timeout(&mut client, 12_001), Ok(()));
    assert_eq!(timeout(&mut client, 14_001), Ok(()));
    // Polled at last: one more timeout to find the answer among the input.
    events(&mut client);
    assert_eq!(timeout(&mut client, 16_001), Ok(()));
    assert_eq!(receive(&mut client, 18_000, &input[12..]), Ok(2));
    assert_eq!(client.next_timeout(), Some(at(20_000)));
}

#[test]
fn input_offered_again_and_not_taken_shows_no_life() {
    let mut client = with_keep_alive(V5, &[]);
    assert_eq!(receive(&mut client, 1_000, &b"\x30\x04\x00\x01t\x00".repeat(2)), Ok(12));
    ping(&mut client, 10_000);
    assert_eq!(receive(&mut client, 11_000, b"\x30\x04"), Ok(0));
    assert_eq!(client.next_timeout(), Some(at(12_000)));
}

#[test]
fn a_broker_that_died_while_held_back_is_noticed_afterwards() {
    let mut client = with_keep_alive(V5, &[]);
    ping(&mut client, 10_000);
    assert_eq!(receive(&mut client, 10_001, &b"\x30\x04\x00\x01t\x00".repeat(2)), Ok(12));
    events(&mut client);
    assert_eq!(timeout(&mut client, 12_001), Ok(()));
    assert_eq!(timeout(&mut client, 14_001), Err(Error::KeepAliveTimeout));
}

/// Shows D54.
#[test]
fn a_queue_filled_by_this_sides_own_publishes_does_not_count_against_the_broker() {
    let mut client = with_keep_alive(V5, &[]);
    for token in 0..2 {
        client.publish(token, b"t", b"", 0, false).expect("taken");
    }
    ping_behind(&mut client, 10_000);
    assert!(!client.can_receive());
    assert_eq!(timeout(&mut client, 12_000), Ok(()));
    events(&mut client);
    assert_eq!(timeout(&mut client, 14_000), Ok(()));
    assert_eq!(timeout(&mut client, 16_000), Err(Error::KeepAliveTimeout));
}

/// Lets the client ping at `now`, behind what it has to send anyway.
fn ping_behind(client: &mut Client, now: u64) {
    assert_eq!(timeout(client, now), Ok(()));
    assert!(sent_at(client, now).ends_with(PING));
}

#[test]
fn a_connection_that_takes_nothing_is_noticed() {
    let mut client = with_keep_alive(V5, &[]);
    assert_eq!(timeout(&mut client, 10_000), Ok(()));
    client.transmit(&mut Vec::new());
    transmitted(&mut client, 11_000, 0);
    assert_eq!(timeout(&mut client, 12_000), Err(Error::KeepAliveTimeout));
}

#[test]
fn a_keepalive_of_0_is_off() {
    for version in BOTH {
        let mut client = connected(version);
        assert_eq!(client.next_timeout(), None);
        assert_eq!(client.handle(Instant::MAX, Input::Timeout), Ok(()));
        assert!(sent(&mut client).is_empty());
    }
}

/// Shows MQTT-3.2.2-21.
#[test]
fn the_brokers_keepalive_replaces_the_clients() {
    let mut client = with_keep_alive(V5, &[0x13, 0, 5]);
    ping(&mut client, 5_000);
    assert_eq!(with_keep_alive(V5, &[0x13, 0, 0]).next_timeout(), None);
    let mut client = connected_v5(&[0x13, 0, 7]);
    ping(&mut client, 7_000);
}

#[test]
fn an_answer_to_no_ping_is_ignored() {
    let mut client = with_keep_alive(V3, &[]);
    feed(&mut client, b"\xd0\x00\xd0\x00");
    assert!(events(&mut client).is_empty());
    ping(&mut client, 10_000);
}
