//! MQTT messages: arriving, waiting, being read, making room.

use abi::channel::ChannelType;
use abi::mqtt::{MqttMessage, MqttReadableDataType};
use abi::strings::SizedStringBuffer;
use abi::{Call, Status};
use kernel::limits::{MAX_ANNOUNCED_MESSAGES, MAX_MESSAGES};
use kernel_testport::TestDevice;
use kernel_testport::cloud::DeviceMessage;
use kernel_testport::mqtt::{NOT_CONNECTED, READABLE, Received};
use link::kind::{to_cloud, to_device};
use link::mqtt::{Acknowledge, RequestState};
use link::{Violation, violation};

fn message(correlation: u32, topic: &[u8], payload: &[u8], qos: u32, retain: u8) -> Received {
    Received { correlation, topic: topic.to_vec(), payload: payload.to_vec(), qos, retain }
}

/// Shows M81, M82, M83, M84, M85, M88, M92, D48, M26.
#[test]
fn a_message_arrives_with_its_topic_payload_qos_and_retain_flag() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.cloud().send_message(1, Some(300), true, b"a/topic", b"the payload");
    device.cloud().send_message(1, None, false, b"b", b"");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE, READABLE], "one each");
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::MessageReceived));
    assert_eq!(device.receive_message(channel, 100, 100), Ok(message(301, b"a/topic", b"the payload", 1, 1)));
    assert_eq!(device.receive_message(channel, 1, 0), Ok(message(0, b"b", b"", 0, 0)));
    assert_eq!(device.receive_message(channel, 1, 1), Err(Status::ResponseNotPresent));
}

/// Shows D83, M86, M87, M92.
#[test]
fn the_clouds_first_message_is_acknowledged_whatever_its_number() {
    for number in [0, 1, 300, u32::MAX - 1] {
        let (mut device, _, channel) = TestDevice::with_broker();
        device.cloud().send_message(1, Some(number), false, b"t", b"p");
        device.pump();
        let received = device.receive_message(channel, 1, 1).expect("a message");
        assert_eq!(received.qos, 1);
        device.call_ok(Call::MqttAcknowledgeMessage, &[channel, received.correlation]);
        device.pump();
        let items = device.cloud().take_items();
        let [(to_cloud::ACKNOWLEDGE, body)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(Acknowledge::decode(body).expect("an acknowledgement").delivery, number);
    }
}

/// Shows D04.
#[test]
fn a_message_that_does_not_fit_stays_for_the_next_read() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.cloud().send_message(1, None, false, b"topic", b"payload");
    device.pump();
    assert_eq!(device.receive_message(channel, 4, 7), Err(Status::InvalidBufferSize));
    assert_eq!(device.receive_message(channel, 5, 6), Err(Status::InvalidBufferSize));
    assert_eq!(device.receive_message(channel, 5, 7), Ok(message(0, b"topic", b"payload", 0, 0)));
}

/// Shows D02, D04.
#[test]
fn a_message_read_to_bad_pointers_stays() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.cloud().send_message(1, None, false, b"topic", b"payload");
    device.pump();
    let call = Call::MqttReceiveMessage;
    assert_eq!(device.call(call, &[channel, 0x2008_0000]), Status::ParameterFault);
    let good = device.message_params(10, 10);
    let flash = 0x0800_0000;
    let mut bad = [good; 8];
    bad[0].correlation_id = flash;
    bad[1].topic.data = flash;
    bad[2].topic.length = flash;
    bad[3].payload.data = flash;
    bad[4].payload.length = flash;
    bad[5].qos = flash;
    bad[6].retain = flash;
    bad[7].payload.size = 0x8_0001;
    for outputs in bad {
        let outputs = device.alloc_bytes(&outputs.to_bytes());
        assert_eq!(device.call(call, &[channel, outputs]), Status::LateFault);
    }
    assert_eq!(device.receive_message(channel, 5, 7), Ok(message(0, b"topic", b"payload", 0, 0)));
}

/// Shows D112, D04.
#[test]
fn a_message_the_port_refuses_to_write_stays() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.cloud().send_message(1, None, false, b"topic", b"payload");
    device.pump();
    let outputs = device.message_params(10, 10);
    // The map goes further than this port's memory.
    device.memory.ram.truncate(0x4_0000);
    for refused in [
        MqttMessage { correlation_id: 0x2006_0000, ..outputs },
        MqttMessage { qos: 0x2006_0000, ..outputs },
        MqttMessage { retain: 0x2006_0000, ..outputs },
        MqttMessage { payload: SizedStringBuffer { data: 0x2006_0000, ..outputs.payload }, ..outputs },
    ] {
        let refused = device.alloc_bytes(&refused.to_bytes());
        assert_eq!(device.call(Call::MqttReceiveMessage, &[channel, refused]), Status::LateFault);
    }
    assert_eq!(device.receive_message(channel, 5, 7), Ok(message(0, b"topic", b"payload", 0, 0)));
}

/// Shows D44, M69.
#[test]
fn items_of_all_kinds_are_read_in_the_order_of_their_arrival() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.publish(channel, 1, b"t", b"p");
    device.subscribe(channel, 2, &[(b"f", 0)]);
    device.cloud().send_message(1, None, false, b"m", b"1");
    device.cloud().answer_subscribe(1, &[0]);
    device.cloud().send_lost(1, 70_000, b"big");
    device.cloud().answer_publish(1, 0, RequestState::Completed, 0);
    device.cloud().send_message(1, None, false, b"m", b"2");
    device.pump();
    assert_eq!(device.read_publish_response(channel), Err(Status::WrongDataRequested));
    assert_eq!(device.receive_message(channel, 9, 9), Ok(message(0, b"m", b"1", 0, 0)));
    assert_eq!(device.receive_message(channel, 9, 9), Err(Status::WrongDataRequested));
    assert_eq!(device.read_subscribe_response(channel, 1), Ok((0, 2, vec![0])));
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::MessageLost));
    assert_eq!(device.receive_lost_message(channel, 9), Ok((0, b"big".to_vec(), 70_000)));
    assert_eq!(device.read_publish_response(channel), Ok((0, 1, 0)));
    assert_eq!(device.receive_message(channel, 9, 9), Ok(message(0, b"m", b"2", 0, 0)));
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::None));
}

/// Shows D49.
#[test]
fn the_notice_of_a_lost_message_waits_for_a_large_enough_buffer() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.cloud().send_lost(1, 5000, b"too/big");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(device.receive_lost_message(channel, 6), Err(Status::InvalidBufferSize));
    assert_eq!(device.receive_lost_message(channel, 7), Ok((0, b"too/big".to_vec(), 5000)));
    assert_eq!(device.call(Call::MqttReceiveLostMessageInfo, &[channel, 0]), Status::ParameterFault);
    let info = device.alloc_bytes(&[0; 20]);
    assert_eq!(device.call(Call::MqttReceiveLostMessageInfo, &[channel, info]), Status::LateFault);
}

/// Shows N56, N57, N58, D32, D49.
#[test]
fn messages_wrap_around_the_ring_and_reading_frees_space() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.chunk = 33;
    for round in 0..40_u8 {
        let payload = vec![round; 500];
        // Three always fit a ring of 1536 bytes; the cloud's session would refuse to exceed it.
        for _ in 0..3 {
            device.cloud().send_message(1, None, false, b"topic", &payload);
        }
        device.pump();
        for _ in 0..3 {
            assert_eq!(device.receive_message(channel, 5, 500), Ok(message(0, b"topic", &payload, 0, 0)));
        }
        device.pump();
    }
}

/// Shows D32.
#[test]
fn overwriting_the_ring_changes_bytes_and_no_lengths() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let channel = device.open_channel(&params);
    device.cloud().send_message(1, None, false, b"topic", b"payload");
    device.cloud().send_message(1, None, false, b"x", b"y");
    device.pump();
    device.memory.set(params.receive_buffer, &[0xff; 512]);
    assert_eq!(device.receive_message(channel, 50, 50), Ok(message(0, &[0xff; 5], &[0xff; 7], 0, 0)));
    assert_eq!(device.receive_message(channel, 50, 50), Ok(message(0, &[0xff], &[0xff], 0, 0)));
}

/// Shows D44, D80.
#[test]
fn there_is_a_place_for_every_message_and_every_answer_at_once() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let request = device.connect_params();
    device.request_connect(channel, &request);
    for correlation in 0..16 {
        device.publish(channel, correlation, b"t", b"p");
    }
    device.subscribe(channel, 20, &[(b"f", 0)]);
    device.unsubscribe(channel, 21, &[b"f"]);
    device.call_ok(Call::MqttRequestDisconnect, &[channel]);
    device.pump();
    for _ in 0..MAX_MESSAGES {
        device.cloud().send_message(1, None, false, b"t", b"p");
    }
    device.cloud().answer_connect(1, RequestState::Completed, 0);
    for slot in 0..16 {
        device.cloud().answer_publish(1, slot, RequestState::Completed, 0);
    }
    device.cloud().answer_subscribe(1, &[0]);
    device.cloud().answer_unsubscribe(1, &[0]);
    device.cloud().answer_disconnect(1, RequestState::Completed, 0);
    device.pump();
    assert!(device.connected);
    assert_eq!(device.events(&mut setup.centre).len(), MAX_ANNOUNCED_MESSAGES + 20);
    for _ in 0..MAX_MESSAGES {
        device.receive_message(channel, 1, 1).expect("a message");
    }
    assert_eq!(device.events(&mut setup.centre).len(), MAX_MESSAGES - MAX_ANNOUNCED_MESSAGES);
    device.read_connect_response(channel).expect("an answer");
    for _ in 0..16 {
        device.read_publish_response(channel).expect("an answer");
    }
    device.read_subscribe_response(channel, 1).expect("an answer");
    device.read_unsubscribe_response(channel, 1).expect("an answer");
    device.read_disconnect_response(channel).expect("an answer");
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::None));
}

/// Shows D12.
#[test]
fn eight_messages_of_a_burst_are_announced_and_each_further_one_when_one_is_read() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    for _ in 1..MAX_MESSAGES {
        device.cloud().send_message(1, None, false, b"t", b"p");
    }
    device.cloud().send_lost(1, 5000, b"big");
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE; MAX_ANNOUNCED_MESSAGES]);
    for read in 1..MAX_MESSAGES {
        device.receive_message(channel, 1, 1).expect("a message");
        let more = usize::from(read + MAX_ANNOUNCED_MESSAGES <= MAX_MESSAGES);
        assert_eq!(device.events(&mut setup.centre), vec![READABLE; more], "after {read}");
    }
    device.receive_lost_message(channel, 3).expect("the notice, which counted as one of them");
    device.pump();
    device.cloud().send_message(1, None, false, b"t", b"p");
    device.pump();
    assert_eq!(
        device.events(&mut setup.centre),
        [READABLE],
        "all were read, and this one is announced at once"
    );
}

/// Shows D12, D80.
#[test]
fn answers_are_announced_at_once_however_many_messages_wait() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.publish(channel, 1, b"t", b"p");
    device.subscribe(channel, 2, &[(b"f", 0)]);
    for _ in 0..20 {
        device.cloud().send_message(1, None, false, b"t", b"p");
    }
    device.pump();
    assert_eq!(device.events(&mut setup.centre).len(), MAX_ANNOUNCED_MESSAGES);
    device.cloud().answer_publish(1, 0, RequestState::Completed, 0);
    device.cloud().answer_subscribe(1, &[0]);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE; 2]);
}

/// Shows D12, N68.
#[test]
fn what_was_not_announced_when_the_channel_was_lost_is_announced_as_the_rest_is_read() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    for _ in 0..=MAX_ANNOUNCED_MESSAGES {
        device.cloud().send_message(1, None, false, b"t", b"p");
    }
    device.pump();
    device.events(&mut setup.centre);
    device.lose_link();
    assert_eq!(device.events(&mut setup.centre)[0], NOT_CONNECTED);
    device.receive_message(channel, 1, 1).expect("a message");
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    for _ in 0..MAX_ANNOUNCED_MESSAGES {
        device.receive_message(channel, 1, 1).expect("a message");
    }
    assert_eq!(device.events(&mut setup.centre), []);
}

/// An application with a queue of sixteen places that reads one item for each event, as the vendor's own does.
///
/// Shows D12, M03.
#[test]
fn an_event_queue_of_sixteen_places_is_enough_for_any_burst() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    let mut waiting = 0;
    for round in 0..10 {
        for _ in 0..MAX_MESSAGES {
            device.cloud().send_message(1, None, false, b"t", b"p");
        }
        device.pump();
        for read in 0..MAX_MESSAGES {
            waiting += device.events(&mut setup.centre).len();
            assert!((1..=16).contains(&waiting), "{waiting} events in round {round} after {read} messages");
            waiting -= 1;
            device.receive_message(channel, 1, 1).expect("a message for each event");
        }
        device.pump();
        assert_eq!(device.events(&mut setup.centre).len() + waiting, 0, "as many events as messages");
    }
}

/// Shows N68, N69, N74, D31.
#[test]
fn a_message_half_received_is_lost_with_the_link_and_whole_ones_are_not() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.cloud().send_message(1, None, false, b"t", b"whole");
    device.cloud().send_fragments(1, to_device::MESSAGE, &[0, 1], &[b'h'; 500], 200, 1);
    device.pump();
    device.lose_link();
    assert_eq!(device.events(&mut setup.centre)[..2], [READABLE, NOT_CONNECTED]);
    assert_eq!(device.receive_message(channel, 9, 9), Ok(message(0, b"t", b"whole", 0, 0)));
    assert_eq!(device.receive_message(channel, 9, 9), Err(Status::ChannelClosed));
}

/// Shows D49.
#[test]
fn a_cloud_that_breaks_a_rule_of_messages_is_disconnected_with_the_rule() {
    let cases: [(&[u8], Violation); 4] = [
        (&[0x41, 0x06, 0x00, 0x09, b't'], violation::BODY_TOO_SHORT),
        (&[0xd1, 0x02, 0x00], violation::WRONG_CHANNEL_TYPE),
        (&[0x61, 0x02, 0x00], violation::UNEXPECTED_ANSWER),
        (&[0x41, 0xa0, 0x1f, 0x00, 0x00], violation::RING_EXCEEDED),
    ];
    for (frame, rule) in cases {
        let (mut device, mut setup, _) = TestDevice::with_broker();
        device.cloud().send_raw(frame);
        device.cloud().send_raw(&[0; 5000]);
        device.pump();
        assert!(!device.connected, "{frame:x?}");
        assert_eq!(device.cloud().bye_text, rule.text());
        assert_eq!(device.events(&mut setup.centre)[0], NOT_CONNECTED);
    }
}

/// Shows N56, D45.
#[test]
fn channels_take_turns_on_the_link() {
    let (mut device, mut setup, first) = TestDevice::with_channel(ChannelType::Mqtt);
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 16384);
    let second = device.open_channel(&params);
    device.events(&mut setup.centre);
    device.cloud().fragments.clear();
    let large = device.publish_params(1, b"t", &[b'l'; 15_000], 0);
    assert_eq!(device.request_publish(second, &large), Status::Okay);
    let small = device.publish_params(2, b"t", b"small", 0);
    assert_eq!(device.request_publish(first, &small), Status::Okay);
    device.pump();
    let order: Vec<u8> = device.cloud().fragments.iter().map(|fragment| fragment.0).collect();
    let last_of_first = order.iter().rposition(|channel| *channel == 1).expect("the small one");
    let last_of_second = order.iter().rposition(|channel| *channel == 2).expect("the large one");
    assert!(last_of_first < last_of_second, "the small one does not wait for the large one: {order:?}");
}

/// Shows N58.
#[test]
fn a_request_larger_than_the_window_is_sent_as_the_cloud_consumes_it() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 64 * 512);
    let channel = device.open_channel(&params);
    let payload: Vec<u8> = (0..32_000_u32).map(|n| n as u8).collect();
    assert_eq!(device.publish(channel, 1, b"t", &payload), Status::Okay);
    let items = device.cloud().take_items();
    let publish = link::mqtt::Publish::decode(&items.last().expect("the publish").1).expect("a publish");
    assert_eq!(publish.payload, payload);
}

/// Shows D33.
#[test]
fn credit_is_returned_as_messages_are_read() {
    let (mut device, _, channel) = TestDevice::with_broker();
    for _ in 0..3 {
        device.cloud().send_message(1, None, false, b"t", &[b'x'; 499]);
    }
    device.pump();
    assert_eq!(device.cloud().link.free_ring_bytes(1), 36);
    for _ in 0..3 {
        device.receive_message(channel, 1, 499).expect("a message");
    }
    device.pump();
    let credited: u32 = device
        .cloud()
        .messages
        .iter()
        .map(|message| if let DeviceMessage::Credit { channel: 1, bytes, .. } = message { *bytes } else { 0 })
        .sum();
    assert_eq!(credited, 1500);
    assert_eq!(device.cloud().link.free_ring_bytes(1), 1536);
}
