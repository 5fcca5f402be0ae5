//! The connection between device and cloud: what makes it, ends it, and how fast it is.

use std::time::Duration;

use device::Input;
use device::memory_map::CYCLES_PER_MICRO;
use kernel::LinkLoss;
use relay::DeviceRelay;
use sansio::Instant;

use super::{CONNECT_DELAY, Cycles, DELAY, Link, POWER_ON, World};
use crate::scripted::deliveries::Delivery;
use crate::scripted::environment::LinkQuality;

/// Bytes that are taken from the device at once.
const CHUNK: usize = 4096;
/// Parts of a second for which a slow line takes bytes at once.
const PARTS: u64 = 10;
const CYCLES_PER_SECOND: u64 = 1_000_000 * CYCLES_PER_MICRO;

/// A direction of the link.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    /// From the device to the cloud.
    Up,
    /// From the cloud to the device.
    Down,
}

/// How fast the link is, and until when each direction is busy.
pub(super) struct Pace {
    delay: Cycles,
    bytes_per_second: Option<u64>,
    free_at: [Cycles; 2],
}

impl Pace {
    pub(super) fn new(quality: &LinkQuality) -> Self {
        let cycles = |delay: Duration| (delay.as_micros() as u64).saturating_mul(CYCLES_PER_MICRO);
        Self {
            delay: quality.delay.map_or(DELAY, |delay| cycles(delay.0)),
            bytes_per_second: quality.bytes_per_second,
            free_at: [0; 2],
        }
    }

    /// Most bytes to send at once.
    fn chunk(&self) -> usize {
        let slow = self.bytes_per_second.map(|rate| usize::try_from(rate / PARTS).unwrap_or(CHUNK));
        slow.unwrap_or(CHUNK).clamp(1, CHUNK)
    }

    fn is_busy(&self, direction: Direction, now: Cycles) -> bool {
        self.free_at(direction) > now
    }

    fn free_at(&self, direction: Direction) -> Cycles {
        self.free_at[direction as usize]
    }

    /// When bytes arrive that are sent now. They follow those before them.
    pub(super) fn arrival(&mut self, direction: Direction, length: usize, now: Cycles) -> Cycles {
        let begin = self.free_at(direction).max(now);
        let time = self.bytes_per_second.map_or(0, |rate| length as u64 * CYCLES_PER_SECOND / rate);
        self.free_at[direction as usize] = begin + time;
        begin + time + self.delay
    }

    /// The link has ended, with what is on its way.
    fn clear(&mut self) {
        self.free_at = [0; 2];
    }
}

/// The link between device and cloud.
impl World {
    /// Makes the link faster, or slower. What is on its way is not affected.
    pub(crate) fn set_pace(&mut self, quality: &LinkQuality) {
        self.pace = Pace::new(quality);
    }

    pub(super) fn service_link(&mut self) {
        match (self.link, self.machine.wants_link()) {
            (Link::Down, true) => {
                self.link = Link::Connecting;
                // A new number for each attempt, so that deliveries of the one before are recognised.
                self.link_number += 1;
                self.device_now(Input::LinkConnecting);
                self.later(CONNECT_DELAY, Delivery::LinkAttempt);
            }
            (Link::Connecting | Link::Up, false) => {
                self.transmit();
                self.lose_link(LinkLoss::Requested, "no longer needed");
            }
            _ => {}
        }
        self.transmit();
    }

    fn transmit(&mut self) {
        let mut chunk = [0; CHUNK];
        let most = self.pace.chunk();
        while self.link == Link::Up {
            // As much as the line has sent: what waits longer, waits in the device.
            if self.pace.is_busy(Direction::Up, self.cycles()) {
                let at = self.pace.free_at(Direction::Up);
                self.deliveries.add(at, self.link_number, Delivery::LinkWritable);
                break;
            }
            let length = self.machine.transmit(&mut chunk[..most]);
            if length == 0 {
                break;
            }
            let at = self.pace.arrival(Direction::Up, length, self.cycles());
            self.deliveries.add(at, self.link_number, Delivery::ToCloud(chunk[..length].to_vec()));
        }
    }

    fn end_attempt(&mut self) {
        if self.is_cut {
            return self.lose_link(LinkLoss::NoCarrier, "cut by the script");
        }
        self.link = Link::Up;
        let now = self.instant();
        // The time of day follows the device's time, so that a script always sees the same one.
        let wall_time = POWER_ON + now.duration_since(Instant::ZERO);
        let settings = relay::Settings { wall_time, notices: true, ..relay::Settings::default() };
        self.relay = Some(DeviceRelay::new(now, settings));
        self.device_now(Input::LinkConnected);
    }

    /// The link ends, with everything that is on its way and with the connections to brokers.
    pub(super) fn lose_link(&mut self, kind: LinkLoss, cause: &str) {
        if self.link == Link::Down {
            return;
        }
        self.link = Link::Down;
        self.relay = None;
        self.deliveries.clear();
        self.paused.clear();
        self.unwanted.clear();
        self.pace.clear();
        for number in std::mem::take(&mut self.connections).into_keys() {
            self.broker.disconnected(number);
        }
        self.drain_broker();
        self.device_now(Input::LinkLost { kind, cause: cause.to_owned().into() });
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        use relay::Input as R;
        match delivery {
            Delivery::LinkAttempt => self.end_attempt(),
            Delivery::LinkWritable => {}
            Delivery::LinkEnd => self.lose_link(LinkLoss::Unreachable, "the cloud closed the connection"),
            Delivery::ToCloud(bytes) => self.relay_input(R::LinkReceived(&bytes)),
            Delivery::ToDevice(bytes) => {
                self.device_now(Input::Received(bytes.into()));
            }
            Delivery::BrokerAttempt(connection, None) => {
                if let Some(number) = self.number_of(connection) {
                    if !self.unwanted.contains_key(&number) {
                        self.broker.connected(number);
                    }
                    self.relay_input(R::ConnectionOpened { connection });
                }
            }
            Delivery::BrokerAttempt(connection, Some(error)) => {
                self.relay_input(R::ConnectionFailed { connection, error });
            }
            Delivery::ToBroker(connection, bytes) => {
                self.receive_at_broker(connection, &bytes);
            }
            Delivery::FromBroker(connection, bytes) => match self.paused.get_mut(&connection) {
                Some(held) => held.extend(bytes),
                None => self.relay_input(R::ConnectionReceived { connection, bytes: &bytes }),
            },
            Delivery::BrokerEnd(connection, end) => {
                let held = self.paused.remove(&connection).unwrap_or_default();
                if !held.is_empty() {
                    self.relay_input(R::ConnectionReceived { connection, bytes: &held });
                }
                self.relay_input(R::ConnectionClosed { connection, end });
            }
            Delivery::Answer(exchange, outcome) => self.relay_input(R::HttpFinished { exchange, outcome }),
            Delivery::Values(lookup, values) => self.relay_input(R::LookupFinished { lookup, values }),
        }
    }
}
