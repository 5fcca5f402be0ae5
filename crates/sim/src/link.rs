//! The link of a device: the bytes in flight, the relay at the cloud's end, and a model of what surrounds it in a
//! cloud.

use std::collections::VecDeque;

use relay::{DeviceRelay, Input, LogLine, LookupId, LookupKey, Output, Settings, Value};
use sansio::{Duration, Instant, WallTime, drive};
use test_rng::Rng;

use crate::ledger::Ledger;
use crate::pipe::Pipe;

/// Bytes in one relay, or in flight in one direction of a link, that would be a leak.
const LEAK: usize = 1 << 20;
/// The time of day at the start of a run.
const WALL: WallTime = WallTime::from_millis(1_800_000_000_000);
/// How long storing a log line may take.
const MAX_STORE_DELAY: Duration = Duration::from_millis(500);

/// The value of a device's configuration item.
pub fn config_value(device: usize, key: &str) -> Vec<u8> {
    format!("value of {key} for d{device}").into_bytes()
}

/// A connection between a device and the cloud, and all that the cloud has for it.
pub struct Link {
    /// The device's number.
    pub device: usize,
    /// When it will be established; `None` once it is.
    pub opens: Option<Instant>,
    /// To the cloud.
    pub up: Pipe,
    /// To the device.
    pub down: Pipe,
    /// The cloud's end, while there is one.
    pub relay: Option<DeviceRelay>,
    boot: u32,
    lookups: VecDeque<(Instant, LookupId, Vec<LookupKey>)>,
    /// When log lines will have been stored, and their numbers.
    stored: VecDeque<(Instant, u32)>,
    last_stored: Instant,
}

impl Link {
    /// A connection that is being established.
    pub fn new(device: usize, opens: Instant) -> Self {
        Self {
            device,
            opens: Some(opens),
            up: Pipe::default(),
            down: Pipe::default(),
            relay: None,
            boot: 0,
            lookups: VecDeque::new(),
            stored: VecDeque::new(),
            last_stored: Instant::ZERO,
        }
    }

    /// The cloud has accepted it.
    pub fn accept(&mut self, now: Instant, rng: &mut Rng) {
        self.opens = None;
        let settings = Settings {
            wall_time: WALL + now.duration_since(Instant::ZERO),
            keepalive: Duration::from_secs(rng.pick(&[5, 60])),
            notices: rng.one_in(2),
            ..Settings::default()
        };
        self.relay = Some(DeviceRelay::new(now, settings));
    }

    /// Hands an input to the relay and gives its outputs. The simulation's devices keep the rules.
    pub fn drive(&mut self, now: Instant, input: Input<'_>) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(relay) = &mut self.relay else { return outputs };
        let outcome = drive(relay, now, input, &mut |output| outputs.push(output));
        assert!(outcome.is_ok(), "the relay reports a violation of device {}: {outcome:?}", self.device);
        self.check_memory();
        outputs
    }

    /// The same for the relay's timeout, if that is due.
    pub fn drive_timeout(&mut self, now: Instant) -> Option<Vec<Output>> {
        let mut outputs = Vec::new();
        let relay = self.relay.as_mut()?;
        let was_due = sansio::drive_timeout(relay, now, &mut |output| outputs.push(output));
        self.check_memory();
        was_due.expect("only received bytes can be a violation").then_some(outputs)
    }

    fn check_memory(&self) {
        let held = self.relay.as_ref().map_or(0, DeviceRelay::buffered_bytes);
        assert!(held <= LEAK, "the relay of device {} has {held} bytes", self.device);
        let in_flight = self.down.in_flight().max(self.up.in_flight());
        assert!(in_flight <= LEAK, "{in_flight} bytes are in flight for device {}", self.device);
    }

    /// The device has sent the number of its boot.
    pub fn hello(&mut self, boot: u32) {
        self.boot = boot;
    }

    /// A log message: it will have been stored a little later.
    pub fn log(&mut self, now: Instant, line: &LogLine, rng: &mut Rng, ledger: &mut Ledger) {
        let text = String::from_utf8(line.text.clone()).expect("the model application logs text");
        let expected = format!("d{} line {} ", self.device, line.sequence);
        assert!(text.starts_with(&expected), "device {}: line {} is {text:?}", self.device, line.sequence);
        let known = ledger.logs.insert((self.device, self.boot, line.sequence), text.clone());
        assert!(known.as_ref().is_none_or(|known| *known == text), "line {} has changed", line.sequence);
        ledger.logs_again += u64::from(known.is_some());
        let delay = Duration::from_micros(rng.below(MAX_STORE_DELAY.as_micros()));
        self.last_stored = self.last_stored.max(now + delay);
        self.stored.push_back((self.last_stored, line.sequence));
    }

    /// The number of the device's boot.
    pub fn boot(&self) -> u32 {
        self.boot
    }

    /// Looks keys up, which takes until `at`. Lookups may overtake each other.
    pub fn look_up(&mut self, at: Instant, lookup: LookupId, keys: Vec<LookupKey>) {
        self.lookups.push_back((at, lookup, keys));
        self.lookups.make_contiguous().sort_by_key(|(at, ..)| *at);
    }

    /// When the cloud next has an input for the relay.
    pub fn next_timeout(&self) -> Option<Instant> {
        let relay = self.relay.as_ref()?.next_timeout();
        let lookups = self.lookups.front().map(|(at, ..)| *at);
        let stored = self.stored.front().map(|(at, _)| *at);
        [relay, lookups, stored].into_iter().flatten().min()
    }

    /// The next result of a lookup or of storing a log line that is due.
    pub fn next_result(&mut self, now: Instant) -> Option<Input<'static>> {
        self.relay.as_ref()?;
        if let Some((_, lookup, keys)) = self.lookups.pop_front_if(|(at, ..)| *at <= now) {
            let value =
                |key: &LookupKey| Value::Found(config_value(self.device, &String::from_utf8_lossy(&key.key)));
            let values = keys.iter().map(value).collect();
            return Some(Input::LookupFinished { lookup, values });
        }
        let (_, sequence) = self.stored.pop_front_if(|(at, _)| *at <= now)?;
        Some(Input::LogStored { sequence })
    }
}
