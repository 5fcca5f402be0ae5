//! Reason codes this client itself uses (MQTT 5, 2.4); every other code is passed on as the broker sent it.

/// Success, granted QoS 0, or a normal disconnection.
pub const SUCCESS: u8 = 0x00;
/// Disconnect, and have the broker publish the will (MQTT 5 only).
pub const DISCONNECT_WITH_WILL: u8 = 0x04;
/// Unspecified error.
pub const UNSPECIFIED_ERROR: u8 = 0x80;
/// The bytes are not a packet.
pub const MALFORMED_PACKET: u8 = 0x81;
/// A well-formed packet that may not be sent here and now.
pub const PROTOCOL_ERROR: u8 = 0x82;
/// More unacknowledged QoS 1 messages than the announced Receive Maximum.
pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
/// A topic alias although none was allowed.
pub const TOPIC_ALIAS_INVALID: u8 = 0x94;
/// A packet larger than the announced Maximum Packet Size.
pub const PACKET_TOO_LARGE: u8 = 0x95;

/// The name MQTT 5 gives a reason code (2.4); `None` for a code it does not know.
pub const fn name(reason_code: u8) -> Option<&'static str> {
    Some(match reason_code {
        0x00 => "Success",
        0x01 => "Granted QoS 1",
        0x02 => "Granted QoS 2",
        0x04 => "Disconnect with Will Message",
        0x10 => "No matching subscribers",
        0x11 => "No subscription existed",
        0x18 => "Continue authentication",
        0x19 => "Re-authenticate",
        0x80 => "Unspecified error",
        0x81 => "Malformed Packet",
        0x82 => "Protocol Error",
        0x83 => "Implementation specific error",
        0x84 => "Unsupported Protocol Version",
        0x85 => "Client Identifier not valid",
        0x86 => "Bad User Name or Password",
        0x87 => "Not authorized",
        0x88 => "Server unavailable",
        0x89 => "Server busy",
        0x8a => "Banned",
        0x8b => "Server shutting down",
        0x8c => "Bad authentication method",
        0x8d => "Keep Alive timeout",
        0x8e => "Session taken over",
        0x8f => "Topic Filter invalid",
        0x90 => "Topic Name invalid",
        0x91 => "Packet Identifier in use",
        0x92 => "Packet Identifier not found",
        0x93 => "Receive Maximum exceeded",
        0x94 => "Topic Alias invalid",
        0x95 => "Packet too large",
        0x96 => "Message rate too high",
        0x97 => "Quota exceeded",
        0x98 => "Administrative action",
        0x99 => "Payload format invalid",
        0x9a => "Retain not supported",
        0x9b => "QoS not supported",
        0x9c => "Use another server",
        0x9d => "Server moved",
        0x9e => "Shared Subscriptions not supported",
        0x9f => "Connection rate exceeded",
        0xa0 => "Maximum connect time",
        0xa1 => "Subscription Identifiers not supported",
        0xa2 => "Wildcard Subscriptions not supported",
        _ => return None,
    })
}

/// The name MQTT 3.1.1 gives a return code of CONNACK (3.2.2.3); `None` for a code it does not know.
pub const fn return_code_name(return_code: u8) -> Option<&'static str> {
    Some(match return_code {
        0 => "Connection Accepted",
        1 => "unacceptable protocol version",
        2 => "identifier rejected",
        3 => "Server unavailable",
        4 => "bad user name or password",
        5 => "not authorized",
        _ => return None,
    })
}
