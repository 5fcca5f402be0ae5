//! The connection to a broker: its client session, and what the session cannot take yet.

use alloc::vec::Vec;

use mqtt::{Client, ConnectOptions, Input, InvalidOptions, Limits, Version};
use sansio::Instant;

use super::overhead_limit::OverheadLimit;
use crate::channel::Context;
use crate::limits;
use crate::protocol::{ConnectionEnd, ConnectionId, Notice, Output, Settings};

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Broker {
    /// Its name.
    pub connection: ConnectionId,
    /// The MQTT session on it.
    pub client: Client,
    /// Whether it speaks version 5, which has reason codes.
    pub is_version5: bool,
    /// When the broker accepted the connection.
    pub connected_at: Option<Instant>,
    /// The connection has ended by itself, and how.
    pub gone: Option<ConnectionEnd>,
    /// The kinds of deviation told of, by their places.
    told_deviations: u32,
    /// By when the connection is to have taken the application's DISCONNECT.
    farewell: Option<Instant>,
    /// Bytes from the broker the session did not take yet.
    kept: Vec<u8>,
    is_paused: bool,
    overhead_limit: OverheadLimit,
    /// Until when nothing is taken from the broker, because too much came of which nothing comes (D180).
    slowed: Option<Instant>,
    /// Bytes given out that the connection has not taken.
    unwritten: usize,
}

impl Broker {
    /// A session whose CONNECT is ready to go.
    pub(crate) fn new(
        connection: ConnectionId,
        options: &ConnectOptions,
        settings: &Settings,
        now: Instant,
    ) -> Result<Self, InvalidOptions> {
        let limits = Limits {
            outgoing_bytes: limits::BROKER_OUTGOING,
            receive_maximum_excess: limits::RECEIVE_MAXIMUM_EXCESS,
            ..Limits::default()
        };
        Ok(Self {
            connection,
            client: Client::new(options, limits, now)?,
            is_version5: options.version == Version::V5,
            connected_at: None,
            gone: None,
            told_deviations: 0,
            farewell: None,
            kept: Vec::new(),
            is_paused: false,
            overhead_limit: OverheadLimit::new(
                settings.broker_packets_per_second,
                settings.broker_bytes_per_second,
                now,
            ),
            slowed: None,
            unwritten: 0,
        })
    }

    /// Bytes from and for the broker. Those given out and not yet taken by the connection are counted here once more.
    pub(crate) fn held(&self) -> usize {
        self.kept.len() + self.client.pending_event_bytes() + self.client.untransmitted()
    }

    /// Ends the session in good order, as the application wishes (M90).
    pub(crate) fn disconnect(&mut self, now: Instant) {
        self.client.disconnect(mqtt::reason::SUCCESS);
        self.farewell = Some(now + limits::DISCONNECT_TIMEOUT);
    }

    /// Whether the connection had its time to take the DISCONNECT.
    pub(crate) fn is_out_of_patience(&self, now: Instant) -> bool {
        self.farewell.is_some_and(|farewell| now >= farewell)
    }

    /// When something is due, if ever. A connection that has ended is not kept alive (D54).
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if self.gone.is_some() {
            return None;
        }
        self.farewell.or_else(|| self.client.next_timeout()).into_iter().chain(self.slowed).min()
    }

    /// Adds bytes from the broker; [`Self::feed`] uses them.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// Gives the session what it takes of the kept bytes; whether it took any.
    pub(crate) fn feed(&mut self, now: Instant) -> Result<bool, mqtt::Error> {
        // What a connection that has ended left behind is little and is used at once.
        self.slowed = self.slowed.filter(|until| *until > now && self.gone.is_none());
        if self.kept.is_empty() || self.client.is_closed() || self.slowed.is_some() {
            return Ok(false);
        }
        let mut rest = &self.kept[..];
        self.client.handle(now, Input::Received(&mut rest))?;
        let taken = self.kept.len() - rest.len();
        self.slowed = self.overhead_limit.count(self.client.take_overhead(), now);
        if taken == self.kept.len() {
            self.kept = Vec::new();
        } else {
            self.kept.drain(..taken);
        }
        Ok(taken > 0)
    }

    /// Counts what the broker did that MQTT does not allow and that does no harm; each kind is told once (D192).
    pub(crate) fn note_deviations(&mut self, cx: &mut Context<'_>) {
        if !self.client.has_deviations() {
            return;
        }
        for (deviation, count) in self.client.take_deviations().iter() {
            cx.counts.deviations[deviation as usize] += u32::from(count);
            let bit = 1 << deviation as u32;
            if self.told_deviations & bit == 0 {
                self.told_deviations |= bit;
                let channel = cx.number;
                cx.notice(|| Notice::Deviation { channel, deviation });
            }
        }
    }

    /// The connection has taken bytes.
    pub(crate) fn written(&mut self, now: Instant, bytes: usize) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
        self.client.handle(now, Input::Transmitted(bytes)).expect("this input never fails");
    }

    /// Whether nothing is on its way to the broker.
    pub(crate) fn is_all_written(&self) -> bool {
        self.unwritten == 0 && !self.client.wants_transmit()
    }

    /// Whether nothing that the connection brought is left to be used.
    pub(crate) fn is_used_up(&self) -> bool {
        self.client.pending_events() == 0 && (self.kept.is_empty() || self.client.is_closed())
    }

    /// Hands out what the session wants to send.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>) {
        if self.gone.is_some() || !self.client.wants_transmit() {
            return;
        }
        let mut bytes = Vec::new();
        self.client.transmit(&mut bytes);
        self.unwritten += bytes.len();
        cx.outputs.push_back(Output::ConnectionSend { connection: self.connection, bytes });
    }

    /// Reading stops while the session takes nothing, so that the broker is held back (D49).
    /// The same while it is slowed down (D180).
    pub(crate) fn pause_or_resume(&mut self, cx: &mut Context<'_>) {
        let pause = !self.kept.is_empty() || !self.client.can_receive() || self.slowed.is_some();
        if pause == self.is_paused || self.gone.is_some() || self.client.is_closed() {
            return;
        }
        self.is_paused = pause;
        cx.counts.slowed += u32::from(self.slowed.is_some());
        let connection = self.connection;
        let (stop, go) = (Output::PauseReading { connection }, Output::ResumeReading { connection });
        cx.outputs.push_back(if pause { stop } else { go });
    }
}

/// Bytes of what a CONNECT is to say.
pub(super) fn length(options: &ConnectOptions) -> usize {
    let will = options.will.as_ref().map_or(0, |will| will.topic.len() + will.payload.len());
    let credentials = [&options.username, &options.password];
    let credentials: usize = credentials.into_iter().flatten().map(Vec::len).sum();
    options.client_id.len() + credentials + will
}
