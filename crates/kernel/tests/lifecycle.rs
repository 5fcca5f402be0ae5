//! An application's whole day, from its first call to its last, one of each kind of channel.

use abi::channel::ChannelType;
use abi::mqtt::MqttReadableDataType;
use abi::network::NetworkStatus;
use abi::notifications::EventType;
use abi::{Call, Status};
use kernel_testport::mqtt::READABLE;
use kernel_testport::{AppSetup, LINE, TestDevice};
use link::kind::to_device;
use link::mqtt::RequestState;

/// A device that boots, and its application's centre and hold on the network, once the link is up.
fn begin() -> (TestDevice, AppSetup) {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 16);
    let network = device.request_network(&centre, 1);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connecting));
    device.connect();
    assert_eq!(device.events(&mut centre), [(EventType::NetworkStatusChanged.raw(), 1)]);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connected));
    (device, AppSetup { centre, network })
}

/// Closes everything in the order of the guides; every handle ends as 0, and no event follows.
fn end(mut device: TestDevice, mut setup: AppSetup, channel: u32) {
    for (call, handle) in [
        (Call::CloseChannel, channel),
        (Call::ReleaseNetwork, setup.network),
        (Call::CloseNotifications, setup.centre.handle),
    ] {
        let variable = device.alloc_u32(handle);
        device.call_ok(call, &[variable]);
        assert_eq!(device.u32(variable), 0);
        assert_eq!(device.call(call, &[variable]), Status::InvalidHandle);
        device.pump();
    }
    assert!(!device.connected);
    assert_eq!(device.events(&mut setup.centre), []);
}

/// Shows N02, N04, N64, N71, N80.
#[test]
fn bytes_go_both_ways_between_the_request_for_the_network_and_its_release() {
    let (mut device, mut setup) = begin();
    let params = device.channel_params(&setup, ChannelType::OpaqueBytes, 512, 512);
    let channel = device.open_channel(&params);
    let (up, count) = (device.alloc_bytes(b"up"), device.alloc_u32(0));
    device.call_ok(Call::WriteChannel, &[channel, up, 2, count]);
    device.pump();
    assert_eq!(device.cloud().take_items().pop().expect("an item").1, b"up");
    device.cloud().send_item(1, to_device::DATA, &[], b"down", 100);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    let (at, length) = (device.alloc_u32(0), device.alloc_u32(0));
    device.call_ok(Call::ReadChannel, &[channel, at, length]);
    let (at, length) = (device.u32(at), device.u32(length));
    assert_eq!(device.memory.bytes(at, length as usize), b"down");
    device.call_ok(Call::ReadChannelComplete, &[channel, length]);
    end(device, setup, channel);
}

/// Shows M01, M03, M12, M13, M24, M25, M56, N02.
#[test]
fn an_application_connects_subscribes_publishes_and_receives_messages() {
    let (mut device, mut setup) = begin();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 1536, 1536);
    let channel = device.open_channel(&params);
    let next = |device: &mut TestDevice, setup: &mut AppSetup| {
        device.pump();
        assert_eq!(device.events(&mut setup.centre), [READABLE], "each outcome has its notification");
        device.next_readable(channel).expect("something to read")
    };

    let request = device.connect_params();
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    device.pump();
    device.cloud().answer_connect(1, RequestState::Completed, 0);
    assert_eq!(next(&mut device, &mut setup), MqttReadableDataType::ConnectResponse);
    assert_eq!(device.read_connect_response(channel), Ok((0, 0)));

    assert_eq!(device.subscribe(channel, 7, &[(b"in", 1)]), Status::Okay);
    device.pump();
    device.cloud().answer_subscribe(1, &[1]);
    assert_eq!(next(&mut device, &mut setup), MqttReadableDataType::SubscribeResponse);
    device.read_subscribe_response(channel, 1).expect("a response");

    assert_eq!(device.publish(channel, 8, b"out", b"payload"), Status::Okay);
    device.pump();
    device.cloud().answer_publish(1, 0, RequestState::Completed, 0);
    assert_eq!(next(&mut device, &mut setup), MqttReadableDataType::PublishResponse);
    assert_eq!(device.read_publish_response(channel), Ok((0, 8, 0)));

    device.cloud().send_message(1, Some(1), false, b"in", b"hello");
    assert_eq!(next(&mut device, &mut setup), MqttReadableDataType::MessageReceived);
    let message = device.receive_message(channel, 10, 10).expect("a message");
    device.call_ok(Call::MqttAcknowledgeMessage, &[channel, message.correlation]);

    device.call_ok(Call::MqttRequestDisconnect, &[channel]);
    device.pump();
    device.cloud().answer_disconnect(1, RequestState::Completed, 0);
    assert_eq!(next(&mut device, &mut setup), MqttReadableDataType::DisconnectResponse);
    assert_eq!(device.read_disconnect_response(channel), Ok((0, 0)));
    end(device, setup, channel);
}
