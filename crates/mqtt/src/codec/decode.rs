//! Packets a broker sends.

use crate::codec::properties::Properties;
use crate::codec::reader::Reader;
use crate::codec::{malformed, packet_type, violation};
use crate::deviation::{Deviation, Deviations};
use crate::error::ProtocolError;
use crate::options::Version;
use crate::reason;
use crate::topic::has_wildcard;

/// A packet from the broker, borrowed from the bytes received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    ConnAck {
        session_present: bool,
        reason_code: u8,
        properties: Properties,
    },
    Publish(Publish<'a>),
    PubAck {
        packet_id: u16,
        reason_code: u8,
    },
    PubRec {
        packet_id: u16,
        reason_code: u8,
    },
    PubRel {
        packet_id: u16,
    },
    SubAck {
        packet_id: u16,
        reason_codes: &'a [u8],
    },
    UnsubAck {
        packet_id: u16,
        reason_codes: &'a [u8],
    },
    PingResp,
    Disconnect {
        reason_code: u8,
    },
    /// One that has no effect.
    Ignored,
}

/// A PUBLISH of QoS 0, or of QoS 1 or 2 with its packet identifier.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Publish<'a> {
    pub(crate) packet_id: Option<u16>,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    /// Empty only with a topic alias.
    pub(crate) topic: &'a str,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) payload: &'a [u8],
}

/// Decodes the packet with this first byte and body.
pub(crate) fn decode<'a>(
    version: Version,
    first: u8,
    body: &'a [u8],
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    let reader = &mut Reader::new(body);
    let packet_type = first >> 4;
    // Apart from the others, because the low half of its first byte is not reserved and its payload takes all the rest.
    if packet_type == packet_type::PUBLISH {
        return publish(version, first, reader, deviations).map(Packet::Publish);
    }
    let packet = match packet_type {
        packet_type::CONNACK => connack(version, reader, deviations)?,
        packet_type::SUBACK => suback(version, reader, deviations)?,
        packet_type::UNSUBACK => unsuback(version, reader, deviations)?,
        packet_type::PINGRESP => Packet::PingResp,
        packet_type::DISCONNECT => disconnect(version, reader, deviations)?,
        packet_type::PUBACK | packet_type::PUBREC | packet_type::PUBREL | packet_type::PUBCOMP => {
            acknowledgement(version, packet_type, reader, deviations)?
        }
        packet_type::PINGREQ => {
            deviations.note(Deviation::UnexpectedPacket);
            Packet::Ignored
        }
        packet_type::AUTH if version == Version::V5 => {
            return Err(violation("AUTH without an authentication method in CONNECT (MQTT-4.12.0-6)"));
        }
        0 | packet_type::AUTH => return Err(malformed("a reserved packet type")),
        _ => return Err(violation("a packet a broker may not send to this client")),
    };
    // Both are tolerated, since the packet means the same without them (D192).
    if first & 0x0f != required_flags(packet_type) {
        deviations.note(Deviation::ReservedFlags);
    }
    if !reader.is_empty() {
        deviations.note(Deviation::TrailingBytes);
    }
    Ok(packet)
}

/// The low half of the first byte of any packet but PUBLISH (MQTT 5, 2.1.3).
fn required_flags(packet_type: u8) -> u8 {
    if packet_type == packet_type::PUBREL { 0x02 } else { 0 }
}

fn connack<'a>(
    version: Version,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    let flags = reader.u8()?;
    if flags > 1 {
        deviations.note(Deviation::ReservedFlags);
    }
    let reason_code = reader.u8()?;
    // A broker that cannot speak version 5 refuses it in the form of 3.1.1, without properties.
    if version.has_properties() && reader.is_empty() && reason_code == reason::SUCCESS {
        return Err(malformed("CONNACK of version 5 in the form of 3.1.1, without properties"));
    }
    let properties = optional_properties(version, reader, packet_type::CONNACK, deviations)?;
    Ok(Packet::ConnAck { session_present: flags & 1 != 0, reason_code, properties })
}

fn publish<'a>(
    version: Version,
    first: u8,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Publish<'a>, ProtocolError> {
    let mut publish = publish_beginning(first, reader, deviations)?;
    if version.has_properties() {
        publish.topic_alias = Properties::read(reader, packet_type::PUBLISH, deviations)?.topic_alias;
    }
    check_topic(&publish, deviations)?;
    publish.payload = reader.remainder();
    Ok(publish)
}

/// The flags, topic and packet identifier.
fn publish_beginning<'a>(
    first: u8,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Publish<'a>, ProtocolError> {
    let (qos, retain) = ((first >> 1) & 0x03, first & 0x01 != 0);
    let mut dup = first & 0x08 != 0;
    if qos == 3 {
        return Err(malformed("both QoS bits are set (MQTT-3.3.1-4)"));
    }
    if qos == 0 && dup {
        deviations.note(Deviation::DupOnQos0);
        // Without an identifier there is nothing it could be a repetition of.
        dup = false;
    }
    if qos == 2 {
        deviations.note(Deviation::Qos2Message);
    }
    let topic = reader.text()?;
    // QoS 0 has no identifier, because nothing acknowledges it.
    let packet_id = if qos > 0 { Some(packet_id(reader)?) } else { None };
    Ok(Publish { packet_id, qos, dup, retain, topic, topic_alias: None, payload: &[] })
}

fn check_topic(publish: &Publish<'_>, deviations: &mut Deviations) -> Result<(), ProtocolError> {
    if publish.topic.is_empty() && publish.topic_alias.is_none() {
        return Err(violation("a message without a topic (MQTT-4.7.3-1)"));
    }
    if has_wildcard(publish.topic.as_bytes()) {
        deviations.note(Deviation::WildcardInTopic);
    }
    Ok(())
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP have the same form (MQTT 5, 3.4 to 3.7).
fn acknowledgement<'a>(
    version: Version,
    packet_type: u8,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    let reason_code = optional_reason_code(version, reader)?;
    optional_properties(version, reader, packet_type, deviations)?;
    Ok(match packet_type {
        packet_type::PUBACK => Packet::PubAck { packet_id, reason_code },
        packet_type::PUBREC => Packet::PubRec { packet_id, reason_code },
        packet_type::PUBREL => Packet::PubRel { packet_id },
        // PUBCOMP: the PUBREL it answers was sent for an earlier client's exchange, of which nothing is stored.
        _ => Packet::Ignored,
    })
}

fn suback<'a>(
    version: Version,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    if version.has_properties() {
        Properties::read(reader, packet_type::SUBACK, deviations)?;
    }
    Ok(Packet::SubAck { packet_id, reason_codes: reader.remainder() })
}

fn unsuback<'a>(
    version: Version,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    let packet_id = packet_id(reader)?;
    optional_properties(version, reader, packet_type::UNSUBACK, deviations)?;
    // What a 3.1.1 broker appends is left to be counted as trailing bytes.
    let reason_codes = if version.has_properties() { reader.remainder() } else { &[] };
    Ok(Packet::UnsubAck { packet_id, reason_codes })
}

/// On 3.1.1 only the client may send one; from a broker it means what it means on version 5.
fn disconnect<'a>(
    version: Version,
    reader: &mut Reader<'a>,
    deviations: &mut Deviations,
) -> Result<Packet<'a>, ProtocolError> {
    if !version.has_properties() {
        deviations.note(Deviation::UnexpectedPacket);
        return Ok(Packet::Disconnect { reason_code: reason::SUCCESS });
    }
    let reason_code = optional_reason_code(version, reader)?;
    optional_properties(version, reader, packet_type::DISCONNECT, deviations)?;
    Ok(Packet::Disconnect { reason_code })
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, ProtocolError> {
    match reader.u16()? {
        0 => Err(violation("packet identifier 0 (MQTT-2.2.1-4)")),
        packet_id => Ok(packet_id),
    }
}

/// A version 5 reason code, which acknowledgements and DISCONNECT leave out for success (MQTT 5, 3.4.2.1 and 3.14.2.1).
fn optional_reason_code(version: Version, reader: &mut Reader<'_>) -> Result<u8, ProtocolError> {
    if version.has_properties() && !reader.is_empty() { reader.u8() } else { Ok(reason::SUCCESS) }
}

/// The properties of a version 5 packet that may end before them.
fn optional_properties(
    version: Version,
    reader: &mut Reader<'_>,
    packet: u8,
    deviations: &mut Deviations,
) -> Result<Properties, ProtocolError> {
    if !version.has_properties() || reader.is_empty() {
        return Ok(Properties::default());
    }
    Properties::read(reader, packet, deviations)
}
