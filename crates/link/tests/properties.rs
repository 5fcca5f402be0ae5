//! Random bytes, random cuts, random actions of both ends.

mod common;

use common::{CloudEvent, DeviceEvent, HELLO, KEEPALIVE, Pair, RING, WALL, WINDOW};
use link::SendError;
use link::bytes::HeadBuffer;
use link::channel::{ChannelType, ClosureReason};
use link::config::{ConfigFetch, ConfigHead};
use link::connection::{Bye, Hello, LogHead, Welcome};
use link::http::{HttpRequest, ResponseHead};
use link::kind::{to_cloud, to_device};
use link::mqtt::*;
use link::{CHANNELS, Direction, Header, MAX_FRAME_BODY, Parser, State, Violation, cloud, device, varint};
use proptest::prelude::*;
use sansio::Duration;

/// No files of failing cases: such a case becomes a test of its own.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// An item's run, joined over fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    channel: u8,
    kind: u8,
    first: bool,
    last: bool,
    bytes: Vec<u8>,
}

/// Everything a parser gives for these chunks. Runs of one item that follow each other are joined.
fn parse(direction: Direction, chunks: &[&[u8]]) -> (Vec<Run>, Result<(), Violation>) {
    let mut parser = Parser::new(direction);
    let mut runs: Vec<Run> = Vec::new();
    for chunk in chunks {
        let mut input = *chunk;
        loop {
            match parser.next(&mut input) {
                Err(broken) => return (runs, Err(broken)),
                Ok(None) => break,
                Ok(Some(fragment)) => {
                    let (channel, kind) = (fragment.channel, fragment.kind);
                    match runs.last_mut() {
                        Some(run)
                            if !fragment.first && !run.last && (run.channel, run.kind) == (channel, kind) =>
                        {
                            run.bytes.extend(fragment.bytes);
                            run.last = fragment.last;
                        }
                        _ => runs.push(Run {
                            channel,
                            kind,
                            first: fragment.first,
                            last: fragment.last,
                            bytes: fragment.bytes.to_vec(),
                        }),
                    }
                }
            }
        }
        assert!(input.is_empty());
    }
    (runs, Ok(()))
}

/// Cuts bytes at the given places, each taken modulo the length.
fn chunks<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::ToCloud), Just(Direction::ToDevice)]
}

/// Frames that mostly keep the rules, so that a stream of them is not refused at once.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0..14u8, 0..4u8, 0..40usize, any::<bool>()).prop_map(|(kind, channel, length, more)| {
        let more = more && channel > 0 && kind >= 4 && length > 0;
        let length = if channel == 0 { length % 2 } else { length };
        let header = Header { kind, channel, length: length as u16, more }.to_bytes();
        [header.as_slice(), &vec![kind; length]].concat()
    });
    prop::collection::vec(frame, 0..30).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_chunking_gives_the_same_runs(
        direction in direction(),
        bytes in prop_oneof![frames(), prop::collection::vec(any::<u8>(), 0..200)],
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        prop_assert_eq!(parse(direction, &[&bytes]), parse(direction, &chunks(&bytes, &cuts)));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(parse(direction, &[&bytes]), parse(direction, &single));
    }

    #[test]
    fn items_come_out_as_they_went_in(
        items in prop::collection::vec((1..16u8, prop::collection::vec(any::<u8>(), 0..300), 1..100usize), 1..10),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let mut stream = Vec::new();
        for (channel, body, cut) in &items {
            let mut parts = body.chunks(*cut).peekable();
            loop {
                let part = parts.next().unwrap_or(&[]);
                let more = parts.peek().is_some();
                let length = part.len() as u16;
                let header = Header { kind: to_cloud::DATA, channel: *channel, length, more };
                stream.extend(header.to_bytes().as_slice());
                stream.extend(part);
                if !more {
                    break;
                }
            }
        }
        let expected: Vec<Run> = items
            .iter()
            .map(|(channel, body, _)| Run {
                channel: *channel,
                kind: to_cloud::DATA,
                first: true,
                last: true,
                bytes: body.clone(),
            })
            .collect();
        prop_assert_eq!(parse(Direction::ToCloud, &chunks(&stream, &cuts)), (expected, Ok(())));
    }

    #[test]
    fn varints_come_back(value in any::<u64>(), shift in 0..64u32, rest in prop::collection::vec(any::<u8>(), 0..4)) {
        let value = value >> shift;
        let mut out = [0; varint::MAX_64];
        let length = varint::encode(value, &mut out);
        let bytes = [&out[..length], &rest].concat();
        prop_assert_eq!(varint::decode(&bytes, 64), Ok(Some((value, length))));
        prop_assert_eq!(varint::decode(&bytes, 32).is_ok(), u32::try_from(value).is_ok());
    }

    #[test]
    fn no_body_makes_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Hello::decode(&body), Welcome::decode(&body), LogHead::decode(&body), Bye::decode(&body));
        let _ = (Publish::decode(&body), Topic::decode(&body), Published::decode(&body), Outcome::decode(&body));
        let _ = (Acknowledge::decode(&body), FilterCodes::decode(&body));
        let _ = (MessageHead::decode(&body), LostHead::decode(&body));
        let _ = (ResponseHead::decode(&body), ConfigHead::decode(&body));
        let _ = HeadBuffer::<{ ResponseHead::MAX }>::new().feed(&mut body.as_slice(), true, ResponseHead::decode);
        if let Ok(connect) = Connect::decode(&body) {
            prop_assert!(connect.tls.is_none_or(|tls| tls.chain.iter().count() == tls.chain.len()));
        }
        if let Ok(filters) = Subscribe::decode(&body) {
            prop_assert!((1..=8).contains(&filters.iter().count()));
        }
        if let Ok(filters) = Unsubscribe::decode(&body) {
            prop_assert!((1..=8).contains(&filters.iter().count()));
        }
        if let Ok(keys) = ConfigFetch::decode(&body) {
            prop_assert!((1..=32).contains(&keys.iter().count()));
        }
        if let Ok(request) = HttpRequest::decode(&body) {
            prop_assert_eq!(request.headers.iter().count(), request.headers.len());
        }
    }

    #[test]
    fn no_bytes_make_an_end_panic(
        bytes in prop_oneof![frames(), prop::collection::vec(any::<u8>(), 0..300)],
        cuts in prop::collection::vec(any::<usize>(), 0..10),
        open in any::<bool>(),
    ) {
        let mut pair = if open { Pair::with_channel(ChannelType::Mqtt).0 } else { Pair::connected() };
        let mut broken = [false; 2];
        for chunk in chunks(&bytes, &cuts) {
            pair.to_cloud.extend(chunk);
            pair.to_device.extend(chunk);
            broken[0] |= pair.deliver_to_cloud(usize::MAX).is_err();
            broken[1] |= pair.deliver_to_device(usize::MAX).is_err();
            pair.flush_device();
            pair.flush_cloud();
            pair.to_cloud.clear();
            pair.to_device.clear();
        }
        prop_assert!(!broken[0] || pair.cloud.is_closing());
        prop_assert!(!broken[1] || pair.device.is_closing());
    }
}

/// One thing one of the ends does. Numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Action {
    Open,
    Close(usize),
    CloudCloses(usize),
    DeviceSends(usize, usize),
    CloudSends(usize, usize),
    Credit(usize),
    Consume(usize, u32),
    FlushDevice,
    FlushCloud,
    ToCloud(usize),
    ToDevice(usize),
    Wait(u64),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => Just(Action::Open),
        1 => any::<usize>().prop_map(Action::Close),
        1 => any::<usize>().prop_map(Action::CloudCloses),
        6 => (any::<usize>(), 0..9000usize).prop_map(|(channel, length)| Action::DeviceSends(channel, length)),
        6 => (any::<usize>(), 0..=RING as usize).prop_map(|(channel, length)| Action::CloudSends(channel, length)),
        5 => any::<usize>().prop_map(Action::Credit),
        5 => (any::<usize>(), 0..9000u32).prop_map(|(channel, bytes)| Action::Consume(channel, bytes)),
        4 => Just(Action::FlushDevice),
        4 => Just(Action::FlushCloud),
        5 => (1..6000usize).prop_map(Action::ToCloud),
        5 => (1..3000usize).prop_map(Action::ToDevice),
        1 => (0..9000u64).prop_map(Action::Wait),
    ]
}

/// Both ends with what a kernel and a relay would keep: unfinished items, and the application's ring.
struct World {
    pair: Pair,
    /// Bytes left of the item the device is in the middle of, per channel.
    sending: [u32; CHANNELS + 1],
    /// Messages in the application's ring, per channel.
    ring: Vec<Vec<u32>>,
    /// Of the message that is arriving: bytes missing of its head, and bytes received of its content.
    head: [u32; CHANNELS + 1],
    arriving: [u32; CHANNELS + 1],
}

impl World {
    fn new() -> Self {
        let none = [0; CHANNELS + 1];
        let ring = vec![Vec::new(); CHANNELS + 1];
        Self { pair: Pair::open(), sending: none, ring, head: none, arriving: none }
    }

    fn open_channels(&self) -> Vec<u8> {
        (1..=CHANNELS as u8).filter(|&channel| self.pair.device.is_channel_open(channel)).collect()
    }

    fn pick(&self, index: usize) -> Option<u8> {
        let open = self.open_channels();
        (!open.is_empty()).then(|| open[index % open.len()])
    }

    fn forget(&mut self, channel: u8) {
        self.sending[usize::from(channel)] = 0;
        self.ring[usize::from(channel)].clear();
        self.head[usize::from(channel)] = 0;
        self.arriving[usize::from(channel)] = 0;
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Open => {
                if let Ok(channel) = self.pair.device.open_channel(ChannelType::Mqtt, RING) {
                    self.forget(channel);
                }
            }
            Action::Close(index) => {
                if let Some(channel) = self.pick(index) {
                    self.pair.device.close_channel(channel);
                    self.forget(channel);
                }
            }
            Action::CloudCloses(index) => {
                let channel = (index % CHANNELS) as u8 + 1;
                self.pair.cloud.close_channel(channel, ClosureReason::ConnectionTerminated);
            }
            Action::DeviceSends(index, length) => self.device_sends(index, length),
            Action::CloudSends(index, length) => self.cloud_sends(index, length),
            Action::Credit(index) => {
                let Some(channel) = self.pick(index) else { return };
                if let Some(bytes) = self.ring[usize::from(channel)].pop() {
                    self.pair.device.return_credit(channel, bytes, 1);
                }
            }
            Action::Consume(index, bytes) => self.pair.cloud.consume((index % CHANNELS) as u8 + 1, bytes),
            Action::FlushDevice => drop(self.pair.flush_device()),
            Action::FlushCloud => drop(self.pair.flush_cloud()),
            Action::ToCloud(most) => self.pair.deliver_to_cloud(most).unwrap(),
            Action::ToDevice(most) => self.deliver_to_device(most),
            Action::Wait(millis) => self.pair.now += Duration::from_millis(millis),
        }
    }

    fn device_sends(&mut self, index: usize, length: usize) {
        let Some(channel) = self.pick(index) else { return };
        let left = &mut self.sending[usize::from(channel)];
        let before = if *left == 0 { length as u32 } else { *left };
        let Some((cut, more)) = self.pair.device.next_fragment(channel, before, 3000) else { return };
        let now = self.pair.now;
        let sent = self.pair.device.channel_frame(now, channel, to_cloud::PUBLISH, cut, more);
        match sent {
            Ok(header) => {
                self.pair.to_cloud.extend(header.as_slice());
                self.pair.to_cloud.extend(vec![0; usize::from(cut)]);
                *left = before - u32::from(cut);
            }
            Err(refusal) => assert_eq!(refusal, SendError::OutOfOrder, "16 in flight"),
        }
    }

    fn cloud_sends(&mut self, index: usize, length: usize) {
        let channel = (index % CHANNELS) as u8 + 1;
        let head = MessageHead { delivery: None, retain: false, topic: 0 };
        let mut bytes = [0; MessageHead::MAX];
        let taken = head.encode(&mut bytes);
        match self.pair.cloud.begin_item(channel, to_device::MESSAGE, taken as u32, length as u32) {
            Ok(()) => {
                let body = [&bytes[..taken], &vec![1; length]].concat();
                let mut body = body.as_slice();
                while let Some((header, cut)) = self.pair.cloud.next_fragment(channel, 700) {
                    self.pair.to_device.extend(header.as_slice());
                    self.pair.to_device.extend(&body[..cut]);
                    body = &body[cut..];
                }
            }
            Err(refusal) => assert!(matches!(refusal, SendError::NotOpen | SendError::Blocked)),
        }
    }

    /// Takes the messages apart as the kernel does, and holds the cloud to the ring's size.
    fn deliver_to_device(&mut self, most: usize) {
        self.pair.device_events.clear();
        self.pair.deliver_to_device(most).unwrap();
        for event in std::mem::take(&mut self.pair.device_events) {
            match event {
                DeviceEvent::Item { channel, first, last, bytes, .. } => {
                    let head = if first { 2 } else { self.head[usize::from(channel)] };
                    let skipped = head.min(bytes.len() as u32);
                    self.head[usize::from(channel)] = head - skipped;
                    let stored = bytes.len() as u32 - skipped;
                    self.pair.device.store(channel, stored).unwrap();
                    let arriving = &mut self.arriving[usize::from(channel)];
                    *arriving += stored;
                    if last {
                        self.ring[usize::from(channel)].insert(0, std::mem::take(arriving));
                        assert_eq!(self.head[usize::from(channel)], 0);
                    }
                }
                DeviceEvent::Closed { channel, .. } => self.forget(channel),
                _ => {}
            }
        }
    }

    fn check(&self) {
        for channel in 1..=CHANNELS as u8 {
            assert!(self.pair.device.window(channel) <= WINDOW);
            assert!(self.pair.cloud.free_ring_bytes(channel) <= RING);
        }
        assert_eq!(self.pair.cloud.state(), State::Open);
        assert_eq!(self.pair.device.state(), State::Open);
    }

    /// Lets everything come to rest: all taken further, all taken by the application.
    fn rest(&mut self) {
        for _ in 0..200 {
            for channel in 1..=CHANNELS as u8 {
                self.pair.cloud.consume(channel, u32::MAX);
                while let Some(bytes) = self.ring[usize::from(channel)].pop() {
                    self.pair.device.return_credit(channel, bytes, 1);
                }
            }
            self.pair.flush_device();
            self.pair.flush_cloud();
            self.pair.deliver_to_cloud(usize::MAX).unwrap();
            self.deliver_to_device(usize::MAX);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    /// Shows D49.
    #[test]
    fn two_ends_that_keep_the_rules_never_see_one_broken(actions in prop::collection::vec(action(), 0..400)) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
            world.check();
        }
        world.rest();
        world.check();
        for channel in world.open_channels() {
            prop_assert!(world.pair.cloud.is_channel_open(channel));
            prop_assert!(world.pair.device.window(channel) > WINDOW / 4 * 3, "a quarter may be held back");
            prop_assert!(world.pair.cloud.free_ring_bytes(channel) > RING / 4 * 3, "a quarter may be held back");
            let whole = world.pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING);
            if whole == Err(SendError::Blocked) {
                world.rest();
                prop_assert_eq!(world.pair.cloud.begin_item(channel, to_device::MESSAGE, 2, RING), Ok(()));
            }
        }
        let closed: Vec<u8> = world.open_channels();
        for channel in closed {
            world.pair.device.close_channel(channel);
        }
        world.rest();
        for channel in 1..=CHANNELS as u8 {
            prop_assert_eq!(world.pair.device.open_channel(ChannelType::Mqtt, RING), Ok(channel));
        }
    }
}

/// What the device sends in a small life of a connection.
fn device_stream() -> Vec<u8> {
    let mut pair = Pair::open();
    let channel = pair.device.open_channel(ChannelType::Mqtt, RING).unwrap();
    pair.device.request_time();
    pair.flush_device();
    pair.device_sends(channel, to_cloud::SUBSCRIBE, b"\x00\x01a");
    pair.device_sends(channel, to_cloud::PUBLISH, &[0; 5000]);
    pair.device.close_channel(channel);
    pair.flush_device();
    pair.device.send_bye(link::connection::ByeReason::Done, "done");
    pair.flush_device();
    pair.to_cloud.into()
}

#[test]
fn a_link_cut_at_any_byte_breaks_no_rule_and_leaves_no_trace_in_the_cloud() {
    let stream = device_stream();
    assert!(stream.len() > MAX_FRAME_BODY + 20);
    for cut in 0..=stream.len() {
        let mut pair = Pair::open();
        pair.to_cloud.extend(&stream[..cut]);
        pair.deliver_to_cloud(usize::MAX).unwrap();
        let whole = pair
            .cloud_events
            .iter()
            .filter(|event| matches!(event, CloudEvent::Item { last: true, .. }))
            .count();
        assert!(whole <= 2);
        assert_eq!(pair.cloud.is_closing(), cut == stream.len(), "only a whole BYE is a BYE");
    }
}

#[test]
fn a_link_cut_at_any_byte_leaves_the_device_ready_for_the_next_connection() {
    let (mut pair, channel) = Pair::with_channel(ChannelType::Mqtt);
    pair.cloud_sends(channel, to_device::MESSAGE, b"\x00\x01", &[b'm'; 600]);
    pair.cloud.send_time(WALL);
    pair.cloud.close_channel(channel, ClosureReason::ClosedByServer);
    pair.flush_cloud();
    let stream: Vec<u8> = pair.to_device.into();
    for cut in 0..=stream.len() {
        let (mut pair, channel) = Pair::with_channel(ChannelType::Mqtt);
        pair.to_device.extend(&stream[..cut]);
        pair.deliver_to_device(usize::MAX).unwrap();
        pair.device.handle(pair.now, &mut device::Input::Lost).unwrap();
        pair.device_events.clear();
        pair.cloud_events.clear();
        pair.to_cloud.clear();
        pair.to_device.clear();
        pair.cloud = cloud::CloudLink::new(pair.now);
        pair.device.handle(pair.now, &mut device::Input::Connected(&HELLO)).unwrap();
        pair.exchange();
        pair.cloud.send_welcome(KEEPALIVE, WINDOW, WALL, true);
        pair.exchange();
        assert_eq!(pair.cloud_events, [CloudEvent::Hello(HELLO)], "cut at {cut}");
        assert_eq!(pair.device_events, [DeviceEvent::Welcome { wall: WALL, logging: true }], "cut at {cut}");
        assert_eq!(pair.device.open_channel(ChannelType::Mqtt, RING), Ok(channel));
        pair.exchange();
        assert_eq!(pair.device.window(channel), WINDOW);
    }
}
