//! What a device can make the relay keep, in figures.

mod common;

use common::Rig;
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::kind::to_cloud;
use relay::limits::{MAX_DEVICE_BYTES, MAX_UNSENT_BYTES, WINDOW};

const ITEM: usize = link::MAX_ITEM as usize;

/// Sends all of a publish but its end, as far as the window goes.
fn unfinished(rig: &mut Rig, channel: u8) {
    for _ in 0..ITEM / 4096 - 1 {
        if rig.disconnected.is_some() || rig.device.next_fragment(channel, 8192, 4096).is_none() {
            return;
        }
        let header = rig.device.channel_frame(rig.now, channel, to_cloud::PUBLISH, 4096, true);
        let frame = [header.expect("within the window").as_slice(), &[b'x'; 4096]].concat();
        rig.input(relay::Input::LinkReceived(&frame));
    }
}

/// Shows D124.
#[test]
fn a_broker_that_takes_nothing_holds_back_unfinished_items_too() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.writes = false;
    let mut sent = 0;
    for slot in 0..16 {
        let body = common::publish(slot, 1, "t", vec![b'x'; ITEM - 100]);
        let taken = rig.try_send(channel, to_cloud::PUBLISH, &body);
        sent += taken;
        if taken < body.len() {
            break;
        }
    }
    // What waits when the window shuts, the item that went over it, and a window of the next.
    let most = MAX_UNSENT_BYTES + ITEM + WINDOW as usize;
    assert!(sent <= most, "{sent} bytes taken, {most} are enough");
    assert!(rig.relay.buffered_bytes() <= most, "{} bytes held", rig.relay.buffered_bytes());
    assert!(sent > ITEM, "an item larger than the window was received");
}

/// Shows D124.
#[test]
fn an_item_held_back_comes_to_its_end_when_the_broker_takes_again() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    rig.writes = false;
    let body = common::publish(0, 1, "t", vec![b'x'; 200_000]);
    rig.send(channel, to_cloud::PUBLISH, &body);
    let second = common::publish(1, 1, "t", vec![b'y'; 200_000]);
    let taken = rig.try_send(channel, to_cloud::PUBLISH, &second);
    assert!(taken < second.len(), "it is held back");
    rig.written(1, 300_000);
    let rest = rig.try_send(channel, to_cloud::PUBLISH, &second[taken..]);
    assert_eq!(taken + rest, second.len());
    rig.written(1, 300_000);
    assert!(rig.sent(1).ends_with(&vec![b'y'; 200_000 - taken.min(199_999)]), "and reaches the broker whole");
}

/// Shows D124.
#[test]
fn a_device_that_never_finishes_anything_is_sent_away_before_it_costs_much() {
    let mut rig = Rig::open();
    let mut most = 0;
    'all: for number in 0..15 {
        let channel = rig.open_channel(ChannelType::Mqtt, 512);
        assert_eq!(channel, number + 1);
        for topic in 0..8 {
            rig.try_send(channel, to_cloud::TOPIC, &common::topic(topic, vec![b't'; 65_535]));
            most = most.max(rig.relay.buffered_bytes());
            if rig.disconnected.is_some() {
                break 'all;
            }
        }
        // Of a whole item all but the end.
        unfinished(&mut rig, channel);
        most = most.max(rig.relay.buffered_bytes());
        if rig.disconnected.is_some() {
            break;
        }
    }
    assert_eq!(rig.disconnected, Some(ByeReason::Overloaded));
    assert!(most <= MAX_DEVICE_BYTES + ITEM, "{most} bytes held at most");
    assert_eq!(rig.relay.buffered_bytes(), 0, "and nothing after");
}

/// Shows D49, D124.
#[test]
fn a_device_that_never_reads_makes_the_relay_keep_little_of_what_its_broker_sends() {
    let (mut rig, channel) = Rig::with_broker(false, 4096);
    rig.reads = false;
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "t")]));
    let message = common::message(false, None, "t", vec![b'm'; 1000]);
    let mut sent = 0;
    while !rig.socket(1).is_paused {
        rig.broker_sends(1, &message);
        sent += message.len();
        assert!(sent < 1024 * 1024, "the broker is never held back");
    }
    // Messages for the device, and as much that is not a message yet.
    let most = 2 * relay::limits::MAX_QUEUED_BYTES;
    assert!(rig.relay.buffered_bytes() <= most, "{} bytes held", rig.relay.buffered_bytes());
}

/// A version 5 PUBACK for a publish that is not in flight, with `length` bytes of a user property.
fn puback_with_property(length: usize) -> Vec<u8> {
    let property = [&[0x26, 0, 1, b'k'][..], &(length as u16).to_be_bytes(), &vec![b'v'; length]].concat();
    let varint = |number: usize| vec![number as u8 | 0x80, (number >> 7) as u8 | 0x80, (number >> 14) as u8];
    let body = [vec![0, 9, 0], varint(property.len()), property].concat();
    [vec![0x40], varint(body.len()), body].concat()
}

/// Sends the same again and again as TCP would, for as long as the relay reads.
fn flood(rig: &mut Rig, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most && !rig.socket(1).is_paused && rig.disconnected.is_none() {
        rig.broker_sends(1, bytes);
        sent += bytes.len();
    }
    sent
}

/// Shows D180: for every kind of input nothing comes of, the broker is held back after a burst, and read again at the
/// rate.
#[test]
fn a_broker_that_sends_what_has_no_effect_is_read_slowly() {
    use relay::limits::{BROKER_BURST_SECONDS, BROKER_BYTES_PER_SECOND, BROKER_PACKETS_PER_SECOND};
    let repeated = |packet: &[u8], times: usize| packet.repeat(times);
    let cases: [(&str, bool, Vec<u8>, usize); 4] = [
        ("PINGRESP", false, repeated(&[0xd0, 0], 4096), 2 * BROKER_PACKETS_PER_SECOND as usize),
        ("PUBACK", false, repeated(&[0x40, 2, 0, 9], 2048), 4 * BROKER_PACKETS_PER_SECOND as usize),
        ("SUBACK", true, repeated(&[0x90, 4, 0, 9, 0, 0], 1024), 6 * BROKER_PACKETS_PER_SECOND as usize),
        ("properties", true, puback_with_property(60_000), BROKER_BYTES_PER_SECOND as usize),
    ];
    for (name, version5, chunk, a_second) in cases {
        let (mut rig, _) = Rig::with_broker(version5, 512);
        let burst = flood(&mut rig, &chunk, 100 * a_second);
        assert!(
            burst <= BROKER_BURST_SECONDS as usize * a_second + chunk.len() + 1024,
            "{name}: {burst} bytes at once"
        );
        assert!(rig.socket(1).is_paused, "{name}");
        let mut read = 0;
        for _ in 0..600 {
            rig.wait(100);
            read += flood(&mut rig, &chunk, 100 * a_second);
        }
        assert!(read <= 61 * a_second + 2 * chunk.len(), "{name}: {read} bytes in a minute");
        assert!(read >= 50 * a_second, "{name}: it still is read, {read} bytes in a minute");
        assert_eq!(rig.disconnected, None, "{name}");
        assert!(rig.relay.take_counts().slowed > 1, "{name}");
    }
}

/// Shows D180: messages and answers, at any honest rate, never slow a broker down.
#[test]
fn a_broker_that_sends_what_is_wanted_is_never_slowed() {
    let (mut rig, channel) = Rig::with_broker(false, 512);
    for round in 0..20_000u32 {
        let slot = (round % 16) as u8;
        rig.send(channel, to_cloud::PUBLISH, &common::publish(slot, 1, "t", b"x"));
        let sent = rig.sent(1);
        rig.broker_sends(1, [0x40, 2, sent[sent.len() - 3], sent[sent.len() - 2]]);
        rig.broker_sends(1, [&[0x30, 4, 0, 1][..], b"tx"].concat().repeat(usize::from(round % 3 == 0)));
        rig.wait(1);
    }
    assert_eq!(rig.relay.take_counts().slowed, 0);
}

/// Shows D183: throttled, a relay accepts no new large item and one message a channel, and continues afterwards.
#[test]
fn a_throttled_relay_takes_only_what_lets_the_rest_end() {
    let (mut rig, channel) = Rig::with_broker(false, 4096);
    rig.writes = false;
    rig.reads = false;
    rig.input(relay::Input::Throttle { enabled: true });
    let body = common::publish(0, 1, "t", vec![b'x'; 200_000]);
    let taken = rig.try_send(channel, to_cloud::PUBLISH, &body);
    assert!(taken <= 2 * WINDOW as usize, "{taken} bytes of an item that is not needed yet");
    let message = [&[0x30, 0x83, 0x08, 0, 1, b't'][..], &[b'm'; 1024]].concat();
    for _ in 0..100 {
        if !rig.socket(1).is_paused {
            rig.broker_sends(1, &message);
        }
    }
    let held = rig.relay.buffered_bytes();
    assert!(held <= 2 * WINDOW as usize + 80 * 1024, "{held} bytes held");
    rig.input(relay::Input::Throttle { enabled: false });
    let rest = rig.try_send(channel, to_cloud::PUBLISH, &body[taken..]);
    assert_eq!(taken + rest, body.len(), "it comes to its end when there is memory again");
}
