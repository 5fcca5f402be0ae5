//! What the relay asks its driver for: connections, look-ups, HTTP exchanges.

use device::memory_map::CYCLES_PER_MICRO;
use relay::{
    ConnectError, HttpError, HttpOutcome, HttpRequest, HttpResponse, LookupKey, Notice, Output, Value,
};
use sansio::drive;

use super::link::Direction;
use super::{Cycles, DELAY, World};
use crate::output::event::Event;
use crate::scripted::deliveries::Delivery;
use crate::scripted::environment::HttpAnswer;
use crate::scripted::observation::Seen;

/// The cloud.
impl World {
    pub(super) fn relay_input(&mut self, input: relay::Input<'_>) {
        let now = self.instant();
        let Some(relay) = &mut self.relay else { return };
        let outputs = &mut self.outputs;
        // A violation of the device is followed by the output that ends the link.
        let _ = drive(relay, now, input, &mut |output| outputs.push_back(output));
        // What follows from an output comes after those that are waiting, in their order.
        if std::mem::replace(&mut self.is_performing, true) {
            return;
        }
        while let Some(output) = self.outputs.pop_front() {
            self.perform(output);
        }
        self.is_performing = false;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => {
                let at = self.pace.arrival(Direction::Down, bytes.len(), self.cycles());
                self.deliveries.add(at, self.link_number, Delivery::ToDevice(bytes));
            }
            Output::OpenConnection { connection, target } => self.open(connection, &target),
            Output::ConnectionSend { connection, bytes } => {
                let length = bytes.len();
                self.later(DELAY, Delivery::ToBroker(connection, bytes));
                self.relay_input(relay::Input::ConnectionWritten { connection, bytes: length });
            }
            Output::CloseConnection { connection, .. } => self.close(connection),
            Output::PauseReading { connection } => {
                self.paused.entry(connection).or_default();
            }
            Output::ResumeReading { connection } => {
                let held = self.paused.remove(&connection).unwrap_or_default();
                if !held.is_empty() {
                    self.relay_input(relay::Input::ConnectionReceived { connection, bytes: &held });
                }
            }
            Output::Lookup { lookup, keys } => {
                let values = keys.iter().map(|key| self.value(key)).collect();
                self.later(DELAY, Delivery::Values(lookup, values));
            }
            Output::HttpRequest { exchange, request } => {
                let (delay, outcome) = self.answer(&request);
                self.later(delay, Delivery::Answer(exchange, outcome));
            }
            Output::CancelHttp { exchange } => self.deliveries.cancel(exchange),
            Output::Log(line) => {
                let text = String::from_utf8_lossy(line.text.trim_ascii_end()).into_owned();
                self.observe(Event::app_log(text.as_bytes()), Seen::Log(text));
                self.relay_input(relay::Input::LogStored { sequence: line.sequence });
            }
            Output::Hello(_) => {}
            Output::Notice(notice) => self.note_notice(&notice),
            Output::Disconnect { .. } => self.later(DELAY, Delivery::LinkEnd),
        }
    }

    /// Publishes and subscribes are shown as the broker sees them, requests as the web server does.
    fn note_notice(&mut self, notice: &Notice) {
        use Notice as N;
        if !matches!(notice, N::Published { .. } | N::Subscribing { .. } | N::HttpRequested { .. }) {
            self.observe(notice.into(), Seen::Other);
        }
    }

    fn value(&self, key: &LookupKey) -> Value {
        let Ok(name) = String::from_utf8(key.key.clone()) else { return Value::InvalidKey };
        match self.values.get(&(key.device_scope, key.secret, name)) {
            Some(value) => Value::Found(value.clone().into_bytes()),
            None => Value::NotFound,
        }
    }

    /// What becomes of a request, and when.
    fn answer(&mut self, request: &HttpRequest) -> (Cycles, HttpOutcome) {
        let HttpRequest { method, url, body, .. } = request;
        let body = body.clone();
        let is_match = |answer: &&HttpAnswer| {
            answer.url == *url && answer.method.as_ref().is_none_or(|wanted| wanted == method)
        };
        // The last one that matches: a step of the script can replace an answer.
        let answer = self.answers.iter().rfind(is_match).cloned();
        let event = Event::HttpRequested {
            channel: None,
            method,
            url: text::redacted_url(url),
            bytes: Some(body.len()),
            answered: Some(answer.is_some()),
        };
        self.observe(event, Seen::Requested { method, url: url.clone(), body });
        let Some(answer) = answer else {
            let unknown = HttpError::Connection(ConnectError::NameNotResolved);
            return (DELAY, HttpOutcome::Failed(unknown));
        };
        let delay = DELAY + answer.delay.0.as_micros() as u64 * CYCLES_PER_MICRO;
        let longest = request.timeout.as_micros().saturating_mul(CYCLES_PER_MICRO);
        if delay > longest {
            return (longest, HttpOutcome::Failed(HttpError::TimedOut));
        }
        if let Some(error) = answer.failure() {
            return (delay, HttpOutcome::Failed(error));
        }
        let body = answer.bytes().expect("it was checked with the script");
        let response = HttpResponse {
            status: answer.status,
            headers: answer.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            ignored: Vec::new(),
            body,
        };
        // As the cloud does: what the application has no room for is not sent to it (D182).
        if response.length() > request.max_response_length as usize {
            return (delay, HttpOutcome::TooLarge);
        }
        (delay, HttpOutcome::Response(response))
    }
}
