//! Packets a client sends, appended to a buffer. The caller has checked every string and size.

use alloc::vec::Vec;

use crate::client::Filter;
use crate::codec::packet_type;
use crate::options::{ConnectOptions, Version, Will};
use crate::reason;

const SESSION_EXPIRY: u8 = 0x11;
const RECEIVE_MAXIMUM: u8 = 0x21;
const TOPIC_ALIAS: u8 = 0x23;
const MAXIMUM_PACKET_SIZE: u8 = 0x27;
/// Bytes of the topic alias property.
const TOPIC_ALIAS_SIZE: usize = 3;
/// A session that never expires: without clean start the broker keeps it across disconnections of any length (M33).
const NEVER: u32 = 0xffff_ffff;

/// How a PUBLISH names its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By the topic alone.
    Plain,
    /// By the topic, which defines this alias for it.
    Define(u16),
    /// By this alias alone.
    Refer(u16),
}

/// A message to publish: QoS 1 with a packet identifier, QoS 0 without.
#[derive(Clone, Copy)]
pub(crate) struct Outbound<'a> {
    pub(crate) topic: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) packet_id: Option<u16>,
    pub(crate) retain: bool,
    pub(crate) naming: Naming,
}

/// CONNECT (3.1).
pub(crate) fn connect(out: &mut Vec<u8>, options: &ConnectOptions) {
    let version = options.version;
    let mut body = Vec::new();
    put_binary(&mut body, b"MQTT");
    body.push(if version == Version::V5 { 5 } else { 4 });
    body.push(connect_flags(options));
    body.extend_from_slice(&options.keep_alive.to_be_bytes());
    put_properties(&mut body, version, &connect_properties(options));
    put_binary(&mut body, &options.client_id);
    if let Some(will) = &options.will {
        put_properties(&mut body, version, &[]);
        put_binary(&mut body, &will.topic);
        put_binary(&mut body, &will.payload);
    }
    for field in [&options.username, &options.password].into_iter().flatten() {
        put_binary(&mut body, field);
    }
    put_fixed_header(out, packet_type::CONNECT << 4, body.len());
    out.append(&mut body);
}

fn connect_flags(options: &ConnectOptions) -> u8 {
    let will = options.will.as_ref().map_or(0, will_flags);
    let name = u8::from(options.username.is_some()) << 7;
    let password = u8::from(options.password.is_some()) << 6;
    name | password | will | u8::from(options.clean_start) << 1
}

fn will_flags(will: &Will) -> u8 {
    u8::from(will.retain) << 5 | will.qos << 3 | 1 << 2
}

/// The properties that say more than their defaults.
fn connect_properties(options: &ConnectOptions) -> Vec<u8> {
    let mut properties = Vec::new();
    if !options.clean_start {
        properties.push(SESSION_EXPIRY);
        properties.extend_from_slice(&NEVER.to_be_bytes());
    }
    if options.receive_maximum != u16::MAX {
        properties.push(RECEIVE_MAXIMUM);
        properties.extend_from_slice(&options.receive_maximum.to_be_bytes());
    }
    properties.push(MAXIMUM_PACKET_SIZE);
    properties.extend_from_slice(&options.maximum_packet_size.to_be_bytes());
    properties
}

/// PUBLISH (3.3).
pub(crate) fn publish(out: &mut Vec<u8>, version: Version, message: &Outbound<'_>) {
    let length = publish_length(version, message);
    out.reserve(packet_size(length));
    put_fixed_header(out, packet_type::PUBLISH << 4 | publish_flags(message), length);
    put_binary(out, sent_topic(message));
    if let Some(packet_id) = message.packet_id {
        out.extend_from_slice(&packet_id.to_be_bytes());
    }
    match message.naming {
        Naming::Plain => put_properties(out, version, &[]),
        Naming::Define(alias) | Naming::Refer(alias) => {
            let [high, low] = alias.to_be_bytes();
            put_properties(out, version, &[TOPIC_ALIAS, high, low]);
        }
    }
    out.extend_from_slice(message.payload);
}

/// The size of the whole packet in bytes.
pub(crate) fn publish_size(version: Version, message: &Outbound<'_>) -> usize {
    packet_size(publish_length(version, message))
}

fn publish_flags(message: &Outbound<'_>) -> u8 {
    u8::from(message.packet_id.is_some()) << 1 | u8::from(message.retain)
}

fn sent_topic<'a>(message: &Outbound<'a>) -> &'a [u8] {
    if matches!(message.naming, Naming::Refer(_)) { &[] } else { message.topic }
}

/// The Remaining Length.
fn publish_length(version: Version, message: &Outbound<'_>) -> usize {
    let alias = if message.naming == Naming::Plain { 0 } else { TOPIC_ALIAS_SIZE };
    let packet_id = if message.packet_id.is_some() { 2 } else { 0 };
    2 + sent_topic(message).len() + packet_id + no_properties_length(version) + alias + message.payload.len()
}

/// PUBACK with success (3.4).
pub(crate) fn puback(out: &mut Vec<u8>, packet_id: u16) {
    acknowledgement(out, packet_type::PUBACK << 4, packet_id);
}

/// PUBREC with success (3.5).
pub(crate) fn pubrec(out: &mut Vec<u8>, packet_id: u16) {
    acknowledgement(out, packet_type::PUBREC << 4, packet_id);
}

/// PUBREL with success (3.6).
pub(crate) fn pubrel(out: &mut Vec<u8>, packet_id: u16) {
    acknowledgement(out, packet_type::PUBREL << 4 | 0x02, packet_id);
}

/// PUBCOMP with success (3.7).
pub(crate) fn pubcomp(out: &mut Vec<u8>, packet_id: u16) {
    acknowledgement(out, packet_type::PUBCOMP << 4, packet_id);
}

/// An acknowledgement in the short form, which both versions have for success.
fn acknowledgement(out: &mut Vec<u8>, first: u8, packet_id: u16) {
    put_fixed_header(out, first, 2);
    out.extend_from_slice(&packet_id.to_be_bytes());
}

/// SUBSCRIBE (3.8).
pub(crate) fn subscribe(out: &mut Vec<u8>, version: Version, packet_id: u16, filters: &[Filter<'_>]) {
    put_fixed_header(out, packet_type::SUBSCRIBE << 4 | 0x02, subscribe_length(version, filters));
    out.extend_from_slice(&packet_id.to_be_bytes());
    put_properties(out, version, &[]);
    for filter in filters {
        put_binary(out, filter.topic);
        out.push(subscription_options(version, filter));
    }
}

/// The size of the whole SUBSCRIBE in bytes.
pub(crate) fn subscribe_size(version: Version, filters: &[Filter<'_>]) -> usize {
    packet_size(subscribe_length(version, filters))
}

fn subscribe_length(version: Version, filters: &[Filter<'_>]) -> usize {
    let filters: usize = filters.iter().map(|filter| 2 + filter.topic.len() + 1).sum();
    2 + no_properties_length(version) + filters
}

/// Version 3.1.1 has the QoS only; its other bits are reserved and must be 0 (M71; MQTT 3.1.1, 3.8.3).
fn subscription_options(version: Version, filter: &Filter<'_>) -> u8 {
    if !version.has_properties() {
        return filter.qos;
    }
    let no_local = u8::from(filter.no_local) << 2;
    let retain_as_published = u8::from(filter.retain_as_published) << 3;
    filter.retain_handling << 4 | retain_as_published | no_local | filter.qos
}

/// UNSUBSCRIBE (3.10).
pub(crate) fn unsubscribe(out: &mut Vec<u8>, version: Version, packet_id: u16, topics: &[&[u8]]) {
    put_fixed_header(out, packet_type::UNSUBSCRIBE << 4 | 0x02, unsubscribe_length(version, topics));
    out.extend_from_slice(&packet_id.to_be_bytes());
    put_properties(out, version, &[]);
    for topic in topics {
        put_binary(out, topic);
    }
}

/// The size of the whole UNSUBSCRIBE in bytes.
pub(crate) fn unsubscribe_size(version: Version, topics: &[&[u8]]) -> usize {
    packet_size(unsubscribe_length(version, topics))
}

fn unsubscribe_length(version: Version, topics: &[&[u8]]) -> usize {
    let topics: usize = topics.iter().map(|topic| 2 + topic.len()).sum();
    2 + no_properties_length(version) + topics
}

/// PINGREQ (3.12).
pub(crate) fn pingreq(out: &mut Vec<u8>) {
    put_fixed_header(out, packet_type::PINGREQ << 4, 0);
}

/// DISCONNECT (3.14); version 3.1.1 has no reason code, and version 5 leaves out success.
pub(crate) fn disconnect(out: &mut Vec<u8>, version: Version, reason_code: u8) {
    if version.has_properties() && reason_code != reason::SUCCESS {
        put_fixed_header(out, packet_type::DISCONNECT << 4, 1);
        out.push(reason_code);
    } else {
        put_fixed_header(out, packet_type::DISCONNECT << 4, 0);
    }
}

fn put_fixed_header(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    put_variable(out, length);
}

/// A property length and the properties, on version 5 (MQTT-2.2.2-1).
fn put_properties(out: &mut Vec<u8>, version: Version, properties: &[u8]) {
    if version.has_properties() {
        put_variable(out, properties.len());
        out.extend_from_slice(properties);
    }
}

fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A variable byte integer in the fewest bytes (MQTT-1.5.5-1).
fn put_variable(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes of a property length of 0, on version 5.
fn no_properties_length(version: Version) -> usize {
    usize::from(version.has_properties())
}

/// Bytes of a packet with this Remaining Length.
fn packet_size(length: usize) -> usize {
    let length_size = match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    };
    1 + length_size + length
}
