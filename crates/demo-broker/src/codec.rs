//! MQTT 3.1.1 and 5 packets as a server reads and writes them: bytes to meaning and back, without I/O.
//!
//! Every rule of the standard about what a client may send is checked here, so that the rest of the broker handles
//! valid packets only (D200). The two versions share the code: version 5 adds properties and reason codes.

mod decode;
mod encode;
mod framer;
mod properties;
mod reader;
#[cfg(test)]
mod tests;

pub(super) use decode::{ConnectError, connect, packet};
pub(super) use encode::{
    CONNECTION_REFUSED_IDENTIFIER, CONNECTION_REFUSED_VERSION, acknowledgement, connack, disconnect, publish,
    refusal, suback, unsuback,
};
pub(super) use framer::{Framer, Packet};

use super::hub::{Message, Subscription};
use super::requirements::Login;

/// MQTT 5 reason codes used here (MQTT 5, 2.4). 3.1.1 shares those below 0x80 and 0x80 itself.
pub(super) mod reason {
    pub(crate) const SUCCESS: u8 = 0x00;
    pub(crate) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
    pub(crate) const UNSPECIFIED_ERROR: u8 = 0x80;
    pub(crate) const MALFORMED_PACKET: u8 = 0x81;
    pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
    pub(crate) const UNSUPPORTED_PROTOCOL_VERSION: u8 = 0x84;
    pub(crate) const BAD_AUTHENTICATION_METHOD: u8 = 0x8c;
    pub(crate) const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;
    pub(crate) const SESSION_TAKEN_OVER: u8 = 0x8e;
    pub(crate) const TOPIC_NAME_INVALID: u8 = 0x90;
    pub(crate) const PACKET_IDENTIFIER_NOT_FOUND: u8 = 0x92;
    pub(crate) const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
    pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
    pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
    pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
    pub(crate) const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: u8 = 0x9e;
}

/// Packet types: the upper four bits of the first byte (MQTT 5, 2.1.2).
pub(super) mod kind {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREC: u8 = 5;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const PUBCOMP: u8 = 7;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const DISCONNECT: u8 = 14;
    pub(crate) const AUTH: u8 = 15;
}

/// A rule of MQTT that a client broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProtocolError {
    /// The MQTT 5 reason code.
    pub code: u8,
    /// What was wrong.
    pub why: &'static str,
}

impl ProtocolError {
    /// The bytes cannot be read as a packet (MQTT 5, 1.2).
    pub(crate) const fn malformed(why: &'static str) -> Self {
        Self { code: reason::MALFORMED_PACKET, why }
    }

    /// The packet can be read and says something that is not allowed.
    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self { code: reason::PROTOCOL_ERROR, why }
    }
}

/// Refuses unless a rule holds.
fn require(holds: bool, otherwise: ProtocolError) -> Result<(), ProtocolError> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The two versions of MQTT spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V3,
    V5,
}

impl Version {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.1.1",
            Self::V5 => "5",
        }
    }
}

/// A CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connect {
    pub version: Version,
    pub client: String,
    pub clean: bool,
    /// In seconds; 0 is none.
    pub keep_alive: u16,
    pub will: Option<Message>,
    /// User name and password, if it has either.
    pub login: Option<Login>,
    /// Unacknowledged QoS 1 messages the client takes at a time.
    pub receive_maximum: u16,
    /// Largest packet the client takes, in bytes.
    pub maximum_packet_size: u32,
    /// Whether it asked for a session that outlives the connection.
    pub has_session_expiry: bool,
}

/// A PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish {
    /// The topic is empty where the alias alone names it.
    pub message: Message,
    /// As sent: 0 to 2; `message.qos` is what is passed on, 0 or 1.
    pub qos: u8,
    /// Of QoS 1 and 2; otherwise 0.
    pub id: u16,
    pub topic_alias: Option<u16>,
}

/// What a client sent after its CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Publish(Publish),
    Puback { id: u16 },
    Pubrec { id: u16, code: u8 },
    Pubrel { id: u16 },
    Pubcomp { id: u16 },
    Subscribe { id: u16, wanted: Vec<Subscription> },
    Unsubscribe { id: u16, filters: Vec<String> },
    Pingreq,
    Disconnect { code: u8, sets_session_expiry: bool },
}
