//! Packets as bytes, both versions: what a client sends is encoded, what a broker sends is decoded.

mod decode;
mod encode;
mod framer;
mod properties;
mod reader;
#[cfg(test)]
mod tests;

pub(crate) use decode::{Packet, Publish, decode};
pub(crate) use encode::{
    Naming, Outbound, connect, disconnect, pingreq, puback, pubcomp, publish, publish_size, pubrec, pubrel,
    subscribe, subscribe_size, unsubscribe, unsubscribe_size,
};
pub(crate) use framer::{Frame, Framer};
pub(crate) use properties::Properties;

use crate::error::ProtocolError;
use crate::options::Version;
use crate::reason;

/// Packet types (MQTT 5, 2.1.2), the high half of a packet's first byte.
pub(crate) mod packet_type {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const CONNACK: u8 = 2;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREC: u8 = 5;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const PUBCOMP: u8 = 7;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const SUBACK: u8 = 9;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const UNSUBACK: u8 = 11;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const PINGRESP: u8 = 13;
    pub(crate) const DISCONNECT: u8 = 14;
    pub(crate) const AUTH: u8 = 15;
}

impl Version {
    /// Whether packets carry properties and reason codes.
    pub(crate) fn has_properties(self) -> bool {
        self == Self::V5
    }
}

/// Bytes that are not a packet (MQTT 5, 4.13.1).
pub(crate) fn malformed(cause: &'static str) -> ProtocolError {
    ProtocolError { reason_code: reason::MALFORMED_PACKET, cause }
}

/// A packet that may not be sent.
pub(crate) fn violation(cause: &'static str) -> ProtocolError {
    ProtocolError { reason_code: reason::PROTOCOL_ERROR, cause }
}
