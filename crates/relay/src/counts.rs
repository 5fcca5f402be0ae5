//! What a relay has done, as plain numbers, for whoever watches over many of them.

use link::channel::ChannelType;
use link::mqtt::{Published, RequestState};
use mqtt::Deviation;

/// Since the last [`crate::DeviceRelay::take_counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Channels opened, by type: the places of [`Counts::TYPES`].
    pub opened: [u32; 4],
    /// Channels that have ended, in the same places.
    pub closed: [u32; 4],
    /// Publishes answered, by QoS (0, 1) and result: the places of [`Counts::PUBLISH_RESULTS`].
    pub publishes: [[u32; 5]; 2],
    /// Messages on their way to the application, by QoS (0, 1).
    pub delivered: [u32; 2],
    /// Messages that could never fit the application's ring (D49).
    pub lost: u32,
    /// Connects brokers accepted. Those that failed are told one by one ([`crate::Notice::ConnectFailed`]).
    pub connected: u32,
    /// Connects that had to wait because earlier ones failed (D197).
    pub delayed: u32,
    /// Departures of brokers from MQTT that were tolerated (D192): the places of [`Deviation::ALL`].
    pub deviations: [u32; Deviation::ALL.len()],
    /// Channels a broker flooded (D51).
    pub flooded: u32,
    /// Times a broker was read more slowly because nothing came of what it sent (D180).
    pub slowed: u32,
}

impl Counts {
    /// Types of channels.
    pub const TYPES: [&'static str; 4] = ["opaque", "http", "config", "mqtt"];
    /// What can become of a publish: accepted, refused by the broker, never sent because it may not be, without a broker (any
    /// more), ended with a flooded channel.
    pub const PUBLISH_RESULTS: [&'static str; 5] =
        ["completed", "refused", "invalid", "not_connected", "circuit_breaker"];
    /// What the device asked for: channels and publishes.
    pub fn requests(&self) -> u32 {
        self.opened.iter().chain(self.publishes.iter().flatten()).sum()
    }

    pub(crate) fn note_opened(&mut self, channel_type: ChannelType) {
        self.opened[place(channel_type)] += 1;
    }

    pub(crate) fn note_closed(&mut self, channel_type: ChannelType) {
        self.closed[place(channel_type)] += 1;
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

/// The place of a type among [`Counts::TYPES`].
const fn place(channel_type: ChannelType) -> usize {
    match channel_type {
        ChannelType::OpaqueBytes => 0,
        ChannelType::Http => 1,
        ChannelType::ConfigFetch => 2,
        ChannelType::Mqtt => 3,
    }
}
