//! What an application does with an MQTT channel.

use abi::channel::ChannelType;
use abi::mqtt::{
    MqttAuthentication, MqttConnectRequest, MqttConnectResponse, MqttDisconnectResponse, MqttLostMessageInfo,
    MqttMessage, MqttPublishRequest, MqttPublishResponse, MqttReadableDataType, MqttSubscribeRequest,
    MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest,
};
use abi::notifications::EventType;
use abi::{Call, Status};
use link::mqtt::RequestState;

use super::{Machine, Setup, TAG};

pub(crate) const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);
pub(crate) const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);

/// A message as an application receives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub correlation: u32,
    pub topic: Vec<u8>,
    pub payload: Vec<u8>,
    pub qos: u32,
    pub retain: u8,
}

/// The answer to a subscribe or unsubscribe: state, correlation id, codes.
pub(crate) type Codes = (u32, u32, Vec<u32>);

impl Machine {
    /// A channel whose broker connection stands, nothing left to read.
    pub(crate) fn with_broker() -> (Self, Setup, u32) {
        let (mut machine, mut setup, channel) = Self::with_channel(ChannelType::Mqtt);
        let request = machine.connect_request();
        assert_eq!(machine.request_connect(channel, &request), Status::Okay);
        machine.cloud().connected(1, RequestState::Completed, 0);
        machine.pump();
        assert_eq!(machine.events(&mut setup.centre), [READABLE]);
        assert_eq!(machine.read_connect(channel), Ok((0, 0)));
        machine.cloud().heard();
        machine.cloud().fragments.clear();
        (machine, setup, channel)
    }

    /// The least a connect needs.
    pub(crate) fn connect_request(&mut self) -> MqttConnectRequest {
        MqttConnectRequest {
            protocol_version: 1,
            host: self.string(b"broker.example"),
            port: 1883,
            clientid: self.string(b"me"),
            authentication: MqttAuthentication::default(),
            tls_credentials: 0,
            keepalive: 60,
            clean_start: 1,
            will: 0,
        }
    }

    pub(crate) fn request_connect(&mut self, channel: u32, request: &MqttConnectRequest) -> Status {
        let request = self.put(&request.to_bytes());
        let status = self.call(Call::MqttRequestConnect, &[channel, request]);
        self.pump();
        status
    }

    pub(crate) fn read_connect(&mut self, channel: u32) -> Result<(u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadConnectResponse, channel)?;
        let response = MqttConnectResponse::from_bytes(&bytes);
        Ok((response.request_state, response.reason_code))
    }

    pub(crate) fn read_disconnect(&mut self, channel: u32) -> Result<(u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadDisconnectResponse, channel)?;
        let response = MqttDisconnectResponse::from_bytes(&bytes);
        Ok((response.request_state, response.disconnect_code))
    }

    /// State, correlation id, reason.
    pub(crate) fn read_publish(&mut self, channel: u32) -> Result<(u32, u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadPublishResponse, channel)?;
        let response = MqttPublishResponse::from_bytes(&bytes);
        Ok((response.request_state, response.correlation_id, response.reason_code))
    }

    fn read_into<const N: usize>(&mut self, call: Call, channel: u32) -> Result<[u8; N], Status> {
        let to = self.room(N);
        match self.call(call, &[channel, to]) {
            Status::Okay => Ok(self.memory.bytes(to, N).try_into().expect("N bytes")),
            status => {
                assert_eq!(self.memory.bytes(to, N), [0xee; N], "a refused read writes nothing");
                Err(status)
            }
        }
    }

    pub(crate) fn publish_request(
        &mut self,
        correlation: u32,
        topic: &[u8],
        payload: &[u8],
        qos: u32,
    ) -> MqttPublishRequest {
        MqttPublishRequest {
            correlation_id: correlation,
            topic: self.string(topic),
            payload: self.string(payload),
            desired_qos: qos,
            retain: 0,
        }
    }

    pub(crate) fn publish(&mut self, channel: u32, correlation: u32, topic: &[u8], payload: &[u8]) -> Status {
        let request = self.publish_request(correlation, topic, payload, 0);
        let status = self.request_publish(channel, &request);
        self.pump();
        status
    }

    /// Without anything leaving.
    pub(crate) fn request_publish(&mut self, channel: u32, request: &MqttPublishRequest) -> Status {
        let request = self.put(&request.to_bytes());
        self.call(Call::MqttRequestPublish, &[channel, request])
    }

    /// Each filter with its wanted QoS.
    pub(crate) fn subscribe(&mut self, channel: u32, correlation: u32, filters: &[(&[u8], u32)]) -> Status {
        let mut array = Vec::new();
        for (filter, qos) in filters {
            let topic = self.string(filter);
            array.extend(
                MqttSubscription { topic, desired_qos: *qos, ..MqttSubscription::default() }.to_bytes(),
            );
        }
        let subscriptions = self.put(&array);
        let num_subscriptions = filters.len() as u32;
        let request = MqttSubscribeRequest { correlation_id: correlation, subscriptions, num_subscriptions };
        let request = self.put(&request.to_bytes());
        let status = self.call(Call::MqttRequestSubscribe, &[channel, request]);
        self.pump();
        status
    }

    pub(crate) fn unsubscribe(&mut self, channel: u32, correlation: u32, filters: &[&[u8]]) -> Status {
        let mut array = Vec::new();
        for filter in filters {
            array.extend(self.string(filter).to_bytes());
        }
        let topics = self.put(&array);
        let request =
            MqttUnsubscribeRequest { correlation_id: correlation, topics, num_topics: filters.len() as u32 };
        let request = self.put(&request.to_bytes());
        let status = self.call(Call::MqttRequestUnsubscribe, &[channel, request]);
        self.pump();
        status
    }

    /// With room for `room` codes.
    pub(crate) fn read_subscribe(&mut self, channel: u32, room: u32) -> Result<Codes, Status> {
        self.read_codes(Call::MqttReadSubscribeResponse, channel, room)
    }

    pub(crate) fn read_unsubscribe(&mut self, channel: u32, room: u32) -> Result<Codes, Status> {
        self.read_codes(Call::MqttReadUnsubscribeResponse, channel, room)
    }

    fn read_codes(&mut self, call: Call, channel: u32, room: u32) -> Result<Codes, Status> {
        let response = self.codes_response(room);
        let at = self.put(&response.to_bytes());
        match self.call(call, &[channel, at]) {
            Status::Okay => {
                let count = self.u32(response.reason_codes_len);
                let codes = (0..count).map(|index| self.u32(response.reason_codes + 4 * index)).collect();
                Ok((self.u32(response.request_state), self.u32(response.correlation_id), codes))
            }
            status => Err(status),
        }
    }

    pub(crate) fn codes_response(&mut self, room: u32) -> MqttSubscribeResponse {
        MqttSubscribeResponse {
            request_state: self.variable(99),
            correlation_id: self.variable(99),
            reason_codes: self.room(4 * room as usize),
            reason_codes_size: room,
            reason_codes_len: self.variable(99),
        }
    }

    pub(crate) fn message_outputs(&mut self, topic: u32, payload: u32) -> MqttMessage {
        MqttMessage {
            correlation_id: self.variable(99),
            topic: self.string_room(topic),
            payload: self.string_room(payload),
            qos: self.variable(99),
            retain: self.room(1),
        }
    }

    pub(crate) fn receive(&mut self, channel: u32, topic: u32, payload: u32) -> Result<Received, Status> {
        let message = self.message_outputs(topic, payload);
        let at = self.put(&message.to_bytes());
        match self.call(Call::MqttReceiveMessage, &[channel, at]) {
            Status::Okay => {
                self.pump();
                Ok(Received {
                    correlation: self.u32(message.correlation_id),
                    topic: self.string_in(message.topic),
                    payload: self.string_in(message.payload),
                    qos: self.u32(message.qos),
                    retain: self.memory.bytes(message.retain, 1)[0],
                })
            }
            status => {
                assert_eq!(self.u32(message.correlation_id), 99, "a refused read writes nothing");
                Err(status)
            }
        }
    }

    /// Reason, topic, length of the message.
    pub(crate) fn receive_lost(&mut self, channel: u32, topic: u32) -> Result<(u32, Vec<u8>, u32), Status> {
        let info = MqttLostMessageInfo {
            reason: self.variable(99),
            topic: self.string_room(topic),
            message_len: self.variable(99),
        };
        let at = self.put(&info.to_bytes());
        match self.call(Call::MqttReceiveLostMessageInfo, &[channel, at]) {
            Status::Okay => {
                self.pump();
                Ok((self.u32(info.reason), self.string_in(info.topic), self.u32(info.message_len)))
            }
            status => Err(status),
        }
    }

    pub(crate) fn next_type(&mut self, channel: u32) -> Result<MqttReadableDataType, Status> {
        let to = self.variable(99);
        match self.call(Call::MqttGetNextReadableDataType, &[channel, to]) {
            Status::Okay => Ok(MqttReadableDataType::from_raw(self.u32(to)).expect("a known type")),
            status => Err(status),
        }
    }
}
