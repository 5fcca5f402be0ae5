//! What a relay has done, as plain numbers, for metrics over many relays.

use link::channel::ChannelType;
use link::mqtt::{Published, RequestState};
use mqtt::Deviation;

/// Since the last [`crate::DeviceRelay::take_counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Channels opened, by type, in the order of [`Counts::TYPES`].
    pub opened: [u32; 4],
    /// Channels that have ended, in the same order.
    pub closed: [u32; 4],
    /// Responses to publishes, by QoS (0, 1) and result, in the order of [`Counts::PUBLISH_RESULTS`].
    pub publishes: [[u32; 5]; 2],
    /// Messages queued for the application, by QoS (0, 1).
    pub delivered: [u32; 2],
    /// Messages larger than the application's receive buffer, the only ones that are dropped because waiting would not
    /// help (D49).
    pub lost: u32,
    /// Connects that brokers accepted. Those that failed are reported one by one ([`crate::Notice::ConnectFailed`]).
    pub connected: u32,
    /// Connects that were delayed because earlier ones failed (D197).
    pub delayed: u32,
    /// Departures of brokers from MQTT that were tolerated (D192), in the order of [`Deviation::ALL`].
    pub deviations: [u32; Deviation::ALL.len()],
    /// Channels ended because a broker flooded them, which their applications could not have caught up with (D51).
    pub flooded: u32,
    /// Times a broker was read more slowly because what it sent had no effect (D180).
    pub slowed: u32,
}

impl Counts {
    /// Types of channels.
    pub const TYPES: [&'static str; 4] = ["opaque", "http", "config", "mqtt"];
    /// The results of a publish: accepted; refused by the broker; not sent because it is not allowed; without a broker
    /// connection, or with one that ended; ended with a flooded channel.
    pub const PUBLISH_RESULTS: [&'static str; 5] =
        ["completed", "refused", "invalid", "not_connected", "circuit_breaker"];

    /// The word for a type of channels.
    pub const fn type_label(channel_type: ChannelType) -> &'static str {
        Self::TYPES[index_of(channel_type)]
    }

    /// What the device requested: channels and publishes.
    pub fn requests(&self) -> u32 {
        self.opened.iter().chain(self.publishes.iter().flatten()).sum()
    }

    pub(crate) fn note_opened(&mut self, channel_type: ChannelType) {
        self.opened[index_of(channel_type)] += 1;
    }

    pub(crate) fn note_closed(&mut self, channel_type: ChannelType) {
        self.closed[index_of(channel_type)] += 1;
    }

    pub(crate) fn note_published(&mut self, qos1: bool, answer: Published) {
        let result = match (answer.state, answer.reason) {
            (RequestState::Completed, _) => 0,
            (RequestState::InvalidParameters, 0x80..) => 1,
            (RequestState::NotConnected, _) => 3,
            (RequestState::CircuitBreaker, _) => 4,
            _ => 2,
        };
        self.publishes[usize::from(qos1)][result] += 1;
    }

    pub(crate) fn note_delivered(&mut self, qos: u8) {
        self.delivered[usize::from(qos > 0)] += 1;
    }
}

/// The index of a type in [`Counts::TYPES`].
const fn index_of(channel_type: ChannelType) -> usize {
    match channel_type {
        ChannelType::OpaqueBytes => 0,
        ChannelType::Http => 1,
        ChannelType::ConfigFetch => 2,
        ChannelType::Mqtt => 3,
    }
}
