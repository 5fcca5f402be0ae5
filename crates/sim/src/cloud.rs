//! The cloud's half of a cable: the relay, and what stands around it in a real cloud.

use std::collections::VecDeque;

use relay::{DeviceRelay, Input, LogLine, LookupId, LookupKey, Settings, Value};
use sansio::{Duration, Instant, WallTime};

use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::pipe::Pipe;

/// Bytes of one relay, and of one direction of a cable, that would be a leak.
const HELD: usize = 1 << 20;
/// The wall clock at the start of a run, microseconds since 1970.
const WALL: u64 = 1_800_000_000_000_000;

/// The value of a device's configuration item.
pub fn config_value(device: usize, key: &str) -> Vec<u8> {
    format!("value of {key} for d{device}").into_bytes()
}

/// A connection between a device and the cloud, and all the cloud knows of it.
pub struct Cable {
    /// Whose.
    pub device: usize,
    /// When it stands; `None` once it does.
    pub opens: Option<u64>,
    /// To the cloud.
    pub up: Pipe,
    /// To the device.
    pub down: Pipe,
    /// The cloud's end, while there is one.
    pub relay: Option<DeviceRelay>,
    boot: u32,
    lookups: VecDeque<(u64, LookupId, Vec<LookupKey>)>,
    stored: VecDeque<(u64, u32)>,
    last_stored: u64,
}

impl Cable {
    /// A connection that is being made.
    pub fn new(device: usize, opens: u64) -> Self {
        Self {
            device,
            opens: Some(opens),
            up: Pipe::default(),
            down: Pipe::default(),
            relay: None,
            boot: 0,
            lookups: VecDeque::new(),
            stored: VecDeque::new(),
            last_stored: 0,
        }
    }

    /// The cloud has accepted it.
    pub fn accept(&mut self, now: u64, chance: &mut Chance) {
        self.opens = None;
        let settings = Settings {
            wall_time: WallTime::from_micros(WALL + now),
            keepalive: Duration::from_secs(chance.of(&[5, 60])),
            notices: chance.one_in(2),
            ..Settings::default()
        };
        self.relay = Some(DeviceRelay::new(Instant::from_micros(now), settings));
    }

    /// The relay takes something in. The simulation's devices keep the rules.
    pub fn feed(&mut self, now: u64, input: Input<'_>) {
        let Some(relay) = &mut self.relay else { return };
        let taken = relay.handle(Instant::from_micros(now), input);
        assert!(taken.is_ok(), "the relay found fault with device {}: {taken:?}", self.device);
        assert!(relay.held() <= HELD, "the relay of device {} holds {} bytes", self.device, relay.held());
        let under_way = self.down.in_flight().max(self.up.in_flight());
        assert!(under_way <= HELD, "{under_way} bytes are under way for device {}", self.device);
    }

    /// The device has said which start of it this is.
    pub fn hello(&mut self, boot: u32) {
        self.boot = boot;
    }

    /// A log message: it is safe a little later.
    pub fn log(&mut self, now: u64, line: &LogLine, chance: &mut Chance, ledger: &mut Ledger) {
        let text = String::from_utf8(line.text.clone()).expect("log lines of ours are text");
        let expected = format!("d{} line {} ", self.device, line.sequence);
        assert!(text.starts_with(&expected), "device {}: line {} is {text:?}", self.device, line.sequence);
        let known = ledger.logs.insert((self.device, self.boot, line.sequence), text.clone());
        assert!(known.as_ref().is_none_or(|known| *known == text), "line {} has changed", line.sequence);
        ledger.logs_again += u64::from(known.is_some());
        self.last_stored = self.last_stored.max(now + chance.below(500_000));
        self.stored.push_back((self.last_stored, line.sequence));
    }

    /// Which start of the device it carries.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Keys to be looked up: found a little later, in any order.
    pub fn look_up(&mut self, at: u64, lookup: LookupId, keys: Vec<LookupKey>) {
        self.lookups.push_back((at, lookup, keys));
        self.lookups.make_contiguous().sort_by_key(|(at, ..)| *at);
    }

    /// When the cloud next has something to do by itself.
    pub fn due(&self) -> Option<u64> {
        let relay = self.relay.as_ref()?.next_timeout().map(Instant::as_micros);
        let lookups = self.lookups.front().map(|(at, ..)| *at);
        let stored = self.stored.front().map(|(at, _)| *at);
        [relay, lookups, stored].into_iter().flatten().min()
    }

    /// Does what is due; whether anything was.
    pub fn step(&mut self, now: u64) -> bool {
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        if let Some((_, lookup, keys)) = self.lookups.pop_front_if(|(at, ..)| *at <= now) {
            let value =
                |key: &LookupKey| Value::Found(config_value(self.device, &String::from_utf8_lossy(&key.key)));
            let values = keys.iter().map(value).collect();
            self.feed(now, Input::LookupFinished { lookup, values });
        }
        if let Some((_, sequence)) = self.stored.pop_front_if(|(at, _)| *at <= now) {
            self.feed(now, Input::LogStored { sequence });
        }
        let timeout = |relay: &Option<DeviceRelay>| relay.as_ref().and_then(DeviceRelay::next_timeout);
        if timeout(&self.relay).is_some_and(|at| at.as_micros() <= now) {
            self.feed(now, Input::Timeout);
            let next = timeout(&self.relay);
            assert!(next.is_none_or(|next| next.as_micros() > now), "a timeout of the relay stays due");
        }
        true
    }
}
