//! What a relay says it has done.

mod common;

use common::{RING, Rig};
use link::kind::to_cloud;
use relay::Counts;

/// The counts of the rig's relay since they were taken last.
fn counts(rig: &mut Rig) -> Counts {
    rig.relay.take_counts()
}

#[test]
fn publishes_are_counted_by_qos_and_by_what_became_of_them() {
    let (mut rig, channel) = Rig::with_broker(true, RING);
    assert_eq!(counts(&mut rig).connected, 1);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "a"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish(1, 1, "t", "b"));
    rig.broker_sends(1, [0x40, 3, 0, 1, 0x87]);
    rig.send(channel, to_cloud::PUBLISH, &common::publish(2, 1, "no/#", "c"));
    rig.send(channel, to_cloud::PUBLISH, &common::publish(3, 1, "t", "d"));
    rig.broker_closes(1, false);
    assert_eq!(counts(&mut rig).publishes, [[1, 0, 0, 0, 0], [0, 1, 1, 1, 0]]);
    assert_eq!(counts(&mut rig).publishes, [[0; 5]; 2], "counted once");
}

#[test]
fn messages_are_counted_as_delivered_or_lost() {
    let (mut rig, _) = Rig::with_broker(false, 512);
    rig.broker_sends(1, common::message(false, None, "t", "small"));
    rig.broker_sends(1, common::message(false, Some(7), "t", "small"));
    rig.broker_sends(1, common::message(false, None, "t", "x".repeat(513)));
    let counts = counts(&mut rig);
    assert_eq!((counts.delivered, counts.lost), ([1, 1], 1));
}

#[test]
fn every_channel_that_was_opened_ends_once() {
    let (mut rig, channel) = Rig::with_broker(false, RING);
    let (_, second) = (rig.open_channel(link::channel::ChannelType::Http, 512), channel);
    rig.close(second);
    let first = counts(&mut rig);
    assert_eq!((first.opened, first.closed), ([0, 1, 0, 1], [0, 0, 0, 1]));
    rig.input(relay::Input::Shutdown { reason: link::connection::ByeReason::ShuttingDown });
    assert_eq!(counts(&mut rig).closed, [0, 1, 0, 0]);
}
