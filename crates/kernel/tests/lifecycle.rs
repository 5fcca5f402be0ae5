//! An application's whole day, from its first call to its last, one of each kind of channel.

mod common;

use abi::channel::ChannelType;
use abi::mqtt::MqttReadableDataType;
use abi::network::NetworkStatus;
use abi::notifications::EventType;
use abi::{Call, Status};
use common::mqtt::READABLE;
use common::{LINE, Machine, Setup};
use link::kind::to_device;
use link::mqtt::RequestState;

/// A device that boots, and its application's centre and hold on the network, once the link is up.
fn begin() -> (Machine, Setup) {
    let mut machine = Machine::new();
    let mut centre = machine.centre(LINE, 16);
    let network = machine.network(&centre, 1);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connecting));
    machine.connect();
    assert_eq!(machine.events(&mut centre), [(EventType::NetworkStatusChanged.raw(), 1)]);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connected));
    (machine, Setup { centre, network })
}

/// Closes everything in the order of the guides; every handle ends as 0, and no event follows.
fn end(mut machine: Machine, mut setup: Setup, channel: u32) {
    for (call, handle) in [
        (Call::CloseChannel, channel),
        (Call::ReleaseNetwork, setup.network),
        (Call::CloseNotifications, setup.centre.handle),
    ] {
        let variable = machine.variable(handle);
        machine.ok(call, &[variable]);
        assert_eq!(machine.u32(variable), 0);
        assert_eq!(machine.call(call, &[variable]), Status::InvalidHandle);
        machine.pump();
    }
    assert!(!machine.connected);
    assert_eq!(machine.events(&mut setup.centre), []);
}

/// Shows N02, N04, N64, N71, N80.
#[test]
fn bytes_go_both_ways_between_the_request_for_the_network_and_its_release() {
    let (mut machine, mut setup) = begin();
    let params = machine.params(&setup, ChannelType::OpaqueBytes, 512, 512);
    let channel = machine.open(&params);
    let (up, count) = (machine.put(b"up"), machine.variable(0));
    machine.ok(Call::WriteChannel, &[channel, up, 2, count]);
    machine.pump();
    assert_eq!(machine.cloud().items().pop().expect("an item").1, b"up");
    machine.cloud().item(1, to_device::DATA, &[], b"down", 100);
    machine.pump();
    assert_eq!(machine.events(&mut setup.centre), [READABLE]);
    let (at, length) = (machine.variable(0), machine.variable(0));
    machine.ok(Call::ReadChannel, &[channel, at, length]);
    let (at, length) = (machine.u32(at), machine.u32(length));
    assert_eq!(machine.memory.bytes(at, length as usize), b"down");
    machine.ok(Call::ReadChannelComplete, &[channel, length]);
    end(machine, setup, channel);
}

/// Shows M01, M03, M12, M13, M24, M25, M56, N02.
#[test]
fn an_application_connects_subscribes_publishes_and_hears_of_messages() {
    let (mut machine, mut setup) = begin();
    let params = machine.params(&setup, ChannelType::Mqtt, 1536, 1536);
    let channel = machine.open(&params);
    let next = |machine: &mut Machine, setup: &mut Setup| {
        machine.pump();
        assert_eq!(machine.events(&mut setup.centre), [READABLE], "each outcome has its notification");
        machine.next_type(channel).expect("something to read")
    };

    let request = machine.connect_request();
    assert_eq!(machine.request_connect(channel, &request), Status::Okay);
    machine.pump();
    machine.cloud().connected(1, RequestState::Completed, 0);
    assert_eq!(next(&mut machine, &mut setup), MqttReadableDataType::ConnectResponse);
    assert_eq!(machine.read_connect(channel), Ok((0, 0)));

    assert_eq!(machine.subscribe(channel, 7, &[(b"in", 1)]), Status::Okay);
    machine.pump();
    machine.cloud().subscribed(1, &[1]);
    assert_eq!(next(&mut machine, &mut setup), MqttReadableDataType::SubscribeResponse);
    machine.read_subscribe(channel, 1).expect("a response");

    assert_eq!(machine.publish(channel, 8, b"out", b"payload"), Status::Okay);
    machine.pump();
    machine.cloud().published(1, 0, RequestState::Completed, 0);
    assert_eq!(next(&mut machine, &mut setup), MqttReadableDataType::PublishResponse);
    assert_eq!(machine.read_publish(channel), Ok((0, 8, 0)));

    machine.cloud().message(1, Some(1), false, b"in", b"hello");
    assert_eq!(next(&mut machine, &mut setup), MqttReadableDataType::MessageReceived);
    let message = machine.receive(channel, 10, 10).expect("a message");
    machine.ok(Call::MqttAcknowledgeMessage, &[channel, message.correlation]);

    machine.ok(Call::MqttRequestDisconnect, &[channel]);
    machine.pump();
    machine.cloud().disconnected(1, RequestState::Completed, 0);
    assert_eq!(next(&mut machine, &mut setup), MqttReadableDataType::DisconnectResponse);
    assert_eq!(machine.read_disconnect(channel), Ok((0, 0)));
    end(machine, setup, channel);
}
