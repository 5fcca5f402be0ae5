//! Reading: every item is checked against what is pending.

use abi::config::{ConfigResponseData, ConfigResponseReadItemParams};
use abi::mqtt::{
    MqttConnectResponse, MqttDisconnectResponse, MqttLostMessageInfo, MqttMessage, MqttPublishResponse,
    MqttReadableDataType, MqttRequestState, MqttSubscribeResponse,
};
use abi::{Call, Status};

use super::channel::Stage;
use super::{Application, Context, RING};
use crate::kernel_host::KernelHost;
use crate::ledger::Ledger;

const COMPLETED: u32 = MqttRequestState::RequestCompleted.raw();

/// The answer to a subscribe or unsubscribe request.
struct FilterAnswer {
    state: u32,
    correlation: u32,
    codes: Vec<u32>,
}

impl Application {
    pub(super) fn read_all(&mut self, slot: usize, cx: &mut Context<'_>) {
        while self.read_one(slot, cx) {}
    }

    /// Reads the next item, if there is one.
    pub(super) fn read_one(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        // The application's scratch memory is reused for each item: nothing of the last one is referred to any more.
        cx.host.reset_scratch();
        let channel = self.channels[slot].as_ref().expect("an open channel");
        if channel.is_config {
            return self.read_config(slot, cx);
        }
        let to = cx.host.allocate(4);
        match cx.host.call(Call::MqttGetNextReadableDataType, &[channel.handle, to]) {
            Status::Okay => {}
            // On a lost channel with nothing left to read there will never be anything (D31).
            Status::ChannelClosed => return false,
            other => panic!("mvMqttGetNextReadableDataType: {other:?}"),
        }
        let kind = MqttReadableDataType::from_raw(cx.host.u32(to)).expect("a type of the public header");
        if kind != MqttReadableDataType::None {
            self.read(slot, kind, cx);
            cx.trace.record(cx.host.now(), self.device, || format!("channel {slot}: read {kind:?}"));
        }
        kind != MqttReadableDataType::None
    }

    fn read(&mut self, slot: usize, kind: MqttReadableDataType, cx: &mut Context<'_>) {
        match kind {
            MqttReadableDataType::MessageReceived => self.read_message(slot, cx),
            MqttReadableDataType::MessageLost => self.read_lost(slot, cx),
            MqttReadableDataType::ConnectResponse => self.read_connect(slot, cx),
            MqttReadableDataType::PublishResponse => self.read_publish(slot, cx),
            MqttReadableDataType::DisconnectResponse => self.read_disconnect(slot, cx),
            MqttReadableDataType::SubscribeResponse => {
                let answer = self.read_codes(Call::MqttReadSubscribeResponse, slot, cx);
                let channel = self.channels[slot].as_mut().expect("an open channel");
                assert_eq!(channel.pending.subscribe.take(), Some(answer.correlation));
                // A granted QoS of 1 is what was requested; after any other code messages would not come as expected.
                channel.subscribed |= answer.state == COMPLETED && answer.codes == [1];
                count(answer.state, cx.ledger);
            }
            MqttReadableDataType::UnsubscribeResponse => {
                let answer = self.read_codes(Call::MqttReadUnsubscribeResponse, slot, cx);
                let channel = self.channels[slot].as_mut().expect("an open channel");
                assert_eq!(channel.pending.unsubscribe.take(), Some(answer.correlation));
                channel.subscribed &= answer.state != COMPLETED;
                count(answer.state, cx.ledger);
            }
            MqttReadableDataType::None => {}
        }
    }

    fn read_structure<const N: usize>(&self, call: Call, slot: usize, host: &mut KernelHost) -> [u8; N] {
        let channel = self.channels[slot].as_ref().expect("an open channel");
        let to = host.allocate(N);
        assert_eq!(host.call(call, &[channel.handle, to]), Status::Okay, "{}", call.name());
        host.array(to)
    }

    fn read_connect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadConnectResponse, slot, cx.host);
        let answer = MqttConnectResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        // A request has exactly one answer, so that a second one would find nothing pending (M12).
        assert!(std::mem::take(&mut channel.pending.connect), "a connect answered twice");
        let accepted = answer.request_state == COMPLETED && answer.reason_code == 0;
        channel.stage = if accepted { Stage::Connected } else { Stage::Disconnected };
        count(answer.request_state, cx.ledger);
    }

    fn read_publish(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadPublishResponse, slot, cx.host);
        let answer = MqttPublishResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        let serial = channel.pending.publishes.remove(&answer.correlation_id);
        let serial = serial.expect("an answer to a pending publish");
        let publish = &cx.ledger.publishes[&serial];
        assert!(
            // QoS 0 completes when its bytes are sent, so that it may be lost all the same (D47).
            answer.request_state != COMPLETED || publish.qos == 0 || publish.arrived > 0,
            "publish {serial} was acknowledged, and the broker never got it"
        );
        count(answer.request_state, cx.ledger);
    }

    fn read_disconnect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadDisconnectResponse, slot, cx.host);
        let answer = MqttDisconnectResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        channel.pending.disconnect = false;
        channel.stage = Stage::Disconnected;
        count(answer.request_state, cx.ledger);
    }

    fn read_codes(&self, call: Call, slot: usize, cx: &mut Context<'_>) -> FilterAnswer {
        let host = &mut *cx.host;
        let response = MqttSubscribeResponse {
            request_state: host.allocate(4),
            correlation_id: host.allocate(4),
            reason_codes: host.allocate(32),
            // A number of codes, not of bytes (D40).
            reason_codes_size: 8,
            reason_codes_len: host.allocate(4),
        };
        let at = host.put(&response.to_bytes());
        let channel = self.channels[slot].as_ref().expect("an open channel");
        assert_eq!(host.call(call, &[channel.handle, at]), Status::Okay, "{}", call.name());
        let count = host.u32(response.reason_codes_len);
        FilterAnswer {
            state: host.u32(response.request_state),
            correlation: host.u32(response.correlation_id),
            codes: (0..count).map(|index| host.u32(response.reason_codes + 4 * index)).collect(),
        }
    }

    fn read_message(&mut self, slot: usize, cx: &mut Context<'_>) {
        let host = &mut *cx.host;
        let message = MqttMessage {
            correlation_id: host.allocate(4),
            topic: host.string_buffer(64),
            payload: host.string_buffer(RING),
            qos: host.allocate(4),
            retain: host.allocate(1),
        };
        let at = host.put(&message.to_bytes());
        let channel = self.channels[slot].as_mut().expect("an open channel");
        assert_eq!(host.call(Call::MqttReceiveMessage, &[channel.handle, at]), Status::Okay);
        let topic = host.read_string(message.topic);
        let (device, serial) = Ledger::read(&host.read_string(message.payload));
        // A payload names the device it is for, so that a message to the wrong one is noticed.
        assert_eq!(device, self.device, "device {} got message {serial} of device {device}", self.device);
        assert!(
            topic.starts_with(format!("d{device}/in/").as_bytes()),
            "message {serial} under a wrong topic"
        );
        let record = cx.ledger.messages.get_mut(&serial).expect("a message that was sent");
        record.read += 1;
        // Over several connections a repetition is what QoS 1 allows; over one it is a mistake.
        cx.ledger.repeated += u64::from(record.read > 1);
        if host.u32(message.qos) == 1 {
            let twice = channel.unacknowledged.iter().any(|(_, known)| *known == serial);
            assert!(!twice, "message {serial} arrived twice over one connection");
            channel.unacknowledged.push((host.u32(message.correlation_id), serial));
        }
    }

    fn read_lost(&mut self, slot: usize, cx: &mut Context<'_>) {
        let host = &mut *cx.host;
        let info = MqttLostMessageInfo {
            reason: host.allocate(4),
            topic: host.string_buffer(64),
            message_len: host.allocate(4),
        };
        let at = host.put(&info.to_bytes());
        let channel = self.channels[slot].as_ref().expect("an open channel");
        assert_eq!(host.call(Call::MqttReceiveLostMessageInfo, &[channel.handle, at]), Status::Okay);
        let size = host.u32(info.message_len) as usize + host.read_string(info.topic).len();
        assert!(size > RING as usize, "a message of {size} bytes fits the ring and was lost (D49)");
    }

    fn read_config(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        let host = &mut *cx.host;
        let channel = self.channels[slot].as_mut().expect("an open channel");
        let to = host.allocate(8);
        match host.call(Call::ReadConfigFetchResponseData, &[channel.handle, to]) {
            Status::Okay if channel.pending.fetch => channel.pending.fetch = false,
            Status::Okay | Status::ResponseNotPresent | Status::ChannelClosed => return false,
            other => panic!("mvReadConfigFetchResponseData: {other:?}"),
        }
        let data = ConfigResponseData::from_bytes(&host.array(to));
        // The fetch failed as a whole, for example because the values are too large (D98).
        if data.result != 0 {
            return true;
        }
        for index in 0..data.num_items {
            let (result, buf) = (host.allocate(4), host.string_buffer(300));
            let params = ConfigResponseReadItemParams { item_index: index, result, buf };
            let params = host.put(&params.to_bytes());
            let status = host.call(Call::ReadConfigResponseItem, &[channel.handle, params]);
            assert_eq!(status, Status::Okay);
            let expected = crate::link::config_value(self.device, &format!("key{index}"));
            assert_eq!(host.read_string(buf), expected, "the value of another key");
        }
        cx.ledger.completed += 1;
        true
    }
}

fn count(state: u32, ledger: &mut Ledger) {
    if state == COMPLETED {
        ledger.completed += 1;
    } else {
        ledger.refused += 1;
    }
}
