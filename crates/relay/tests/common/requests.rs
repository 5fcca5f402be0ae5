//! Bodies of requests as a device writes them, and packets as a broker writes them.

use link::bytes::{MAX_PREFIX, prefix};
use link::device::Answer;
use link::mqtt::{
    ConnectHead, FilterCodes, Outcome, PublishHead, Published, RequestState, SubscribeOptions, TopicHead,
};

pub(crate) fn str(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut bytes = [0; MAX_PREFIX];
    let length = prefix(text.len() as u32, &mut bytes);
    [&bytes[..length], text].concat()
}

type Certificates = Vec<Vec<u8>>;

#[derive(Clone, Debug)]
pub(crate) struct ConnectRequest {
    pub version5: bool,
    pub clean_start: bool,
    pub out_of_range: bool,
    pub host: Vec<u8>,
    pub port: u16,
    pub keepalive: u32,
    pub client_id: Vec<u8>,
    pub credentials: Option<(&'static str, &'static str)>,
    /// Options, topic, payload.
    pub will: Option<(u8, Vec<u8>, Vec<u8>)>,
    /// Authorities, chain, key.
    pub tls: Option<(Certificates, Certificates, Vec<u8>)>,
}

impl Default for ConnectRequest {
    fn default() -> Self {
        Self {
            version5: false,
            clean_start: true,
            out_of_range: false,
            host: b"broker.example".to_vec(),
            port: 1883,
            keepalive: 0,
            client_id: b"dev".to_vec(),
            credentials: None,
            will: None,
            tls: None,
        }
    }
}

impl ConnectRequest {
    pub(crate) fn body(&self) -> Vec<u8> {
        let head = ConnectHead {
            version5: self.version5,
            clean_start: self.clean_start,
            credentials: self.credentials.is_some(),
            will: self.will.is_some(),
            tls: self.tls.is_some(),
            out_of_range: self.out_of_range,
            port: self.port,
            keepalive: self.keepalive,
        };
        let mut bytes = [0; ConnectHead::MAX];
        let length = head.encode(&mut bytes);
        let mut body = bytes[..length].to_vec();
        body.extend(str(&self.host));
        body.extend(str(&self.client_id));
        if let Some((username, password)) = self.credentials {
            body.extend([str(username), str(password)].concat());
        }
        if let Some((options, topic, payload)) = &self.will {
            body.push(*options);
            body.extend([str(topic), str(payload)].concat());
        }
        if let Some((authorities, chain, key)) = &self.tls {
            for list in [authorities, chain] {
                body.push(list.len() as u8);
                body.extend(list.iter().flat_map(str));
            }
            body.extend(str(key));
        }
        body
    }
}

pub(crate) fn publish(slot: u8, qos: u8, topic: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let topic = topic.as_ref();
    let head = PublishHead {
        slot,
        qos1: qos == 1,
        retain: false,
        qos_out_of_range: qos > 1,
        topic: TopicHead::Name(topic.len() as u32),
    };
    let mut bytes = [0; PublishHead::MAX];
    let length = head.encode(&mut bytes);
    [&bytes[..length], topic, payload.as_ref()].concat()
}

pub(crate) fn publish_numbered(slot: u8, qos1: bool, number: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let topic = TopicHead::Number(number);
    let head = PublishHead { slot, qos1, retain: false, qos_out_of_range: false, topic };
    let mut bytes = [0; PublishHead::MAX];
    let length = head.encode(&mut bytes);
    [&bytes[..length], payload.as_ref()].concat()
}

pub(crate) fn topic(number: u8, name: impl AsRef<[u8]>) -> Vec<u8> {
    [&[number], name.as_ref()].concat()
}

pub(crate) fn subscribe(filters: &[(u8, &str)]) -> Vec<u8> {
    let plain = |qos| SubscribeOptions { qos, ..SubscribeOptions::default() }.code();
    filters.iter().flat_map(|(qos, filter)| [vec![plain(*qos)], str(filter)].concat()).collect()
}

pub(crate) fn unsubscribe(filters: &[&str]) -> Vec<u8> {
    filters.iter().flat_map(str).collect()
}

pub(crate) fn acknowledge(delivery: u32) -> Vec<u8> {
    let mut bytes = [0; link::mqtt::Acknowledge::MAX];
    let length = link::mqtt::Acknowledge { delivery }.encode(&mut bytes);
    bytes[..length].to_vec()
}

// --- What a broker sends.

pub(crate) fn connack(version5: bool) -> &'static [u8] {
    if version5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] }
}

/// A PUBLISH of any length; `packet_id` for QoS 1.
pub(crate) fn message(
    version5: bool,
    packet_id: Option<u16>,
    topic: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
) -> Vec<u8> {
    let (topic, payload) = (topic.as_ref(), payload.as_ref());
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic);
    body.extend(packet_id.map(u16::to_be_bytes).into_iter().flatten());
    if version5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    let mut packet = vec![if packet_id.is_some() { 0x32 } else { 0x30 }];
    let mut left = body.len();
    while left > 0x7f {
        packet.push(left as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    packet.extend(body);
    packet
}

pub(crate) fn puback(packet_id: u8) -> [u8; 4] {
    [0x40, 2, 0, packet_id]
}

// --- What a device receives.

pub(crate) fn outcome(state: RequestState, reason: u32) -> Outcome {
    Outcome { state, reason }
}

pub(crate) fn connected(state: RequestState, reason: u32) -> Answer {
    Answer::Connected(outcome(state, reason))
}

pub(crate) fn disconnected(state: RequestState, reason: u32) -> Answer {
    Answer::Disconnected(outcome(state, reason))
}

pub(crate) fn published(slot: u8, state: RequestState, reason: u32) -> Answer {
    Answer::Published(Published { slot, state, reason })
}

pub(crate) fn subscribed(codes: &[u8]) -> Answer {
    Answer::Subscribed(FilterCodes::completed(codes).unwrap())
}

pub(crate) fn not_subscribed(state: RequestState) -> Answer {
    Answer::Subscribed(FilterCodes::failed(state))
}

pub(crate) fn unsubscribed(codes: &[u8]) -> Answer {
    Answer::Unsubscribed(FilterCodes::completed(codes).unwrap())
}

pub(crate) fn not_unsubscribed(state: RequestState) -> Answer {
    Answer::Unsubscribed(FilterCodes::failed(state))
}
