//! Device, relay, broker, web server and store, joined in one process and in the device's time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud::events::EventKind;
use demo_broker::in_memory::{Action, InMemoryBroker};
use device::Input;
use device::application::Application;
use device::debug::symbols::Symbols;
use device::entropy::Seed;
use device::events::{DeviceEvent, PinFilter};
use device::identity::DeviceId;
use device::machine::{InputError, Machine, Provisioning, Settings};
use device::memory_map::CYCLES_PER_MICRO;
use device::pin::Pin;
use device::wiring::Attachment;
use kernel::LinkLoss;
use relay::{
    ConnectError, ConnectionEnd, ConnectionId, DeviceRelay, HttpError, HttpOutcome, HttpRequest,
    HttpResponse, LookupKey, Notice, Output, Target, Value,
};
use sansio::{Instant, StateMachine, WallTime, drive};

use super::deliveries::{Deliveries, Delivery, LinkNumber};
use super::format::{HttpAnswer, Script};
use super::observation::{Observation, Seen};
use crate::output::event_output;
use crate::output::timeline::Source;

/// Cycles of a device's processor: the time of everything here.
type Cycles = u64;

/// How long bytes are on their way between device and cloud, and between cloud and broker or web server.
const DELAY: Cycles = 2_000 * CYCLES_PER_MICRO;
/// How long an attempt to connect takes.
const CONNECT_DELAY: Cycles = 10_000 * CYCLES_PER_MICRO;
/// The time of day at power-on: 2026-01-01 00:00:00 UTC.
const POWER_ON: WallTime = WallTime::from_micros(1_767_225_600_000_000);
const DEVICE_ID: &str = "UV00000000000000000000000000000001";
/// The user LED, which devices report apart from other pins.
const LED: Pin = Pin { port: 0, pin: 5 };
/// Bytes that are taken from the device at once.
const CHUNK: usize = 4096;
/// The broker's counterpart of a [`ConnectionId`], of which every link begins at the same number.
type BrokerConnection = (LinkNumber, ConnectionId);

/// The link as the device has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Connecting,
    Up,
}

pub(super) struct World {
    machine: Machine,
    link: Link,
    /// Counts links, so that what belongs to an earlier one is recognised.
    link_number: LinkNumber,
    is_cut: bool,
    relay: Option<DeviceRelay>,
    broker: InMemoryBroker,
    is_broker_running: bool,
    broker_host: Option<String>,
    broker_port: Option<u16>,
    /// Numbers at the broker, by connection.
    connections: BTreeMap<u32, BrokerConnection>,
    next_connection: u32,
    /// What the relay does not read for now, by connection.
    paused: BTreeMap<ConnectionId, Vec<u8>>,
    /// Values by device scope, secrecy and key.
    values: BTreeMap<(bool, bool, String), String>,
    answers: Vec<HttpAnswer>,
    deliveries: Deliveries,
    pins: BTreeMap<(u8, u8), bool>,
    /// Bytes for a serial port that has no room yet.
    inputs: VecDeque<Input<'static>>,
    observed: VecDeque<Observation>,
    /// What the relay asks for and is not done yet.
    outputs: VecDeque<Output>,
    is_performing: bool,
}

/// Making it.
impl World {
    pub(super) fn new(
        application: Application,
        attachments: Vec<Attachment>,
        symbols: Option<Symbols>,
        script: &Script,
    ) -> std::io::Result<Self> {
        let mut provisioning = Provisioning {
            policy: application.policy,
            layers: application.layers,
            ..Provisioning::default()
        };
        // Before the device starts, as an installation is over before the application runs.
        provisioning.install()?;
        let seed = script.application.seed.as_deref().unwrap_or("openvisor test");
        let settings = Settings {
            device_id: DeviceId::parse(DEVICE_ID).expect("it has the form of an id"),
            image: application.image,
            entropy: Seed::of_text(seed).entropy(),
            restart: application.restart,
            trace: false,
            attachments,
        };
        let mut machine = Machine::with_provisioning(settings, provisioning);
        machine.set_symbols(symbols);
        machine.report_pins(PinFilter::All);
        let mut world = Self {
            machine,
            link: Link::Down,
            link_number: 0,
            is_cut: false,
            relay: None,
            broker: InMemoryBroker::default(),
            is_broker_running: !script.broker.stopped,
            broker_host: script.broker.host.clone(),
            broker_port: script.broker.port,
            connections: BTreeMap::new(),
            next_connection: 0,
            paused: BTreeMap::new(),
            values: BTreeMap::new(),
            answers: script.http.clone(),
            deliveries: Deliveries::default(),
            pins: BTreeMap::new(),
            inputs: VecDeque::new(),
            observed: VecDeque::new(),
            outputs: VecDeque::new(),
            is_performing: false,
        };
        world.set_values(true, false, &script.config);
        world.set_values(true, true, &script.secrets);
        world.set_values(false, false, &script.account_config);
        world.set_values(false, true, &script.account_secrets);
        Ok(world)
    }

    fn set_values(&mut self, device_scope: bool, secret: bool, values: &BTreeMap<String, String>) {
        let named = |(key, value): (&String, &String)| ((device_scope, secret, key.clone()), value.clone());
        self.values.extend(values.iter().map(named));
    }
}

/// What a script does to it.
impl World {
    pub(super) fn cut_link(&mut self) {
        self.is_cut = true;
        if self.link != Link::Down {
            self.lose_link(LinkLoss::NoCarrier, "cut by the script");
        }
    }

    pub(super) fn restore_link(&mut self) {
        self.is_cut = false;
    }

    pub(super) fn stop_broker(&mut self) {
        self.is_broker_running = false;
        self.broker.stop();
        self.drain_broker();
        self.connections.clear();
    }

    pub(super) fn start_broker(&mut self) {
        self.is_broker_running = true;
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        self.broker.publish(topic, payload.as_bytes(), qos, retain);
        self.drain_broker();
    }

    pub(super) fn input(&mut self, input: Input<'static>) {
        self.inputs.push_back(input);
        self.feed_inputs();
    }

    pub(super) fn set_config(&mut self, values: &BTreeMap<String, String>) {
        self.set_values(true, false, values);
    }

    pub(super) fn set_answer(&mut self, answer: HttpAnswer) {
        self.answers.push(answer);
    }
}

/// Time.
impl World {
    /// Device time since power-on.
    pub(super) fn now(&self) -> Duration {
        Duration::from_micros(self.cycles() / CYCLES_PER_MICRO)
    }

    fn cycles(&self) -> Cycles {
        self.machine.now()
    }

    fn instant(&self) -> Instant {
        Instant::from_micros(self.cycles() / CYCLES_PER_MICRO)
    }

    /// Whether the application ever executed the instruction at this address.
    pub(super) fn was_executed(&self, address: u32) -> bool {
        self.machine.was_executed(address)
    }

    /// What was seen since the last call, in order.
    pub(super) fn take_observation(&mut self) -> Option<Observation> {
        self.observed.pop_front()
    }

    /// What a pin was last seen at.
    pub(super) fn pin(&self, pin: Pin) -> Option<bool> {
        self.pins.get(&(pin.port, pin.pin)).copied()
    }

    /// Lets everything proceed to the next thing that is due, at the latest to `until`.
    pub(super) fn advance(&mut self, until: Duration) {
        let until = (until.as_micros() as u64).saturating_mul(CYCLES_PER_MICRO);
        let machine = StateMachine::next_timeout(&self.machine);
        let relay = self.relay.as_ref().and_then(DeviceRelay::next_timeout);
        let relay = relay.map(|at| at.as_micros().saturating_mul(CYCLES_PER_MICRO));
        // The next thing that is due anywhere: in between nothing can happen, so that the time until then is passed at
        // once.
        let due = [machine, relay, self.deliveries.next_at()].into_iter().flatten().fold(until, Cycles::min);
        self.device(due.max(self.cycles()), Machine::TIMEOUT);
        self.feed_inputs();
        while let Some((link, delivery)) = self.deliveries.take_due(self.cycles()) {
            // What was sent over an earlier link never arrives.
            if link == self.link_number {
                self.deliver(delivery);
            }
        }
        let now = self.instant();
        if self.relay.as_ref().and_then(DeviceRelay::next_timeout).is_some_and(|at| at <= now) {
            self.relay_input(relay::Input::Timeout);
        }
        self.service_link();
    }

    fn later(&mut self, delay: Cycles, delivery: Delivery) {
        self.deliveries.add(self.cycles() + delay, self.link_number, delivery);
    }

    fn observe(&mut self, source: Source, text: impl Into<String>, seen: Seen) {
        self.observed.push_back(Observation { at: self.now(), source, text: text.into(), seen });
    }
}

/// The device.
impl World {
    /// Hands an input to the device at cycle `at`, and takes what comes of it.
    fn device(&mut self, at: Cycles, input: Input<'_>) -> bool {
        let mut events = Vec::new();
        let result = drive(&mut self.machine, at, input, &mut |event| events.push(event));
        for event in &events {
            self.note_event(event);
        }
        if let Err(InputError::Violation(violation)) = result {
            self.lose_link(
                LinkLoss::Requested,
                &format!("the cloud violated the link protocol: {}", violation.text()),
            );
        }
        result.is_ok()
    }

    fn device_now(&mut self, input: Input<'_>) -> bool {
        self.device(self.cycles(), input)
    }

    /// Bytes for a serial port whose line has no room are tried again later.
    fn feed_inputs(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            // Only serial input waits; any other that is refused was for something that does not exist.
            if !self.device_now(input.clone()) && matches!(input, Input::Serial { .. }) {
                self.inputs.push_front(input);
                break;
            }
        }
    }

    fn note_event(&mut self, event: &DeviceEvent) {
        let seen = match event {
            DeviceEvent::Led { on } => self.note_pin(LED, *on),
            DeviceEvent::Pin { pin, level } => self.note_pin(*pin, *level),
            DeviceEvent::LinkUp => Seen::Link { up: true },
            DeviceEvent::LinkDown { .. } => Seen::Link { up: false },
            DeviceEvent::Crashed(crash) => Seen::Crashed(crash.lines()),
            _ => Seen::Other,
        };
        let (source, text) = event_output::device_line(event);
        self.observe(source, text, seen);
    }

    fn note_pin(&mut self, pin: Pin, level: bool) -> Seen {
        self.pins.insert((pin.port, pin.pin), level);
        Seen::Pin(pin, level)
    }
}

/// The link between device and cloud.
impl World {
    fn service_link(&mut self) {
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
        while self.link == Link::Up {
            let length = self.machine.transmit(&mut chunk);
            if length == 0 {
                break;
            }
            self.later(DELAY, Delivery::ToCloud(chunk[..length].to_vec()));
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
    fn lose_link(&mut self, kind: LinkLoss, cause: &str) {
        if self.link == Link::Down {
            return;
        }
        self.link = Link::Down;
        self.relay = None;
        self.deliveries.clear();
        self.paused.clear();
        for number in std::mem::take(&mut self.connections).into_keys() {
            self.broker.disconnected(number);
        }
        self.drain_broker();
        self.device_now(Input::LinkLost { kind, cause: cause.to_owned().into() });
    }

    fn deliver(&mut self, delivery: Delivery) {
        use relay::Input as R;
        match delivery {
            Delivery::LinkAttempt => self.end_attempt(),
            Delivery::LinkEnd => self.lose_link(LinkLoss::Unreachable, "the cloud closed the connection"),
            Delivery::ToCloud(bytes) => self.relay_input(R::LinkReceived(&bytes)),
            Delivery::ToDevice(bytes) => {
                self.device_now(Input::Received(bytes.into()));
            }
            Delivery::BrokerAttempt(connection, None) => {
                if let Some(number) = self.number_of(connection) {
                    self.broker.connected(number);
                    self.relay_input(R::ConnectionOpened { connection });
                }
            }
            Delivery::BrokerAttempt(connection, Some(error)) => {
                self.relay_input(R::ConnectionFailed { connection, error });
            }
            Delivery::ToBroker(connection, bytes) => {
                if let Some(number) = self.number_of(connection) {
                    self.broker.receive(number, &bytes);
                    self.drain_broker();
                }
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

/// The cloud.
impl World {
    fn relay_input(&mut self, input: relay::Input<'_>) {
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
            Output::LinkSend(bytes) => self.later(DELAY, Delivery::ToDevice(bytes)),
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
                let outcome = self.answer(&request);
                self.later(DELAY, Delivery::Answer(exchange, outcome));
            }
            Output::CancelHttp { exchange } => self.deliveries.cancel(exchange),
            Output::Log(line) => {
                let text = String::from_utf8_lossy(line.text.trim_ascii_end()).into_owned();
                self.observe(Source::App, text.clone(), Seen::Log(text));
                self.relay_input(relay::Input::LogStored { sequence: line.sequence });
            }
            Output::Hello(_) => {}
            Output::Notice(notice) => self.note_notice(notice),
            Output::Disconnect { .. } => self.later(DELAY, Delivery::LinkEnd),
        }
    }

    /// Publishes and subscribes are shown as the broker sees them, requests as the web server does.
    fn note_notice(&mut self, notice: Notice) {
        use Notice as N;
        if !matches!(notice, N::Published { .. } | N::Subscribing { .. } | N::HttpRequested { .. }) {
            let (source, text) = event_output::cloud_line(&EventKind::Notice(notice));
            self.observe(source, text, Seen::Other);
        }
    }

    fn value(&self, key: &LookupKey) -> Value {
        let Ok(name) = String::from_utf8(key.key.clone()) else { return Value::InvalidKey };
        match self.values.get(&(key.device_scope, key.secret, name)) {
            Some(value) => Value::Found(value.clone().into_bytes()),
            None => Value::NotFound,
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> HttpOutcome {
        let HttpRequest { method, url, body, .. } = request;
        let body = String::from_utf8_lossy(body).into_owned();
        let is_match = |answer: &&HttpAnswer| {
            answer.url == *url && answer.method.as_ref().is_none_or(|wanted| wanted == method)
        };
        // The last one that matches: a step of the script can replace an answer.
        let answer = self.answers.iter().rfind(is_match).cloned();
        let end = if answer.is_some() { "" } else { ", which no [[http]] table answers" };
        let text = format!("{method} {}, {} bytes{end}", text::redacted_url(url), body.len());
        self.observe(Source::Cloud, text, Seen::Requested { method, url: url.clone(), body });
        let Some(answer) = answer else {
            return HttpOutcome::Failed(HttpError::Connection(ConnectError::NameNotResolved));
        };
        let response = HttpResponse {
            status: answer.status,
            headers: answer.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            ignored: Vec::new(),
            body: answer.body.into_bytes(),
        };
        // As the cloud does: what the application has no room for is not sent to it (D182).
        if response.length() > request.max_response_length as usize {
            return HttpOutcome::TooLarge;
        }
        HttpOutcome::Response(response)
    }
}

/// The broker.
impl World {
    fn number_of(&self, connection: ConnectionId) -> Option<u32> {
        let key = (self.link_number, connection);
        self.connections.iter().find(|(_, known)| **known == key).map(|(number, _)| *number)
    }

    fn open(&mut self, connection: ConnectionId, target: &Target) {
        let is_known = self.broker_host.as_ref().is_none_or(|host| *host == target.host);
        let is_listening = self.is_broker_running && self.broker_port.is_none_or(|port| port == target.port);
        let error = match (is_known, is_listening) {
            (false, _) => Some(ConnectError::NameNotResolved),
            (true, false) => Some(ConnectError::Refused),
            (true, true) => None,
        };
        if error.is_none() {
            self.next_connection += 1;
            self.connections.insert(self.next_connection, (self.link_number, connection));
        }
        self.later(CONNECT_DELAY, Delivery::BrokerAttempt(connection, error));
    }

    /// The relay closes a connection: the broker gets what was sent before.
    fn close(&mut self, connection: ConnectionId) {
        self.paused.remove(&connection);
        let Some(number) = self.number_of(connection) else { return };
        for bytes in self.deliveries.take_for_broker(connection) {
            self.broker.receive(number, &bytes);
        }
        self.connections.remove(&number);
        self.broker.disconnected(number);
        self.drain_broker();
    }

    fn drain_broker(&mut self) {
        while let Some(action) = self.broker.poll() {
            match action {
                Action::Send(number, bytes) => {
                    if let Some((_, connection)) = self.connections.get(&number).copied() {
                        self.later(DELAY, Delivery::FromBroker(connection, bytes));
                    }
                }
                Action::Close(number) => {
                    if let Some((_, connection)) = self.connections.remove(&number) {
                        self.later(DELAY, Delivery::BrokerEnd(connection, ConnectionEnd::Closed));
                    }
                }
                Action::Report(event) => self.note_broker(event),
            }
        }
    }

    fn note_broker(&mut self, event: demo_broker::Event) {
        use demo_broker::Event as E;
        if let E::Published { client, message } = event {
            let payload = String::from_utf8_lossy(&message.payload).into_owned();
            let demo_broker::Message { topic, qos, retain, .. } = message;
            let text = format!("{client} publishes {topic}, QoS {qos}: {payload}");
            return self.observe(Source::Broker, text, Seen::Published { topic, payload, qos, retain });
        }
        let Some((source, text)) = event_output::broker_line(&event) else { return };
        let seen = match event {
            E::Subscribed { filter, .. } => Seen::Subscribed(filter),
            _ => Seen::Other,
        };
        self.observe(source, text, seen);
    }
}
