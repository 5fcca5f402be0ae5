//! What a client connects with.

use alloc::vec::Vec;
use core::fmt;

use crate::limits::{DEFAULT_MAXIMUM_PACKET_SIZE, DEFAULT_RECEIVE_MAXIMUM, MAXIMUM_FIELD_LENGTH};
use crate::topic::{is_valid_text, is_valid_topic_name};

/// The protocol version spoken with the broker: the application's choice, because a broker may know only one (M35).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V3_1_1,
    /// MQTT 5, protocol version 5.
    V5,
}

/// The message the broker publishes when the connection ends without a DISCONNECT (M37, M38).
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// A valid topic name.
    pub topic: Vec<u8>,
    /// At most 65 535 bytes.
    pub payload: Vec<u8>,
    /// 0 or 1.
    pub qos: u8,
    /// Whether it becomes the topic's retained message.
    pub retain: bool,
}

/// The content of the CONNECT packet.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Protocol version.
    pub version: Version,
    /// UTF-8; the empty id is passed on, because whether it is allowed is up to the broker (D41, M31).
    pub client_id: Vec<u8>,
    /// UTF-8.
    pub username: Option<Vec<u8>>,
    /// At most 65 535 bytes; on 3.1.1 only together with a user name (MQTT-3.1.2-22 of 3.1.1).
    pub password: Option<Vec<u8>>,
    /// The will; none where the application gave a null pointer (M39).
    pub will: Option<Will>,
    /// Seconds; 0 turns the keepalive off. A version 5 broker may replace it.
    pub keep_alive: u16,
    /// Whether the broker discards the session at the end of the connection (M32); otherwise it stores it without a
    /// time limit, since the guides name none (M33), which version 5 requests with a Session Expiry Interval of
    /// 0xFFFF_FFFF.
    pub clean_start: bool,
    /// Unacknowledged QoS 1 messages the broker may have outstanding, 1 to 65 535; version 5 only.
    pub receive_maximum: u16,
    /// Largest packet accepted from the broker, in bytes, at least 2; version 5 announces it. A larger message is
    /// skipped, acknowledged, and reported as [`Event::MessageLost`](crate::Event::MessageLost), as long as its topic
    /// fits. Any other larger packet is a protocol error.
    pub maximum_packet_size: u32,
}

impl fmt::Debug for Will {
    /// A will is often set with a credential in it: only its lengths are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, payload, qos, retain } = self;
        let (topic, payload) = (topic.len(), payload.len());
        write!(
            f,
            "Will {{ topic: <{topic} bytes>, payload: <{payload} bytes>, qos: {qos}, retain: {retain} }}"
        )
    }
}

impl fmt::Debug for ConnectOptions {
    /// Shows neither user name nor password: some services take a token as the user name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("has_username", &self.username.is_some())
            .field("has_password", &self.password.is_some())
            .field("will", &self.will)
            .field("keep_alive", &self.keep_alive)
            .field("clean_start", &self.clean_start)
            .finish_non_exhaustive()
    }
}

impl ConnectOptions {
    /// The simplest options: a clean start, no credentials, no will, no keepalive, 64 unacknowledged messages and
    /// packets of up to 256 KiB.
    pub fn new(version: Version, client_id: &[u8]) -> Self {
        Self {
            version,
            client_id: client_id.to_vec(),
            username: None,
            password: None,
            will: None,
            keep_alive: 0,
            clean_start: true,
            receive_maximum: DEFAULT_RECEIVE_MAXIMUM,
            maximum_packet_size: DEFAULT_MAXIMUM_PACKET_SIZE,
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidOptions> {
        use InvalidOptions as Invalid;
        require(is_valid_text(&self.client_id), Invalid::ClientId)?;
        require(self.username.as_deref().is_none_or(is_valid_text), Invalid::Username)?;
        require(self.password_is_valid(), Invalid::Password)?;
        require(self.will.as_ref().is_none_or(Will::is_valid), Invalid::Will)?;
        require(self.receive_maximum > 0, Invalid::ReceiveMaximum)?;
        require(self.maximum_packet_size >= 2, Invalid::MaximumPacketSize)
    }

    fn password_is_valid(&self) -> bool {
        let Some(password) = &self.password else { return true };
        let needs_name = self.version == Version::V3_1_1;
        password.len() <= MAXIMUM_FIELD_LENGTH && (self.username.is_some() || !needs_name)
    }
}

/// Stands in debug output for bytes that must not appear there: only their number is shown.
pub(crate) struct Omitted(pub(crate) usize);

impl fmt::Debug for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

impl Will {
    fn is_valid(&self) -> bool {
        is_valid_topic_name(&self.topic) && self.payload.len() <= MAXIMUM_FIELD_LENGTH && self.qos <= 1
    }
}

fn require(is_met: bool, otherwise: InvalidOptions) -> Result<(), InvalidOptions> {
    if is_met { Ok(()) } else { Err(otherwise) }
}

/// Which of the options MQTT does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidOptions {
    /// The client id is not a valid string.
    ClientId,
    /// The user name is not a valid string.
    Username,
    /// The password is too long, or has no user name on 3.1.1.
    Password,
    /// The will's topic, payload length or QoS.
    Will,
    /// A Receive Maximum of 0.
    ReceiveMaximum,
    /// A Maximum Packet Size no packet fits.
    MaximumPacketSize,
    /// Limits under which the client could never make progress.
    Limits,
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientId => "the client id is not a valid string",
            Self::Username => "the user name is not a valid string",
            Self::Password => "the password is too long or lacks a user name",
            Self::Will => "the will has an invalid topic, payload or QoS",
            Self::ReceiveMaximum => "the receive maximum is zero",
            Self::MaximumPacketSize => "the maximum packet size is too small for any packet",
            Self::Limits => "the limits are unusable",
        })
    }
}

impl core::error::Error for InvalidOptions {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D137.
    #[test]
    fn debug_output_contains_no_credentials() {
        let mut options = ConnectOptions::new(Version::V5, b"id");
        options.username = Some(b"token".to_vec());
        options.password = Some(b"secret".to_vec());
        options.will =
            Some(Will { topic: b"token".to_vec(), payload: b"secret".to_vec(), qos: 1, retain: false });
        let shown = alloc::format!("{options:?}");
        assert!(shown.contains("has_password: true") && shown.contains("<6 bytes>"), "{shown}");
        for hidden in ["token", "secret"] {
            assert!(!shown.contains(&alloc::format!("{:?}", hidden.as_bytes())), "{shown}");
        }
    }
}
