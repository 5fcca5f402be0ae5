//! Everything together, on one clock that jumps to what is due next.

mod faults;
mod transfer;

use std::collections::BTreeMap;

use sansio::{Duration, Instant};
use test_rng::Rng;

use crate::broker::Broker;
use crate::device::Device;
use crate::ledger::Ledger;
use crate::link::Link;
use crate::socket::Socket;
use crate::trace::Trace;

/// How long faults are injected.
const FAULTY: Duration = Duration::from_secs(60);
/// How long recovery may take after that: back-off, timeouts and keepalives included.
const RECOVERY: Duration = Duration::from_secs(600);
/// Turns at one instant after which the world is in a loop.
const MAX_TURNS: u32 = 100_000;

/// How long bytes are in flight.
#[derive(Clone, Copy)]
struct Delay {
    min: Duration,
    spread: Duration,
}

impl Delay {
    /// A good network.
    const SHORT: Self = Self { min: Duration::from_millis(1), spread: Duration::from_millis(4) };

    /// When something sent now arrives.
    fn after(self, now: Instant, rng: &mut Rng) -> Instant {
        now + self.min + random_below(self.spread, rng)
    }
}

fn random_below(max: Duration, rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.below(max.as_micros()))
}

/// Devices, their links and relays, the relays' sockets, and one broker.
pub struct World {
    now: Instant,
    rng: Rng,
    trace: Trace,
    ledger: Ledger,
    devices: Vec<Device>,
    links: BTreeMap<u32, Link>,
    sockets: BTreeMap<u32, Socket>,
    broker: Broker,
    last_id: u32,
    /// Faults have stopped.
    is_recovering: bool,
    next_fault: Instant,
    next_message: Instant,
    /// While these are later than now, the cloud and the broker accept no connections.
    cloud_up_at: Instant,
    broker_up_at: Instant,
    link_delay: Delay,
    socket_delay: Delay,
}

/// The totals of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Requests that succeeded.
    pub completed: u64,
    /// Requests with another answer.
    pub refused: u64,
    /// Messages read by applications.
    pub messages: u64,
    /// Of these, repeated after a loss.
    pub repeated: u64,
    /// Log lines stored.
    pub logs: u64,
    /// Log lines sent again.
    pub logs_again: u64,
}

macro_rules! environment {
    ($world:expr) => {
        $crate::device::Environment {
            rng: &mut $world.rng,
            ledger: &mut $world.ledger,
            trace: &$world.trace,
            is_recovering: $world.is_recovering,
        }
    };
}
use environment;

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = Self {
            now: Instant::from_micros(1),
            broker: Broker::new(rng.pick(&[0, 0, 3])),
            rng,
            trace,
            ledger: Ledger::default(),
            devices: Vec::new(),
            links: BTreeMap::new(),
            sockets: BTreeMap::new(),
            last_id: 0,
            is_recovering: false,
            next_fault: Instant::from_secs(1),
            next_message: Instant::ZERO,
            cloud_up_at: Instant::ZERO,
            broker_up_at: Instant::ZERO,
            link_delay: Delay::SHORT,
            socket_delay: Delay::SHORT,
        };
        for number in 0..=world.rng.below(3) as usize {
            let device = Device::start(number, world.now, &mut environment!(world));
            world.devices.push(device);
        }
        world
    }

    /// Runs to the end: first with faults, then without, until everything has recovered.
    pub fn run(mut self) -> Report {
        self.run_until(Instant::ZERO + FAULTY, |_| false);
        self.stop_faults();
        self.run_until(self.now + RECOVERY, Self::is_settled);
        self.check_complete();
        self.report()
    }

    fn run_until(&mut self, end: Instant, is_done: impl Fn(&Self) -> bool) {
        while self.now < end && !is_done(self) {
            let mut turns = 0;
            while self.turn() {
                turns += 1;
                assert!(turns < MAX_TURNS, "the clock does not advance at {:?}", self.now);
            }
            self.now = self.next_timeout().max(self.now + Duration::from_micros(1));
        }
    }

    /// The next instant at which something happens.
    fn next_timeout(&self) -> Instant {
        let attached = |link: &u32, device: usize| self.devices[device].link == Some(*link);
        let devices = self.devices.iter().map(Device::next_timeout);
        let links = self.links.iter().flat_map(|(id, link)| {
            let down = link.down.next_arrival().filter(|_| attached(id, link.device));
            let up = link.up.next_arrival().filter(|_| link.relay.is_some());
            [link.opens, up, down, link.next_timeout()].into_iter().flatten()
        });
        let sockets = self.sockets.values().filter_map(Socket::next_arrival);
        let own = [self.next_fault, self.next_message];
        devices.chain(links).chain(sockets).chain(own).min().unwrap_or(self.now)
    }

    /// One turn for each part. Returns whether anything happened.
    fn turn(&mut self) -> bool {
        let mut worked = self.inject_due_faults();
        for number in 0..self.devices.len() {
            worked |= self.drive_device_timeout(number);
            worked |= self.devices[number].act_if_due(self.now, &mut environment!(self));
            worked |= self.service_link(number);
        }
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            worked |= self.move_link(id);
        }
        for id in self.sockets.keys().copied().collect::<Vec<_>>() {
            worked |= self.move_socket(id);
        }
        self.execute_for_broker() || worked
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn is_settled(&self) -> bool {
        let relays = self.links.values().filter_map(|link| link.relay.as_ref());
        self.devices
            .iter()
            .all(|device| device.application.is_settled() && device.application.pending().is_empty())
            && self.broker.waiting().is_empty()
            && relays.map(relay::DeviceRelay::buffered_bytes).sum::<usize>() == 0
            && self.missing_logs().is_empty()
    }

    /// Log messages that were accepted and are not in the cloud.
    fn missing_logs(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let boot = device.link.and_then(|id| self.links.get(&id)).map(Link::boot);
            for (sequence, text) in (1..).zip(&device.application.logged).skip(device.application.log_floor) {
                let stored = boot.and_then(|boot| self.ledger.logs.get(&(number, boot, sequence)));
                if stored != Some(text) {
                    missing.push(format!("device {number}: line {sequence}"));
                }
            }
        }
        missing
    }

    /// After recovery nothing may be missing.
    fn check_complete(&self) {
        for (number, device) in self.devices.iter().enumerate() {
            let pending = device.application.pending();
            assert!(pending.is_empty(), "device {number} has no answer to {pending:?}");
            assert!(device.application.is_settled(), "device {number} has not recovered");
        }
        let waiting = self.broker.waiting();
        assert!(waiting.is_empty(), "messages never acknowledged: {waiting:?}");
        let missing = self.missing_logs();
        assert!(missing.is_empty(), "log lines never stored: {missing:?}");
        assert!(self.is_settled(), "a relay still has something in memory");
    }

    fn report(&self) -> Report {
        let ledger = &self.ledger;
        Report {
            completed: ledger.completed,
            refused: ledger.refused,
            messages: ledger.messages.values().map(|message| u64::from(message.read)).sum(),
            repeated: ledger.repeated,
            logs: ledger.logs.len() as u64,
            logs_again: ledger.logs_again,
        }
    }
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.completed += other.completed;
        self.refused += other.refused;
        self.messages += other.messages;
        self.repeated += other.repeated;
        self.logs += other.logs;
        self.logs_again += other.logs_again;
    }
}
