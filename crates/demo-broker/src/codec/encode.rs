//! Packets the broker sends.

use tokio::time::Instant;

use super::properties as property;
use super::{Connect, Message, Version, kind, reason};
use crate::{MAX_IN_FLIGHT, MAX_PACKET, MAX_TOPIC_ALIAS};

/// 3.1.1 return codes of a CONNACK that refuses (MQTT 3.1.1, 3.2.2.3).
pub(crate) const CONNECTION_REFUSED_VERSION: u8 = 1;
/// See [`CONNECTION_REFUSED_VERSION`].
pub(crate) const CONNECTION_REFUSED_IDENTIFIER: u8 = 2;

const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBACK: u8 = 0x90;
const UNSUBACK: u8 = 0xb0;
const DISCONNECT: u8 = 0xe0;

/// Accepts a client; version 5 is sent what this broker supports. `assigned` is the id made up for a client without
/// one.
pub(crate) fn connack(connect: &Connect, assigned: Option<&str>) -> Vec<u8> {
    // Never *session present*: no session outlives its connection.
    let mut body = vec![0, reason::SUCCESS];
    if connect.version == Version::V5 {
        let mut properties = Vec::new();
        if connect.has_session_expiry {
            // No session outlives its connection, whatever the client requested.
            properties.extend([property::SESSION_EXPIRY_INTERVAL, 0, 0, 0, 0]);
        }
        properties.push(property::RECEIVE_MAXIMUM);
        properties.extend(MAX_IN_FLIGHT.to_be_bytes());
        properties.push(property::MAXIMUM_PACKET_SIZE);
        properties.extend(MAX_PACKET.to_be_bytes());
        properties.push(property::TOPIC_ALIAS_MAXIMUM);
        properties.extend(MAX_TOPIC_ALIAS.to_be_bytes());
        properties.extend([property::SHARED_SUBSCRIPTION_AVAILABLE, 0]);
        if let Some(id) = assigned {
            properties.push(property::ASSIGNED_CLIENT_IDENTIFIER);
            text(&mut properties, id);
        }
        append_properties(&mut body, &properties);
    }
    packet(CONNACK, &body)
}

/// Refuses a client: a 3.1.1 return code or a version 5 reason code.
pub(crate) fn refusal(version: Version, code: u8) -> Vec<u8> {
    match version {
        Version::V3 => packet(CONNACK, &[0, code]),
        Version::V5 => packet(CONNACK, &[0, code, 0]),
    }
}

/// A message for a subscriber, `id` being that of QoS 1. `None`: it has expired (MQTT-3.3.2-5).
pub(crate) fn publish(version: Version, message: &Message, id: Option<u16>) -> Option<Vec<u8>> {
    let now = Instant::now();
    let left = message.expires.map(|expires| expires.saturating_duration_since(now));
    if left.is_some_and(|left| left.is_zero()) {
        return None;
    }
    let first = PUBLISH | u8::from(id.is_some()) << 1 | u8::from(message.retain);
    let mut body = Vec::with_capacity(message.topic.len() + message.payload.len() + 16);
    text(&mut body, &message.topic);
    body.extend(id.into_iter().flat_map(u16::to_be_bytes));
    if version == Version::V5 {
        let mut properties = Vec::new();
        if let Some(left) = left {
            // MQTT-3.3.2-6: without the time it waited here, in whole seconds.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            properties.push(property::MESSAGE_EXPIRY_INTERVAL);
            properties.extend((seconds as u32).to_be_bytes());
        }
        properties.extend_from_slice(&message.properties);
        for &identifier in &message.identifiers {
            properties.push(property::SUBSCRIPTION_IDENTIFIER);
            variable(&mut properties, identifier as usize);
        }
        append_properties(&mut body, &properties);
    }
    body.extend_from_slice(&message.payload);
    Some(packet(first, &body))
}

/// A PUBACK, PUBREC, PUBREL or PUBCOMP. 3.1.1 has no reason code.
pub(crate) fn acknowledgement(version: Version, kind: u8, id: u16, code: u8) -> Vec<u8> {
    let flags = if kind == kind::PUBREL { 0b0010 } else { 0 };
    let [high, low] = id.to_be_bytes();
    // Success is left out (MQTT 5, 3.4.2.1), so that version 5 clients have one byte less to read.
    let is_short = version == Version::V3 || code == reason::SUCCESS;
    let body = [high, low, code];
    packet(kind << 4 | flags, if is_short { &body[..2] } else { &body })
}

/// Answers a SUBSCRIBE with a reason code for each filter; 3.1.1 knows only 0x80 for a failure.
pub(crate) fn suback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(codes.iter().map(|&code| match version {
        Version::V3 => code.min(reason::UNSPECIFIED_ERROR),
        Version::V5 => code,
    }));
    packet(SUBACK, &body)
}

/// Answers an UNSUBSCRIBE; 3.1.1 has no reason codes.
pub(crate) fn unsuback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
        body.extend_from_slice(codes);
    }
    packet(UNSUBACK, &body)
}

/// Sends a version 5 client the reason why the connection ends; a 3.1.1 server has no such packet.
pub(crate) fn disconnect(code: u8) -> Vec<u8> {
    packet(DISCONNECT, &[code])
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    packet.push(first);
    variable(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

fn append_properties(body: &mut Vec<u8>, properties: &[u8]) {
    variable(body, properties.len());
    body.extend_from_slice(properties);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn variable(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
