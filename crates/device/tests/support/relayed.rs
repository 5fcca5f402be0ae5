//! The cloud's real core at the other end of the link, with a broker behind it that speaks just enough MQTT.
//!
//! The broker sends a message back to its client if the client subscribed to exactly that topic, with at most a few
//! messages unacknowledged. Everything it is sent is answered at once, so that a test runs the same way each time.

use std::collections::{BTreeMap, VecDeque};

use link::http::HttpResult;
use relay::{
    ConnectionId, DeviceRelay, ExchangeId, HttpError, HttpOutcome, HttpRequest, HttpResponse, Input,
    LookupKey, Output, Settings, Value,
};
use sansio::{Instant, WallTime};

use super::cloud::{HttpAsked, Script, WALL, place};
use super::end::CloudEnd;

/// Messages a broker sends before one is acknowledged: fewer than the relay allows it (its Receive Maximum).
const UNACKNOWLEDGED: usize = 16;

/// MQTT control packet types, and the flags with them (MQTT 2.1.2).
mod packet {
    pub(super) const CONNECT: u8 = 1;
    pub(super) const CONNACK: u8 = 0x20;
    pub(super) const PUBLISH: u8 = 3;
    pub(super) const PUBLISH_QOS_1: u8 = 0x32;
    pub(super) const PUBACK: u8 = 4;
    pub(super) const SUBSCRIBE: u8 = 8;
    pub(super) const SUBACK: u8 = 0x90;
    pub(super) const DISCONNECT: u8 = 14;
}

pub(crate) struct Relayed {
    relay: DeviceRelay,
    now: Instant,
    outgoing: Vec<u8>,
    brokers: BTreeMap<ConnectionId, Broker>,
    /// Of which configuration and HTTP are played.
    script: Script,
    pub log: Vec<String>,
    /// Where connections were made to.
    pub targets: Vec<(String, u16)>,
}

impl Relayed {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            relay: DeviceRelay::new(Instant::ZERO, settings()),
            now: Instant::ZERO,
            outgoing: Vec::new(),
            brokers: BTreeMap::new(),
            script,
            log: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// What comes of it is done in [`Relayed::pump`], in order.
    fn input(&mut self, input: Input<'_>) {
        self.relay.handle(self.now, input).expect("a device that keeps the rules");
    }

    fn pump(&mut self) {
        while let Some(output) = self.relay.poll(self.now) {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => self.outgoing.extend(bytes),
            Output::OpenConnection { connection, target } => {
                self.targets.push((target.host, target.port));
                self.brokers.insert(connection, Broker::default());
                self.input(Input::ConnectionOpened { connection });
            }
            Output::ConnectionSend { connection, bytes } => self.send(connection, &bytes),
            Output::CloseConnection { connection, .. } => _ = self.brokers.remove(&connection),
            Output::Lookup { lookup, keys } => {
                let values = keys.iter().map(|key| self.value(key)).collect();
                self.input(Input::LookupFinished { lookup, values });
            }
            Output::HttpRequest { exchange, request } => self.exchange(exchange, request),
            Output::Log(line) => {
                self.log.push(String::from_utf8_lossy(&line.text).into_owned());
                self.input(Input::LogStored { sequence: line.sequence });
            }
            Output::Disconnect { reason } => panic!("the link ends: {reason:?}"),
            _ => {}
        }
    }

    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.input(Input::ConnectionWritten { connection, bytes: bytes.len() });
        let Some(broker) = self.brokers.get_mut(&connection) else { return };
        let answer = broker.hear(bytes);
        if !answer.is_empty() {
            self.input(Input::ConnectionReceived { connection, bytes: &answer });
        }
    }

    fn exchange(&mut self, exchange: ExchangeId, request: HttpRequest) {
        let asked = HttpAsked {
            method: request.method.to_owned(),
            url: request.url,
            headers: request.headers.iter().map(|(name, value)| line(name, value)).collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            timeout_ms: request.timeout.as_millis() as u32,
        };
        let outcome = self.script.http.map_or(HttpOutcome::Failed(HttpError::TimedOut), |serve| {
            let answer = serve(&asked);
            assert_eq!(answer.result, HttpResult::Ok, "the relay judges by itself");
            let headers = answer.headers.iter().map(|line| name_and_value(line)).collect();
            HttpOutcome::Response(HttpResponse {
                status: answer.status as u16,
                headers,
                ignored: Vec::new(),
                body: answer.body,
            })
        });
        self.input(Input::HttpFinished { exchange, outcome });
    }

    fn value(&self, key: &LookupKey) -> Value {
        let name = String::from_utf8_lossy(&key.key).into_owned();
        let found = self.script.config.get(&(place(key.device_scope, !key.secret), name));
        found.map_or(Value::NotFound, |value| Value::Found(value.clone()))
    }
}

impl CloudEnd for Relayed {
    fn reconnect(&mut self, now: u64) {
        self.now = Instant::from_millis(now);
        self.relay = DeviceRelay::new(self.now, settings());
        self.outgoing.clear();
        self.brokers.clear();
    }

    fn hear(&mut self, now: u64, bytes: &[u8]) {
        self.now = Instant::from_millis(now);
        if self.relay.next_timeout().is_some_and(|at| at <= self.now) {
            self.input(Input::Timeout);
        }
        if !bytes.is_empty() {
            self.input(Input::LinkReceived(bytes));
        }
        self.pump();
    }

    fn speak(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    fn log(&self) -> &[String] {
        &self.log
    }
}

fn settings() -> Settings {
    Settings { wall_time: WallTime::from_micros(WALL), ..Settings::default() }
}

fn line(name: &str, value: &[u8]) -> String {
    format!("{name}: {}", String::from_utf8_lossy(value))
}

fn name_and_value(line: &str) -> (String, Vec<u8>) {
    let (name, value) = line.split_once(": ").expect("a header line");
    (name.to_owned(), value.as_bytes().to_vec())
}

/// A broker with one client, of MQTT 5.
#[derive(Default)]
struct Broker {
    incoming: Vec<u8>,
    filters: Vec<Vec<u8>>,
    waiting: VecDeque<(Vec<u8>, Vec<u8>)>,
    unacknowledged: usize,
    next_id: u16,
}

impl Broker {
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.incoming.extend(bytes);
        let mut answer = Vec::new();
        while let Some((first, body)) = self.next_packet() {
            answer.extend(self.packet(first, &body));
        }
        while self.unacknowledged < UNACKNOWLEDGED
            && let Some((topic, payload)) = self.waiting.pop_front()
        {
            answer.extend(self.message(&topic, &payload));
        }
        answer
    }

    fn next_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, rest) = self.incoming.split_first()?;
        let (length, rest) = length_of(rest)?;
        let body = rest.get(..length)?.to_vec();
        let taken = self.incoming.len() - rest.len() + length;
        self.incoming.drain(..taken);
        Some((first, body))
    }

    fn packet(&mut self, first: u8, body: &[u8]) -> Vec<u8> {
        match first >> 4 {
            // Accepted, no properties.
            packet::CONNECT => vec![packet::CONNACK, 3, 0, 0, 0],
            packet::SUBSCRIBE => self.subscribe(body),
            packet::PUBLISH => self.publish(first >> 1 & 3, body),
            packet::PUBACK => {
                self.unacknowledged -= 1;
                Vec::new()
            }
            packet::DISCONNECT => Vec::new(),
            other => panic!("a packet of type {other}"),
        }
    }

    /// Identifier, properties, and one filter with its options.
    fn subscribe(&mut self, body: &[u8]) -> Vec<u8> {
        let (properties, rest) = length_of(&body[2..]).expect("properties");
        let (filter, options) = text_of(&rest[properties..]);
        self.filters.push(filter.to_vec());
        vec![packet::SUBACK, 4, body[0], body[1], 0, options[0] & 3]
    }

    /// Topic, identifier, properties, payload.
    fn publish(&mut self, qos: u8, body: &[u8]) -> Vec<u8> {
        assert_eq!(qos, 1, "the applications publish with QoS 1");
        let (topic, rest) = text_of(body);
        let (id, rest) = rest.split_at(2);
        let (properties, payload) = length_of(rest).expect("properties");
        if self.filters.iter().any(|filter| filter == topic) {
            self.waiting.push_back((topic.to_vec(), payload[properties..].to_vec()));
        }
        vec![packet::PUBACK << 4, 2, id[0], id[1]]
    }

    fn message(&mut self, topic: &[u8], payload: &[u8]) -> Vec<u8> {
        self.unacknowledged += 1;
        self.next_id = self.next_id % u16::MAX + 1;
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic);
        body.extend(self.next_id.to_be_bytes());
        body.push(0);
        body.extend(payload);
        let length = u8::try_from(body.len()).ok().filter(|length| *length < 0x80).expect("a short message");
        [&[packet::PUBLISH_QOS_1, length], body.as_slice()].concat()
    }
}

/// A variable byte integer (MQTT 1.5.5), and what follows it.
fn length_of(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7F));
    Some((value, &bytes[end + 1..]))
}

/// A text with its length before it (MQTT 1.5.4), and what follows it.
fn text_of(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(2);
    rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])))
}
