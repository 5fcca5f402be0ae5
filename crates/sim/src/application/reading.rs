//! Reading: every item is held against what is owed.

use abi::config::{ConfigResponseData, ConfigResponseReadItemParams};
use abi::mqtt::{
    MqttConnectResponse, MqttDisconnectResponse, MqttLostMessageInfo, MqttMessage, MqttPublishResponse,
    MqttReadableDataType, MqttRequestState, MqttSubscribeResponse,
};
use abi::{Call, Status};

use super::channel::Stage;
use super::{Application, Context, RING};
use crate::ledger::Ledger;
use crate::machine::Machine;

const COMPLETED: u32 = MqttRequestState::RequestCompleted.raw();

/// The answer to a request about filters.
struct Codes {
    state: u32,
    correlation: u32,
    each: Vec<u32>,
}

impl Application {
    pub(super) fn read_all(&mut self, slot: usize, cx: &mut Context<'_>) {
        while self.read_one(slot, cx) {}
    }

    /// Reads the next item, if there is one.
    pub(super) fn read_one(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        cx.machine.fresh();
        let channel = self.channels[slot].as_ref().expect("an open channel");
        if channel.is_config {
            return self.read_config(slot, cx);
        }
        let to = cx.machine.room(4);
        match cx.machine.call(Call::MqttGetNextReadableDataType, &[channel.handle, to]) {
            Status::Okay => {}
            Status::ChannelClosed => return false,
            other => panic!("mvMqttGetNextReadableDataType: {other:?}"),
        }
        let kind = MqttReadableDataType::from_raw(cx.machine.u32(to)).expect("a type of the public header");
        if kind != MqttReadableDataType::None {
            self.read(slot, kind, cx);
            cx.trace.say(cx.machine.now(), self.device, || format!("channel {slot}: read {kind:?}"));
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
                assert_eq!(channel.owed.subscribe.take(), Some(answer.correlation));
                channel.subscribed |= answer.state == COMPLETED && answer.each == [1];
                count(answer.state, cx.ledger);
            }
            MqttReadableDataType::UnsubscribeResponse => {
                let answer = self.read_codes(Call::MqttReadUnsubscribeResponse, slot, cx);
                let channel = self.channels[slot].as_mut().expect("an open channel");
                assert_eq!(channel.owed.unsubscribe.take(), Some(answer.correlation));
                channel.subscribed &= answer.state != COMPLETED;
                count(answer.state, cx.ledger);
            }
            MqttReadableDataType::None => {}
        }
    }

    fn read_structure<const N: usize>(&self, call: Call, slot: usize, machine: &mut Machine) -> [u8; N] {
        let channel = self.channels[slot].as_ref().expect("an open channel");
        let to = machine.room(N);
        assert_eq!(machine.call(call, &[channel.handle, to]), Status::Okay, "{}", call.name());
        machine.array(to)
    }

    fn read_connect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadConnectResponse, slot, cx.machine);
        let answer = MqttConnectResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        assert!(std::mem::take(&mut channel.owed.connect), "a connect answered twice");
        let accepted = answer.request_state == COMPLETED && answer.reason_code == 0;
        channel.stage = if accepted { Stage::Connected } else { Stage::Over };
        count(answer.request_state, cx.ledger);
    }

    fn read_publish(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadPublishResponse, slot, cx.machine);
        let answer = MqttPublishResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        let serial = channel.owed.publishes.remove(&answer.correlation_id);
        let serial = serial.expect("an answer to a publish that is owed one");
        let publish = &cx.ledger.publishes[&serial];
        assert!(
            answer.request_state != COMPLETED || publish.qos == 0 || publish.arrived > 0,
            "publish {serial} was acknowledged, and the broker never got it"
        );
        count(answer.request_state, cx.ledger);
    }

    fn read_disconnect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let bytes = self.read_structure(Call::MqttReadDisconnectResponse, slot, cx.machine);
        let answer = MqttDisconnectResponse::from_bytes(&bytes);
        let channel = self.channels[slot].as_mut().expect("an open channel");
        channel.owed.disconnect = false;
        channel.stage = Stage::Over;
        count(answer.request_state, cx.ledger);
    }

    fn read_codes(&self, call: Call, slot: usize, cx: &mut Context<'_>) -> Codes {
        let machine = &mut *cx.machine;
        let response = MqttSubscribeResponse {
            request_state: machine.room(4),
            correlation_id: machine.room(4),
            reason_codes: machine.room(32),
            reason_codes_size: 8,
            reason_codes_len: machine.room(4),
        };
        let at = machine.put(&response.to_bytes());
        let channel = self.channels[slot].as_ref().expect("an open channel");
        assert_eq!(machine.call(call, &[channel.handle, at]), Status::Okay, "{}", call.name());
        let count = machine.u32(response.reason_codes_len);
        Codes {
            state: machine.u32(response.request_state),
            correlation: machine.u32(response.correlation_id),
            each: (0..count).map(|index| machine.u32(response.reason_codes + 4 * index)).collect(),
        }
    }

    fn read_message(&mut self, slot: usize, cx: &mut Context<'_>) {
        let machine = &mut *cx.machine;
        let message = MqttMessage {
            correlation_id: machine.room(4),
            topic: machine.string_room(64),
            payload: machine.string_room(RING),
            qos: machine.room(4),
            retain: machine.room(1),
        };
        let at = machine.put(&message.to_bytes());
        let channel = self.channels[slot].as_mut().expect("an open channel");
        assert_eq!(machine.call(Call::MqttReceiveMessage, &[channel.handle, at]), Status::Okay);
        let topic = machine.string_in(message.topic);
        let (device, serial) = Ledger::read(&machine.string_in(message.payload));
        assert_eq!(device, self.device, "device {} got message {serial} of device {device}", self.device);
        assert!(
            topic.starts_with(format!("d{device}/in/").as_bytes()),
            "message {serial} under a wrong topic"
        );
        let record = cx.ledger.messages.get_mut(&serial).expect("a message that was sent");
        record.read += 1;
        cx.ledger.repeated += u64::from(record.read > 1);
        if machine.u32(message.qos) == 1 {
            let twice = channel.unacknowledged.iter().any(|(_, known)| *known == serial);
            assert!(!twice, "message {serial} came twice over one connection");
            channel.unacknowledged.push((machine.u32(message.correlation_id), serial));
        }
    }

    fn read_lost(&mut self, slot: usize, cx: &mut Context<'_>) {
        let machine = &mut *cx.machine;
        let info = MqttLostMessageInfo {
            reason: machine.room(4),
            topic: machine.string_room(64),
            message_len: machine.room(4),
        };
        let at = machine.put(&info.to_bytes());
        let channel = self.channels[slot].as_ref().expect("an open channel");
        assert_eq!(machine.call(Call::MqttReceiveLostMessageInfo, &[channel.handle, at]), Status::Okay);
        let size = machine.u32(info.message_len) as usize + machine.string_in(info.topic).len();
        assert!(size > RING as usize, "a message of {size} bytes fits the ring and was lost (D49)");
    }

    fn read_config(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        let machine = &mut *cx.machine;
        let channel = self.channels[slot].as_mut().expect("an open channel");
        let to = machine.room(8);
        match machine.call(Call::ReadConfigFetchResponseData, &[channel.handle, to]) {
            Status::Okay if channel.owed.fetch => channel.owed.fetch = false,
            Status::Okay | Status::ResponseNotPresent | Status::ChannelClosed => return false,
            other => panic!("mvReadConfigFetchResponseData: {other:?}"),
        }
        let data = ConfigResponseData::from_bytes(&machine.array(to));
        if data.result != 0 {
            return true;
        }
        for index in 0..data.num_items {
            let (result, buf) = (machine.room(4), machine.string_room(300));
            let params = ConfigResponseReadItemParams { item_index: index, result, buf };
            let params = machine.put(&params.to_bytes());
            let status = machine.call(Call::ReadConfigResponseItem, &[channel.handle, params]);
            assert_eq!(status, Status::Okay);
            let expected = crate::cloud::config_value(self.device, &format!("key{index}"));
            assert_eq!(machine.string_in(buf), expected, "another's value");
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
