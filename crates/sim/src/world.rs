//! Everything together, on one clock that jumps to whatever is due next.

mod chaos;
mod moving;

use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::chance::Chance;
use crate::cloud::Cable;
use crate::device::Device;
use crate::ledger::Ledger;
use crate::trace::Trace;
use crate::wire::Wire;

const SECOND: u64 = 1_000_000;
/// How long things go wrong.
const NOISY: u64 = 60 * SECOND;
/// How long things may take to settle after that: back-off, time-outs and keepalives included.
const SETTLING: u64 = 600 * SECOND;
/// Turns at one moment after which nothing moves any more, only turns.
const TURNS: u32 = 100_000;

/// How long things take, microseconds.
#[derive(Clone, Copy)]
struct Delay {
    least: u64,
    spread: u64,
}

impl Delay {
    fn from(self, now: u64, chance: &mut Chance) -> u64 {
        now + self.least + chance.below(self.spread)
    }
}

/// Devices, cables, relays, wires, and one broker.
pub struct World {
    now: u64,
    chance: Chance,
    trace: Trace,
    ledger: Ledger,
    devices: Vec<Device>,
    cables: BTreeMap<u32, Cable>,
    wires: BTreeMap<u32, Wire>,
    broker: Broker,
    next_name: u32,
    quiet: bool,
    next_chaos: u64,
    next_message: u64,
    cloud_back: u64,
    broker_back: u64,
    link_delay: Delay,
    wire_delay: Delay,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Requests that succeeded.
    pub completed: u64,
    /// Requests answered otherwise.
    pub refused: u64,
    /// Messages read by applications.
    pub messages: u64,
    /// Of these, again after a loss.
    pub repeated: u64,
    /// Log lines stored.
    pub logs: u64,
    /// Log lines sent again.
    pub logs_again: u64,
}

macro_rules! around {
    ($world:expr) => {
        $crate::device::World {
            chance: &mut $world.chance,
            ledger: &mut $world.ledger,
            trace: &$world.trace,
            quiet: $world.quiet,
        }
    };
}
use around;

impl World {
    /// The world of a seed.
    pub fn new(seed: u64, trace: Trace) -> Self {
        let mut chance = Chance::new(seed);
        let mut world = Self {
            now: 1,
            broker: Broker::new(chance.of(&[0, 0, 3])),
            chance,
            trace,
            ledger: Ledger::default(),
            devices: Vec::new(),
            cables: BTreeMap::new(),
            wires: BTreeMap::new(),
            next_name: 0,
            quiet: false,
            next_chaos: SECOND,
            next_message: 0,
            cloud_back: 0,
            broker_back: 0,
            link_delay: Delay { least: 1000, spread: 4000 },
            wire_delay: Delay { least: 1000, spread: 4000 },
        };
        for number in 0..=world.chance.below(3) as usize {
            let device = Device::start(number, world.now, &mut around!(world));
            world.devices.push(device);
        }
        world
    }

    /// Lives to the end: noise, then quiet, then everything must have come to its end.
    pub fn run(mut self) -> Report {
        self.run_until(NOISY, |_| false);
        self.be_quiet();
        self.run_until(self.now + SETTLING, Self::is_settled);
        self.hold_to_account();
        self.report()
    }

    fn run_until(&mut self, end: u64, is_done: impl Fn(&Self) -> bool) {
        while self.now < end && !is_done(self) {
            let mut turns = 0;
            while self.turn() {
                turns += 1;
                assert!(turns < TURNS, "the clock stands still at {}", self.now);
            }
            self.now = self.due().max(self.now + 1);
        }
    }

    /// The next moment anything happens.
    fn due(&self) -> u64 {
        let attached = |cable: &u32, device: usize| self.devices[device].cable == Some(*cable);
        let devices = self.devices.iter().map(Device::due);
        let cables = self.cables.iter().flat_map(|(id, cable)| {
            let down = cable.down.due().filter(|_| attached(id, cable.device));
            let up = cable.up.due().filter(|_| cable.relay.is_some());
            [cable.opens, up, down, cable.due()].into_iter().flatten()
        });
        let wires = self.wires.values().filter_map(Wire::due);
        let own = [self.next_chaos, self.next_message];
        devices.chain(cables).chain(wires).chain(own).min().unwrap_or(self.now)
    }

    /// One turn for everybody; whether anything happened.
    fn turn(&mut self) -> bool {
        let mut worked = self.make_trouble();
        for number in 0..self.devices.len() {
            worked |= self.devices[number].step(self.now, &mut around!(self));
            worked |= self.tend_link(number);
        }
        for id in self.cables.keys().copied().collect::<Vec<_>>() {
            worked |= self.move_cable(id);
            worked |= self.drain_relay(id);
        }
        for id in self.wires.keys().copied().collect::<Vec<_>>() {
            worked |= self.move_wire(id);
        }
        self.act_for_broker() || worked
    }

    fn name(&mut self) -> u32 {
        self.next_name += 1;
        self.next_name
    }

    fn is_settled(&self) -> bool {
        let relays = self.cables.values().filter_map(|cable| cable.relay.as_ref());
        self.devices
            .iter()
            .all(|device| device.application.is_settled() && device.application.owed().is_empty())
            && self.broker.waiting().is_empty()
            && relays.map(relay::DeviceRelay::held).sum::<usize>() == 0
            && self.missing_logs().is_empty()
    }

    /// Log messages that were accepted and are not in the cloud.
    fn missing_logs(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let boot = device.cable.and_then(|id| self.cables.get(&id)).map(Cable::boot);
            for (sequence, text) in (1..).zip(&device.application.logged).skip(device.application.log_floor) {
                let stored = boot.and_then(|boot| self.ledger.logs.get(&(number, boot, sequence)));
                if stored != Some(text) {
                    missing.push(format!("device {number}: line {sequence}"));
                }
            }
        }
        missing
    }

    /// After quiet nothing may be left.
    fn hold_to_account(&self) {
        for (number, device) in self.devices.iter().enumerate() {
            let owed = device.application.owed();
            assert!(owed.is_empty(), "device {number} is still owed: {owed:?}");
            assert!(device.application.is_settled(), "device {number} has not come back");
        }
        let waiting = self.broker.waiting();
        assert!(waiting.is_empty(), "messages that never were acknowledged: {waiting:?}");
        let missing = self.missing_logs();
        assert!(missing.is_empty(), "log lines that never arrived: {missing:?}");
        assert!(self.is_settled(), "a relay still holds something");
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
