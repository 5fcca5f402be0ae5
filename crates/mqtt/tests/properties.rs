//! What holds for any bytes, any pieces and any order of events.

use std::collections::VecDeque;

use mqtt::{Client, ConnectOptions, Error, Event, Filter, Input, Limits, Message, Version};
use proptest::prelude::*;
use sansio::Instant;

/// No time passes: the keepalive has tests of its own.
const NOW: Instant = Instant::ZERO;
const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

fn small_limits() -> Limits {
    Limits {
        events: 3,
        event_bytes: 100,
        unacknowledged: 4,
        requests: 8,
        outgoing_bytes: 500,
        topic_aliases: 2,
        ..Limits::default()
    }
}

fn options(version: Version) -> ConnectOptions {
    ConnectOptions {
        keep_alive: 10,
        receive_maximum: 4,
        maximum_packet_size: 300,
        ..ConnectOptions::new(version, b"dev")
    }
}

/// A connected client; the broker allows 2 messages in flight and 3 aliases on version 5.
fn connected(version: Version, limits: Limits) -> Client {
    let mut client = Client::new(&options(version), limits, NOW).expect("valid");
    take_output(&mut client);
    let connack: &[u8] = match version {
        Version::V3_1_1 => b"\x20\x02\x00\x00",
        Version::V5 => b"\x20\x09\x00\x00\x06\x21\x00\x02\x22\x00\x03",
    };
    assert_eq!(offer(&mut client, connack), Ok(connack.len()));
    assert_eq!(client.poll(NOW), Some(Event::Connected { session_present: false }));
    client
}

/// Offers the client bytes; how many it takes.
fn offer(client: &mut Client, bytes: &[u8]) -> Result<usize, Error> {
    let mut rest = bytes;
    client.handle(NOW, Input::Received(&mut rest)).map(|()| bytes.len() - rest.len())
}

fn take_output(client: &mut Client) -> Vec<u8> {
    let mut out = Vec::new();
    client.transmit(&mut out);
    assert_eq!(client.handle(NOW, Input::Transmitted(out.len())), Ok(()));
    out
}

/// A packet from a broker: first byte, body shorter than 128 bytes.
fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[first, u8::try_from(body.len()).expect("short")], &body[..]].concat()
}

fn message_packet(version: Version, packet_id: Option<u16>, dup: bool, payload: &[u8]) -> Vec<u8> {
    let first = 0x30 | u8::from(packet_id.is_some()) << 1 | u8::from(dup) << 3;
    let packet_id = packet_id.map_or(Vec::new(), |id| id.to_be_bytes().to_vec());
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    packet(first, &[b"\x00\x03t/x", &packet_id, properties, payload])
}

/// Feeds `bytes` in pieces of these sizes, polling whenever the client asks for it; every event, every byte sent,
/// and how it ended.
fn run(version: Version, bytes: &[u8], pieces: &[usize]) -> (Vec<Event>, Vec<u8>, Option<Error>) {
    let mut client = connected(version, small_limits());
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut sizes = pieces.iter().copied().cycle();
    let (mut offered, mut consumed) = (0, 0);
    while consumed < bytes.len() {
        offered = (offered + sizes.next().unwrap_or(1)).min(bytes.len());
        match offer(&mut client, &bytes[consumed..offered]) {
            Ok(count) => consumed += count,
            Err(error) => {
                events.extend(std::iter::from_fn(|| client.poll(NOW)));
                output.extend(take_output(&mut client));
                return (events, output, Some(error));
            }
        }
        assert!(client.pending_events() <= 3 && client.pending_event_bytes() <= 100 + 300);
        assert!(client.unacknowledged() <= 4);
        if client.can_receive() {
            continue;
        }
        while let Some(event) = client.poll(NOW) {
            acknowledge(&mut client, &event);
            events.push(event);
        }
        output.extend(take_output(&mut client));
        if client.is_closed() {
            return (events, output, None);
        }
    }
    events.extend(std::iter::from_fn(|| client.poll(NOW)));
    output.extend(take_output(&mut client));
    (events, output, None)
}

fn acknowledge(client: &mut Client, event: &Event) {
    if let Event::Message(Message { delivery: Some(delivery), .. }) = event {
        let _ = client.acknowledge(*delivery);
    }
}

/// Packets a broker might send, most of them in order.
fn broker_packet(version: Version) -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        6 => payload().prop_map(move |payload| message_packet(version, None, false, &payload)),
        4 => (1_u16..6, prop::bool::weighted(0.3), payload()).prop_map(move |(packet_id, dup, payload)| {
            message_packet(version, Some(packet_id), dup, &payload)
        }),
        1 => Just(vec![0xd0, 0]),
        1 => Just(packet(0x40, &[&[0, 1]])),
        1 => payload().prop_map(|bytes| packet(bytes.first().copied().unwrap_or(0), &[&bytes])),
    ]
}

/// What a client reports must not depend on how the network cut the bytes.
fn assert_pieces_do_not_matter(
    version: Version,
    bytes: &[u8],
    pieces: &[usize],
) -> Result<(), TestCaseError> {
    let whole = run(version, bytes, &[bytes.len().max(1)]);
    prop_assert_eq!(&run(version, bytes, pieces), &whole);
    prop_assert_eq!(&run(version, bytes, &[1]), &whole);
    Ok(())
}

proptest! {
    // A failure prints its smallest case; there is no file of old cases to keep.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_client_panic_or_grow(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        pieces in prop::collection::vec(1_usize..40, 1..10),
    ) {
        for version in VERSIONS {
            run(version, &bytes, &pieces);
        }
    }

    #[test]
    fn the_pieces_bytes_arrive_in_do_not_matter_on_version_3_1_1(
        packets in prop::collection::vec(broker_packet(Version::V3_1_1), 0..20),
        pieces in prop::collection::vec(1_usize..40, 1..10),
    ) {
        assert_pieces_do_not_matter(Version::V3_1_1, &packets.concat(), &pieces)?;
    }

    #[test]
    fn the_pieces_bytes_arrive_in_do_not_matter_on_version_5(
        packets in prop::collection::vec(broker_packet(Version::V5), 0..20),
        pieces in prop::collection::vec(1_usize..40, 1..10),
    ) {
        assert_pieces_do_not_matter(Version::V5, &packets.concat(), &pieces)?;
    }

    #[test]
    fn any_course_of_events_keeps_the_rules_and_drains(steps in prop::collection::vec(step(), 1..150)) {
        for version in VERSIONS {
            let mut world = World::new(version);
            for step in &steps {
                world.step(*step);
            }
            world.drain();
        }
    }
}

/// One thing that may happen.
#[derive(Debug, Clone, Copy)]
enum Step {
    Publish {
        qos: u8,
        topic: u8,
    },
    Subscribe,
    Unsubscribe,
    Transmit,
    /// The broker answers one of the requests it has seen.
    Answer(usize),
    /// The broker sends a message, if its quota allows.
    Deliver {
        qos1: bool,
    },
    /// The broker repeats a message.
    Repeat(usize),
    /// The application acknowledges one of its messages.
    Acknowledge(usize),
    Poll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..2, 0_u8..5).prop_map(|(qos, topic)| Step::Publish { qos, topic }),
        1 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        3 => Just(Step::Transmit),
        4 => any::<usize>().prop_map(Step::Answer),
        3 => any::<bool>().prop_map(|qos1| Step::Deliver { qos1 }),
        1 => any::<usize>().prop_map(Step::Repeat),
        3 => any::<usize>().prop_map(Step::Acknowledge),
        4 => Just(Step::Poll),
    ]
}

/// A client, and a broker that keeps count of everything.
struct World {
    version: Version,
    client: Client,
    /// Bytes from the client not yet cut into packets.
    wire: Vec<u8>,
    /// Requests the broker has seen and not answered.
    seen: Vec<(u8, u16)>,
    /// Packet identifiers of messages sent and not acknowledged, in order.
    sent: VecDeque<u16>,
    /// Input the client has not consumed.
    held: Vec<u8>,
    aliases: Vec<Option<Vec<u8>>>,
    expected_topics: VecDeque<u8>,
    next_id: u16,
    next_token: u32,
    open: Vec<u32>,
    deliveries: Vec<mqtt::DeliveryId>,
}

impl World {
    fn new(version: Version) -> Self {
        Self {
            version,
            client: connected(version, small_limits()),
            wire: Vec::new(),
            seen: Vec::new(),
            sent: VecDeque::new(),
            held: Vec::new(),
            aliases: vec![None; 2],
            expected_topics: VecDeque::new(),
            next_id: 0,
            next_token: 0,
            open: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { qos, topic } => self.publish(qos, topic),
            Step::Subscribe => {
                let filter = Filter {
                    topic: b"t/#",
                    qos: 1,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                };
                let taken = self.client.subscribe(self.next_token, &[filter]).is_ok();
                self.opened(taken);
            }
            Step::Unsubscribe => {
                let taken = self.client.unsubscribe(self.next_token, &[b"t/#"]).is_ok();
                self.opened(taken);
            }
            Step::Transmit => self.transmit(),
            Step::Answer(which) => self.answer(which),
            Step::Deliver { qos1 } => self.deliver(qos1),
            Step::Repeat(which) => self.repeat(which),
            Step::Acknowledge(which) => {
                if !self.deliveries.is_empty() {
                    let delivery = self.deliveries.remove(which % self.deliveries.len());
                    self.client.acknowledge(delivery).expect("known");
                }
            }
            Step::Poll => self.poll(),
        }
    }

    fn publish(&mut self, qos: u8, topic: u8) {
        let name = format!("topic/{topic}");
        let taken = self.client.publish(self.next_token, name.as_bytes(), &[topic], qos, false).is_ok();
        self.opened(taken);
        if taken {
            self.expected_topics.push_back(topic);
        }
    }

    fn opened(&mut self, taken: bool) {
        if taken {
            self.open.push(self.next_token);
            self.next_token += 1;
        }
        assert!(self.open.len() <= 8, "more open requests than the limit");
    }

    /// The broker reads everything and checks it.
    fn transmit(&mut self) {
        self.wire.extend(take_output(&mut self.client));
        let wire = std::mem::take(&mut self.wire);
        let mut rest = &wire[..];
        while let [first, length, ..] = *rest {
            let (packet, behind) = rest.split_at(2 + usize::from(length));
            self.check_packet(first, &packet[2..]);
            rest = behind;
        }
    }

    fn check_packet(&mut self, first: u8, body: &[u8]) {
        match first >> 4 {
            3 => self.check_publish(first & 0x02 != 0, body),
            4 => {
                let acknowledged = self.sent.pop_front().expect("a message to acknowledge");
                assert_eq!(body, acknowledged.to_be_bytes(), "acknowledged out of order");
            }
            8 | 10 => self.see(first >> 4, u16::from_be_bytes([body[0], body[1]])),
            12 => {}
            _ => panic!("unexpected packet {first:x}"),
        }
    }

    fn check_publish(&mut self, is_qos1: bool, body: &[u8]) {
        let (name, mut rest) = body[2..].split_at(usize::from(body[1]));
        if is_qos1 {
            self.see(3, u16::from_be_bytes([rest[0], rest[1]]));
            rest = &rest[2..];
        }
        let mut name = name.to_vec();
        if self.version == Version::V5 {
            if rest[0] == 3 {
                let alias = usize::from(rest[3]);
                if name.is_empty() {
                    name = self.aliases[alias - 1].clone().expect("a defined alias");
                }
                self.aliases[alias - 1] = Some(name.clone());
                rest = &rest[3..];
            }
            rest = &rest[1..];
        }
        assert_eq!(name, format!("topic/{}", rest[0]).into_bytes(), "an alias names another topic");
        let index = self.expected_topics.iter().position(|topic| *topic == rest[0]);
        self.expected_topics.remove(index.expect("a publish that was not requested"));
    }

    fn see(&mut self, kind: u8, packet_id: u16) {
        assert_ne!(packet_id, 0);
        assert!(self.seen.iter().all(|(_, seen)| *seen != packet_id), "identifier {packet_id} used twice");
        self.seen.push((kind, packet_id));
        let in_flight = self.seen.iter().filter(|(kind, _)| *kind == 3).count();
        assert!(self.version == Version::V3_1_1 || in_flight <= 2, "more than the receive maximum");
    }

    fn answer(&mut self, which: usize) {
        if self.seen.is_empty() {
            return;
        }
        let (kind, packet_id) = self.seen.remove(which % self.seen.len());
        let id = packet_id.to_be_bytes();
        let v5 = self.version == Version::V5;
        let packet = match (kind, v5) {
            (3, _) => packet(0x40, &[&id]),
            (8, false) => packet(0x90, &[&id, &[1]]),
            (8, true) => packet(0x90, &[&id, &[0, 1]]),
            (_, false) => packet(0xb0, &[&id]),
            (_, true) => packet(0xb0, &[&id, &[0, 0]]),
        };
        self.feed(&packet);
    }

    fn deliver(&mut self, qos1: bool) {
        let packet_id = (qos1 && self.sent.len() < 4).then(|| {
            self.next_id += 1;
            self.sent.push_back(self.next_id);
            self.next_id
        });
        let packet = message_packet(self.version, packet_id, false, b"hello");
        self.feed(&packet);
    }

    /// Only what the client takes at once: a repetition that arrives behind its own PUBACK is a new message.
    fn repeat(&mut self, which: usize) {
        let is_taken_at_once = self.held.is_empty() && self.client.can_receive();
        if let Some(packet_id) = pick(&self.sent, which).filter(|_| is_taken_at_once) {
            let packet = message_packet(self.version, Some(packet_id), true, b"again");
            self.feed(&packet);
        }
    }

    fn feed(&mut self, packet: &[u8]) {
        self.held.extend_from_slice(packet);
        self.offer();
    }

    fn offer(&mut self) {
        let consumed = offer(&mut self.client, &self.held).expect("a faultless broker");
        self.held.drain(..consumed);
    }

    fn poll(&mut self) {
        if let Some(event) = self.client.poll(NOW) {
            match event {
                Event::Published { token, .. }
                | Event::Subscribed { token, .. }
                | Event::Unsubscribed { token, .. } => {
                    let index = self.open.iter().position(|open| *open == token);
                    self.open.remove(index.expect("one outcome for each request"));
                }
                Event::Message(message) => self.deliveries.extend(message.delivery),
                other => panic!("unexpected {other:?}"),
            }
        }
        self.offer();
    }

    /// With a broker that answers and an application that polls, everything comes to its end.
    fn drain(&mut self) {
        for _ in 0..2000 {
            self.step(Step::Transmit);
            self.step(Step::Answer(0));
            self.step(Step::Poll);
            self.step(Step::Acknowledge(0));
        }
        assert!(self.open.is_empty(), "requests without an outcome: {:?}", self.open);
        assert!(self.expected_topics.is_empty() && self.seen.is_empty() && self.held.is_empty());
        assert!(self.sent.is_empty(), "messages never acknowledged");
        assert_eq!(
            (self.client.pending_events(), self.client.untransmitted(), self.client.unacknowledged()),
            (0, 0, 0)
        );
        assert!(self.client.can_receive());
    }
}

fn pick(from: &VecDeque<u16>, which: usize) -> Option<u16> {
    if from.is_empty() { None } else { from.get(which % from.len()).copied() }
}

/// A fixed sequence of pseudo-random numbers (xorshift).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
}

/// Faultless traffic with a few bytes changed, removed or inserted: deeper into the decoders than random bytes get.
#[test]
fn damaged_traffic_never_makes_a_client_panic_or_grow() {
    let mut random = Sequence(0x9e37_79b9_7f4a_7c15);
    let (mut refused, mut survived) = (0, 0);
    for round in 0..4000 {
        let version = VERSIONS[round % 2];
        let mut bytes = faultless_traffic(version, &mut random);
        for _ in 0..=random.below(3) {
            damage(&mut bytes, &mut random);
        }
        let pieces = [1 + random.below(20), 1 + random.below(200)];
        match run(version, &bytes, &pieces) {
            (_, _, Some(Error::Protocol(error))) if error.reason_code >= 0x80 => refused += 1,
            (_, _, None) => survived += 1,
            (_, _, other) => panic!("{other:?}"),
        }
    }
    assert!(
        refused > 400 && survived > 400,
        "{refused} refused, {survived} survived: the damage is one-sided"
    );
}

fn faultless_traffic(version: Version, random: &mut Sequence) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 1..=10_u16 {
        let payload = vec![b'x'; random.below(80)];
        let qos1 = random.below(2) == 0;
        // Identifiers repeat as if each message were acknowledged at once; at most four are ever unacknowledged.
        let packet_id = (qos1 && number <= 4).then_some(number);
        bytes.extend(message_packet(version, packet_id, false, &payload));
        bytes.extend(packet(0x40, &[&number.to_be_bytes()]));
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, random: &mut Sequence) {
    let at = random.below(bytes.len());
    let value = random.next().to_be_bytes()[0];
    match random.below(4) {
        0 => bytes[at] = value,
        1 => bytes[at] ^= 1 << (value & 7),
        2 => drop(bytes.remove(at)),
        _ => bytes.insert(at, value),
    }
}
