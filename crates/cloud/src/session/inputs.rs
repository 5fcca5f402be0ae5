//! What each part of a session has for the core: each method polls one part, and says whether there was something.

use std::task::{Context, Poll};

use relay::{HttpOutcome, Input, Value};
use sansio::WallTime;
use tokio::time::Instant;

use super::{Phase, Session, translate};
use crate::clock::wall_micros;
use crate::events::Disconnection;
use crate::limits::{DEVICE_BACKLOG, READ_CHUNK};
use crate::registry::Command;

impl Session {
    pub(super) fn poll_commands(&mut self, context: &mut Context<'_>) -> bool {
        let Poll::Ready(command) = self.admission.poll_command(context) else { return false };
        match command {
            Command::End(reason) => self.end(reason),
            Command::Drain => {
                self.flush_dropped_logs();
                if !self.is_closing() {
                    self.phase = Phase::Draining(Instant::now() + self.shared.limits.drain_timeout);
                }
            }
            Command::Logging(logging) => {
                self.logs.set_logging(logging);
                self.update_logging();
            }
        }
        true
    }

    /// Writes to and reads from the device.
    pub(super) fn poll_link(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8; READ_CHUNK],
    ) -> Result<bool, Disconnection> {
        // Whatever the device still sends is discarded, and the rates no longer apply to the `BYE`.
        if let Phase::Closing { reason, .. } = self.phase {
            let is_closed = self.link.poll_close(context, buffer).is_ready();
            return if is_closed { Err(Disconnection::Bye(reason)) } else { Ok(false) };
        }
        // Written before anything is read: what waits for the device decides whether it is read from.
        let worked = self.poll_link_write(context)?;
        // Whatever the device sends now would only make what waits for it grow.
        let is_held_back = matches!(self.phase, Phase::Draining(_))
            || self.link.backlog() > DEVICE_BACKLOG
            || self.logs.is_full()
            || !self.meters.may_read();
        self.link.set_reading(!is_held_back);
        let Poll::Ready(read) = self.link.poll_read(context, buffer) else { return Ok(worked) };
        let bytes = read.ok().filter(|bytes| !bytes.is_empty()).ok_or(Disconnection::Lost)?;
        self.shared.metrics.link_received.inc_by(bytes.len() as u64);
        // Charged before it is processed, so that a long input delays the next one and not itself.
        self.meters.charge_received(bytes.len());
        self.handle_input(Input::LinkReceived(bytes));
        self.meters.charge_channels(self.relay.counts());
        Ok(true)
    }

    fn poll_link_write(&mut self, context: &mut Context<'_>) -> Result<bool, Disconnection> {
        if !self.meters.may_write() {
            return Ok(false);
        }
        let Poll::Ready(written) = self.link.poll_write(context) else { return Ok(false) };
        let count = written.map_err(|_| Disconnection::Lost)?;
        self.shared.metrics.link_sent.inc_by(count as u64);
        self.meters.charge_sent(count);
        Ok(true)
    }

    pub(super) fn poll_brokers(&mut self, context: &mut Context<'_>, buffer: &mut [u8; READ_CHUNK]) -> bool {
        let (mut worked, mut index) = (false, 0);
        // Brokers are not read while their messages could only queue up for the device.
        let may_read = self.link.backlog() <= DEVICE_BACKLOG;
        while let Some(polled) = self.brokers.poll_at(&mut index, context, buffer, may_read) {
            if let Poll::Ready((connection, event)) = polled {
                self.handle_input(translate::event(connection, event));
                worked = true;
            }
        }
        worked
    }

    pub(super) fn poll_lookups(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Some((lookup, values)) = self.requests.lookups.poll_finished(context) {
            self.count_fetched(&values);
            self.handle_input(Input::LookupFinished { lookup, values });
            worked = true;
        }
        worked
    }

    pub(super) fn poll_exchanges(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Some((exchange, outcome)) = self.requests.exchanges.poll_finished(context) {
            let result = translate::http_result(&outcome);
            if let HttpOutcome::Failed(cause) = &outcome {
                tracing::info!(name: "http_failed", device = %self.device, reason = result, error = %cause, "HTTP request failed");
            } else {
                tracing::debug!(name: "http_answered", device = %self.device, result, "HTTP request finished");
            }
            self.shared.metrics.http.with_label_values(&[result]).inc();
            self.handle_input(Input::HttpFinished { exchange, outcome });
            worked = true;
        }
        worked
    }

    pub(super) fn poll_logs(&mut self, context: &mut Context<'_>) -> bool {
        let mut worked = false;
        while let Some(sequence) = self.logs.poll_acknowledged(context) {
            self.handle_input(Input::LogStored { sequence });
            worked = true;
        }
        worked
    }

    pub(super) fn poll_timer(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.next_timeout();
        let is_due = self.timer.poll(context, deadline);
        if is_due {
            self.handle_timeout();
        }
        is_due
    }

    fn next_timeout(&self) -> Instant {
        // A session that closes waits for nothing but the end of the connection.
        let drain = match self.phase {
            Phase::Closing { deadline, .. } => return deadline,
            Phase::Draining(deadline) => Some(deadline),
            Phase::Running => None,
        };
        let relay = self.relay.next_timeout().map(|at| self.shared.epoch.instant(at));
        let timeouts =
            [relay, drain, self.meters.next_timeout(), self.memory.next_timeout(), self.logs.next_timeout()];
        timeouts.into_iter().flatten().fold(self.timer.next_wall_clock(), Instant::min)
    }

    fn handle_timeout(&mut self) {
        let now = Instant::now();
        if self.memory.next_timeout().is_some_and(|due| due <= now) {
            self.update_memory();
        }
        if self.is_closing() {
            return;
        }
        self.update_logging();
        // The device's clock is set again before it has drifted far (D25).
        if self.timer.take_wall_clock(now) {
            self.handle_input(Input::WallClock(WallTime::from_micros(wall_micros())));
        }
        if self.logs.is_report_due(now) {
            self.flush_dropped_logs();
        }
        self.handle_input(Input::Timeout);
    }

    fn count_fetched(&self, values: &[Value]) {
        tracing::debug!(name: "config_fetched", device = %self.device, items = values.len(), "configuration fetched");
        self.shared.metrics.fetches.inc();
        for value in values {
            self.shared.metrics.fetched.with_label_values(&[translate::fetched(value)]).inc();
        }
    }
}
