//! Anything may happen in any order: devices that ask, brokers that answer, lie, stall and vanish, applications that
//! do not read, connections that break. Whatever the order, every accepted request gets exactly one answer before its
//! channel ends, and nothing is sent that the other end has no room for (the device's link refuses it) or on a
//! connection that has ended (the sockets do).

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{ConnectRequest, Received, Rig, SocketState, connack, message, str};
use link::channel::ChannelType;
use link::connection::ByeReason;
use link::device::Answer;
use link::kind::to_cloud;
use link::mqtt::RequestState;
use relay::{ConnectError, HttpError, HttpOutcome, HttpResponse, Input, Settings, Value};
use test_rng::Rng;

const SEEDS: u64 = 100;
const STEPS: usize = 250;
/// Bytes one channel may make the relay hold here, where a packet has at most 9000.
const HELD: usize = 256 * 1024;

/// The responses pending on one channel.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one request or one event, independent of the others"
)]
#[derive(Debug, Default)]
struct Pending {
    /// The request of a channel that carries only one.
    once: Option<u8>,
    connects: usize,
    was_connected: bool,
    version5: bool,
    publishes: BTreeSet<u8>,
    subscribe: bool,
    unsubscribe: bool,
    disconnect: bool,
    answer: bool,
    has_asked: bool,
    has_ended: bool,
}

impl Pending {
    fn is_nothing(&self) -> bool {
        self.connects == 0
            && self.publishes.is_empty()
            && !(self.subscribe || self.unsubscribe || self.disconnect || self.answer)
    }

    fn answered(&mut self, answer: &Answer) {
        match answer {
            Answer::Connected(_) => self.connects = self.connects.checked_sub(1).expect("requested"),
            Answer::Published(published) => assert!(self.publishes.remove(&published.slot), "{published:?}"),
            Answer::Subscribed(_) => assert!(std::mem::take(&mut self.subscribe)),
            Answer::Unsubscribed(_) => assert!(std::mem::take(&mut self.unsubscribe)),
            Answer::Disconnected(_) if self.disconnect => self.disconnect = false,
            Answer::Disconnected(_) => assert!(!std::mem::replace(&mut self.has_ended, true)),
        }
    }
}

fn is_completed(answer: &Answer) -> bool {
    let state = match answer {
        Answer::Connected(outcome) | Answer::Disconnected(outcome) => outcome.state,
        Answer::Published(published) => published.state,
        Answer::Subscribed(codes) | Answer::Unsubscribed(codes) => codes.state,
    };
    state == RequestState::Completed
}

struct World {
    rig: Rig,
    rng: Rng,
    channels: BTreeMap<u8, Pending>,
    /// Whether brokers keep to MQTT, and which version they speak on a connection.
    is_sound: bool,
    versions: BTreeMap<u32, bool>,
    packet_id: u16,
    /// Requests that succeeded, and messages that arrived.
    answers: usize,
    messages: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let settings = Settings {
            messages_per_second: rng.pick(&[1, 20, 500]),
            notices: rng.one_in(2),
            ..Settings::default()
        };
        let mut rig = Rig::open_with(settings);
        (rig.reads, rig.writes) = (false, false);
        Self {
            rig,
            rng,
            channels: BTreeMap::new(),
            is_sound: seed.is_multiple_of(2),
            versions: BTreeMap::new(),
            packet_id: 0,
            answers: 0,
            messages: 0,
        }
    }

    fn step(&mut self) {
        match self.rng.below(20) {
            0 => self.open(),
            1 if self.rng.one_in(6) => self.close(),
            1..=7 => self.request(),
            8..=10 => self.read(),
            11..=15 => self.broker(),
            16 | 17 => self.write(),
            18 => self.look_up(),
            _ => self.pass(),
        }
        self.check();
    }

    fn open(&mut self) {
        if self.channels.len() < 4 {
            let (once, kind) = match self.rng.below(12) {
                0 => (Some(to_cloud::CONFIG_FETCH), ChannelType::ConfigFetch),
                1 => (Some(to_cloud::HTTP_REQUEST), ChannelType::Http),
                _ => (None, ChannelType::Mqtt),
            };
            let ring = self.rng.pick(&[512, 1536, 8192, 65_536]);
            let channel = self.rig.open_channel(kind, ring);
            self.rig.forget(channel);
            self.channels.insert(channel, Pending { once, ..Pending::default() });
        }
    }

    fn channel(&mut self) -> Option<u8> {
        let channels: Vec<u8> = self.channels.keys().copied().collect();
        (!channels.is_empty()).then(|| self.rng.pick(&channels))
    }

    fn close(&mut self) {
        let Some(channel) = self.channel() else { return };
        self.rig.close(channel);
        self.rig.forget(channel);
        self.channels.remove(&channel);
    }

    fn request(&mut self) {
        let Some(channel) = self.channel() else { return };
        let Some((kind, body)) = self.choose(channel) else { return };
        if self.rig.device.window(channel) < body.len() as u32 {
            return;
        }
        let pending = self.channels.get_mut(&channel).unwrap();
        match kind {
            to_cloud::CONNECT => (pending.connects, pending.was_connected) = (pending.connects + 1, true),
            to_cloud::PUBLISH => assert!(pending.publishes.insert(body[0] & 0x0f)),
            to_cloud::SUBSCRIBE => pending.subscribe = true,
            to_cloud::UNSUBSCRIBE => pending.unsubscribe = true,
            to_cloud::DISCONNECT => pending.disconnect = true,
            to_cloud::CONFIG_FETCH | to_cloud::HTTP_REQUEST => {
                (pending.answer, pending.has_asked) = (true, true);
            }
            _ => {}
        }
        self.rig.send(channel, kind, &body);
    }

    /// A request the channel can make now.
    fn choose(&mut self, channel: u8) -> Option<(u8, Vec<u8>)> {
        let rng = &mut self.rng;
        let pending = self.channels.get_mut(&channel)?;
        if let Some(kind) = pending.once {
            let body = match kind {
                to_cloud::CONFIG_FETCH => [vec![rng.below(4) as u8], str("key")].concat(),
                // 5 s, or 0.
                _ => [str("GET"), str("https://x"), rng.pick(&[&[0x88, 0x27][..], &[0]]).to_vec(), vec![0]]
                    .concat(),
            };
            return (!pending.has_asked).then_some((kind, body));
        }
        if !pending.was_connected && !rng.one_in(8) {
            pending.version5 = rng.one_in(2);
            let keepalive = rng.pick(&[0, 0, 1, 60, 60, 60, 600, 70_000]);
            let request =
                ConnectRequest { version5: pending.version5, keepalive, ..ConnectRequest::default() };
            return Some((to_cloud::CONNECT, request.body()));
        }
        let slot = (0..16).find(|slot| !pending.publishes.contains(slot));
        let payload = vec![7; rng.pick(&[0, 10, 300, 6000])];
        let qos = rng.pick(&[0, 0, 1, 1, 1, 2]);
        let name = rng.pick(&["t", "t/u", "", "#"]);
        match rng.below(24) {
            0..=11 => Some((to_cloud::PUBLISH, common::publish(slot?, qos, name, payload))),
            12 | 13 if !pending.subscribe => {
                Some((to_cloud::SUBSCRIBE, common::subscribe(&[(1, "t"), (0, name)])))
            }
            14 if !pending.unsubscribe => Some((to_cloud::UNSUBSCRIBE, common::unsubscribe(&[name]))),
            15 if !pending.disconnect && rng.one_in(4) => Some((to_cloud::DISCONNECT, Vec::new())),
            16 if rng.one_in(4) => Some((to_cloud::CONNECT, ConnectRequest::default().body())),
            17 => Some((to_cloud::TOPIC, common::topic(rng.below(8) as u8, name))),
            _ => Some((to_cloud::ACKNOWLEDGE, common::acknowledge(rng.below(40) as u32))),
        }
    }

    fn read(&mut self) {
        let Some(channel) = self.channel() else { return };
        let most = self.rng.pick(&[1, 3, 100]);
        self.rig.read(channel, most);
        self.rig.pump();
    }

    fn socket(&mut self) -> Option<(u32, SocketState)> {
        let live = |(connection, socket): (&u32, &common::Socket)| {
            (socket.state != SocketState::Closed).then_some((*connection, socket.state))
        };
        let sockets: Vec<(u32, SocketState)> = self.rig.sockets.iter().filter_map(live).collect();
        (!sockets.is_empty()).then(|| self.rng.pick(&sockets))
    }

    fn broker(&mut self) {
        let Some((connection, life)) = self.socket() else { return };
        if life == SocketState::Opening {
            return self.opening(connection);
        }
        if self.rng.one_in(60) {
            let clean = self.rng.one_in(2);
            return self.rig.broker_closes(connection, clean);
        }
        if self.rig.socket(connection).is_paused {
            return;
        }
        let bytes = if self.is_sound { self.sound_packets(connection) } else { self.packets() };
        let cut = self.rng.pick(&[1, bytes.len(), bytes.len()]).max(1);
        for chunk in bytes.chunks(cut) {
            if self.rig.socket(connection).state == SocketState::Open {
                self.rig.broker_sends(connection, chunk);
            }
        }
    }

    fn opening(&mut self, connection: u32) {
        match self.rng.below(12) {
            0 => self.rig.failed(connection, ConnectError::Socket),
            1 => self.rig.broker_closes(connection, true),
            _ => {
                self.rig.opened(connection);
                // The version is that of the CONNECT; a broker that mistakes it breaks the protocol.
                let version5 = self.rig.socket(connection).sent.get(8) == Some(&5);
                self.versions.insert(connection, version5);
                if !self.rng.one_in(10) {
                    self.rig.broker_sends(connection, connack(version5));
                }
            }
        }
    }

    /// What a broker may say at any time; acknowledgements of nothing are passed over.
    fn sound_packets(&mut self, connection: u32) -> Vec<u8> {
        let version5 = self.versions[&connection];
        let rng = &mut self.rng;
        let id = 1 + rng.below(20) as u8;
        let length = rng.pick(&[0, 5, 100, 700, 9000]);
        match rng.below(40) {
            0..=15 => (1..=id).flat_map(common::puback).collect(),
            16..=20 if version5 => vec![0x90, 5, 0, id, 0, 1, 0],
            16..=20 => vec![0x90, 4, 0, id, 1, 0],
            21 | 22 if version5 => vec![0xb0, 4, 0, id, 0, 0],
            21 | 22 => vec![0xb0, 2, 0, id],
            23 => vec![0xd0, 0],
            24 if version5 && rng.one_in(4) => vec![0xe0, 1, 0x8b],
            24..=30 => {
                self.packet_id += 1;
                message(version5, Some(self.packet_id), "t", vec![0; length])
            }
            _ => message(version5, None, "topic", vec![0; length]).repeat(rng.pick(&[1, 1, 10])),
        }
    }

    /// What a broker out of its mind may say.
    fn packets(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let version5 = rng.one_in(2);
        let id = 1 + rng.below(20) as u8;
        let length = rng.pick(&[0, 5, 100, 700, 9000]);
        match rng.below(40) {
            0 => vec![0xe0, 1, 0x8b],
            1 if rng.one_in(3) => connack(version5).to_vec(),
            2 if rng.one_in(3) => vec![0x30, 0xff, 0xff, 0xff, 0xff],
            3 if rng.one_in(3) => vec![rng.below(256) as u8; 3],
            4 => vec![0x30, 50, 0],
            5..=12 => common::puback(id).to_vec(),
            13..=15 => vec![0x90, 4, 0, id, 1, 0],
            16 | 17 => vec![0x90, 5, 0, id, 0, 1, 0],
            18 => vec![0xb0, 2, 0, id],
            19 => vec![0xb0, 4, 0, id, 0, 0],
            20 => vec![0xd0, 0],
            21..=26 => message(false, Some(u16::from(id)), "t", vec![0; length]),
            _ => message(false, None, "topic", vec![0; length]).repeat(rng.pick(&[1, 1, 10])),
        }
    }

    fn write(&mut self) {
        let Some((connection, SocketState::Open)) = self.socket() else { return };
        let most = self.rng.pick(&[1, 20, 100_000]);
        self.rig.written(connection, most);
    }

    fn look_up(&mut self) {
        let value = self.rng.pick(&[0, 100, 5000]);
        if let Some((lookup, _)) = self.rig.lookups.pop() {
            return self.rig.looked_up(lookup, vec![Value::Found(vec![1; value])]);
        }
        let Some((exchange, _)) = self.rig.exchanges.pop() else { return };
        let headers = vec![("name".into(), vec![b'x'; value / 2])];
        let response =
            HttpResponse { status: 200, headers, ignored: Vec::new(), body: vec![b'x'; value / 2] };
        let outcome = match self.rng.below(4) {
            0 => HttpOutcome::Failed(HttpError::Broken),
            1 => HttpOutcome::TooLarge,
            _ => HttpOutcome::Response(response),
        };
        self.rig.http(exchange, outcome);
    }

    fn pass(&mut self) {
        let millis = self.rng.pick(&[1, 900, 5000, 30_000]);
        self.rig.wait(millis);
        self.rig.pump();
    }

    fn check(&mut self) {
        assert_eq!(self.rig.violation, None);
        assert_eq!(self.rig.disconnected, None);
        for received in self.rig.received() {
            match received {
                Received::Answer { channel, answer } => {
                    self.answers += usize::from(is_completed(&answer));
                    self.channels.get_mut(&channel).unwrap().answered(&answer);
                }
                Received::Config { channel, .. } | Received::Http { channel, .. } => {
                    assert!(std::mem::take(&mut self.channels.get_mut(&channel).unwrap().answer));
                }
                Received::Closed { channel, .. } => {
                    let pending = self.channels.remove(&channel).unwrap();
                    assert!(pending.is_nothing() && pending.has_ended, "{pending:?}");
                    self.rig.forget(channel);
                }
                Received::Message { channel, .. } | Received::Lost { channel, .. } => {
                    self.messages += 1;
                    assert!(self.rig.unread(channel) <= 32);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            self.rig.relay.buffered_bytes() <= self.channels.len() * HELD,
            "{}",
            self.rig.relay.buffered_bytes()
        );
    }

    /// Everything pending is finished: then nothing may be left.
    fn settle(&mut self) {
        (self.rig.reads, self.rig.writes) = (true, true);
        // A connect that waits (D197) is tried by then.
        self.rig.wait(relay::limits::RECONNECT_DELAY.as_millis());
        while !(self.rig.lookups.is_empty() && self.rig.exchanges.is_empty()) {
            self.look_up();
        }
        for (connection, life) in std::iter::from_fn(|| self.socket()).take(100).collect::<Vec<_>>() {
            match (life, self.rig.socket(connection).state) {
                (_, SocketState::Opening) => self.rig.failed(connection, ConnectError::NameNotResolved),
                (_, SocketState::Open) => self.rig.broker_closes(connection, true),
                (_, SocketState::Closed) => {}
            }
        }
        for _ in 0..200 {
            for channel in 1..=15 {
                self.rig.read(channel, 100);
            }
            self.rig.pump();
        }
        self.check();
        for (channel, pending) in &self.channels {
            assert!(pending.is_nothing(), "channel {channel}: {pending:?}");
        }
        assert_eq!(self.rig.relay.buffered_bytes(), 0, "nothing is kept of what is over");
    }

    fn end(&mut self) {
        self.rig.input(Input::Shutdown { reason: ByeReason::ShuttingDown });
        assert!(self.rig.sockets.values().all(|socket| socket.state == SocketState::Closed));
        assert_eq!(self.rig.disconnected, Some(ByeReason::ShuttingDown));
        assert_eq!(self.rig.relay.buffered_bytes(), 0);
    }
}

/// Shows M02, M03, M12, M14, D49, D50, D52.
#[test]
fn every_request_is_answered_exactly_once_whatever_happens() {
    let (mut answers, mut messages) = (0, 0);
    for seed in 1..=SEEDS {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            if seed % 3 > 0 {
                world.settle();
            }
            world.end();
            (world.answers, world.messages)
        });
        let (said, arrived) = outcome.unwrap_or_else(|_| panic!("seed {seed}"));
        (answers, messages) = (answers + said, messages + arrived);
    }
    assert!(answers > 500 && messages > 500, "it was a real crowd: {answers}, {messages}");
}
