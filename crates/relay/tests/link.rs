//! The link itself: hello, log messages, the time, ends; configuration and HTTP.

mod common;

use common::{RING, Received, Rig, WALL, str};
use link::channel::{ChannelType, ClosureReason};
use link::connection::{ByeReason, Hello};
use link::kind::to_cloud;
use link::{MAX_ITEM, violation};
use relay::{HelloInfo, Input, LogLine, LookupKey, Notice, Security, Settings, Value};
use sansio::{Duration, Instant, WallTime};

/// Shows D25.
#[test]
fn a_device_introduces_itself_and_receives_the_time() {
    let rig = Rig::open();
    let expected =
        HelloInfo { boot: 0x0403_0201, wake_reason: 8, clock: Instant::from_micros(300), image: [0xab; 32] };
    assert_eq!(rig.hello, Some(expected));
}

/// Shows D25.
#[test]
fn the_time_sent_is_the_last_one_set_and_what_has_passed_since() {
    let mut rig = Rig::open();
    rig.now += Duration::from_secs(5);
    rig.device.request_time();
    rig.pump();
    rig.input(Input::WallClock(WallTime::from_micros(77)));
    rig.now += Duration::from_millis(3);
    rig.device.request_time();
    rig.pump();
    assert_eq!(rig.received(), [Received::Time { wall: WALL + 5_000_000 }, Received::Time { wall: 3077 }]);
    rig.input(Input::WallClock(WallTime::from_micros(u64::MAX)));
    rig.now += Duration::from_millis(3);
    rig.device.request_time();
    rig.pump();
    assert_eq!(rig.received(), [Received::Time { wall: u64::MAX }]);
}

/// Shows D70.
#[test]
fn log_messages_are_passed_on_and_acknowledged_once_they_are_stored() {
    let mut rig = Rig::open();
    rig.log(1, b"hello");
    rig.log(2, b"");
    let line =
        |sequence, text: &[u8]| LogLine { sequence, clock: Instant::from_micros(77), text: text.to_vec() };
    assert_eq!(rig.logs, [line(1, b"hello"), line(2, b"")]);
    assert_eq!(rig.received, [], "not safe yet");
    rig.input(Input::LogStored { sequence: 2 });
    rig.input(Input::Logging { enabled: false });
    assert_eq!(rig.received, [Received::LogTaken { sequence: 2 }, Received::Logging { enabled: false }]);
}

#[test]
fn a_device_of_another_version_is_turned_away() {
    let mut rig = Rig::connected_with(Settings::default());
    let hello = Hello { version: 2, ..common::HELLO };
    let _ = rig.device.handle(rig.now, &mut link::device::Input::Connected(&hello));
    rig.pump();
    assert_eq!(rig.received, [Received::Bye { reason: ByeReason::Version }]);
    assert_eq!(rig.disconnected, Some(ByeReason::Version));
    assert_eq!(rig.violation, None);
}

#[test]
fn a_device_that_sends_nothing_is_disconnected_after_15_seconds() {
    let mut rig = Rig::connected_with(Settings::default());
    rig.wait(15_000);
    assert_eq!(rig.disconnected, None);
    rig.wait(1);
    assert_eq!(rig.disconnected, Some(ByeReason::Keepalive));
}

#[test]
fn a_device_that_falls_silent_is_disconnected_and_one_that_pings_is_not() {
    let mut rig = Rig::open();
    for _ in 0..5 {
        rig.wait(60_000);
        rig.pump();
    }
    assert_eq!((rig.disconnected, rig.received.len()), (None, 0));
    rig.wait(130_000);
    assert_eq!(rig.disconnected, None);
    rig.wait(1);
    assert_eq!(rig.disconnected, Some(ByeReason::Keepalive));
}

#[test]
fn a_shutdown_is_sent_to_the_device_with_its_reason() {
    for reason in [ByeReason::Replaced, ByeReason::Revoked, ByeReason::ShuttingDown] {
        let mut rig = Rig::open();
        rig.input(Input::Shutdown { reason });
        assert_eq!((rig.received(), rig.disconnected), (vec![Received::Bye { reason }], Some(reason)));
    }
    let mut rig = Rig::connected_with(Settings::default());
    rig.relay.handle(rig.now, Input::Shutdown { reason: ByeReason::Revoked }).unwrap();
    let _ = rig.device.handle(rig.now, &mut link::device::Input::Lost);
    assert!(matches!(rig.relay.poll(rig.now), Some(relay::Output::LinkSend(_))), "also before HELLO");
}

#[test]
fn garbage_instead_of_hello_is_a_violation() {
    let mut rig = Rig::connected_with(Settings::default());
    assert_eq!(rig.relay.handle(rig.now, Input::LinkReceived(&[0x10, 2, 0])), Err(violation::HELLO_EXPECTED));
    let Some(relay::Output::LinkSend(bytes)) = rig.relay.poll(rig.now) else { panic!("no BYE") };
    assert_eq!(bytes[0], 0x40);
    assert_eq!(rig.relay.poll(rig.now), Some(relay::Output::Disconnect { reason: ByeReason::Violation }));
    assert_eq!(rig.relay.poll(rig.now), None);
}

/// Shows D99.
#[test]
fn an_opaque_channel_is_ended_at_once() {
    let mut rig = Rig::open();
    let channel = rig.open_channel(ChannelType::OpaqueBytes, RING);
    let reason = ClosureReason::ConnectionTerminated;
    assert_eq!(rig.received, [Received::Closed { channel, reason }]);
    assert_eq!(rig.notices, []);
    assert_eq!(rig.open_channel(ChannelType::ConfigFetch, RING), channel, "the number is free again");
}

fn fetch(keys: &[(u8, &str)]) -> Vec<u8> {
    keys.iter().flat_map(|(place, key)| [vec![*place], str(key)].concat()).collect()
}

fn fetching(ring: u32, keys: &[(u8, &str)]) -> (Rig, u8) {
    let mut rig = Rig::open();
    let channel = rig.open_channel(ChannelType::ConfigFetch, ring);
    rig.send(channel, to_cloud::CONFIG_FETCH, &fetch(keys));
    (rig, channel)
}

/// Shows D63.
#[test]
fn configuration_is_looked_up_and_answered_key_by_key() {
    let (mut rig, channel) = fetching(RING, &[(0, "a"), (3, "b"), (1, "c")]);
    let key = |device_scope, secret, key: &str| LookupKey { device_scope, secret, key: key.into() };
    let (lookup, keys) = rig.lookups.pop().unwrap();
    assert_eq!(keys, [key(false, true, "a"), key(true, false, "b"), key(true, true, "c")]);
    assert_eq!(rig.received, []);
    rig.looked_up(lookup, vec![Value::Found(b"xyz".to_vec()), Value::NotFound, Value::Unavailable]);
    let items = vec![(0, b"xyz".to_vec()), (1, vec![]), (2, vec![])];
    assert_eq!(rig.received(), [Received::Config { channel, result: 0, items }]);
    rig.looked_up(lookup, vec![Value::NotFound; 3]);
    assert_eq!(rig.received, [], "no request is pending");
}

/// Shows D63, D98.
#[test]
fn values_that_do_not_fit_the_ring_are_too_large() {
    let (mut rig, channel) = fetching(512, &[(0, "a"), (0, "b")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    rig.looked_up(lookup, vec![Value::Found(vec![1; 512]), Value::Found(vec![1])]);
    assert_eq!(rig.received(), [Received::Config { channel, result: 1, items: vec![] }]);
    let (mut rig, channel) = fetching(512, &[(0, "a"), (0, "b")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    rig.looked_up(lookup, vec![Value::Found(vec![1; 511]), Value::Found(vec![1])]);
    let items = vec![(0, vec![1; 511]), (0, vec![1])];
    assert_eq!(rig.received(), [Received::Config { channel, result: 0, items }]);
}

/// Shows D63, D98.
#[test]
fn values_that_do_not_fit_an_item_are_too_large_whatever_the_ring() {
    for length in [MAX_ITEM as usize - 4, MAX_ITEM as usize + 1] {
        let (mut rig, channel) = fetching(1 << 20, &[(0, "a")]);
        let (lookup, _) = rig.lookups.pop().unwrap();
        rig.looked_up(lookup, vec![Value::Found(vec![1; length])]);
        assert_eq!(rig.received(), [Received::Config { channel, result: 1, items: vec![] }]);
    }
    let (mut rig, channel) = fetching(1 << 20, &[(0, "a")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    let value = vec![1; MAX_ITEM as usize - 6];
    rig.looked_up(lookup, vec![Value::Found(value.clone())]);
    assert_eq!(rig.received(), [Received::Config { channel, result: 0, items: vec![(0, value)] }]);
}

/// Shows D63.
#[test]
fn a_look_up_with_the_wrong_number_of_values_is_a_failure_for_the_keys_without() {
    let (mut rig, channel) = fetching(RING, &[(0, "a"), (0, "b")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    rig.looked_up(lookup, vec![Value::NotFound]);
    assert_eq!(
        rig.received(),
        [Received::Config { channel, result: 0, items: vec![(1, vec![]), (2, vec![])] }]
    );
    let (mut rig, channel) = fetching(RING, &[(0, "a")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    rig.looked_up(lookup, vec![Value::NotFound; 40]);
    assert_eq!(rig.received(), [Received::Config { channel, result: 0, items: vec![(1, vec![])] }]);
}

#[test]
fn a_look_up_that_comes_back_too_late_is_passed_over() {
    let (mut rig, channel) = fetching(RING, &[(0, "a")]);
    let (lookup, _) = rig.lookups.pop().unwrap();
    rig.close(channel);
    assert_eq!(rig.open_channel(ChannelType::ConfigFetch, RING), channel);
    rig.send(channel, to_cloud::CONFIG_FETCH, &fetch(&[(0, "b")]));
    rig.looked_up(lookup, vec![Value::NotFound]);
    assert_eq!(rig.received, []);
    assert_ne!(rig.lookups.pop().unwrap().0, lookup);
}

#[test]
fn notices_are_sent_to_subscribers_and_cost_nothing_without() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "a/b", "hi"));
    rig.broker_sends(1, common::message(false, None, "c", "yo!"));
    rig.broker_closes(1, true);
    let host = "broker.example".into();
    let expected = [
        Notice::ChannelOpened { channel, kind: "mqtt" },
        Notice::BrokerConnecting { channel, host, port: 1883, security: Security::Plain },
        Notice::BrokerConnected { channel },
        Notice::Published { channel, topic: "a/b".into(), length: 2, qos: 0 },
        Notice::Delivered { channel, topic: "c".into(), length: 3, qos: 0 },
        Notice::BrokerLost { channel, reason: "the broker closed the connection".into() },
        Notice::ChannelClosed { channel, by_device: false },
    ];
    assert_eq!(rig.notices, expected);
    let mut rig = Rig::open_with(Settings::default());
    let channel = rig.open_channel(ChannelType::Mqtt, RING);
    rig.connect(channel, true, 1);
    assert_eq!(rig.notices, []);
}

#[test]
fn a_broker_that_breaks_the_protocol_is_reported_once() {
    let (mut rig, _) = Rig::with_broker(false, RING);
    rig.notices.clear();
    rig.broker_sends(1, [0, 0]);
    let lost = rig.notices.iter().filter(|notice| matches!(notice, Notice::BrokerLost { .. })).count();
    assert_eq!(lost, 1, "{:?}", rig.notices);
}

/// Shows D137: the password waits in the request, the payload in the channel's outbox.
#[test]
fn debug_output_of_a_relay_contains_no_credentials_and_no_payload() {
    let (mut rig, channel) = Rig::with_broker(false, common::RING);
    rig.reads = false;
    let message = [&[0x30, 3 + 7, 0, 1, b't'][..], b"hunter2"].concat();
    (0..40).for_each(|_| rig.broker_sends(1, &message));
    assert!(rig.relay.buffered_bytes() > 7, "something is in memory");
    let second = rig.open_channel(ChannelType::Mqtt, common::RING);
    let request = common::ConnectRequest { credentials: Some(("user", "hunter2")), ..Default::default() };
    rig.send(second, to_cloud::CONNECT, &request.body());
    assert_ne!(channel, second);
    let shown = format!("{:?}", rig.relay);
    for hidden in ["hunter2", "104, 117, 110"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
