//! Opening, losing and closing channels.

use abi::channel::{ChannelType, ClosureReason, OpenChannelParams};
use abi::mqtt::MqttReadableDataType;
use abi::notifications::EventType;
use abi::{Call, Status};
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{AppSetup, LINE, TAG, TICK, TestDevice};
use link::channel::{ChannelType as WireType, ClosureReason as WireReason, Open};
use sansio::Duration;

const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);
const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);

fn close(device: &mut TestDevice, channel: u32) -> (Status, u32) {
    let handle = device.alloc_u32(channel);
    let status = device.call(Call::CloseChannel, &[handle]);
    device.pump();
    (status, device.u32(handle))
}

fn closure(device: &mut TestDevice, channel: u32) -> u32 {
    let to = device.alloc_u32(99);
    device.call_ok(Call::GetChannelClosureReason, &[channel, to]);
    device.u32(to)
}

fn next_type(device: &mut TestDevice, channel: u32) -> Result<u32, Status> {
    let to = device.alloc_u32(99);
    match device.call(Call::MqttGetNextReadableDataType, &[channel, to]) {
        Status::Okay => Ok(device.u32(to)),
        status => Err(status),
    }
}

fn events(device: &mut TestDevice, setup: &mut AppSetup) -> Vec<(u32, u32)> {
    device.events(&mut setup.centre)
}

/// Shows N02, N05, N47, N48, N61, M05, N03, N04, N53, M04.
#[test]
fn open_carries_the_channels_type_and_ring_size() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    assert_ne!(channel, 0);
    let open = Open { channel_type: WireType::Mqtt, ring: 1536 };
    assert_eq!(device.cloud().take_messages().last(), Some(&DeviceMessage::Open { channel: 1, open }));
    assert_eq!(closure(&mut device, channel), ClosureReason::None.raw());
}

/// Shows N62, N63, N65, N10, N11, D14.
#[test]
fn closing_zeroes_the_handle_sends_close_and_raises_no_event() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    assert_eq!(device.cloud().take_messages().last(), Some(&DeviceMessage::Close(1)));
    assert_eq!(events(&mut device, &mut setup), []);
    assert_eq!(next_type(&mut device, channel), Err(Status::InvalidHandle));
    assert_eq!(close(&mut device, channel), (Status::InvalidHandle, channel));
    assert_eq!(close(&mut device, 0), (Status::InvalidHandle, 0));
}

/// Shows D30, N44, N49, N32.
#[test]
fn opening_needs_the_network() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    let network = device.request_network(&centre, 1);
    let setup = AppSetup { centre, network };
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    assert_eq!(device.try_open_channel(&params), Status::NetworkNotConnected);
    device.connect();
    assert_eq!(device.try_open_channel(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn of_several_faults_the_first_in_the_order_is_reported() {
    let (mut device, setup) = TestDevice::with_network();
    let good = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let mut bad = OpenChannelParams {
        version: 2,
        notification_handle: 0,
        network_handle: 0,
        channel_type: 4,
        receive_buffer: good.receive_buffer + 8,
        receive_buffer_len: 100,
        endpoint: device.flash_string(b"somewhere"),
        ..good
    };
    let params = device.alloc_bytes(&bad.to_bytes());
    let handle = device.alloc_u32(0);
    assert_eq!(device.call(Call::OpenChannel, &[0, handle]), Status::ParameterFault);
    assert_eq!(device.call(Call::OpenChannel, &[params, 0x0800_0000]), Status::ParameterFault);
    assert_eq!(device.try_open_channel(&bad), Status::UnsupportedStructureVersion);
    bad.version = 1;
    assert_eq!(device.try_open_channel(&bad), Status::InvalidHandle);
    bad.notification_handle = good.notification_handle;
    assert_eq!(device.try_open_channel(&bad), Status::InvalidHandle, "the network handle");
    bad.network_handle = good.network_handle;
    assert_eq!(device.try_open_channel(&bad), Status::UnknownChannelType);
    bad.channel_type = good.channel_type;
    assert_eq!(device.try_open_channel(&bad), Status::InvalidBufferAlignment);
    bad.receive_buffer = 0x1000_0000;
    assert_eq!(device.try_open_channel(&bad), Status::InvalidBufferSize);
    bad.receive_buffer_len = 512;
    assert_eq!(device.try_open_channel(&bad), Status::ParameterFault, "not application RAM");
    bad.receive_buffer = bad.send_buffer;
    assert_eq!(device.try_open_channel(&bad), Status::BufferAlreadyInUse);
    bad.receive_buffer = good.receive_buffer;
    assert_eq!(device.try_open_channel(&bad), Status::UnknownChannelEndpoint);
    bad.endpoint = good.endpoint;
    assert_eq!(device.try_open_channel(&bad), Status::Okay);
}

/// Shows N54, N59, N60, M06.
#[test]
fn both_buffers_are_aligned_to_512_and_a_multiple_of_it() {
    let (mut device, setup) = TestDevice::with_network();
    let good = device.channel_params(&setup, ChannelType::Mqtt, 1536, 1536);
    for (receive, send) in [(0, 512), (512, 0), (500, 512), (512, 768)] {
        let params = OpenChannelParams { receive_buffer_len: receive, send_buffer_len: send, ..good };
        assert_eq!(device.try_open_channel(&params), Status::InvalidBufferSize);
    }
    let params = OpenChannelParams { send_buffer: good.send_buffer + 256, ..good };
    assert_eq!(device.try_open_channel(&params), Status::InvalidBufferAlignment);
    let flash = OpenChannelParams { send_buffer: 0x0800_0000, ..good };
    assert_eq!(device.try_open_channel(&flash), Status::ParameterFault);
    assert_eq!(device.try_open_channel(&good), Status::Okay);
}

/// Shows D30, N55.
#[test]
fn buffers_are_in_use_until_the_channel_is_closed() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::ConfigFetch, 512, 512);
    let channel = device.open_channel(&params);
    assert_eq!(device.try_open_channel(&params), Status::BufferAlreadyInUse);
    assert_eq!(
        device.call(Call::ServerLoggingInit, &[params.receive_buffer, 512]),
        Status::BufferAlreadyInUse
    );
    assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    let params = OpenChannelParams { channel_type: ChannelType::Mqtt.raw(), ..params };
    let channel = device.open_channel(&params);
    device.lose_link();
    device.advance(Duration::from_secs(3));
    device.connect();
    assert_eq!(device.try_open_channel(&params), Status::BufferAlreadyInUse, "lost, but not closed");
    assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    assert_eq!(device.try_open_channel(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn there_are_four_channels_and_eight_openings_a_second() {
    let (mut device, setup) = TestDevice::with_network();
    let mut all = Vec::new();
    for _ in 0..4 {
        let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
        all.push(device.open_channel(&params));
    }
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    assert_eq!(device.try_open_channel(&params), Status::TooManyChannels);
    for channel in all {
        assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    }
    for _ in 0..4 {
        let channel = device.open_channel(&params);
        assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    }
    assert_eq!(device.try_open_channel(&params), Status::RateLimited, "the ninth in a second");
    device.advance(Duration::from_secs(1) - TICK);
    assert_eq!(device.try_open_channel(&params), Status::RateLimited);
    device.advance(TICK);
    assert_eq!(device.try_open_channel(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn a_channel_cannot_be_opened_while_the_link_has_no_number_for_it() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let mut handle = 0;
    for number in 0..15 {
        device.now += Duration::from_secs(1);
        let mut out = [0; 2048];
        let at = device.alloc_bytes(&params.to_bytes());
        let variable = device.alloc_u32(0);
        device.call_ok(Call::OpenChannel, &[at, variable]);
        handle = device.u32(variable);
        // The cloud gets no CLOSE, so it never confirms one.
        device.enter(|kernel, port| kernel.transmit(port, &mut out));
        if number < 14 {
            device.call_ok(Call::CloseChannel, &[variable]);
        }
    }
    let other = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    device.now += Duration::from_secs(1);
    assert_eq!(device.try_open_channel(&other), Status::Unavailable);
    assert_eq!(closure(&mut device, handle), 0, "the one before is well");
}

/// Shows N50, N51, N66, N67, N68, N71, N73, N74, D31.
#[test]
fn a_lost_link_notifies_every_channel_and_closes_none() {
    let (mut device, mut setup, first) = TestDevice::with_channel(ChannelType::Mqtt);
    let params = device.channel_params(&setup, ChannelType::ConfigFetch, 512, 512);
    let second = device.open_channel(&params);
    device.cloud().send_message(1, None, false, b"t", b"received before");
    device.pump();
    assert_eq!(events(&mut device, &mut setup), [READABLE]);
    device.lose_link();
    let network = (EventType::NetworkStatusChanged.raw(), 1);
    assert_eq!(events(&mut device, &mut setup), [NOT_CONNECTED, NOT_CONNECTED, network]);
    assert_eq!(next_type(&mut device, first), Ok(MqttReadableDataType::MessageReceived.raw()));
    for channel in [first, second] {
        assert_eq!(closure(&mut device, channel), ClosureReason::NetworkDisconnected.raw());
        assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    }
}

/// Shows N69, N72, D31.
#[test]
fn after_a_loss_nothing_arrives_and_nothing_can_be_sent() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    device.lose_link();
    device.advance(Duration::from_secs(3));
    device.connect();
    assert_eq!(device.call(Call::MqttRequestDisconnect, &[channel]), Status::ChannelClosed);
    assert_eq!(device.call(Call::MqttAcknowledgeMessage, &[channel, 1]), Status::ChannelClosed);
    assert_eq!(next_type(&mut device, channel), Err(Status::ChannelClosed), "nothing is left");
    let messages = device.cloud().take_messages();
    assert!(
        matches!(messages[..], [DeviceMessage::Hello(_)]),
        "the new connection does not know it: {messages:?}"
    );
}

/// Shows N77, N76, N07.
#[test]
fn releasing_a_network_disconnects_its_channels_and_no_others() {
    let (mut device, mut setup, first) = TestDevice::with_channel(ChannelType::Mqtt);
    let other = device.request_network(&setup.centre, 2);
    events(&mut device, &mut setup);
    let mut params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    params.network_handle = other;
    let second = device.open_channel(&params);
    let network = device.alloc_u32(setup.network);
    device.call_ok(Call::ReleaseNetwork, &[network]);
    device.pump();
    assert_eq!(events(&mut device, &mut setup), [NOT_CONNECTED]);
    assert!(device.connected);
    assert_eq!(closure(&mut device, first), ClosureReason::NetworkDisconnected.raw());
    assert_eq!(closure(&mut device, second), ClosureReason::None.raw());
    assert!(device.cloud().take_messages().contains(&DeviceMessage::Close(1)));
    let network = device.alloc_u32(other);
    device.call_ok(Call::ReleaseNetwork, &[network]);
    assert_eq!(events(&mut device, &mut setup), [NOT_CONNECTED]);
}

/// Shows D31.
#[test]
fn the_clouds_reason_for_the_end_is_readable() {
    for (wire, reason) in [
        (WireReason::ClosedByServer, ClosureReason::ChannelClosedByServer),
        (WireReason::ResetByServer, ClosureReason::ChannelResetByServer),
        (WireReason::ConnectionTerminated, ClosureReason::ConnectionTerminated),
        (WireReason::UnexpectedlyTerminated, ClosureReason::UnexpectedlyTerminated),
    ] {
        let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
        device.cloud().send_closed(1, wire);
        device.pump();
        assert_eq!(events(&mut device, &mut setup), [NOT_CONNECTED]);
        assert_eq!(closure(&mut device, channel), reason.raw());
        assert_eq!(close(&mut device, channel), (Status::Okay, 0));
        let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
        device.open_channel(&params);
        let messages = device.cloud().take_messages();
        assert!(
            matches!(messages.last(), Some(DeviceMessage::Open { channel: 1, .. })),
            "CLOSE was sent and confirmed"
        );
    }
}

/// Shows D06, D81.
#[test]
fn a_channel_of_another_type_is_an_invalid_handle() {
    let (mut device, setup, channel) = TestDevice::with_channel(ChannelType::ConfigFetch);
    let to = device.alloc(8);
    for handle in [channel, setup.network, setup.centre.handle, 0] {
        assert_eq!(device.call(Call::MqttReadConnectResponse, &[handle, to]), Status::InvalidHandle);
        assert_eq!(device.call(Call::MqttRequestDisconnect, &[handle]), Status::InvalidHandle);
    }
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let to = device.alloc(8);
    assert_eq!(device.call(Call::ReadConfigFetchResponseData, &[channel, to]), Status::InvalidHandle);
}

/// Shows N62, N64.
#[test]
fn a_closed_channel_half_way_through_an_item_leaves_the_link_well() {
    let (mut device, setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    device.cloud().send_fragments(1, link::kind::to_device::MESSAGE, &[0, 1], &[b'x'; 900], 300, 2);
    device.pump();
    assert_eq!(close(&mut device, channel), (Status::Okay, 0));
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    device.open_channel(&params);
    assert!(device.connected);
}
