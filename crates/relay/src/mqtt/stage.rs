//! How far an MQTT channel is with its broker.

use alloc::boxed::Box;
use core::mem;

use mqtt::{Client, ConnectOptions, RequestError};
use sansio::Instant;

use super::broker_connection::BrokerConnection;
use super::connect::options_bytes;
use crate::protocol::{ConnectionId, Target};

/// How far the channel is with its broker.
pub(super) enum Stage {
    /// No connect has been requested.
    Idle,
    /// A connect is delayed because earlier ones failed (D197).
    Delayed { until: Instant, target: Box<Target>, options: Box<ConnectOptions> },
    /// The connection is being established.
    Opening { connection: ConnectionId, options: Box<ConnectOptions> },
    /// The connection is established: MQTT is spoken.
    Open(Box<BrokerConnection>),
    /// The connect failed, or the connection has ended.
    Ended,
}

impl Stage {
    /// The connection, if there is one or one is being established.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Opening { connection, .. } => Some(*connection),
            Self::Open(broker) => Some(broker.connection),
            Self::Idle | Self::Delayed { .. } | Self::Ended => None,
        }
    }

    /// The connection to the broker, once established.
    pub(super) fn broker(&self) -> Option<&BrokerConnection> {
        if let Self::Open(broker) = self { Some(broker) } else { None }
    }

    /// The connection to the broker, once established.
    pub(super) fn broker_mut(&mut self) -> Option<&mut BrokerConnection> {
        if let Self::Open(broker) = self { Some(broker) } else { None }
    }

    /// The MQTT client requests are made with.
    pub(super) fn client(&mut self) -> Result<&mut Client, RequestError> {
        self.broker_mut().map(|broker| &mut broker.client).ok_or(RequestError::NotConnected)
    }

    /// Takes a delayed connect whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Target, Box<ConnectOptions>)> {
        if !matches!(self, Self::Delayed { until, .. } if *until <= now) {
            return None;
        }
        match mem::replace(self, Self::Ended) {
            Self::Delayed { target, options, .. } => Some((*target, options)),
            _ => None,
        }
    }

    /// When something is due, if ever.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Delayed { until, .. } => Some(*until),
            Self::Open(broker) => broker.next_timeout(),
            _ => None,
        }
    }

    /// Bytes of requests and messages in memory.
    pub(super) fn buffered_bytes(&self) -> usize {
        match self {
            Self::Delayed { options, .. } | Self::Opening { options, .. } => options_bytes(options),
            Self::Open(broker) => broker.buffered_bytes(),
            Self::Idle | Self::Ended => 0,
        }
    }
}
