//! Packets of both versions to one meaning, and answers to packets of either version.

use mqtt_protocol_core::mqtt::packet::{
    AssignedClientIdentifier, GenericPacketTrait as _, Packet, Property, Qos, SessionExpiryInterval,
    SharedSubscriptionAvailable, SubEntry, SubscriptionIdentifierAvailable, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, SubackReasonCode,
    SubackReturnCode, UnsubackReasonCode,
};

use super::hub::{Message, Subscription};

/// The two versions spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V3,
    V5,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// What a client sent, as far as the broker acts on it.
#[derive(Debug)]
pub(super) enum Incoming {
    Connect(Connect),
    Publish(Message),
    Subscribe {
        id: u16,
        wanted: Vec<Subscription>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    Disconnect {
        keep_will: bool,
    },
    /// Acknowledgements and pings, which the library answers by itself.
    Other,
}

#[derive(Debug)]
pub(super) struct Connect {
    pub version: Version,
    pub client: String,
    pub clean: bool,
    /// In seconds; 0 is none.
    pub keep_alive: u16,
    pub will: Option<Message>,
}

/// What a SUBSCRIBE or UNSUBSCRIBE answers for one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// At this QoS; of an UNSUBSCRIBE, that the subscription existed.
    Granted(u8),
    Invalid,
    /// `$share/…`, which this broker does not do.
    Shared,
    TooMany,
    /// An UNSUBSCRIBE of something never subscribed to.
    Unknown,
}

pub(super) fn read(packet: &Packet) -> Incoming {
    match packet {
        Packet::V3_1_1Connect(connect) => Incoming::Connect(read_connect_v3(connect)),
        Packet::V5_0Connect(connect) => Incoming::Connect(read_connect_v5(connect)),
        Packet::V3_1_1Publish(publish) => Incoming::Publish(Message {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().to_vec(),
            qos: number(publish.qos()),
            retain: publish.retain(),
            properties: Vec::new(),
        }),
        Packet::V5_0Publish(publish) => Incoming::Publish(Message {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().to_vec(),
            qos: number(publish.qos()),
            retain: publish.retain(),
            properties: handed_on(publish.props()),
        }),
        Packet::V3_1_1Subscribe(subscribe) => Incoming::Subscribe {
            id: subscribe.packet_id(),
            wanted: subscribe.entries().iter().map(subscription).collect(),
        },
        Packet::V5_0Subscribe(subscribe) => Incoming::Subscribe {
            id: subscribe.packet_id(),
            wanted: subscribe.entries().iter().map(subscription).collect(),
        },
        Packet::V3_1_1Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            id: unsubscribe.packet_id(),
            filters: unsubscribe.entries().iter().map(|filter| filter.as_str().to_owned()).collect(),
        },
        Packet::V5_0Unsubscribe(unsubscribe) => Incoming::Unsubscribe {
            id: unsubscribe.packet_id(),
            filters: unsubscribe.entries().iter().map(|filter| filter.as_str().to_owned()).collect(),
        },
        Packet::V3_1_1Disconnect(_) => Incoming::Disconnect { keep_will: false },
        Packet::V5_0Disconnect(disconnect) => Incoming::Disconnect {
            keep_will: disconnect
                .reason_code()
                .is_some_and(|code| code != DisconnectReasonCode::NormalDisconnection),
        },
        _ => Incoming::Other,
    }
}

fn read_connect_v3(connect: &v3_1_1::Connect) -> Connect {
    let will = connect.will_topic().map(|topic| Message {
        topic: topic.to_owned(),
        payload: connect.will_payload().unwrap_or_default().to_vec(),
        qos: number(connect.will_qos()),
        retain: connect.will_retain(),
        properties: Vec::new(),
    });
    Connect {
        version: Version::V3,
        client: connect.client_id().to_owned(),
        clean: connect.clean_session(),
        keep_alive: connect.keep_alive(),
        will,
    }
}

fn read_connect_v5(connect: &v5_0::Connect) -> Connect {
    let will = connect.will_topic().map(|topic| Message {
        topic: topic.to_owned(),
        payload: connect.will_payload().unwrap_or_default().to_vec(),
        qos: number(connect.will_qos()),
        retain: connect.will_retain(),
        properties: handed_on(connect.will_props()),
    });
    Connect {
        version: Version::V5,
        client: connect.client_id().to_owned(),
        clean: connect.clean_start(),
        keep_alive: connect.keep_alive(),
        will,
    }
}

/// The properties that travel with a message (MQTT 5 §3.3.2.3); the others speak to the broker.
fn handed_on(properties: &[Property]) -> Vec<Property> {
    let travels = |property: &&Property| {
        matches!(
            property,
            Property::PayloadFormatIndicator(_)
                | Property::MessageExpiryInterval(_)
                | Property::ContentType(_)
                | Property::ResponseTopic(_)
                | Property::CorrelationData(_)
                | Property::UserProperty(_)
        )
    };
    properties.iter().filter(travels).cloned().collect()
}

fn subscription(entry: &SubEntry) -> Subscription {
    let options = entry.sub_opts();
    Subscription {
        filter: entry.topic_filter().to_owned(),
        qos: number(options.qos()),
        no_local: options.nl(),
        retain_as_published: options.rap(),
        retain_handling: options.rh(),
    }
}

/// 2 counts as 1: that is what a subscriber gets at most.
fn number(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce | Qos::ExactlyOnce => 1,
    }
}

fn qos(number: u8) -> Qos {
    if number == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce }
}

/// Accepts a client. No session outlives its connection, which version 5 is told.
pub(super) fn connack(version: Version, assigned: Option<&str>) -> Result<Packet, MqttError> {
    if version == Version::V3 {
        let connack =
            v3_1_1::Connack::builder().session_present(false).return_code(ConnectReturnCode::Accepted);
        return Ok(Packet::V3_1_1Connack(connack.build()?));
    }
    let mut properties = vec![
        Property::SessionExpiryInterval(SessionExpiryInterval::new(0)?),
        Property::SubscriptionIdentifierAvailable(SubscriptionIdentifierAvailable::new(0)?),
        Property::SharedSubscriptionAvailable(SharedSubscriptionAvailable::new(0)?),
    ];
    if let Some(id) = assigned {
        properties.push(Property::AssignedClientIdentifier(AssignedClientIdentifier::new(id)?));
    }
    let connack = v5_0::Connack::builder().session_present(false).reason_code(ConnectReasonCode::Success);
    Ok(Packet::V5_0Connack(connack.props(properties).build()?))
}

/// Turns away a version 3.1.1 client without an id that wants a lasting session (M31, MQTT-3.1.3-8).
pub(super) fn identifier_rejected() -> Result<Packet, MqttError> {
    let code = ConnectReturnCode::IdentifierRejected;
    Ok(Packet::V3_1_1Connack(v3_1_1::Connack::builder().session_present(false).return_code(code).build()?))
}

pub(super) fn suback(version: Version, id: u16, verdicts: &[Verdict]) -> Result<Packet, MqttError> {
    Ok(match version {
        Version::V3 => {
            let codes = verdicts.iter().map(|&verdict| return_code(verdict)).collect();
            Packet::V3_1_1Suback(v3_1_1::Suback::builder().packet_id(id).return_codes(codes).build()?)
        }
        Version::V5 => {
            let codes = verdicts.iter().map(|&verdict| suback_reason(verdict)).collect();
            Packet::V5_0Suback(v5_0::Suback::builder().packet_id(id).reason_codes(codes).build()?)
        }
    })
}

fn return_code(verdict: Verdict) -> SubackReturnCode {
    match verdict {
        Verdict::Granted(0) => SubackReturnCode::SuccessMaximumQos0,
        Verdict::Granted(_) => SubackReturnCode::SuccessMaximumQos1,
        _ => SubackReturnCode::Failure,
    }
}

fn suback_reason(verdict: Verdict) -> SubackReasonCode {
    match verdict {
        Verdict::Granted(0) => SubackReasonCode::GrantedQos0,
        Verdict::Granted(_) => SubackReasonCode::GrantedQos1,
        Verdict::Invalid => SubackReasonCode::TopicFilterInvalid,
        Verdict::Shared => SubackReasonCode::SharedSubscriptionsNotSupported,
        Verdict::TooMany => SubackReasonCode::QuotaExceeded,
        Verdict::Unknown => SubackReasonCode::UnspecifiedError,
    }
}

pub(super) fn unsuback(version: Version, id: u16, verdicts: &[Verdict]) -> Result<Packet, MqttError> {
    if version == Version::V3 {
        return Ok(Packet::V3_1_1Unsuback(v3_1_1::Unsuback::builder().packet_id(id).build()?));
    }
    let code = |&verdict: &Verdict| match verdict {
        Verdict::Granted(_) => UnsubackReasonCode::Success,
        _ => UnsubackReasonCode::NoSubscriptionExisted,
    };
    let codes = verdicts.iter().map(code).collect();
    Ok(Packet::V5_0Unsuback(v5_0::Unsuback::builder().packet_id(id).reason_codes(codes).build()?))
}

/// A message for a subscriber; `id` where its QoS is 1.
pub(super) fn publish(version: Version, message: Message, id: Option<u16>) -> Result<Packet, MqttError> {
    let Message { topic, payload, qos: wanted, retain, properties } = message;
    Ok(match version {
        Version::V3 => {
            let publish = v3_1_1::Publish::builder().topic_name(topic)?.payload(payload).retain(retain);
            Packet::V3_1_1Publish(publish.qos(qos(wanted)).packet_id(id).build()?)
        }
        Version::V5 => {
            let publish = v5_0::Publish::builder().topic_name(topic)?.payload(payload).retain(retain);
            Packet::V5_0Publish(publish.qos(qos(wanted)).packet_id(id).props(properties).build()?)
        }
    })
}

/// Tells a version 5 client that another took its place; 3.1.1 has no such packet.
pub(super) fn taken_over() -> Result<Packet, MqttError> {
    let code = DisconnectReasonCode::SessionTakenOver;
    Ok(Packet::V5_0Disconnect(v5_0::Disconnect::builder().reason_code(code).build()?))
}

/// The bytes of a packet.
pub(super) fn bytes(packet: &Packet) -> Vec<u8> {
    packet.to_continuous_buffer()
}
