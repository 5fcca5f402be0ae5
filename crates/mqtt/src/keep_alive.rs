//! When to ping, and when the broker counts as gone (D54; MQTT 5, 3.1.2.10).

/// What time asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Dead,
}

/// The keepalive of one connection, in milliseconds of the caller's clock.
///
/// A ping is due when nothing was sent *or* nothing received for an interval: the first keeps the broker content
/// (MQTT-3.1.2-20), the second notices a dead connection also while publishing.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    /// `None`: off.
    interval: Option<u64>,
    ping_timeout: u64,
    last_sent: u64,
    last_received: u64,
    /// A PINGREQ is unanswered; dead at this time.
    dead_at: Option<u64>,
}

impl KeepAlive {
    pub(crate) fn new(seconds: u16, ping_timeout: u64, now: u64) -> Self {
        let mut keep_alive =
            Self { interval: None, ping_timeout, last_sent: now, last_received: now, dead_at: None };
        keep_alive.set_seconds(seconds);
        keep_alive
    }

    /// Sets the interval; a broker's Server Keep Alive replaces the client's (MQTT-3.2.2-21).
    pub(crate) fn set_seconds(&mut self, seconds: u16) {
        self.interval = (seconds > 0).then(|| u64::from(seconds) * 1000);
    }

    pub(crate) fn sent(&mut self, now: u64) {
        self.last_sent = now;
    }

    /// Any byte shows that the broker lives: a PINGRESP may stand behind a long message.
    pub(crate) fn received(&mut self, now: u64) {
        self.last_received = now;
        self.extend(now);
    }

    /// Gives an unanswered ping a whole timeout from `now`.
    pub(crate) fn extend(&mut self, now: u64) {
        if self.dead_at.is_some() {
            self.dead_at = Some(now.saturating_add(self.ping_timeout));
        }
    }

    pub(crate) fn answered(&mut self) {
        self.dead_at = None;
    }

    pub(crate) fn next_timeout(&self) -> Option<u64> {
        let interval = self.interval?;
        let idle_since = self.last_sent.min(self.last_received);
        Some(self.dead_at.unwrap_or(idle_since.saturating_add(interval)))
    }

    /// What is due at `now`; on [`Due::Ping`] the ping counts as sent.
    pub(crate) fn poll(&mut self, now: u64) -> Due {
        if self.next_timeout().is_none_or(|due| now < due) {
            return Due::Nothing;
        }
        if self.dead_at.is_some() {
            return Due::Dead;
        }
        self.last_sent = now;
        self.dead_at = Some(now.saturating_add(self.ping_timeout));
        Due::Ping
    }
}
