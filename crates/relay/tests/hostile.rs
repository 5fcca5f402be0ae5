//! What a device can make the relay keep, in figures.

mod common;

use common::Rig;
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::kind::to_cloud;
use relay::limits::{DEVICE_HELD, UNSENT_BYTES, WINDOW};

const ITEM: usize = link::MAX_ITEM as usize;

/// Sends all of a publish but its end, as far as the window goes.
fn unfinished(rig: &mut Rig, channel: u8) {
    for _ in 0..ITEM / 4096 - 1 {
        if rig.disconnected.is_some() || rig.device.fragment(channel, 8192, 4096).is_none() {
            return;
        }
        let header = rig.device.channel_frame(rig.now * 1000, channel, to_cloud::PUBLISH, 4096, true);
        let frame = [header.expect("within the window").as_slice(), &[b'x'; 4096]].concat();
        rig.input(relay::Input::Link(&frame));
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
    let most = UNSENT_BYTES + ITEM + WINDOW as usize;
    assert!(sent <= most, "{sent} bytes taken, {most} are enough");
    assert!(rig.relay.held() <= most, "{} bytes held", rig.relay.held());
    assert!(sent > ITEM, "an item larger than the window came to its end");
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
            most = most.max(rig.relay.held());
            if rig.disconnected.is_some() {
                break 'all;
            }
        }
        // Of a whole item all but the end.
        unfinished(&mut rig, channel);
        most = most.max(rig.relay.held());
        if rig.disconnected.is_some() {
            break;
        }
    }
    assert_eq!(rig.disconnected, Some(ByeReason::Overloaded));
    assert!(most <= DEVICE_HELD + ITEM, "{most} bytes held at most");
    assert_eq!(rig.relay.held(), 0, "and nothing after");
}

/// Shows D49, D124.
#[test]
fn a_device_that_never_reads_makes_the_relay_keep_little_of_what_its_broker_sends() {
    let (mut rig, channel) = Rig::with_broker(false, 4096);
    rig.reads = false;
    rig.send(channel, to_cloud::SUBSCRIBE, &common::subscribe(&[(0, "t")]));
    let message = common::message(false, None, "t", vec![b'm'; 1000]);
    let mut sent = 0;
    while !rig.wire(1).is_paused {
        rig.broker_sends(1, &message);
        sent += message.len();
        assert!(sent < 1024 * 1024, "the broker is never held back");
    }
    // Messages for the device, and as much that is not a message yet.
    let most = 2 * relay::limits::HELD_BYTES;
    assert!(rig.relay.held() <= most, "{} bytes held", rig.relay.held());
}
