//! What a relay costs in memory. Inside the crate, because its parts can be measured only here.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;
use core::mem::size_of;

use link::CloudLink;
use link::channel::ChannelType as Type;
use link::connection::Hello;
use link::kind::to_device;
use sansio::Instant;

use crate::channel::{Channel, Protocol};
use crate::context::Shared;
use crate::limits::RETAINED_CAPACITY;
use crate::mqtt::{BrokerConnection, MqttChannel};
use crate::outbox::{Item, Outbox};
use crate::protocol::Output;
use crate::{DeviceRelay, Input, Settings};

/// An idle device with one connected broker: the relay, a channel, its MQTT part and the broker's connection.
#[test]
fn an_idle_device_with_a_broker_takes_less_than_5_kib() {
    let relay = size_of::<DeviceRelay>();
    let channel = size_of::<Channel>() + size_of::<MqttChannel>() + size_of::<BrokerConnection>();
    let queues = RETAINED_CAPACITY * (size_of::<Output>() + 2 * size_of::<Item>());
    std::println!(
        "relay {relay} (link {}), channel {channel} (MQTT {}, broker {}), queues {queues}",
        size_of::<CloudLink>(),
        size_of::<MqttChannel>(),
        size_of::<BrokerConnection>(),
    );
    let total = relay + channel + queues;
    assert!(total < 5 * 1024, "{total}");
}

/// A relay whose device has said hello and opened an MQTT channel.
fn with_channel() -> DeviceRelay {
    let mut relay = DeviceRelay::new(Instant::ZERO, Settings::default());
    let mut body = [0; Hello::MAX];
    let length =
        Hello { version: 1, boot: 1, wake_reason: 0, clock: Instant::ZERO, image: [0; 32] }.encode(&mut body);
    let mut hello = vec![0, (length as u8) << 1];
    hello.extend_from_slice(&body[..length]);
    relay.handle(Instant::ZERO, Input::LinkReceived(&hello)).unwrap();
    while relay.poll(Instant::ZERO).is_some() {}
    relay.handle(Instant::ZERO, Input::LinkReceived(&[0x01, 6, 1, 0x80, 0x04])).unwrap();
    while relay.poll(Instant::ZERO).is_some() {}
    relay
}

#[test]
fn a_burst_costs_nothing_once_it_is_over() {
    let mut relay = with_channel();
    for _ in 0..100 {
        // A subscribe on a channel that has no broker.
        relay.handle(Instant::ZERO, Input::LinkReceived(&[0x61, 6, 0, 1, b'a'])).unwrap();
        while relay.poll(Instant::ZERO).is_some() {}
    }
    let logs: Vec<u8> = (1..100u8).flat_map(|sequence| [0x20, 4, sequence, 0]).collect();
    relay.handle(Instant::ZERO, Input::LinkReceived(&logs)).unwrap();
    while relay.poll(Instant::ZERO).is_some() {}
    assert!(relay.output_capacity() <= RETAINED_CAPACITY, "{}", relay.output_capacity());
    assert_eq!(relay.buffered_bytes(), 0);
}

#[test]
fn an_outbox_frees_what_a_burst_and_a_long_item_took() {
    let mut link = CloudLink::new(Instant::ZERO);
    let mut outbox = Outbox::default();
    for _ in 0..100 {
        outbox.push(Item::response(to_device::PUBLISHED, &[0]));
        outbox.push(Item::with_content(to_device::MESSAGE, &[0, 1], &[b"t", &[0; 3000]]));
    }
    assert_eq!(
        (outbox.queued_items(), outbox.queued_bytes(), outbox.buffered_bytes()),
        (100, 300_300, 300_400)
    );
    // The channel is not open, so all of it is dropped.
    let mut out = Vec::new();
    outbox.write_frame(&mut link, 1, &mut out);
    assert!(out.is_empty());
    assert!(outbox.is_empty());
    assert_eq!((outbox.queued_bytes(), outbox.buffered_bytes()), (0, 0));
    assert!(outbox.capacity() <= 2 * RETAINED_CAPACITY);
}

#[test]
fn a_channel_of_each_type_is_made_for_it() {
    let open = |channel_type| link::channel::Open { channel_type, ring: 512 };
    let shared = Shared::new(Instant::ZERO, Settings::default());
    let made = |channel_type| {
        let mut channel = Channel::new(1, open(channel_type), &shared)?;
        let mut shared = Shared::new(Instant::ZERO, Settings::default());
        let (protocol, _) = channel.with_context(&mut shared);
        assert_eq!(protocol.handler_mut().channel_type(), channel_type);
        Some(match protocol {
            Protocol::Mqtt(_) => Type::Mqtt,
            Protocol::Http(_) => Type::Http,
            Protocol::Config(_) => Type::ConfigFetch,
        })
    };
    for channel_type in [Type::Mqtt, Type::Http, Type::ConfigFetch] {
        assert_eq!(made(channel_type), Some(channel_type));
    }
    assert_eq!(made(Type::OpaqueBytes), None);
}
