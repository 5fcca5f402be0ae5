//! Packets a client sends (MQTT 5 and 3.1.1, chapter 3).

use std::time::Duration;

use tokio::time::Instant;

use super::properties::{self, Place, Properties};
use super::reader::Reader;
use super::{
    Connect, Incoming, Message, Packet, ProtocolError, Publish, Subscription, Version, kind, reason, require,
};
use crate::filter;
use crate::hub::RetainHandling;
use crate::requirements::Login;

const PROTOCOL_NAME: &str = "MQTT";
const LEVEL_3_1_1: u8 = 4;
const LEVEL_5: u8 = 5;

/// Connect flags (MQTT 5, 3.1.2.3).
const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// A CONNECT that is not accepted, and how to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConnectError {
    pub fault: ProtocolError,
    /// In which version's terms a CONNACK can say so; `None` if no answer is due.
    pub answer: Option<Version>,
}

/// Reads the first packet.
pub(crate) fn connect(packet: &Packet) -> Result<Connect, ConnectError> {
    let mut reader = Reader::new(&packet.body);
    let version = version(&mut reader)?;
    // 3.1.1 has no code for a CONNECT that breaks the format: the connection is closed without an answer.
    let answer = (version == Version::V5).then_some(version);
    connect_fields(version, &mut reader).map_err(|fault| ConnectError { fault, answer })
}

fn version(reader: &mut Reader<'_>) -> Result<Version, ConnectError> {
    let unanswered = |fault| ConnectError { fault, answer: None };
    let name = reader.text().map_err(unanswered)?;
    // Without a version there are no terms in which to answer.
    let level = reader.u8().map_err(unanswered)?;
    let unsupported =
        ProtocolError { code: reason::UNSUPPORTED_PROTOCOL_VERSION, why: "a version other than 3.1.1 and 5" };
    match (name, level) {
        (PROTOCOL_NAME, LEVEL_3_1_1) => Ok(Version::V3),
        (PROTOCOL_NAME, LEVEL_5) => Ok(Version::V5),
        // MQTT-3.1.2-2: later versions are answered in their terms, earlier ones in 3.1.1's.
        (PROTOCOL_NAME, level) if level > LEVEL_5 => {
            Err(ConnectError { fault: unsupported, answer: Some(Version::V5) })
        }
        (PROTOCOL_NAME | "MQIsdp", _) => Err(ConnectError { fault: unsupported, answer: Some(Version::V3) }),
        _ => Err(unanswered(ProtocolError { why: "a protocol other than MQTT", ..unsupported })),
    }
}

fn connect_fields(version: Version, reader: &mut Reader<'_>) -> Result<Connect, ProtocolError> {
    let flags = reader.u8()?;
    check_connect_flags(version, flags)?;
    let keep_alive = reader.u16()?;
    let properties = read_properties(version, reader, Place::Connect)?;
    // Not offered; the code says so, where any other would make the client try again.
    if properties.has_authentication_method {
        let why = "enhanced authentication";
        return Err(ProtocolError { code: reason::BAD_AUTHENTICATION_METHOD, why });
    }
    // In the order of MQTT 5, 3.1.3. User name and password are read for their rules only: every client is let in.
    let client = reader.text()?.to_owned();
    let will = if flags & WILL == 0 { None } else { Some(will(version, flags, reader)?) };
    let mut login = Login::default();
    if flags & USER_NAME != 0 {
        reader.text()?.clone_into(&mut login.user_name);
    }
    if flags & PASSWORD != 0 {
        login.password = reader.binary()?.to_vec();
    }
    reader.end()?;
    Ok(Connect {
        version,
        client,
        clean: flags & CLEAN_START != 0,
        keep_alive,
        will,
        login: (flags & (USER_NAME | PASSWORD) != 0).then_some(login),
        receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX),
        maximum_packet_size: properties.maximum_packet_size.unwrap_or(u32::MAX),
        has_session_expiry: properties.session_expiry.is_some_and(|seconds| seconds > 0),
    })
}

/// MQTT-3.1.2-3, MQTT-3.1.2-11 to -15; of 3.1.1 also MQTT-3.1.2-22.
fn check_connect_flags(version: Version, flags: u8) -> Result<(), ProtocolError> {
    require(flags & RESERVED == 0, ProtocolError::malformed("the reserved connect flag"))?;
    let has_will = flags & WILL != 0;
    let will_qos = will_qos(flags);
    require(will_qos <= 2, ProtocolError::malformed("will QoS 3"))?;
    let has_will_flags = will_qos > 0 || flags & WILL_RETAIN != 0;
    require(has_will || !has_will_flags, ProtocolError::malformed("will flags without a will"))?;
    // 3.1.1 forbids it, version 5 allows it (MQTT 5, 3.1.2.9).
    let has_lone_password = flags & PASSWORD != 0 && flags & USER_NAME == 0;
    require(
        version == Version::V5 || !has_lone_password,
        ProtocolError::malformed("a password without a user name"),
    )
}

fn will_qos(flags: u8) -> u8 {
    flags >> 3 & 3
}

fn will(version: Version, flags: u8, reader: &mut Reader<'_>) -> Result<Message, ProtocolError> {
    let properties = read_properties(version, reader, Place::Will)?;
    let topic = topic_name(reader)?;
    let payload = reader.binary()?.to_vec();
    let retain = flags & WILL_RETAIN != 0;
    Ok(message(topic, payload, will_qos(flags), retain, properties))
}

/// The properties of a version 5 packet; 3.1.1 has none.
fn read_properties(
    version: Version,
    reader: &mut Reader<'_>,
    place: Place,
) -> Result<Properties, ProtocolError> {
    match version {
        Version::V3 => Ok(Properties::default()),
        Version::V5 => properties::read(reader, place),
    }
}

fn topic_name(reader: &mut Reader<'_>) -> Result<String, ProtocolError> {
    let topic = reader.text()?;
    let invalid = ProtocolError {
        code: reason::TOPIC_NAME_INVALID,
        why: "a topic name that is empty or holds a wildcard",
    };
    require(filter::is_topic(topic), invalid)?;
    Ok(topic.to_owned())
}

fn message(topic: String, payload: Vec<u8>, qos: u8, retain: bool, properties: Properties) -> Message {
    Message {
        topic,
        payload,
        qos: qos.min(1),
        retain,
        properties: properties.passed_on,
        expires: properties.message_expiry.and_then(expiry),
        identifiers: Vec::new(),
    }
}

/// The moment `seconds` from now; `None` if no clock reaches it.
fn expiry(seconds: u32) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(seconds.into()))
}

/// Reads any packet after CONNECT.
pub(crate) fn packet(version: Version, packet: &Packet) -> Result<Incoming, ProtocolError> {
    let mut reader = Reader::new(&packet.body);
    let incoming = match packet.kind() {
        kind::PUBLISH => publish(version, packet.first, &mut reader)?,
        kind::PUBACK..=kind::PUBCOMP => acknowledgement(version, packet.kind(), &mut reader)?,
        kind::SUBSCRIBE => subscribe(version, &mut reader)?,
        kind::UNSUBSCRIBE => unsubscribe(version, &mut reader)?,
        kind::PINGREQ => Incoming::Pingreq,
        kind::DISCONNECT => disconnect(version, &mut reader)?,
        // AUTH is for connections with an authentication method, which are refused.
        _ => return Err(ProtocolError::protocol("a packet type that clients do not send here")),
    };
    reader.end()?;
    Ok(incoming)
}

fn publish(version: Version, first: u8, reader: &mut Reader<'_>) -> Result<Incoming, ProtocolError> {
    let (dup, qos, retain) = (first & 8 != 0, first >> 1 & 3, first & 1 != 0);
    require(qos <= 2, ProtocolError::malformed("QoS 3"))?; // MQTT-3.3.1-4
    require(qos > 0 || !dup, ProtocolError::malformed("DUP on QoS 0"))?; // MQTT-3.3.1-2
    // A copy at the topic's beginning: whether it may be empty is known only after the properties.
    let mut named = *reader;
    let topic = reader.text()?.to_owned();
    let id = if qos > 0 { reader.packet_id()? } else { 0 };
    let properties = read_properties(version, reader, Place::Publish)?;
    let topic_alias = properties.topic_alias;
    if !topic.is_empty() || topic_alias.is_none() {
        topic_name(&mut named)?;
    }
    let payload = reader.remainder().to_vec();
    Ok(Incoming::Publish(Publish {
        message: message(topic, payload, qos, retain, properties),
        qos,
        id,
        topic_alias,
    }))
}

/// Version 5 leaves out the reason code where it is *success*, and the properties where there are none.
fn acknowledgement(version: Version, kind: u8, reader: &mut Reader<'_>) -> Result<Incoming, ProtocolError> {
    let id = reader.packet_id()?;
    let has_code = version == Version::V5 && !reader.is_empty();
    let code = if has_code { reader.u8()? } else { reason::SUCCESS };
    if has_code && !reader.is_empty() {
        properties::read(reader, Place::Acknowledgement)?;
    }
    // The errors belong to the first answer to a message, "not found" to the second (MQTT 5, 3.4.2.1 to 3.7.2.1).
    let is_first = kind == kind::PUBACK || kind == kind::PUBREC;
    let is_known = match code {
        reason::SUCCESS => true,
        0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99 => is_first,
        reason::PACKET_IDENTIFIER_NOT_FOUND => !is_first,
        _ => false,
    };
    require(is_known, ProtocolError::protocol("a reason code that this packet does not have"))?;
    Ok(match kind {
        kind::PUBACK => Incoming::Puback { id },
        kind::PUBREC => Incoming::Pubrec { id, code },
        kind::PUBREL => Incoming::Pubrel { id },
        _ => Incoming::Pubcomp { id },
    })
}

fn subscribe(version: Version, reader: &mut Reader<'_>) -> Result<Incoming, ProtocolError> {
    let id = reader.packet_id()?;
    let properties = read_properties(version, reader, Place::Subscribe)?;
    let mut wanted = Vec::new();
    // At least one: a SUBSCRIBE without a filter is a violation (MQTT-3.8.3-2).
    while wanted.is_empty() || !reader.is_empty() {
        let filter = topic_filter(reader)?;
        wanted.push(subscription(version, filter, reader.u8()?, properties.subscription_identifier)?);
    }
    Ok(Incoming::Subscribe { id, wanted })
}

/// Not empty (MQTT-4.7.3-1), with wildcards where they may stand (MQTT-4.7.1-1, MQTT-4.7.1-2). One that is not is a
/// violation, not a filter to be answered with a reason code (MQTT-4.8.0-1 of 3.1.1).
fn topic_filter(reader: &mut Reader<'_>) -> Result<String, ProtocolError> {
    let filter = reader.text()?;
    require(
        filter::is_valid(filter),
        ProtocolError::malformed("a topic filter that is empty or misplaces a wildcard"),
    )?;
    Ok(filter.to_owned())
}

/// Reads the options of a subscription (MQTT 5, 3.8.3.1); 3.1.1 has the QoS alone.
fn subscription(
    version: Version,
    filter: String,
    options: u8,
    identifier: Option<u32>,
) -> Result<Subscription, ProtocolError> {
    let reserved = if version == Version::V3 { 0xfc } else { 0xc0 };
    require(options & reserved == 0, ProtocolError::malformed("reserved subscription options"))?;
    let qos = options & 3;
    require(qos <= 2, ProtocolError::malformed("a subscription with QoS 3"))?;
    let no_local = options & 4 != 0;
    let is_shared = filter.starts_with(filter::SHARED);
    require(!(no_local && is_shared), ProtocolError::protocol("a shared subscription with No Local"))?; // MQTT-3.8.3-4
    let retain_handling = match options >> 4 & 3 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(ProtocolError::malformed("retain handling 3")),
    };
    let retain_as_published = options & 8 != 0;
    Ok(Subscription { filter, qos: qos.min(1), no_local, retain_as_published, retain_handling, identifier })
}

fn unsubscribe(version: Version, reader: &mut Reader<'_>) -> Result<Incoming, ProtocolError> {
    let id = reader.packet_id()?;
    read_properties(version, reader, Place::Unsubscribe)?;
    let mut filters = Vec::new();
    while filters.is_empty() || !reader.is_empty() {
        filters.push(topic_filter(reader)?);
    }
    Ok(Incoming::Unsubscribe { id, filters })
}

fn disconnect(version: Version, reader: &mut Reader<'_>) -> Result<Incoming, ProtocolError> {
    let has_code = version == Version::V5 && !reader.is_empty();
    let code = if has_code { reader.u8()? } else { reason::SUCCESS };
    let mut sets_session_expiry = false;
    if has_code && !reader.is_empty() {
        let properties = properties::read(reader, Place::Disconnect)?;
        sets_session_expiry = properties.session_expiry.is_some_and(|seconds| seconds > 0);
    }
    // Those of MQTT 5, 3.14.2.1 that a client may send.
    let is_known = matches!(code, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99);
    require(is_known, ProtocolError::protocol("a reason code that a client's DISCONNECT does not have"))?;
    Ok(Incoming::Disconnect { code, sets_session_expiry })
}
