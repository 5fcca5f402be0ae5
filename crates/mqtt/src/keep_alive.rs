//! When to ping, and when a broker counts as dead (D54; MQTT 5, 3.1.2.10).

use sansio::{Duration, Instant};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Dead,
}

/// The keepalive of one connection.
///
/// A ping is due when nothing was sent *or* nothing received for an interval: the first keeps the broker content
/// (MQTT-3.1.2-20), the second notices a dead connection also while publishing.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    /// `None`: off.
    interval: Option<Duration>,
    ping_timeout: Duration,
    last_sent: Instant,
    last_received: Instant,
    /// A PINGREQ is unanswered: the broker counts as dead at this time.
    dead_at: Option<Instant>,
}

impl KeepAlive {
    pub(crate) fn new(seconds: u16, ping_timeout: Duration, now: Instant) -> Self {
        let mut keep_alive =
            Self { interval: None, ping_timeout, last_sent: now, last_received: now, dead_at: None };
        keep_alive.set_seconds(seconds);
        keep_alive
    }

    /// Sets the interval; a broker's Server Keep Alive replaces the client's (MQTT-3.2.2-21).
    pub(crate) fn set_seconds(&mut self, seconds: u16) {
        self.interval = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
    }

    pub(crate) fn sent(&mut self, now: Instant) {
        self.last_sent = now;
    }

    /// Any byte shows that the broker is alive: a PINGRESP may be queued behind a long message.
    pub(crate) fn received(&mut self, now: Instant) {
        self.last_received = now;
        self.extend(now);
    }

    /// Restarts the timeout of an unanswered ping.
    pub(crate) fn extend(&mut self, now: Instant) {
        if self.dead_at.is_some() {
            self.dead_at = Some(now + self.ping_timeout);
        }
    }

    pub(crate) fn answered(&mut self) {
        self.dead_at = None;
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let interval = self.interval?;
        let idle_since = self.last_sent.min(self.last_received);
        Some(self.dead_at.unwrap_or(idle_since + interval))
    }

    /// What is due at `now`; on [`Due::Ping`] the ping counts as sent.
    pub(crate) fn poll(&mut self, now: Instant) -> Due {
        if self.next_timeout().is_none_or(|due| now < due) {
            return Due::Nothing;
        }
        if self.dead_at.is_some() {
            return Due::Dead;
        }
        self.last_sent = now;
        self.dead_at = Some(now + self.ping_timeout);
        Due::Ping
    }
}
