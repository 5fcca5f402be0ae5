//! Channels of opaque bytes: writing, reading in place, and what remains after the end.

use abi::channel::{ChannelType, ClosureReason};
use abi::notifications::EventType;
use abi::{Call, Status};
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::{AppSetup, TAG, TestDevice};
use link::channel::{ChannelType as WireType, ClosureReason as WireReason, Open};
use link::kind::{to_cloud, to_device};
use sansio::Duration;

const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);
const WRITE_SPACE: (u32, u32) = (EventType::ChannelDataWriteSpace.raw(), TAG);
const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);
/// No memory of the application's.
const NOWHERE: u32 = 0x4000_0000;
/// Readable, not writable.
const FLASH: u32 = 0x0800_0000;

/// A device with such a channel, both rings of 512 bytes.
fn small() -> (TestDevice, AppSetup, u32) {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::OpaqueBytes, 512, 512);
    let channel = device.open_channel(&params);
    device.cloud().take_messages();
    (device, setup, channel)
}

fn write(device: &mut TestDevice, channel: u32, bytes: &[u8]) -> Result<u32, Status> {
    put(device, Call::WriteChannel, channel, bytes)
}

fn stream(device: &mut TestDevice, channel: u32, bytes: &[u8]) -> Result<u32, Status> {
    put(device, Call::WriteChannelStream, channel, bytes)
}

fn put(device: &mut TestDevice, call: Call, channel: u32, bytes: &[u8]) -> Result<u32, Status> {
    let (data, result) = (device.alloc_bytes(bytes), device.alloc_u32(0xeeee_eeee));
    match device.call(call, &[channel, data, bytes.len() as u32, result]) {
        Status::Okay => Ok(device.u32(result)),
        status => {
            assert_eq!(device.u32(result), 0xeeee_eeee, "a refused write writes no result");
            Err(status)
        }
    }
}

/// Where the oldest bytes are, and what they are.
fn read(device: &mut TestDevice, channel: u32) -> Result<(u32, Vec<u8>), Status> {
    let (pointer, length) = (device.alloc_u32(0), device.alloc_u32(0));
    match device.call(Call::ReadChannel, &[channel, pointer, length]) {
        Status::Okay => {
            let at = device.u32(pointer);
            Ok((at, device.memory.bytes(at, device.u32(length) as usize)))
        }
        status => Err(status),
    }
}

fn complete(device: &mut TestDevice, channel: u32, consumed: u32) -> Status {
    let status = device.call(Call::ReadChannelComplete, &[channel, consumed]);
    device.pump();
    status
}

fn send(device: &mut TestDevice, bytes: &[u8]) {
    device.cloud().send_item(1, to_device::DATA, &[], bytes, 4096);
    device.pump();
}

/// The bytes that the cloud has received since the last time, however they were divided.
fn received(device: &mut TestDevice) -> Vec<u8> {
    let items = device.cloud().take_items();
    assert!(items.iter().all(|(kind, _)| *kind == to_cloud::DATA));
    items.into_iter().flat_map(|(_, body)| body).collect()
}

/// Shows N48, N52, N54.
#[test]
fn open_carries_the_type_of_opaque_bytes() {
    let (mut device, _, _) = TestDevice::with_channel(ChannelType::OpaqueBytes);
    let open = Open { channel_type: WireType::OpaqueBytes, ring: 1536 };
    assert_eq!(device.cloud().take_messages().last(), Some(&DeviceMessage::Open { channel: 1, open }));
}

/// Shows N56, N57, N58.
#[test]
fn a_write_is_all_or_nothing_and_returns_the_free_space() {
    let (mut device, _, channel) = small();
    assert_eq!(write(&mut device, channel, &[]), Ok(512), "no bytes ask for the room");
    assert_eq!(write(&mut device, channel, &[1; 300]), Ok(212));
    assert_eq!(write(&mut device, channel, &[2; 213]), Err(Status::InvalidBufferSize));
    assert_eq!(write(&mut device, channel, &[3; 212]), Ok(0));
    assert_eq!(write(&mut device, channel, &[]), Ok(0));
    device.pump();
    assert_eq!(received(&mut device), [vec![1; 300], vec![3; 212]].concat());
    assert_eq!(write(&mut device, channel, &[]), Ok(512), "what has left made room");
    assert_eq!(write(&mut device, channel, &[4; 513]), Err(Status::InvalidBufferSize));
}

/// Shows N58, M02.
#[test]
fn a_stream_write_takes_what_fits_and_returns_how_much() {
    let (mut device, _, channel) = small();
    assert_eq!(stream(&mut device, channel, &[1; 500]), Ok(500));
    assert_eq!(stream(&mut device, channel, &[2; 500]), Ok(12));
    assert_eq!(stream(&mut device, channel, &[3; 500]), Ok(0));
    assert_eq!(stream(&mut device, channel, &[]), Ok(0));
    device.pump();
    assert_eq!(received(&mut device), [vec![1; 500], vec![2; 12]].concat());
}

/// Shows N56, N57.
#[test]
fn a_stream_keeps_its_order_across_the_end_of_the_ring_and_small_frames() {
    let (mut device, _, channel) = small();
    device.outgoing = 1300;
    let (mut sent, mut got) = (Vec::new(), Vec::new());
    for round in 0..40_u32 {
        let bytes: Vec<u8> = (0..round * 7).map(|n| (n ^ round) as u8).collect();
        let taken = stream(&mut device, channel, &bytes).expect("a stream takes what fits");
        sent.extend_from_slice(&bytes[..taken as usize]);
        if round % 3 == 0 {
            device.pump();
            got.extend(received(&mut device));
        }
    }
    device.pump();
    got.extend(received(&mut device));
    assert!(sent.len() > 3000);
    assert_eq!(got, sent);
}

/// Shows D13.
#[test]
fn free_space_is_announced_once_after_a_write_that_did_not_fit() {
    let (mut device, mut setup, channel) = small();
    write(&mut device, channel, &[1; 512]).expect("it fits");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [], "no write was refused");
    write(&mut device, channel, &[1; 400]).expect("it fits");
    assert_eq!(write(&mut device, channel, &[2; 113]), Err(Status::InvalidBufferSize));
    assert_eq!(device.events(&mut setup.centre), []);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [WRITE_SPACE]);
    device.pump();
    stream(&mut device, channel, &[3; 600]).expect("a part");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [WRITE_SPACE]);
    write(&mut device, channel, &[4; 10]).expect("it fits");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), []);
}

/// Shows D13, D101.
#[test]
fn free_space_is_announced_when_the_refused_write_would_fit() {
    let (mut device, mut setup, channel) = small();
    device.cloud().holds_items = true;
    let mut written = 0;
    // The window towards the cloud is full, and so is the ring.
    loop {
        written += stream(&mut device, channel, &[1; 512]).expect("a stream takes what fits");
        device.pump();
        device.events(&mut setup.centre);
        if written == 16_384 + 512 {
            break;
        }
    }
    assert_eq!(stream(&mut device, channel, &[1]), Ok(0));
    assert_eq!(write(&mut device, channel, &[2; 1000]), Err(Status::InvalidBufferSize), "more than the ring");
    device.cloud().holds_items = false;
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [], "the window is still full");
    device.cloud().consume_held(1);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [WRITE_SPACE], "all the room there ever is");
    assert_eq!(write(&mut device, channel, &[]), Ok(512));
}

/// Shows D13, D101.
#[test]
fn a_partial_stream_write_is_followed_by_an_event_at_the_first_free_space() {
    let (mut device, mut setup, channel) = small();
    assert_eq!(stream(&mut device, channel, &[1; 600]), Ok(512));
    assert_eq!(write(&mut device, channel, &[2; 500]), Err(Status::InvalidBufferSize));
    let mut out = [0; 200];
    device.enter(|kernel, port| kernel.transmit(port, &mut out));
    assert_eq!(device.events(&mut setup.centre), [], "not enough for the last write");
    assert_eq!(stream(&mut device, channel, &[3; 600]).map(|taken| taken > 100), Ok(true));
    device.enter(|kernel, port| kernel.transmit(port, &mut out));
    assert_eq!(device.events(&mut setup.centre), [WRITE_SPACE]);
}

/// A fragment is worth its header, unless it is all there is.
#[test]
fn the_end_of_a_buffer_is_not_filled_with_crumbs() {
    let (mut device, _, channel) = small();
    let transmit = |device: &mut TestDevice, room: usize| {
        device.enter(|kernel, port| kernel.transmit(port, &mut vec![0; room]))
    };
    assert_eq!(stream(&mut device, channel, &[1; 500]), Ok(500));
    assert_eq!(transmit(&mut device, 66), 0);
    assert_eq!(transmit(&mut device, 67), 67, "a header of three bytes and 64 more");
    assert_eq!(transmit(&mut device, 1000), 439);
    assert_eq!(stream(&mut device, channel, &[1; 10]), Ok(10));
    assert_eq!(transmit(&mut device, 66), 12);
}

/// Shows N68, N70, D12.
#[test]
fn received_bytes_are_read_where_they_are() {
    let (mut device, mut setup, channel) = small();
    let (at, none) = read(&mut device, channel).expect("an open channel");
    assert_eq!(none, [], "nothing there is a run of nothing");
    send(&mut device, b"hello");
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(read(&mut device, channel), Ok((at, b"hello".to_vec())));
    send(&mut device, b" world");
    assert_eq!(device.events(&mut setup.centre), [], "the ring was readable already");
    assert_eq!(read(&mut device, channel), Ok((at, b"hello world".to_vec())));
    assert_eq!(complete(&mut device, channel, 6), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), [READABLE], "some are left");
    assert_eq!(read(&mut device, channel), Ok((at + 6, b"world".to_vec())));
    assert_eq!(complete(&mut device, channel, 5), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), []);
    send(&mut device, b"!");
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
}

/// Shows N56, N57, D12.
#[test]
fn a_run_ends_at_the_end_of_the_buffer_and_the_rest_is_the_next() {
    let (mut device, mut setup, channel) = small();
    send(&mut device, &[1; 500]);
    let (first, _) = read(&mut device, channel).expect("five hundred");
    assert_eq!(complete(&mut device, channel, 500), Status::Okay);
    device.events(&mut setup.centre);
    send(&mut device, &[2; 100]);
    assert_eq!(read(&mut device, channel), Ok((first + 500, vec![2; 12])));
    assert_eq!(complete(&mut device, channel, 13), Status::ParameterFault, "the rest was not shown");
    assert_eq!(complete(&mut device, channel, 12), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), [READABLE, READABLE]);
    assert_eq!(read(&mut device, channel), Ok((first, vec![2; 88])));
}

/// Shows N56, N57, D12, D32.
#[test]
fn what_is_read_is_what_was_sent_however_it_is_divided() {
    for seed in 1..40_u32 {
        let (mut device, mut setup, channel) = small();
        let mut number = seed;
        let mut below = |bound: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 8) % bound
        };
        let (mut sent, mut got, mut is_announced) = (Vec::new(), Vec::new(), false);
        for _ in 0..200 {
            let room = device.cloud().link.free_ring_bytes(1);
            let bytes: Vec<u8> = (0..below(room + 1)).map(|_| below(256) as u8).collect();
            device.chunk = 1 + below(90) as usize;
            device.cloud().send_item(1, to_device::DATA, &[], &bytes, 1 + below(200) as usize);
            sent.extend_from_slice(&bytes);
            device.pump();
            is_announced |= device.events(&mut setup.centre).contains(&READABLE);
            let (_, run) = read(&mut device, channel).expect("an open channel");
            assert!(is_announced || run.is_empty(), "readable bytes are announced");
            let count = below(run.len() as u32 + 1);
            got.extend_from_slice(&run[..count as usize]);
            assert_eq!(complete(&mut device, channel, count), Status::Okay);
            is_announced = device.events(&mut setup.centre).contains(&READABLE);
            assert_eq!(is_announced, got.len() < sent.len());
        }
        assert!(got.len() > 1000 && sent.starts_with(&got), "seed {seed}");
    }
}

/// Shows D12.
#[test]
fn bytes_are_readable_before_their_item_is_whole() {
    let (mut device, mut setup, channel) = small();
    device.cloud().send_fragments(1, to_device::DATA, &[], &[7; 300], 100, 2);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(read(&mut device, channel).map(|(_, bytes)| bytes.len()), Ok(200));
}

/// Shows D102.
#[test]
fn no_more_is_given_back_than_was_shown() {
    let (mut device, mut setup, channel) = small();
    send(&mut device, &[1; 10]);
    assert_eq!(complete(&mut device, channel, 1), Status::ParameterFault, "nothing was shown");
    read(&mut device, channel).expect("ten");
    send(&mut device, &[2; 10]);
    for wrong in [11, 20, u32::MAX] {
        assert_eq!(complete(&mut device, channel, wrong), Status::ParameterFault);
    }
    assert_eq!(complete(&mut device, channel, 4), Status::Okay);
    assert_eq!(complete(&mut device, channel, 6), Status::Okay);
    assert_eq!(complete(&mut device, channel, 1), Status::ParameterFault);
    device.events(&mut setup.centre);
    assert_eq!(read(&mut device, channel).map(|(_, bytes)| bytes), Ok(vec![2; 10]));
}

/// Shows N68, N69, N70, N72, N74, D31.
#[test]
fn what_was_received_before_the_loss_is_drained_after_it() {
    let (mut device, mut setup, channel) = small();
    send(&mut device, b"left");
    device.cloud().send_fragments(1, to_device::DATA, &[], &[b'+'; 50], 20, 1);
    device.pump();
    device.events(&mut setup.centre);
    write(&mut device, channel, &[1; 10]).expect("it fits");
    device.lose_link();
    assert_eq!(device.events(&mut setup.centre)[0], NOT_CONNECTED);
    assert_eq!(write(&mut device, channel, &[1]), Err(Status::ChannelClosed));
    assert_eq!(write(&mut device, channel, &[]), Err(Status::ChannelClosed));
    assert_eq!(stream(&mut device, channel, &[1]), Err(Status::ChannelClosed));
    let left = [&b"left"[..], &[b'+'; 20]].concat();
    assert_eq!(read(&mut device, channel).map(|(_, bytes)| bytes), Ok(left));
    assert_eq!(complete(&mut device, channel, 4), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    read(&mut device, channel).expect("the rest");
    assert_eq!(complete(&mut device, channel, 20), Status::Okay);
    assert_eq!(read(&mut device, channel), Err(Status::ChannelClosed));
    assert_eq!(complete(&mut device, channel, 0), Status::ChannelClosed);
    let reason = device.alloc_u32(0);
    device.call_ok(Call::GetChannelClosureReason, &[channel, reason]);
    assert_eq!(device.u32(reason), ClosureReason::NetworkDisconnected.raw());
}

/// Shows D31.
#[test]
fn an_end_of_a_stream_by_the_cloud_is_reported() {
    let (mut device, mut setup, channel) = small();
    device.cloud().send_closed(1, WireReason::ClosedByServer);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [NOT_CONNECTED]);
    assert_eq!(read(&mut device, channel), Err(Status::ChannelClosed));
}

/// What is read from a stale channel returns no credit for the channel that has its number now.
#[test]
fn draining_a_lost_channel_does_not_affect_the_next_one() {
    let (mut device, setup, lost) = small();
    send(&mut device, &[1; 400]);
    device.lose_link();
    device.advance(Duration::from_secs(3));
    device.connect();
    let params = device.channel_params(&setup, ChannelType::OpaqueBytes, 512, 512);
    device.open_channel(&params);
    send(&mut device, &[2; 500]);
    read(&mut device, lost).expect("four hundred");
    assert_eq!(complete(&mut device, lost, 400), Status::Okay);
    assert_eq!(device.cloud().link.free_ring_bytes(1), 12, "no credit for space that is not there");
}

/// Shows N58, D11.
#[test]
fn space_in_the_receive_ring_is_returned_to_the_cloud() {
    let (mut device, _, channel) = small();
    for round in 0..10_u8 {
        assert_eq!(device.cloud().link.free_ring_bytes(1), 512);
        send(&mut device, &[round; 512]);
        loop {
            let (_, bytes) = read(&mut device, channel).expect("an open channel");
            if bytes.is_empty() {
                break;
            }
            assert!(bytes.iter().all(|byte| *byte == round));
            assert_eq!(complete(&mut device, channel, bytes.len() as u32), Status::Okay);
        }
    }
}

/// Shows D02, D03, D32.
#[test]
fn bad_pointers_are_refused_before_any_byte_is_taken() {
    let (mut device, _, channel) = small();
    let (data, result) = (device.alloc_bytes(b"data"), device.alloc_u32(0));
    for call in [Call::WriteChannel, Call::WriteChannelStream] {
        assert_eq!(device.call(call, &[channel, NOWHERE, 4, result]), Status::ParameterFault);
        assert_eq!(device.call(call, &[channel, data, u32::MAX, result]), Status::ParameterFault);
        assert_eq!(device.call(call, &[channel, data, 4, FLASH]), Status::LateFault);
        assert_eq!(device.call(call, &[0, data, 4, result]), Status::InvalidHandle);
    }
    assert_eq!(write(&mut device, channel, &[]), Ok(512), "nothing was taken");
    assert_eq!(device.call(Call::ReadChannel, &[channel, FLASH, result]), Status::ParameterFault);
    assert_eq!(device.call(Call::ReadChannel, &[channel, result, FLASH]), Status::ParameterFault);
}

/// Shows D81.
#[test]
fn a_channel_of_another_type_is_neither_written_nor_read() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    assert_eq!(write(&mut device, channel, &[1]), Err(Status::InvalidHandle));
    assert_eq!(stream(&mut device, channel, &[1]), Err(Status::InvalidHandle));
    assert_eq!(read(&mut device, channel), Err(Status::InvalidHandle));
    assert_eq!(complete(&mut device, channel, 0), Status::InvalidHandle);
}
