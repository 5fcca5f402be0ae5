//! Reason codes this session itself uses (MQTT 5, 2.4); every other code is passed on as the broker sent it.

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
