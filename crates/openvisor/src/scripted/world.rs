//! Device, relay, broker, web server and store, joined in one process and in the device's time.
//!
//! - `link.rs`: the connection between device and cloud. `relayed.rs`: what the relay asks for.
//!   `broker.rs`: the broker.

mod broker;
mod link;
mod relayed;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cloud::connector::{RehearsalServer, Trust};
use demo_broker::in_memory::InMemoryBroker;
use device::Input;
use device::application::Application;
use device::debug::symbols::Symbols;
use device::entropy::Seed;
use device::events::{DeviceEvent, Picture, PinFilter};
use device::identity::DeviceId;
use device::machine::{InputError, Machine, Provisioning, Settings};
use device::memory_map::CYCLES_PER_MICRO;
use device::pin::Pin;
use device::wiring::Attachment;
use kernel::LinkLoss;
use relay::{ConnectionEnd, ConnectionId, DeviceRelay, Output};
use sansio::{Instant, StateMachine, WallTime, drive};

use self::link::Pace;
use super::action::PublishAction;
use super::deliveries::{Deliveries, Delivery, LinkNumber};
use super::environment::{BrokerRequirements, HttpAnswer};
use super::format::Script;
use super::observation::{Observation, Seen};
use crate::host::serial_lines::SerialLines;
use crate::output::event::Event;

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
    pace: Pace,
    relay: Option<DeviceRelay>,
    broker: InMemoryBroker,
    is_broker_running: bool,
    broker_host: Option<String>,
    broker_port: Option<u16>,
    broker_tls: Option<RehearsalServer>,
    trust: Trust,
    /// Connections that the broker's TLS ends once something arrives, and how.
    unwanted: BTreeMap<u32, ConnectionEnd>,
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
    displays: BTreeMap<(u8, u8), Picture>,
    serial: SerialLines<Duration>,
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
        let trust = Trust::new(&[]).expect("nothing is added to the public authorities");
        let mut machine = Machine::with_provisioning(settings, provisioning);
        machine.set_symbols(symbols);
        machine.report_pins(PinFilter::All);
        let mut world = Self {
            machine,
            link: Link::Down,
            link_number: 0,
            is_cut: script.link.cut,
            pace: Pace::new(&script.link.quality()),
            relay: None,
            broker: InMemoryBroker::default(),
            is_broker_running: !script.broker.stopped,
            broker_host: script.broker.host.clone(),
            broker_port: script.broker.port,
            broker_tls: None,
            trust,
            unwanted: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            paused: BTreeMap::new(),
            values: BTreeMap::new(),
            answers: script.http.clone(),
            deliveries: Deliveries::default(),
            pins: BTreeMap::new(),
            displays: BTreeMap::new(),
            serial: SerialLines::default(),
            inputs: VecDeque::new(),
            observed: VecDeque::new(),
            outputs: VecDeque::new(),
            is_performing: false,
        };
        world.require(&script.broker.requirements());
        world.set_values(true, false, &script.config);
        world.set_values(true, true, &script.secrets);
        world.set_values(false, false, &script.account_config);
        world.set_values(false, true, &script.account_secrets);
        Ok(world)
    }

    /// Values that are fetched from now on.
    pub(super) fn set_values(&mut self, device_scope: bool, secret: bool, values: &BTreeMap<String, String>) {
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

    /// What the broker requires of clients from now on.
    pub(super) fn require(&mut self, requirements: &BrokerRequirements) {
        self.broker.require(requirements.requirements().expect("it was checked with the script"));
        self.broker_tls = requirements.tls.as_ref().and_then(|tls| tls.server.clone());
    }

    pub(super) fn publish(&mut self, publish: &PublishAction) {
        let payload = publish.bytes().expect("it was checked with the script");
        self.broker.publish(&publish.topic, &payload, publish.qos, publish.retain);
        self.drain_broker();
    }

    /// The device loses its power, and with it the link. What its outputs showed is gone.
    pub(super) fn power_off(&mut self) {
        self.machine.lose_power();
        self.lose_link(LinkLoss::NoCarrier, "the device is switched off");
        self.pins.clear();
        self.displays.clear();
    }

    pub(super) fn power_on(&mut self) {
        self.machine.restore_power();
    }

    pub(super) fn input(&mut self, input: Input<'static>) {
        self.inputs.push_back(input);
        self.feed_inputs();
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

    /// What each display was last seen to show, by bus and address.
    pub(super) fn displays(&self) -> impl Iterator<Item = (u8, u8, &Picture)> {
        self.displays.iter().map(|((bus, address), picture)| (*bus, *address, picture))
    }

    /// Lets everything proceed to the next thing that is due, at the latest to `until`.
    pub(super) fn advance(&mut self, until: Duration) {
        let until = (until.as_micros() as u64).saturating_mul(CYCLES_PER_MICRO);
        let machine = StateMachine::next_timeout(&self.machine);
        let relay = self.relay.as_ref().and_then(DeviceRelay::next_timeout);
        let relay = relay.map(|at| at.as_micros().saturating_mul(CYCLES_PER_MICRO));
        // The next thing that is due anywhere: in between nothing can happen, so that the time until then is passed at
        // once.
        let serial = self.serial.next_timeout().map(|at| at.as_micros() as u64 * CYCLES_PER_MICRO);
        let ends = [machine, relay, serial, self.deliveries.next_at()];
        let due = ends.into_iter().flatten().fold(until, Cycles::min);
        self.device(due.max(self.cycles()), Machine::TIMEOUT);
        while let Some(line) = self.serial.pop_expired(self.now()) {
            self.note_serial(&line);
        }
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

    fn observe(&mut self, event: Event, seen: Seen) {
        self.observed.push_back(Observation { at: self.now(), event, seen });
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
            DeviceEvent::Serial { port, bytes } => {
                let lines = self.serial.push(*port, bytes, self.now());
                return lines.iter().for_each(|line| self.note_serial(line));
            }
            DeviceEvent::Display { bus, address, picture } => {
                self.displays.insert((*bus, *address), *picture);
                Seen::Display(*bus, *address, *picture)
            }
            DeviceEvent::Started { .. } => Seen::Started(Event::from(event).text()),
            DeviceEvent::Led { on } => self.note_pin(LED, *on),
            DeviceEvent::Pin { pin, level } => self.note_pin(*pin, *level),
            DeviceEvent::LinkUp => Seen::Link { up: true },
            DeviceEvent::LinkDown { .. } => Seen::Link { up: false },
            DeviceEvent::Crashed(crash) => Seen::Crashed(crash.lines()),
            _ => Seen::Other,
        };
        self.observe(event.into(), seen);
    }

    /// A line of a serial port, or what it sent before a pause.
    fn note_serial(&mut self, line: &DeviceEvent) {
        let DeviceEvent::Serial { port, bytes } = line else { return };
        self.observe(line.into(), Seen::Serial(*port, String::from_utf8_lossy(bytes).into_owned()));
    }

    fn note_pin(&mut self, pin: Pin, level: bool) -> Seen {
        self.pins.insert((pin.port, pin.pin), level);
        Seen::Pin(pin, level)
    }
}
