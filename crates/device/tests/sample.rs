//! The MQTT sample's committed image on a machine, against a cloud that is a script: it answers frames by link.md.
//!
//! Everything happens in guest time on this thread, so a minute of the application's life takes what it takes.

use std::path::Path;
use std::sync::Arc;

use abi::channel::ChannelType;
use device::events::DeviceEvent;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Input, Machine, RestartPolicy, RunResult, Settings};

const DEVICE_ID: &str = "UV00112233445566778899aabbccddeeff";
const MILLISECOND: u64 = 160_000;

/// Kinds the device sends on a channel, and on the connection (link.md, sections 4 and 5).
mod sent {
    pub(crate) const HELLO: u8 = 0;
    pub(crate) const LOG: u8 = 2;
    pub(crate) const OPEN: u8 = 0;
    pub(crate) const CLOSE: u8 = 1;
    pub(crate) const PUBLISH: u8 = 4;
    pub(crate) const CONNECT: u8 = 5;
    pub(crate) const SUBSCRIBE: u8 = 6;
    pub(crate) const CONFIG_FETCH: u8 = 11;
}

/// Kinds the cloud sends.
mod answered {
    pub(crate) const WELCOME: u8 = 0;
    pub(crate) const LOG_TAKEN: u8 = 2;
    pub(crate) const CLOSED: u8 = 1;
    pub(crate) const CREDIT: u8 = 2;
    pub(crate) const MESSAGE: u8 = 4;
    pub(crate) const PUBLISHED: u8 = 6;
    pub(crate) const CONNECTED: u8 = 7;
    pub(crate) const SUBSCRIBED: u8 = 8;
    pub(crate) const CONFIG_RESPONSE: u8 = 12;
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The varint at the start of `bytes`, and the rest.
fn read_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let value = bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | u32::from(byte & 0x7F));
    Some((value, &bytes[end + 1..]))
}

fn frame(kind: u8, channel: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind << 4 | channel];
    frame.extend(varint(body.len() as u32 * 2));
    frame.extend(body);
    frame
}

/// The cloud's side: what it heard, and what it has to say.
#[derive(Default)]
struct Script {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    items: [Vec<u8>; 16],
    log: Vec<String>,
    mqtt: Option<u8>,
    published: Vec<String>,
}

impl Script {
    fn hear(&mut self, bytes: &[u8]) {
        self.incoming.extend(bytes);
        while let Some((kind, channel, more, body, length)) = self.next_frame() {
            self.incoming.drain(..length);
            self.items[usize::from(channel)].extend(&body);
            if channel != 0 && kind >= 3 {
                // The window is given back at once.
                self.say(answered::CREDIT, channel, &varint(body.len() as u32));
            }
            if !more {
                let item = std::mem::take(&mut self.items[usize::from(channel)]);
                if channel == 0 { self.connection(kind, &item) } else { self.channel(kind, channel, &item) }
            }
        }
    }

    fn next_frame(&self) -> Option<(u8, u8, bool, Vec<u8>, usize)> {
        let (&first, rest) = self.incoming.split_first()?;
        let (length, rest) = read_varint(rest)?;
        let (more, length) = (length & 1 == 1, length as usize / 2);
        let body = rest.get(..length)?.to_vec();
        Some((first >> 4, first & 0xF, more, body, self.incoming.len() - rest.len() + length))
    }

    fn say(&mut self, kind: u8, channel: u8, body: &[u8]) {
        self.outgoing.extend(frame(kind, channel, body));
    }

    fn connection(&mut self, kind: u8, item: &[u8]) {
        match kind {
            // Version 1, keepalive 60 s, window 16384, the start of 1970, logging on.
            sent::HELLO => self.say(answered::WELCOME, 0, &[0x01, 0x3C, 0x80, 0x80, 0x01, 0x00, 0x01]),
            sent::LOG => {
                let (sequence, rest) = read_varint(item).expect("a sequence number");
                let clock = rest.iter().position(|byte| byte & 0x80 == 0).expect("a clock");
                self.log.push(String::from_utf8_lossy(&rest[clock + 1..]).into_owned());
                self.say(answered::LOG_TAKEN, 0, &varint(sequence));
            }
            _ => {}
        }
    }

    fn channel(&mut self, kind: u8, channel: u8, item: &[u8]) {
        match kind {
            sent::OPEN if item[0] == 1 => self.mqtt = Some(channel),
            sent::CLOSE => self.say(answered::CLOSED, channel, &[6]),
            sent::CONFIG_FETCH => self.configure(channel),
            sent::CONNECT => self.say(answered::CONNECTED, channel, &[0, 0]),
            sent::SUBSCRIBE => self.say(answered::SUBSCRIBED, channel, &[0, 1]),
            sent::PUBLISH => {
                self.published.push(String::from_utf8_lossy(item).into_owned());
                self.say(answered::PUBLISHED, channel, &[item[0] & 0x0F]);
            }
            _ => {}
        }
    }

    /// Host and port are there; every other key is not, and has its default in the application.
    fn configure(&mut self, channel: u8) {
        let mut body = vec![0, 8];
        for length in [11, 4] {
            body.extend([0, length]);
        }
        for _ in 2..8 {
            body.extend([1, 0]);
        }
        body.extend(b"broker.test1883");
        self.say(answered::CONFIG_RESPONSE, channel, &body);
    }

    fn command(&mut self, text: &str) {
        let topic = format!("command/device/{DEVICE_ID}");
        let mut body = vec![0];
        body.extend(varint(topic.len() as u32));
        body.extend(topic.as_bytes());
        body.extend(text.as_bytes());
        self.say(answered::MESSAGE, self.mqtt.expect("an MQTT channel"), &body);
    }
}

/// A machine with its script, and its events.
struct Bench {
    machine: Machine,
    script: Script,
    up: bool,
    events: Vec<DeviceEvent>,
}

impl Bench {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/samples/mqtt/mqtt.elf");
        let machine = Machine::new(Settings {
            device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
            image: Image::load(&path).expect("the sample's image"),
            entropy: Arc::new(|| 0x5EED_0001),
            restart: RestartPolicy::default(),
            trace: false,
            attachments: Vec::new(),
        });
        Self { machine, script: Script::default(), up: false, events: Vec::new() }
    }

    /// Advances guest time until `done`, for at most `milliseconds`.
    fn run_until(&mut self, milliseconds: u64, done: impl Fn(&Self) -> bool) {
        let end = self.machine.now() + milliseconds * MILLISECOND;
        while !done(self) {
            assert!(self.machine.now() < end, "log: {:#?}\nevents: {:?}", self.script.log, self.events);
            if self.machine.run(MILLISECOND / 10) == RunResult::Idle && !self.carry() {
                self.machine.pass_time(end);
            }
        }
    }

    /// Carries bytes both ways; returns whether there were any.
    fn carry(&mut self) -> bool {
        if self.machine.wants_link() && !self.up {
            self.up = true;
            self.machine.handle(&Input::LinkConnecting).expect("accepted");
            self.machine.handle(&Input::LinkConnected).expect("accepted");
        }
        let mut chunk = vec![0; 16 * 1024];
        let length = self.machine.transmit(&mut chunk);
        self.script.hear(&chunk[..length]);
        let answer = std::mem::take(&mut self.script.outgoing);
        if !answer.is_empty() {
            self.machine
                .handle(&Input::Received(answer.as_slice().into()))
                .expect("a script that keeps the rules");
        }
        self.events.extend(self.machine.take_events());
        length > 0 || !answer.is_empty()
    }

    fn has_seen(&self, event: &DeviceEvent) -> bool {
        self.events.contains(event)
    }
}

/// Shows M01, M03, M12, M24, N02, N13, N25, N31, D10, D12.
#[test]
fn the_mqtt_sample_fetches_its_settings_connects_publishes_and_obeys() {
    let mut bench = Bench::new();
    bench.run_until(10_000, |bench| bench.script.published.len() >= 3);
    assert_eq!(bench.script.log[0], format!("device {DEVICE_ID}"), "the log is relayed in order");
    for event in [
        DeviceEvent::NetworkRequested,
        DeviceEvent::ChannelOpened { channel: ChannelType::ConfigFetch },
        DeviceEvent::ChannelClosed { channel: ChannelType::ConfigFetch },
        DeviceEvent::ChannelOpened { channel: ChannelType::Mqtt },
    ] {
        assert!(bench.has_seen(&event), "{event:?} in {:?}", bench.events);
    }
    let clock = bench.machine.now();
    bench.script.command("led on");
    bench.run_until(100, |bench| bench.has_seen(&DeviceEvent::Led { on: true }));
    assert!(bench.machine.now() - clock < 20 * MILLISECOND, "a command is obeyed at once");
}

#[test]
fn the_mqtt_sample_sleeps_between_its_publishes() {
    let mut bench = Bench::new();
    bench.run_until(10_000, |bench| !bench.script.published.is_empty());
    let mut busy = 0;
    for _ in 0..1000 {
        let start = bench.machine.now();
        while bench.machine.run(10 * MILLISECOND) == RunResult::Busy || bench.carry() {}
        busy += bench.machine.now() - start;
        bench.machine.pass_time(start + MILLISECOND);
    }
    assert!(busy < 1000 * MILLISECOND / 100, "{busy} cycles of 160 million");
}
