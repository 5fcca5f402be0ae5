//! What applications do with an MQTT channel.

use abi::channel::ChannelType;
use abi::mqtt::{
    MqttAuthentication, MqttConnectRequest, MqttConnectResponse, MqttDisconnectResponse, MqttLostMessageInfo,
    MqttMessage, MqttPublishRequest, MqttPublishResponse, MqttReadableDataType, MqttSubscribeRequest,
    MqttSubscribeResponse, MqttSubscription, MqttUnsubscribeRequest,
};
use abi::notifications::EventType;
use abi::{Call, Status};
use link::mqtt::RequestState;

use crate::{AppSetup, TAG, TestDevice};

/// Event and tag of a channel with something to read.
pub const READABLE: (u32, u32) = (EventType::ChannelDataReadable.raw(), TAG);
/// Event and tag of a channel that lost its connection.
pub const NOT_CONNECTED: (u32, u32) = (EventType::ChannelNotConnected.raw(), TAG);

/// A message as an application receives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// The correlation id.
    pub correlation: u32,
    /// The topic.
    pub topic: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
    /// The QoS.
    pub qos: u32,
    /// The retain flag.
    pub retain: u8,
}

/// The response to a subscribe or unsubscribe: state, correlation id, codes.
pub type Codes = (u32, u32, Vec<u32>);

impl TestDevice {
    /// A device with a channel that is connected to a broker, with nothing left to read.
    pub fn with_broker() -> (Self, AppSetup, u32) {
        let (mut device, mut setup, channel) = Self::with_channel(ChannelType::Mqtt);
        let request = device.connect_params();
        assert_eq!(device.request_connect(channel, &request), Status::Okay);
        device.cloud().answer_connect(1, RequestState::Completed, 0);
        device.pump();
        assert_eq!(device.events(&mut setup.centre), [READABLE]);
        assert_eq!(device.read_connect_response(channel), Ok((0, 0)));
        device.cloud().take_messages();
        device.cloud().fragments.clear();
        (device, setup, channel)
    }

    /// A connect request with only what is required.
    pub fn connect_params(&mut self) -> MqttConnectRequest {
        MqttConnectRequest {
            protocol_version: 1,
            host: self.flash_string(b"broker.example"),
            port: 1883,
            clientid: self.flash_string(b"me"),
            authentication: MqttAuthentication::default(),
            tls_credentials: 0,
            keepalive: 60,
            clean_start: 1,
            will: 0,
        }
    }

    /// Requests a connect; returns the status.
    pub fn request_connect(&mut self, channel: u32, request: &MqttConnectRequest) -> Status {
        let request = self.alloc_bytes(&request.to_bytes());
        let status = self.call(Call::MqttRequestConnect, &[channel, request]);
        self.pump();
        status
    }

    /// Reads a connect response: state and reason code.
    pub fn read_connect_response(&mut self, channel: u32) -> Result<(u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadConnectResponse, channel)?;
        let response = MqttConnectResponse::from_bytes(&bytes);
        Ok((response.request_state, response.reason_code))
    }

    /// Reads a disconnect response: state and reason code.
    pub fn read_disconnect_response(&mut self, channel: u32) -> Result<(u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadDisconnectResponse, channel)?;
        let response = MqttDisconnectResponse::from_bytes(&bytes);
        Ok((response.request_state, response.disconnect_code))
    }

    /// Reads a publish response: state, correlation id, reason code.
    pub fn read_publish_response(&mut self, channel: u32) -> Result<(u32, u32, u32), Status> {
        let bytes = self.read_into(Call::MqttReadPublishResponse, channel)?;
        let response = MqttPublishResponse::from_bytes(&bytes);
        Ok((response.request_state, response.correlation_id, response.reason_code))
    }

    fn read_into<const N: usize>(&mut self, call: Call, channel: u32) -> Result<[u8; N], Status> {
        let to = self.alloc(N);
        match self.call(call, &[channel, to]) {
            Status::Okay => Ok(self.memory.bytes(to, N).try_into().expect("N bytes")),
            status => {
                assert_eq!(self.memory.bytes(to, N), [0xee; N], "a refused read writes nothing");
                Err(status)
            }
        }
    }

    /// A publish request.
    pub fn publish_params(
        &mut self,
        correlation: u32,
        topic: &[u8],
        payload: &[u8],
        qos: u32,
    ) -> MqttPublishRequest {
        MqttPublishRequest {
            correlation_id: correlation,
            topic: self.flash_string(topic),
            payload: self.flash_string(payload),
            desired_qos: qos,
            retain: 0,
        }
    }

    /// Publishes with QoS 0; returns the status.
    pub fn publish(&mut self, channel: u32, correlation: u32, topic: &[u8], payload: &[u8]) -> Status {
        let request = self.publish_params(correlation, topic, payload, 0);
        let status = self.request_publish(channel, &request);
        self.pump();
        status
    }

    /// Requests a publish without transmitting it; returns the status.
    pub fn request_publish(&mut self, channel: u32, request: &MqttPublishRequest) -> Status {
        let request = self.alloc_bytes(&request.to_bytes());
        self.call(Call::MqttRequestPublish, &[channel, request])
    }

    /// Subscribes to these filters, each with a QoS.
    pub fn subscribe(&mut self, channel: u32, correlation: u32, filters: &[(&[u8], u32)]) -> Status {
        let mut array = Vec::new();
        for (filter, qos) in filters {
            let topic = self.flash_string(filter);
            array.extend(
                MqttSubscription { topic, desired_qos: *qos, ..MqttSubscription::default() }.to_bytes(),
            );
        }
        let subscriptions = self.alloc_bytes(&array);
        let num_subscriptions = filters.len() as u32;
        let request = MqttSubscribeRequest { correlation_id: correlation, subscriptions, num_subscriptions };
        let request = self.alloc_bytes(&request.to_bytes());
        let status = self.call(Call::MqttRequestSubscribe, &[channel, request]);
        self.pump();
        status
    }

    /// Unsubscribes from these filters.
    pub fn unsubscribe(&mut self, channel: u32, correlation: u32, filters: &[&[u8]]) -> Status {
        let mut array = Vec::new();
        for filter in filters {
            array.extend(self.flash_string(filter).to_bytes());
        }
        let topics = self.alloc_bytes(&array);
        let request =
            MqttUnsubscribeRequest { correlation_id: correlation, topics, num_topics: filters.len() as u32 };
        let request = self.alloc_bytes(&request.to_bytes());
        let status = self.call(Call::MqttRequestUnsubscribe, &[channel, request]);
        self.pump();
        status
    }

    /// Reads a subscribe response into an array for `room` codes.
    pub fn read_subscribe_response(&mut self, channel: u32, room: u32) -> Result<Codes, Status> {
        self.read_codes(Call::MqttReadSubscribeResponse, channel, room)
    }

    /// Reads an unsubscribe response into an array for `room` codes.
    pub fn read_unsubscribe_response(&mut self, channel: u32, room: u32) -> Result<Codes, Status> {
        self.read_codes(Call::MqttReadUnsubscribeResponse, channel, room)
    }

    fn read_codes(&mut self, call: Call, channel: u32, room: u32) -> Result<Codes, Status> {
        let response = self.codes_params(room);
        let at = self.alloc_bytes(&response.to_bytes());
        match self.call(call, &[channel, at]) {
            Status::Okay => {
                let count = self.u32(response.reason_codes_len);
                let codes = (0..count).map(|index| self.u32(response.reason_codes + 4 * index)).collect();
                Ok((self.u32(response.request_state), self.u32(response.correlation_id), codes))
            }
            status => Err(status),
        }
    }

    /// An unsubscribe or subscribe response to be filled in.
    pub fn codes_params(&mut self, room: u32) -> MqttSubscribeResponse {
        MqttSubscribeResponse {
            request_state: self.alloc_u32(99),
            correlation_id: self.alloc_u32(99),
            reason_codes: self.alloc(4 * room as usize),
            reason_codes_size: room,
            reason_codes_len: self.alloc_u32(99),
        }
    }

    /// A message to be filled in.
    pub fn message_params(&mut self, topic: u32, payload: u32) -> MqttMessage {
        MqttMessage {
            correlation_id: self.alloc_u32(99),
            topic: self.alloc_string(topic),
            payload: self.alloc_string(payload),
            qos: self.alloc_u32(99),
            retain: self.alloc(1),
        }
    }

    /// Receives a message into buffers of these sizes.
    pub fn receive_message(&mut self, channel: u32, topic: u32, payload: u32) -> Result<Received, Status> {
        let message = self.message_params(topic, payload);
        let at = self.alloc_bytes(&message.to_bytes());
        match self.call(Call::MqttReceiveMessage, &[channel, at]) {
            Status::Okay => {
                self.pump();
                Ok(Received {
                    correlation: self.u32(message.correlation_id),
                    topic: self.read_string(message.topic),
                    payload: self.read_string(message.payload),
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

    /// Reads the notice of a lost message: reason, topic, length of the message.
    pub fn receive_lost_message(&mut self, channel: u32, topic: u32) -> Result<(u32, Vec<u8>, u32), Status> {
        let info = MqttLostMessageInfo {
            reason: self.alloc_u32(99),
            topic: self.alloc_string(topic),
            message_len: self.alloc_u32(99),
        };
        let at = self.alloc_bytes(&info.to_bytes());
        match self.call(Call::MqttReceiveLostMessageInfo, &[channel, at]) {
            Status::Okay => {
                self.pump();
                Ok((self.u32(info.reason), self.read_string(info.topic), self.u32(info.message_len)))
            }
            status => Err(status),
        }
    }

    /// The type of the next readable item.
    pub fn next_readable(&mut self, channel: u32) -> Result<MqttReadableDataType, Status> {
        let to = self.alloc_u32(99);
        match self.call(Call::MqttGetNextReadableDataType, &[channel, to]) {
            Status::Okay => Ok(MqttReadableDataType::from_raw(self.u32(to)).expect("a known type")),
            status => Err(status),
        }
    }
}
