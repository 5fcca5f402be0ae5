//! Properties of the packets a broker sends (MQTT 5, 2.2.2). Only those the client acts on are stored; what is wrong
//! with one is counted and ignored, as long as the properties end where their length says (D192).

use crate::codec::packet_type;
use crate::codec::reader::Reader;
use crate::deviation::{Deviation, Deviations};
use crate::error::ProtocolError;
use crate::topic::is_valid_text;

/// The properties of a broker the client acts on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) server_keep_alive: Option<u16>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) topic_alias_maximum: Option<u16>,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) maximum_qos: Option<u8>,
    pub(crate) retain_available: Option<bool>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) wildcard_subscriptions: Option<bool>,
    pub(crate) shared_subscriptions: Option<bool>,
}

/// Property identifiers of packets from a broker (MQTT 5, 2.2.2.2).
pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(crate) const WILL_DELAY: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1a;
    pub(crate) const SERVER_REFERENCE: u8 = 0x1c;
    pub(crate) const REASON_STRING: u8 = 0x1f;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER_PROPERTY: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARD_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_AVAILABLE: u8 = 0x2a;
}

/// Whether property `id` is allowed in a packet of this type (MQTT 5, table 2-4).
fn is_allowed(id: u8, packet: u8) -> bool {
    match id {
        id::PAYLOAD_FORMAT
        | id::MESSAGE_EXPIRY
        | id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::CORRELATION_DATA
        | id::SUBSCRIPTION_IDENTIFIER
        | id::TOPIC_ALIAS => packet == packet_type::PUBLISH,
        id::SERVER_REFERENCE => matches!(packet, packet_type::CONNACK | packet_type::DISCONNECT),
        id::REASON_STRING => packet != packet_type::PUBLISH,
        id::USER_PROPERTY => true,
        id::SESSION_EXPIRY
        | id::ASSIGNED_CLIENT_ID
        | id::SERVER_KEEP_ALIVE
        | id::AUTHENTICATION_METHOD
        | id::AUTHENTICATION_DATA
        | id::RESPONSE_INFORMATION
        | id::RECEIVE_MAXIMUM
        | id::TOPIC_ALIAS_MAXIMUM
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::MAXIMUM_PACKET_SIZE
        | id::WILDCARD_AVAILABLE
        | id::SUBSCRIPTION_IDENTIFIER_AVAILABLE
        | id::SHARED_AVAILABLE => packet == packet_type::CONNACK,
        _ => false,
    }
}

/// A broker may send these more than once.
fn may_repeat(id: u8) -> bool {
    matches!(id, id::USER_PROPERTY | id::SUBSCRIPTION_IDENTIFIER)
}

impl Properties {
    /// Reads the property length and the properties of a packet of this type.
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        packet: u8,
        deviations: &mut Deviations,
    ) -> Result<Self, ProtocolError> {
        let length = reader.variable()? as usize;
        let mut fields = Reader::new(reader.bytes(length)?);
        let mut properties = Self::default();
        let mut seen = 0_u64;
        while !fields.is_empty() {
            let id = fields.u8()?;
            // All identifiers are below 64; a larger one is unknown and cannot repeat.
            let bit = 1_u64.checked_shl(u32::from(id)).unwrap_or(0);
            let is_repeated = seen & bit != 0 && !may_repeat(id);
            seen |= bit;
            if is_allowed(id, packet) && !is_repeated {
                properties.field(id, &mut fields, deviations)?;
                continue;
            }
            deviations.note(Deviation::Property);
            if !skip(id, &mut fields, deviations)? {
                // The length of an unknown property is not known, but where all of them end is.
                fields.remainder();
            }
        }
        Ok(properties)
    }

    /// Reads the value of one allowed property.
    fn field(
        &mut self,
        id: u8,
        fields: &mut Reader<'_>,
        deviations: &mut Deviations,
    ) -> Result<(), ProtocolError> {
        match id {
            id::SERVER_KEEP_ALIVE => self.server_keep_alive = Some(fields.u16()?),
            // A Receive Maximum of 0 would allow no message at all; it is read as one at a time.
            id::RECEIVE_MAXIMUM => self.receive_maximum = positive(fields.u16()?, deviations).or(Some(1)),
            id::TOPIC_ALIAS_MAXIMUM => self.topic_alias_maximum = Some(fields.u16()?),
            id::TOPIC_ALIAS => self.topic_alias = Some(fields.u16()?),
            id::MAXIMUM_QOS => self.maximum_qos = maximum_qos(fields.u8()?, deviations),
            id::RETAIN_AVAILABLE => self.retain_available = Some(flag(fields, deviations)?),
            id::MAXIMUM_PACKET_SIZE => self.maximum_packet_size = positive(fields.u32()?, deviations),
            id::WILDCARD_AVAILABLE => self.wildcard_subscriptions = Some(flag(fields, deviations)?),
            id::SHARED_AVAILABLE => self.shared_subscriptions = Some(flag(fields, deviations)?),
            _ => {
                skip(id, fields, deviations)?;
            }
        }
        Ok(())
    }
}

/// Skips the value of a property the client does not act on; false when there is no such property.
fn skip(id: u8, fields: &mut Reader<'_>, deviations: &mut Deviations) -> Result<bool, ProtocolError> {
    match id {
        id::PAYLOAD_FORMAT
        | id::SUBSCRIPTION_IDENTIFIER_AVAILABLE
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_AVAILABLE
        | id::SHARED_AVAILABLE
        | id::REQUEST_PROBLEM_INFORMATION
        | id::REQUEST_RESPONSE_INFORMATION => flag(fields, deviations).map(drop)?,
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => {
            fields.u16().map(drop)?;
        }
        id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::MAXIMUM_PACKET_SIZE | id::WILL_DELAY => {
            fields.u32().map(drop)?;
        }
        id::CORRELATION_DATA | id::AUTHENTICATION_DATA => fields.binary().map(drop)?,
        id::SUBSCRIPTION_IDENTIFIER => {
            positive(fields.variable()?, deviations);
        }
        id::USER_PROPERTY => {
            text(fields, deviations)?;
            text(fields, deviations)?;
        }
        id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::ASSIGNED_CLIENT_ID
        | id::AUTHENTICATION_METHOD
        | id::RESPONSE_INFORMATION
        | id::SERVER_REFERENCE
        | id::REASON_STRING => text(fields, deviations)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A string that is skipped.
fn text(fields: &mut Reader<'_>, deviations: &mut Deviations) -> Result<(), ProtocolError> {
    if !is_valid_text(fields.binary()?) {
        deviations.note(Deviation::Property);
    }
    Ok(())
}

/// A property that is 0 or 1; any other value is read as 1.
fn flag(fields: &mut Reader<'_>, deviations: &mut Deviations) -> Result<bool, ProtocolError> {
    let value = fields.u8()?;
    if value > 1 {
        deviations.note(Deviation::Property);
    }
    Ok(value != 0)
}

/// A Maximum QoS of 2 is what a broker without this limit has (MQTT 5, 3.2.2.3.4).
fn maximum_qos(value: u8, deviations: &mut Deviations) -> Option<u8> {
    if value <= 1 {
        return Some(value);
    }
    deviations.note(Deviation::MaximumQos);
    None
}

/// A number that may not be 0, if it is not.
fn positive<T: Default + PartialEq>(value: T, deviations: &mut Deviations) -> Option<T> {
    if value == T::default() {
        deviations.note(Deviation::Property);
        return None;
    }
    Some(value)
}
