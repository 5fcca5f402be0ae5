//! Publishing: a reading once a period, and the responses, which arrive in any order.

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};

use heapless::{String, Vec};
use openvisor_app::mqtt::{Answer, Client, Publish};
use openvisor_app::{clock, log_line, logging};

use crate::broker::QOS_AT_LEAST_ONCE;

const USUAL_PERIOD_MS: u32 = 1000;
/// The most publishes that the hypervisor allows in flight.
const PENDING: usize = 16;
/// Temperatures of the simulated sensor, in hundredths of a degree.
const COOLEST: u32 = 2137;
const SPAN: u32 = 200;
const STEP: u32 = 7;

/// These outlive a connection.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);
static SEQUENCE: AtomicU32 = AtomicU32::new(0);
static PERIOD: AtomicU32 = AtomicU32::new(USUAL_PERIOD_MS);

/// A publish in flight.
struct Pending {
    id: u32,
    sent_at: u32,
}

/// The publishes of one connection.
pub(crate) struct Publisher<'a> {
    topic: &'a str,
    pending: Vec<Pending, PENDING>,
    last_due: u32,
}

impl<'a> Publisher<'a> {
    pub(crate) fn new(topic: &'a str) -> Self {
        Self { topic, pending: Vec::new(), last_due: clock::now() }
    }

    pub(crate) fn set_period(&mut self, milliseconds: u32) {
        PERIOD.store(milliseconds, Ordering::Relaxed);
        self.last_due = clock::now();
    }

    /// Publishes a reading if one is due. Counted from when the last one was due, so that delays do not add up; a long
    /// delay causes no burst.
    pub(crate) fn run(&mut self, client: &Client) {
        let period = PERIOD.load(Ordering::Relaxed);
        let late = clock::since(self.last_due);
        if late >= period {
            self.last_due = if late < 2 * period { self.last_due.wrapping_add(period) } else { clock::now() };
            self.publish_reading(client);
        }
    }

    fn publish_reading(&mut self, client: &Client) {
        let sequence = SEQUENCE.load(Ordering::Relaxed);
        let hundredths = temperature(sequence);
        let mut payload = String::<64>::new();
        let (whole, part) = (hundredths / 100, hundredths % 100);
        let written = write!(payload, "{{\"seq\":{sequence},\"temperature\":{whole}.{part:02}}}");
        if written.is_ok() && self.publish(client, self.topic, &payload) {
            SEQUENCE.store(sequence.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Publishes a text to the topic `echo` below the readings' own.
    pub(crate) fn echo(&mut self, client: &Client, text: &str) {
        let mut topic = String::<264>::new();
        if write!(topic, "{}/echo", self.topic).is_ok() {
            self.publish(client, &topic, text);
        }
    }

    fn publish(&mut self, client: &Client, topic: &str, payload: &str) -> bool {
        if self.pending.is_full() {
            log_line!("publish: skipped, {PENDING} are not answered yet");
            return false;
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let message = Publish { topic, payload: payload.as_bytes(), qos: QOS_AT_LEAST_ONCE, retain: false };
        let is_sent = logging::checked("mvMqttRequestPublish", client.publish(id, &message)).is_some();
        if is_sent {
            let _ = self.pending.push(Pending { id, sent_at: clock::now() });
        }
        is_sent
    }

    /// Finds the request of a response, and logs the result.
    pub(crate) fn answered(&mut self, answer: &Answer) {
        let Some(index) = self.pending.iter().position(|pending| pending.id == answer.id) else {
            log_line!("publish {}: an answer to nothing we asked", answer.id);
            return;
        };
        let after = clock::since(self.pending.swap_remove(index).sent_at);
        let (id, state, reason) = (answer.id, answer.state.name(), answer.reason);
        log_line!("publish {id}: {state}, reason 0x{reason:02x}, after {after} ms");
    }
}

/// Rises and falls between the lowest temperature and two degrees more.
fn temperature(at: u32) -> u32 {
    let phase = at.wrapping_mul(STEP) % (2 * SPAN);
    COOLEST + if phase <= SPAN { phase } else { 2 * SPAN - phase }
}

#[cfg(test)]
mod tests {
    use super::*;

    openvisor_app::test_cases! {
        #[test]
        fn the_temperature_stays_in_its_range_and_moves_by_steps() {
            for at in 0..1000 {
                let (now, next) = (temperature(at), temperature(at + 1));
                assert!((COOLEST..=COOLEST + SPAN).contains(&now), "{now} at {at}");
                assert!(now.abs_diff(next) <= STEP, "{now}, then {next}");
            }
        }
    }
}
