//! The connection to a broker: its MQTT client, and the bytes the client cannot take yet.

use alloc::vec::Vec;

use mqtt::{Client, ConnectOptions, Input, InvalidOptions, Limits, Version};
use sansio::Instant;

use super::overhead_limit::OverheadLimit;
use crate::context::Context;
use crate::limits;
use crate::protocol::{ConnectionEnd, ConnectionId, Notice, Output, Settings};

/// An established connection to a broker.
pub(crate) struct BrokerConnection {
    /// Its id.
    pub connection: ConnectionId,
    /// The MQTT client on it.
    pub client: Client,
    /// Whether it speaks version 5, which has reason codes.
    pub is_version5: bool,
    /// When the broker accepted the connection.
    pub connected_at: Option<Instant>,
    /// How the connection has ended, if it has.
    pub end: Option<ConnectionEnd>,
    /// The kinds of deviation that have been reported: a bit mask.
    reported_deviations: u32,
    /// When the connection must have accepted the application's DISCONNECT.
    disconnect_deadline: Option<Instant>,
    /// Bytes from the broker the client has not taken yet.
    received: Vec<u8>,
    is_paused: bool,
    overhead_limit: OverheadLimit,
    /// Until when nothing is read from the broker, because too much of it produced no event (D180).
    slowed_until: Option<Instant>,
    /// Bytes handed out that the connection has not accepted.
    unwritten: usize,
}

impl BrokerConnection {
    /// The CONNECT is ready to be sent.
    pub(crate) fn new(
        connection: ConnectionId,
        options: &ConnectOptions,
        settings: &Settings,
        now: Instant,
    ) -> Result<Self, InvalidOptions> {
        let limits = Limits {
            outgoing_bytes: limits::MAX_BROKER_OUTGOING,
            receive_maximum_excess: limits::RECEIVE_MAXIMUM_EXCESS,
            ..Limits::default()
        };
        let (packets, bytes) = (settings.broker_packets_per_second, settings.broker_bytes_per_second);
        Ok(Self {
            connection,
            client: Client::new(options, limits, now)?,
            is_version5: options.version == Version::V5,
            connected_at: None,
            end: None,
            reported_deviations: 0,
            disconnect_deadline: None,
            received: Vec::new(),
            is_paused: false,
            overhead_limit: OverheadLimit::new(packets, bytes, now),
            slowed_until: None,
            unwritten: 0,
        })
    }

    /// Bytes from and for the broker. Those in an [`Output`] that the connection has not accepted count twice until
    /// it has.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.received.len() + self.client.pending_event_bytes() + self.client.untransmitted()
    }

    /// Sends the application's DISCONNECT, so that the broker drops the will (M90, M91).
    pub(crate) fn disconnect(&mut self, now: Instant) {
        self.client.disconnect(mqtt::reason::SUCCESS);
        self.disconnect_deadline = Some(now + limits::DISCONNECT_TIMEOUT);
    }

    /// Whether the connection has not accepted the DISCONNECT in time.
    pub(crate) fn has_disconnect_timed_out(&self, now: Instant) -> bool {
        self.disconnect_deadline.is_some_and(|deadline| now >= deadline)
    }

    /// When something is due, if ever. A connection that has ended is not kept alive (D54).
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        let client = self.disconnect_deadline.or_else(|| self.client.next_timeout());
        client.into_iter().chain(self.slowed_until).min()
    }

    /// Adds bytes from the broker; [`Self::feed_client`] passes them on.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Offers the received bytes to the client; says whether it took any.
    pub(crate) fn feed_client(&mut self, now: Instant) -> Result<bool, mqtt::Error> {
        // What a connection that has ended left behind is little, and is used at once.
        self.slowed_until = self.slowed_until.filter(|until| *until > now && self.end.is_none());
        if self.received.is_empty() || self.client.is_closed() || self.slowed_until.is_some() {
            return Ok(false);
        }
        let mut rest = &self.received[..];
        self.client.handle(now, Input::Received(&mut rest))?;
        let taken = self.received.len() - rest.len();
        self.slowed_until = self.overhead_limit.count(self.client.take_overhead(), now);
        if taken == self.received.len() {
            self.received = Vec::new();
        } else {
            self.received.drain(..taken);
        }
        Ok(taken > 0)
    }

    /// Counts what the broker did that MQTT does not allow but that does no harm, and reports each kind once (D192).
    pub(crate) fn report_deviations(&mut self, cx: &mut Context<'_>) {
        if !self.client.has_deviations() {
            return;
        }
        for (deviation, count) in self.client.take_deviations().iter() {
            cx.counts().deviations[deviation as usize] += u32::from(count);
            let bit = 1 << deviation as u32;
            if self.reported_deviations & bit == 0 {
                self.reported_deviations |= bit;
                cx.notice(|channel| Notice::Deviation { channel, deviation });
            }
        }
    }

    /// The connection has accepted bytes.
    pub(crate) fn on_written(&mut self, now: Instant, bytes: usize) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
        self.client.handle(now, Input::Transmitted(bytes)).expect("this input never fails");
    }

    /// Whether the connection has accepted everything.
    pub(crate) fn is_all_written(&self) -> bool {
        self.unwritten == 0 && !self.client.wants_transmit()
    }

    /// Whether everything the connection received has been processed.
    pub(crate) fn is_all_processed(&self) -> bool {
        self.client.pending_events() == 0 && (self.received.is_empty() || self.client.is_closed())
    }

    /// Hands out what the client has to send.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>) {
        if self.end.is_some() || !self.client.wants_transmit() {
            return;
        }
        let mut bytes = Vec::new();
        self.client.transmit(&mut bytes);
        self.unwritten += bytes.len();
        cx.output(Output::ConnectionSend { connection: self.connection, bytes });
    }

    /// Stops reading while the client takes nothing, so that the broker is slowed down by TCP instead of its messages
    /// being dropped (D49); and while it sends too much that produces no event (D180).
    pub(crate) fn pause_or_resume(&mut self, cx: &mut Context<'_>) {
        let is_slowed = self.slowed_until.is_some();
        let pause = !self.received.is_empty() || !self.client.can_receive() || is_slowed;
        if pause == self.is_paused || self.end.is_some() || self.client.is_closed() {
            return;
        }
        self.is_paused = pause;
        cx.counts().slowed += u32::from(is_slowed);
        let connection = self.connection;
        cx.output(if pause {
            Output::PauseReading { connection }
        } else {
            Output::ResumeReading { connection }
        });
    }
}
