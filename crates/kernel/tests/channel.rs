//! Opening, losing and closing channels.

mod common;

use abi::channel::{ChannelType, ClosureReason, OpenChannelParams};
use abi::mqtt::MqttReadableDataType;
use abi::notifications::EventType;
use abi::{Call, Status};
use common::cloud::Said;
use common::{LINE, Machine, Setup, TAG, TICK};
use link::channel::{ChannelType as WireType, ClosureReason as WireReason, Open};
use sansio::Duration;

const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);
const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);

fn close(machine: &mut Machine, channel: u32) -> (Status, u32) {
    let handle = machine.variable(channel);
    let status = machine.call(Call::CloseChannel, &[handle]);
    machine.pump();
    (status, machine.u32(handle))
}

fn closure(machine: &mut Machine, channel: u32) -> u32 {
    let to = machine.variable(99);
    machine.ok(Call::GetChannelClosureReason, &[channel, to]);
    machine.u32(to)
}

fn next_type(machine: &mut Machine, channel: u32) -> Result<u32, Status> {
    let to = machine.variable(99);
    match machine.call(Call::MqttGetNextReadableDataType, &[channel, to]) {
        Status::Okay => Ok(machine.u32(to)),
        status => Err(status),
    }
}

fn events(machine: &mut Machine, setup: &mut Setup) -> Vec<(u32, u32)> {
    machine.events(&mut setup.centre)
}

/// Shows N02, N05, N47, N48, N61, M05, N03, N04, N53, M04.
#[test]
fn opening_a_channel_tells_the_cloud_its_type_and_its_ring() {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Mqtt);
    assert_ne!(channel, 0);
    let open = Open { channel_type: WireType::Mqtt, ring: 1536 };
    assert_eq!(machine.cloud().heard().last(), Some(&Said::Open { channel: 1, open }));
    assert_eq!(closure(&mut machine, channel), ClosureReason::None.raw());
}

/// Shows N62, N63, N65, N10, N11, D14.
#[test]
fn closing_zeroes_the_handle_tells_the_cloud_and_raises_no_event() {
    let (mut machine, mut setup, channel) = Machine::with_channel(ChannelType::Mqtt);
    assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    assert_eq!(machine.cloud().heard().last(), Some(&Said::Close(1)));
    assert_eq!(events(&mut machine, &mut setup), []);
    assert_eq!(next_type(&mut machine, channel), Err(Status::InvalidHandle));
    assert_eq!(close(&mut machine, channel), (Status::InvalidHandle, channel));
    assert_eq!(close(&mut machine, 0), (Status::InvalidHandle, 0));
}

/// Shows D30, N44, N49, N32.
#[test]
fn opening_needs_the_network() {
    let mut machine = Machine::new();
    let centre = machine.centre(LINE, 8);
    let network = machine.network(&centre, 1);
    let setup = Setup { centre, network };
    let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    assert_eq!(machine.try_open(&params), Status::NetworkNotConnected);
    machine.connect();
    assert_eq!(machine.try_open(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn of_several_faults_the_first_in_the_order_is_told() {
    let (mut machine, setup) = Machine::ready();
    let good = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    let mut bad = OpenChannelParams {
        version: 2,
        notification_handle: 0,
        network_handle: 0,
        channel_type: 4,
        receive_buffer: good.receive_buffer + 8,
        receive_buffer_len: 100,
        endpoint: machine.string(b"somewhere"),
        ..good
    };
    let params = machine.put(&bad.to_bytes());
    let handle = machine.variable(0);
    assert_eq!(machine.call(Call::OpenChannel, &[0, handle]), Status::ParameterFault);
    assert_eq!(machine.call(Call::OpenChannel, &[params, 0x0800_0000]), Status::ParameterFault);
    assert_eq!(machine.try_open(&bad), Status::UnsupportedStructureVersion);
    bad.version = 1;
    assert_eq!(machine.try_open(&bad), Status::InvalidHandle);
    bad.notification_handle = good.notification_handle;
    assert_eq!(machine.try_open(&bad), Status::InvalidHandle, "the network handle");
    bad.network_handle = good.network_handle;
    assert_eq!(machine.try_open(&bad), Status::UnknownChannelType);
    bad.channel_type = good.channel_type;
    assert_eq!(machine.try_open(&bad), Status::InvalidBufferAlignment);
    bad.receive_buffer = 0x1000_0000;
    assert_eq!(machine.try_open(&bad), Status::InvalidBufferSize);
    bad.receive_buffer_len = 512;
    assert_eq!(machine.try_open(&bad), Status::ParameterFault, "not application RAM");
    bad.receive_buffer = bad.send_buffer;
    assert_eq!(machine.try_open(&bad), Status::BufferAlreadyInUse);
    bad.receive_buffer = good.receive_buffer;
    assert_eq!(machine.try_open(&bad), Status::UnknownChannelEndpoint);
    bad.endpoint = good.endpoint;
    assert_eq!(machine.try_open(&bad), Status::Okay);
}

/// Shows N54, N59, N60, M06.
#[test]
fn both_buffers_are_aligned_to_512_and_a_multiple_of_it() {
    let (mut machine, setup) = Machine::ready();
    let good = machine.params(&setup, ChannelType::Mqtt, 1536, 1536);
    for (receive, send) in [(0, 512), (512, 0), (500, 512), (512, 768)] {
        let params = OpenChannelParams { receive_buffer_len: receive, send_buffer_len: send, ..good };
        assert_eq!(machine.try_open(&params), Status::InvalidBufferSize);
    }
    let params = OpenChannelParams { send_buffer: good.send_buffer + 256, ..good };
    assert_eq!(machine.try_open(&params), Status::InvalidBufferAlignment);
    let flash = OpenChannelParams { send_buffer: 0x0800_0000, ..good };
    assert_eq!(machine.try_open(&flash), Status::ParameterFault);
    assert_eq!(machine.try_open(&good), Status::Okay);
}

/// Shows D30, N55.
#[test]
fn buffers_are_lent_until_the_channel_is_closed_and_then_used_again() {
    let (mut machine, setup) = Machine::ready();
    let params = machine.params(&setup, ChannelType::ConfigFetch, 512, 512);
    let channel = machine.open(&params);
    assert_eq!(machine.try_open(&params), Status::BufferAlreadyInUse);
    assert_eq!(
        machine.call(Call::ServerLoggingInit, &[params.receive_buffer, 512]),
        Status::BufferAlreadyInUse
    );
    assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    let params = OpenChannelParams { channel_type: ChannelType::Mqtt.raw(), ..params };
    let channel = machine.open(&params);
    machine.cut();
    machine.advance(Duration::from_secs(3));
    machine.connect();
    assert_eq!(machine.try_open(&params), Status::BufferAlreadyInUse, "lost, but not closed");
    assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    assert_eq!(machine.try_open(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn there_are_four_channels_and_eight_openings_a_second() {
    let (mut machine, setup) = Machine::ready();
    let mut all = Vec::new();
    for _ in 0..4 {
        let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
        all.push(machine.open(&params));
    }
    let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    assert_eq!(machine.try_open(&params), Status::TooManyChannels);
    for channel in all {
        assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    }
    for _ in 0..4 {
        let channel = machine.open(&params);
        assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    }
    assert_eq!(machine.try_open(&params), Status::RateLimited, "the ninth in a second");
    machine.advance(Duration::from_secs(1) - TICK);
    assert_eq!(machine.try_open(&params), Status::RateLimited);
    machine.advance(TICK);
    assert_eq!(machine.try_open(&params), Status::Okay);
}

/// Shows D30.
#[test]
fn a_channel_cannot_be_opened_while_the_link_has_no_number_for_it() {
    let (mut machine, setup) = Machine::ready();
    let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    let mut handle = 0;
    for number in 0..15 {
        machine.now += Duration::from_secs(1);
        let mut out = [0; 2048];
        let at = machine.put(&params.to_bytes());
        let variable = machine.variable(0);
        machine.ok(Call::OpenChannel, &[at, variable]);
        handle = machine.u32(variable);
        // The cloud never hears of any end, so it never confirms one.
        machine.enter(|kernel, port| kernel.transmit(port, &mut out));
        if number < 14 {
            machine.ok(Call::CloseChannel, &[variable]);
        }
    }
    let other = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    machine.now += Duration::from_secs(1);
    assert_eq!(machine.try_open(&other), Status::Unavailable);
    assert_eq!(closure(&mut machine, handle), 0, "the one before is well");
}

/// Shows N50, N51, N66, N67, N68, N71, N73, N74, D31.
#[test]
fn a_lost_link_notifies_every_channel_and_closes_none() {
    let (mut machine, mut setup, first) = Machine::with_channel(ChannelType::Mqtt);
    let params = machine.params(&setup, ChannelType::ConfigFetch, 512, 512);
    let second = machine.open(&params);
    machine.cloud().message(1, None, false, b"t", b"received before");
    machine.pump();
    assert_eq!(events(&mut machine, &mut setup), [READABLE]);
    machine.cut();
    let network = (EventType::NetworkStatusChanged.raw(), 1);
    assert_eq!(events(&mut machine, &mut setup), [NOT_CONNECTED, NOT_CONNECTED, network]);
    assert_eq!(next_type(&mut machine, first), Ok(MqttReadableDataType::MessageReceived.raw()));
    for channel in [first, second] {
        assert_eq!(closure(&mut machine, channel), ClosureReason::NetworkDisconnected.raw());
        assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    }
}

/// Shows N69, N72, D31.
#[test]
fn after_the_loss_nothing_new_comes_and_nothing_can_be_sent() {
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Mqtt);
    machine.cut();
    machine.advance(Duration::from_secs(3));
    machine.connect();
    assert_eq!(machine.call(Call::MqttRequestDisconnect, &[channel]), Status::ChannelClosed);
    assert_eq!(machine.call(Call::MqttAcknowledgeMessage, &[channel, 1]), Status::ChannelClosed);
    assert_eq!(next_type(&mut machine, channel), Err(Status::ChannelClosed), "nothing is left");
    let heard = machine.cloud().heard();
    assert!(matches!(heard[..], [Said::Hello(_)]), "the new connection does not know it: {heard:?}");
}

/// Shows N77, N76, N07.
#[test]
fn releasing_a_network_disconnects_its_channels_and_no_others() {
    let (mut machine, mut setup, first) = Machine::with_channel(ChannelType::Mqtt);
    let other = machine.network(&setup.centre, 2);
    events(&mut machine, &mut setup);
    let mut params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    params.network_handle = other;
    let second = machine.open(&params);
    let network = machine.variable(setup.network);
    machine.ok(Call::ReleaseNetwork, &[network]);
    machine.pump();
    assert_eq!(events(&mut machine, &mut setup), [NOT_CONNECTED]);
    assert!(machine.connected);
    assert_eq!(closure(&mut machine, first), ClosureReason::NetworkDisconnected.raw());
    assert_eq!(closure(&mut machine, second), ClosureReason::None.raw());
    assert!(machine.cloud().heard().contains(&Said::Close(1)));
    let network = machine.variable(other);
    machine.ok(Call::ReleaseNetwork, &[network]);
    assert_eq!(events(&mut machine, &mut setup), [NOT_CONNECTED]);
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
        let (mut machine, mut setup, channel) = Machine::with_channel(ChannelType::Mqtt);
        machine.cloud().closed(1, wire);
        machine.pump();
        assert_eq!(events(&mut machine, &mut setup), [NOT_CONNECTED]);
        assert_eq!(closure(&mut machine, channel), reason.raw());
        assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
        let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
        machine.open(&params);
        let said = machine.cloud().heard();
        assert!(
            matches!(said.last(), Some(Said::Open { channel: 1, .. })),
            "both halves of the goodbye are said"
        );
    }
}

/// Shows D06, D81.
#[test]
fn a_channel_of_another_type_is_an_invalid_handle() {
    let (mut machine, setup, channel) = Machine::with_channel(ChannelType::ConfigFetch);
    let to = machine.room(8);
    for handle in [channel, setup.network, setup.centre.handle, 0] {
        assert_eq!(machine.call(Call::MqttReadConnectResponse, &[handle, to]), Status::InvalidHandle);
        assert_eq!(machine.call(Call::MqttRequestDisconnect, &[handle]), Status::InvalidHandle);
    }
    let (mut machine, _, channel) = Machine::with_channel(ChannelType::Mqtt);
    let to = machine.room(8);
    assert_eq!(machine.call(Call::ReadConfigFetchResponseData, &[channel, to]), Status::InvalidHandle);
}

/// Shows N62, N64.
#[test]
fn a_closed_channel_half_way_through_an_item_leaves_the_link_well() {
    let (mut machine, setup, channel) = Machine::with_channel(ChannelType::Mqtt);
    machine.cloud().begin(1, link::kind::to_device::MESSAGE, &[0, 1], &[b'x'; 900], 300, 2);
    machine.pump();
    assert_eq!(close(&mut machine, channel), (Status::Okay, 0));
    let params = machine.params(&setup, ChannelType::Mqtt, 512, 512);
    machine.open(&params);
    assert!(machine.connected);
}
