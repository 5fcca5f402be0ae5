//! What the broker supports, as it said in its CONNACK (MQTT 5, 3.2.2.3). On 3.1.1 the defaults apply.

use crate::codec::Properties;

/// The broker's limits on what it accepts.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: usize,
    pub(crate) maximum_qos: u8,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) retain: bool,
    pub(crate) wildcard_subscriptions: bool,
    pub(crate) shared_subscriptions: bool,
}

impl From<&Properties> for Broker {
    fn from(properties: &Properties) -> Self {
        Self {
            receive_maximum: properties.receive_maximum.unwrap_or(u16::MAX),
            maximum_packet_size: properties.maximum_packet_size.map_or(usize::MAX, |size| size as usize),
            maximum_qos: properties.maximum_qos.unwrap_or(2),
            topic_alias_maximum: properties.topic_alias_maximum.unwrap_or(0),
            retain: properties.retain_available.unwrap_or(true),
            wildcard_subscriptions: properties.wildcard_subscriptions.unwrap_or(true),
            shared_subscriptions: properties.shared_subscriptions.unwrap_or(true),
        }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self::from(&Properties::default())
    }
}
