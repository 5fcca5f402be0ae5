//! Packets a broker may send.

use crate::codec::properties::Properties;
use crate::codec::reader::Reader;
use crate::codec::{malformed, packet_type, violation};
use crate::error::ProtocolError;
use crate::options::Version;
use crate::reason;
use crate::topic::is_valid_topic_name;

/// A packet from the broker, borrowed from the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    ConnAck { session_present: bool, reason_code: u8, properties: Properties },
    Publish(Publish<'a>),
    PubAck { packet_id: u16, reason_code: u8 },
    SubAck { packet_id: u16, reason_codes: &'a [u8] },
    UnsubAck { packet_id: u16, reason_codes: &'a [u8] },
    PingResp,
    Disconnect { reason_code: u8 },
}

/// A PUBLISH of QoS 0, or of QoS 1 with its packet identifier.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) packet_id: Option<u16>,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
}

/// Decodes the packet with this first byte and body.
pub(crate) fn decode(version: Version, first: u8, body: &[u8]) -> Result<Packet<'_>, ProtocolError> {
    let reader = &mut Reader::new(body);
    let packet = match first >> 4 {
        packet_type::PUBLISH => return publish(version, first, reader).map(Packet::Publish),
        packet_type::AUTH if version == Version::V5 => {
            return Err(violation("AUTH without an authentication method in CONNECT (MQTT-4.12.0-6)"));
        }
        0 | packet_type::AUTH => return Err(malformed("a reserved packet type")),
        _ if first & 0x0f != 0 && is_from_broker(first >> 4) => {
            return Err(malformed("reserved flags of a fixed header are set (MQTT-2.1.3-1)"));
        }
        packet_type::CONNACK => connack(version, reader)?,
        packet_type::PUBACK => puback(version, reader)?,
        packet_type::SUBACK => suback(version, reader)?,
        packet_type::UNSUBACK => unsuback(version, reader)?,
        packet_type::PINGRESP => Packet::PingResp,
        packet_type::DISCONNECT if version.has_properties() => disconnect(reader)?,
        _ => return Err(violation("a packet a broker may not send to this client")),
    };
    if reader.is_empty() { Ok(packet) } else { Err(malformed("bytes behind the end of a packet")) }
}

fn is_from_broker(packet: u8) -> bool {
    matches!(
        packet,
        packet_type::CONNACK
            | packet_type::PUBACK
            | packet_type::SUBACK
            | packet_type::UNSUBACK
            | packet_type::PINGRESP
            | packet_type::DISCONNECT
    )
}

fn connack<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, ProtocolError> {
    let flags = reader.u8()?;
    if flags > 1 {
        return Err(malformed("reserved flags of CONNACK are set (MQTT-3.2.2-1)"));
    }
    let reason_code = reader.u8()?;
    // A broker that cannot speak version 5 refuses it in the form of 3.1.1, without properties.
    let properties =
        optional_properties(version, reader, packet_type::CONNACK, reason_code != reason::SUCCESS)?;
    Ok(Packet::ConnAck { session_present: flags == 1, reason_code, properties })
}

fn publish<'a>(version: Version, first: u8, reader: &mut Reader<'a>) -> Result<Publish<'a>, ProtocolError> {
    let mut publish = publish_beginning(first, reader)?;
    let properties = optional_properties(version, reader, packet_type::PUBLISH, false)?;
    if properties.topic_alias.is_some() {
        let cause = "a topic alias, although none is allowed (MQTT-3.1.2-27)";
        return Err(ProtocolError { reason_code: reason::TOPIC_ALIAS_INVALID, cause });
    }
    check_topic(publish.topic)?;
    publish.payload = reader.remainder();
    Ok(publish)
}

/// Decodes a PUBLISH of version 3.1.1 of which only the beginning was kept; its payload is the beginning, too.
pub(crate) fn decode_beginning(first: u8, body: &[u8]) -> Result<Publish<'_>, ProtocolError> {
    let mut reader = Reader::new(body);
    let mut publish = publish_beginning(first, &mut reader)?;
    check_topic(publish.topic)?;
    publish.payload = reader.remainder();
    Ok(publish)
}

/// The flags, topic and packet identifier.
fn publish_beginning<'a>(first: u8, reader: &mut Reader<'a>) -> Result<Publish<'a>, ProtocolError> {
    let dup = first & 0x08 != 0;
    let retain = first & 0x01 != 0;
    let has_packet_id = match (first >> 1) & 0x03 {
        0 if dup => return Err(malformed("DUP is set on a QoS 0 message (MQTT-3.3.1-2)")),
        0 => false,
        1 => true,
        2 => return Err(violation("a QoS 2 message, although none was subscribed to with QoS 2")),
        _ => return Err(malformed("both QoS bits are set (MQTT-3.3.1-4)")),
    };
    let topic = reader.text()?;
    let packet_id = if has_packet_id { Some(packet_id(reader)?) } else { None };
    Ok(Publish { packet_id, dup, retain, topic, payload: &[] })
}

fn check_topic(topic: &str) -> Result<(), ProtocolError> {
    if topic.is_empty() {
        return Err(violation("a message without a topic (MQTT-4.7.3-1)"));
    }
    if !is_valid_topic_name(topic.as_bytes()) {
        return Err(malformed("a topic name holds a wildcard (MQTT-3.3.2-2)"));
    }
    Ok(())
}

fn puback<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    let reason_code = optional_reason_code(version, reader)?;
    optional_properties(version, reader, packet_type::PUBACK, true)?;
    Ok(Packet::PubAck { packet_id, reason_code })
}

fn suback<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    optional_properties(version, reader, packet_type::SUBACK, false)?;
    Ok(Packet::SubAck { packet_id, reason_codes: reader.remainder() })
}

fn unsuback<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    optional_properties(version, reader, packet_type::UNSUBACK, false)?;
    let reason_codes = if version.has_properties() { reader.remainder() } else { &[] };
    Ok(Packet::UnsubAck { packet_id, reason_codes })
}

fn disconnect<'a>(reader: &mut Reader<'a>) -> Result<Packet<'a>, ProtocolError> {
    let reason_code = optional_reason_code(Version::V5, reader)?;
    optional_properties(Version::V5, reader, packet_type::DISCONNECT, true)?;
    Ok(Packet::Disconnect { reason_code })
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, ProtocolError> {
    match reader.u16()? {
        0 => Err(violation("packet identifier 0 (MQTT-2.2.1-4)")),
        packet_id => Ok(packet_id),
    }
}

/// A version 5 reason code, which PUBACK and DISCONNECT leave out for success (MQTT 5, 3.4.2.1 and 3.14.2.1).
fn optional_reason_code(version: Version, reader: &mut Reader<'_>) -> Result<u8, ProtocolError> {
    if version.has_properties() && !reader.is_empty() { reader.u8() } else { Ok(reason::SUCCESS) }
}

/// The properties of a version 5 packet; some packets may end before them.
fn optional_properties(
    version: Version,
    reader: &mut Reader<'_>,
    packet: u8,
    may_end: bool,
) -> Result<Properties, ProtocolError> {
    if !version.has_properties() || (may_end && reader.is_empty()) {
        return Ok(Properties::default());
    }
    Properties::read(reader, packet)
}
