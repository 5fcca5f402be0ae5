//! Version 5 properties of the packets a client sends (MQTT 5, 2.2.2).

use super::reader::Reader;
use super::{ProtocolError, reason, require};
use crate::filter;

/// Where properties stand: one bit each, for the table of which property may stand where.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Connect = 1,
    Will = 2,
    Publish = 4,
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    Acknowledgement = 8,
    Subscribe = 16,
    Unsubscribe = 32,
    Disconnect = 64,
}

const CONNECT: u8 = Place::Connect as u8;
const WILL: u8 = Place::Will as u8;
const PUBLISH: u8 = Place::Publish as u8;
const ACKNOWLEDGEMENT: u8 = Place::Acknowledgement as u8;
const SUBSCRIBE: u8 = Place::Subscribe as u8;
const DISCONNECT: u8 = Place::Disconnect as u8;
const ANYWHERE: u8 = 0x7f;

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    /// 0 or 1.
    Flag,
    U16,
    U32,
    Variable,
    Text,
    Binary,
    Pair,
}

pub(super) const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION_DATA: u8 = 0x09;
pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
pub(super) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
pub(super) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
pub(super) const WILL_DELAY_INTERVAL: u8 = 0x18;
pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
pub(super) const REASON_STRING: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const USER_PROPERTY: u8 = 0x26;
pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
pub(super) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2a;

/// Each property a client may send: identifier, form, places.
const TABLE: &[(u8, Form, u8)] = &[
    (PAYLOAD_FORMAT_INDICATOR, Form::Flag, PUBLISH | WILL),
    (MESSAGE_EXPIRY_INTERVAL, Form::U32, PUBLISH | WILL),
    (CONTENT_TYPE, Form::Text, PUBLISH | WILL),
    (RESPONSE_TOPIC, Form::Text, PUBLISH | WILL),
    (CORRELATION_DATA, Form::Binary, PUBLISH | WILL),
    (SUBSCRIPTION_IDENTIFIER, Form::Variable, SUBSCRIBE),
    (SESSION_EXPIRY_INTERVAL, Form::U32, CONNECT | DISCONNECT),
    (AUTHENTICATION_METHOD, Form::Text, CONNECT),
    (AUTHENTICATION_DATA, Form::Binary, CONNECT),
    (REQUEST_PROBLEM_INFORMATION, Form::Flag, CONNECT),
    (WILL_DELAY_INTERVAL, Form::U32, WILL),
    (REQUEST_RESPONSE_INFORMATION, Form::Flag, CONNECT),
    (REASON_STRING, Form::Text, ACKNOWLEDGEMENT | DISCONNECT),
    (RECEIVE_MAXIMUM, Form::U16, CONNECT),
    (TOPIC_ALIAS_MAXIMUM, Form::U16, CONNECT),
    (TOPIC_ALIAS, Form::U16, PUBLISH),
    (USER_PROPERTY, Form::Pair, ANYWHERE),
    (MAXIMUM_PACKET_SIZE, Form::U32, CONNECT),
];

/// What the broker acts on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// Those that travel with a message, as bytes, in the order received (MQTT-3.3.2-18); without the expiry.
    pub passed_on: Vec<u8>,
    pub message_expiry: Option<u32>,
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias: Option<u16>,
    pub subscription_identifier: Option<u32>,
    pub has_authentication_method: bool,
    pub has_authentication_data: bool,
}

/// Reads the properties of one packet, length first.
pub(super) fn read(packet: &mut Reader<'_>, place: Place) -> Result<Properties, ProtocolError> {
    let length = packet.variable()?;
    let mut reader = Reader::new(packet.take(length as usize)?);
    let mut properties = Properties::default();
    let mut seen: u64 = 0;
    while !reader.is_empty() {
        let mut property = reader;
        let id = reader.variable()?;
        let (id, form) = look_up(id, place)?;
        let is_repeated = seen & (1 << id) != 0;
        seen |= 1 << id;
        let value = value(&mut reader, form)?;
        require(!is_repeated || id == USER_PROPERTY, ProtocolError::protocol("a property twice"))?;
        let bytes = property.take(property.len() - reader.len())?;
        note(&mut properties, id, value, bytes)?;
    }
    require(
        properties.has_authentication_method || !properties.has_authentication_data,
        ProtocolError::protocol("authentication data without a method"),
    )?;
    Ok(properties)
}

/// A property that does not exist, or not here, makes the packet malformed (MQTT 5, 2.2.2.2).
fn look_up(id: u32, place: Place) -> Result<(u8, Form), ProtocolError> {
    let entry = TABLE.iter().find(|(known, ..)| u32::from(*known) == id);
    let &(id, form, places) =
        entry.ok_or(ProtocolError::malformed("a property that a client does not send"))?;
    require(places & place as u8 != 0, ProtocolError::malformed("a property of another packet"))?;
    Ok((id, form))
}

enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Other,
}

fn value<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Value<'a>, ProtocolError> {
    Ok(match form {
        Form::Flag => {
            let flag = reader.u8()?;
            require(flag <= 1, ProtocolError::protocol("a flag that is neither 0 nor 1"))?;
            Value::Number(flag.into())
        }
        Form::U16 => Value::Number(reader.u16()?.into()),
        Form::U32 => Value::Number(reader.u32()?),
        Form::Variable => Value::Number(reader.variable()?),
        Form::Text => Value::Text(reader.text()?),
        Form::Binary => {
            reader.binary()?;
            Value::Other
        }
        Form::Pair => {
            reader.text()?;
            reader.text()?;
            Value::Other
        }
    })
}

/// Keeps what the broker acts on, after checking values that are not allowed.
fn note(properties: &mut Properties, id: u8, value: Value<'_>, bytes: &[u8]) -> Result<(), ProtocolError> {
    match (id, value) {
        (MESSAGE_EXPIRY_INTERVAL, Value::Number(seconds)) => properties.message_expiry = Some(seconds),
        (RESPONSE_TOPIC, Value::Text(topic)) => {
            require(
                filter::is_topic(topic),
                ProtocolError::protocol("a response topic that is no topic name"),
            )?;
            properties.passed_on.extend_from_slice(bytes);
        }
        (PAYLOAD_FORMAT_INDICATOR | CONTENT_TYPE | CORRELATION_DATA | USER_PROPERTY, _) => {
            properties.passed_on.extend_from_slice(bytes);
        }
        (SUBSCRIPTION_IDENTIFIER | RECEIVE_MAXIMUM | MAXIMUM_PACKET_SIZE, Value::Number(0)) => {
            return Err(ProtocolError::protocol("a property that must not be 0"));
        }
        (TOPIC_ALIAS, Value::Number(0)) => {
            return Err(ProtocolError { code: reason::TOPIC_ALIAS_INVALID, why: "topic alias 0" });
        }
        (SUBSCRIPTION_IDENTIFIER, Value::Number(number)) => properties.subscription_identifier = Some(number),
        (RECEIVE_MAXIMUM, Value::Number(number)) => properties.receive_maximum = Some(number as u16),
        (MAXIMUM_PACKET_SIZE, Value::Number(bytes)) => properties.maximum_packet_size = Some(bytes),
        (TOPIC_ALIAS, Value::Number(number)) => properties.topic_alias = Some(number as u16),
        (SESSION_EXPIRY_INTERVAL, Value::Number(seconds)) => properties.session_expiry = Some(seconds),
        (AUTHENTICATION_METHOD, _) => properties.has_authentication_method = true,
        (AUTHENTICATION_DATA, _) => properties.has_authentication_data = true,
        _ => {}
    }
    Ok(())
}
