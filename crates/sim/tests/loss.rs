//! One long exchange between a kernel and a scripted cloud, cut at every byte in either direction, and with a cloud
//! that answers late, twice or never: every accepted request has one answer, no log line is missing, and the device
//! recovers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use abi::channel::{ChannelType, OpenChannelParams};
use abi::memory::APPLICATION_RAM_START;
use abi::mqtt::{
    MqttConnectRequest, MqttMessage, MqttPublishRequest, MqttPublishResponse, MqttReadableDataType,
    MqttSubscribeRequest, MqttSubscribeResponse, MqttSubscription,
};
use abi::network::RequestNetworkParams;
use abi::notifications::NotificationSetup;
use abi::power::WakeReason;
use abi::strings::SizedString;
use abi::{Call, Status};
use kernel::{Boot, LinkInput, LinkLoss, Policy, Violation};
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use link::kind::{to_cloud, to_device};
use link::mqtt::MessageHead;
use sansio::{Duration, Instant, StateMachine, WallTime, drive};
use sim::kernel_host::KernelHost;

const BUFFERS: u32 = APPLICATION_RAM_START + 0x8000;
const RECORDS: u32 = APPLICATION_RAM_START + 0x6000;
const LOG: u32 = APPLICATION_RAM_START + 0x7000;
const LINES: u32 = 4;

/// What the cloud says of the time of day.
const WALL: WallTime = WallTime::from_micros(1 << 50);

/// How the cloud answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    Prompt,
    /// All at the end, the last first.
    Late,
    /// Each answer a second time, which is a violation (link.md §5.2).
    Twice,
    Never,
}

/// When the link breaks: after this many bytes each way.
#[derive(Clone, Copy, Debug)]
struct Cut {
    up: usize,
    down: usize,
}

const NO_CUT: Cut = Cut { up: usize::MAX, down: usize::MAX };

struct Exchange {
    host: KernelHost,
    how: Cloud,
    cut: Cut,
    moved: Cut,
    cloud: Option<CloudLink>,
    /// What the kernel has sent and the cloud has not received.
    outgoing: VecDeque<Vec<u8>>,
    delayed: Vec<(u8, u8, Vec<u8>)>,
    centre: u32,
    network: u32,
    channel: u32,
    /// Requests accepted and not answered, by what answers them.
    pending: BTreeMap<u32, u32>,
    answered: u32,
    messages: u32,
    lines: BTreeSet<u32>,
    was_refused: bool,
}

impl Exchange {
    fn new(how: Cloud, cut: Cut) -> Self {
        let boot = Boot {
            device_id: [b'U'; 34],
            seed: [7; 16],
            wake_reason: WakeReason::ColdBoot,
            image: [1; 32],
            policy: Policy::default(),
            application_test: false,
        };
        let mut exchange = Self {
            host: KernelHost::new(&boot, Instant::ZERO),
            how,
            cut,
            moved: Cut { up: 0, down: 0 },
            cloud: None,
            outgoing: VecDeque::new(),
            delayed: Vec::new(),
            centre: 0,
            network: 0,
            channel: 0,
            pending: BTreeMap::new(),
            answered: 0,
            messages: 0,
            lines: BTreeSet::new(),
            was_refused: false,
        };
        exchange.set_up();
        exchange
    }

    fn set_up(&mut self) {
        let setup = NotificationSetup { irq: 41, buffer: RECORDS, buffer_size: 0x400 };
        let setup = self.host.put(&setup.to_bytes());
        self.centre = self.handle(Call::SetupNotifications, setup).expect("at the start");
        let params =
            RequestNetworkParams { version: 1, notification_handle: self.centre, notification_tag: 0 };
        let params = self.host.put(&params.to_bytes());
        self.network = self.handle(Call::RequestNetwork, params).expect("at the start");
        assert_eq!(self.host.call(Call::ServerLoggingInit, &[LOG, 0x800]), Status::Okay);
        for _ in 0..LINES {
            let text = self.host.put(b"a line of the log");
            assert_eq!(self.host.call(Call::ServerLog, &[text, 17]), Status::Okay);
        }
    }

    /// The whole exchange, and the recovery after a loss.
    fn run(mut self) -> (Cut, u32) {
        self.connect();
        self.script();
        let delayed = std::mem::take(&mut self.delayed);
        delayed.into_iter().rev().for_each(|(channel, kind, body)| self.send_answer(channel, kind, &body));
        self.pump();
        self.read_all();
        let moved = self.moved;
        let has_broken = self.cloud.is_none();
        if self.how == Cloud::Never || has_broken {
            self.lose();
            self.read_all();
        }
        assert!(self.pending.is_empty(), "never answered: {:?}", self.pending);
        self.recover();
        (moved, self.answered)
    }

    /// After everything the device can be used as before.
    fn recover(&mut self) {
        (self.how, self.cut) = (Cloud::Prompt, NO_CUT);
        self.close();
        self.lose();
        for _ in 0..20 {
            self.connect();
            if self.cloud.is_some() {
                break;
            }
        }
        self.script();
        assert!(self.pending.is_empty() && self.messages > 0, "the second time: {:?}", self.pending);
        assert_eq!(self.lines, (1..=LINES).collect(), "every line of the log is there");
    }

    fn script(&mut self) {
        self.open();
        self.request_connect();
        self.publish(1, b"a/topic", 300);
        self.publish(2, b"a/topic", 10);
        self.subscribe();
        self.deliver();
        self.publish(3, b"another/topic", 0);
        self.read_all();
        self.deliver();
        self.read_all();
    }

    // ---- requests ----

    fn handle(&mut self, call: Call, params: u32) -> Option<u32> {
        let to = self.host.allocate(4);
        (self.host.call(call, &[params, to]) == Status::Okay).then(|| self.host.u32(to))
    }

    fn open(&mut self) {
        self.host.reset_scratch();
        let params = OpenChannelParams {
            version: 1,
            notification_handle: self.centre,
            notification_tag: 1,
            network_handle: self.network,
            receive_buffer: BUFFERS,
            receive_buffer_len: 1024,
            send_buffer: BUFFERS + 1024,
            send_buffer_len: 1024,
            channel_type: ChannelType::Mqtt.raw(),
            endpoint: SizedString::default(),
        };
        let params = self.host.put(&params.to_bytes());
        self.channel = self.handle(Call::OpenChannel, params).unwrap_or(0);
        self.pump();
    }

    fn close(&mut self) {
        if self.channel != 0 {
            let variable = self.host.put(&self.channel.to_le_bytes());
            assert_eq!(self.host.call(Call::CloseChannel, &[variable]), Status::Okay);
            self.channel = 0;
        }
    }

    /// Makes a request; an accepted one becomes pending.
    fn request(&mut self, call: Call, structure: &[u8], answer: MqttReadableDataType) {
        let at = self.host.put(structure);
        match self.host.call(call, &[self.channel, at]) {
            Status::Okay => *self.pending.entry(answer.raw()).or_default() += 1,
            Status::ChannelClosed => {}
            Status::InvalidHandle if self.channel == 0 => {}
            other => panic!("{}: {other:?}", call.name()),
        }
        self.pump();
    }

    fn request_connect(&mut self) {
        let request = MqttConnectRequest {
            host: self.host.string(b"broker"),
            port: 1883,
            clientid: self.host.string(b"me"),
            keepalive: 60,
            clean_start: 1,
            ..MqttConnectRequest::default()
        };
        self.request(Call::MqttRequestConnect, &request.to_bytes(), MqttReadableDataType::ConnectResponse);
    }

    fn publish(&mut self, correlation_id: u32, topic: &[u8], length: usize) {
        let topic = self.host.string(topic);
        let payload = self.host.string(&vec![b'p'; length]);
        let request = MqttPublishRequest { correlation_id, topic, payload, desired_qos: 1, retain: 0 };
        self.request(Call::MqttRequestPublish, &request.to_bytes(), MqttReadableDataType::PublishResponse);
    }

    fn subscribe(&mut self) {
        let topic = self.host.string(b"a/#");
        let subscription = MqttSubscription { topic, desired_qos: 1, ..MqttSubscription::default() };
        let subscriptions = self.host.put(&subscription.to_bytes());
        let request = MqttSubscribeRequest { correlation_id: 9, subscriptions, num_subscriptions: 1 };
        self.request(
            Call::MqttRequestSubscribe,
            &request.to_bytes(),
            MqttReadableDataType::SubscribeResponse,
        );
    }

    // ---- answers ----

    fn read_all(&mut self) {
        while self.channel != 0 {
            self.host.reset_scratch();
            let to = self.host.allocate(4);
            let status = self.host.call(Call::MqttGetNextReadableDataType, &[self.channel, to]);
            let kind = MqttReadableDataType::from_raw(self.host.u32(to));
            match (status, kind) {
                (Status::Okay, Some(kind)) if kind != MqttReadableDataType::None => self.read(kind),
                _ => break,
            }
        }
        self.pump();
    }

    fn read(&mut self, kind: MqttReadableDataType) {
        let (call, args) = match kind {
            MqttReadableDataType::ConnectResponse => (Call::MqttReadConnectResponse, self.host.allocate(8)),
            MqttReadableDataType::PublishResponse => {
                (Call::MqttReadPublishResponse, self.host.allocate(MqttPublishResponse::SIZE))
            }
            MqttReadableDataType::SubscribeResponse => {
                let response = MqttSubscribeResponse {
                    request_state: self.host.allocate(4),
                    correlation_id: self.host.allocate(4),
                    reason_codes: self.host.allocate(32),
                    reason_codes_size: 8,
                    reason_codes_len: self.host.allocate(4),
                };
                (Call::MqttReadSubscribeResponse, self.host.put(&response.to_bytes()))
            }
            MqttReadableDataType::MessageReceived => return self.receive(),
            other => panic!("{other:?} was not requested"),
        };
        assert_eq!(self.host.call(call, &[self.channel, args]), Status::Okay, "{}", call.name());
        let pending = self.pending.get_mut(&kind.raw()).filter(|pending| **pending > 0);
        *pending.unwrap_or_else(|| panic!("a second answer: {kind:?}")) -= 1;
        self.pending.retain(|_, pending| *pending > 0);
        self.answered += 1;
    }

    fn receive(&mut self) {
        let message = MqttMessage {
            correlation_id: self.host.allocate(4),
            topic: self.host.string_buffer(64),
            payload: self.host.string_buffer(512),
            qos: self.host.allocate(4),
            retain: self.host.allocate(1),
        };
        let at = self.host.put(&message.to_bytes());
        assert_eq!(self.host.call(Call::MqttReceiveMessage, &[self.channel, at]), Status::Okay);
        assert_eq!(self.host.read_string(message.payload), [b'm'; 200], "a complete message");
        let correlation = self.host.u32(message.correlation_id);
        let status = self.host.call(Call::MqttAcknowledgeMessage, &[self.channel, correlation]);
        assert!(matches!(status, Status::Okay | Status::ChannelClosed), "{status:?}");
        self.messages += 1;
    }

    // ---- the cloud ----

    fn connect(&mut self) {
        for _ in 0..100 {
            if self.host.wants_link() {
                break;
            }
            let due = self.host.next_timeout().expect("a pause ends");
            self.host.set_now(due.max(self.host.now()));
            self.drive(LinkInput::Timeout).expect("only received bytes can be a violation");
        }
        assert!(self.host.wants_link(), "the device reconnects");
        // A port that repeats itself must not confuse the kernel.
        for input in
            [LinkInput::Connecting, LinkInput::Connecting, LinkInput::Connected, LinkInput::Connected]
        {
            self.drive(input).expect("only received bytes can be a violation");
        }
        self.cloud = Some(CloudLink::new(self.host.now()));
        self.pump();
    }

    fn drive(&mut self, input: LinkInput<'_>) -> Result<(), Violation> {
        let now = self.host.now();
        drive(&mut self.host, now, input, &mut |bytes| self.outgoing.push_back(bytes))
    }

    /// The link is lost, and the port says so twice.
    fn lose(&mut self) {
        self.cloud = None;
        for _ in 0..2 {
            self.drive(LinkInput::Lost(LinkLoss::Unreachable))
                .expect("only received bytes can be a violation");
        }
        self.outgoing.clear();
    }

    /// The next bytes of the kernel, also those that follow from system calls.
    fn next_outgoing(&mut self) -> Option<Vec<u8>> {
        let now = self.host.now();
        self.outgoing.pop_front().or_else(|| self.host.poll(now))
    }

    fn pump(&mut self) {
        while self.cloud.is_some() {
            let sent = self.next_outgoing();
            self.up(sent.as_deref().unwrap_or_default());
            let mut out = [0; 512];
            let Some(cloud) = &mut self.cloud else { return };
            let length = cloud.transmit(self.host.now(), &mut out);
            if sent.is_none() && length == 0 {
                return self.end_if_unwanted();
            }
            self.down(&out[..length]);
        }
    }

    fn end_if_unwanted(&mut self) {
        if !self.host.wants_link() {
            self.lose();
        }
    }

    fn up(&mut self, bytes: &[u8]) {
        let room = self.cut.up.saturating_sub(self.moved.up);
        let arrived = &bytes[..bytes.len().min(room)];
        self.moved.up += arrived.len();
        let is_cut = arrived.len() < bytes.len();
        let mut items = Vec::new();
        let cloud = self.cloud.as_mut().expect("a connection");
        let (now, mut input) = (self.host.now(), Input::Received(arrived));
        while let Some(event) = cloud.handle(now, &mut input).expect("the kernel keeps to the rules") {
            match event {
                Event::Hello(_) => cloud.send_welcome(Duration::from_secs(60), 16_384, WALL, true),
                Event::Log(head) => {
                    self.lines.insert(head.sequence);
                    cloud.acknowledge_logs(head.sequence);
                }
                Event::Item(fragment) => {
                    let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
                    let slot = fragment.bytes.first().map_or(0, |first| first & 15);
                    if fragment.first && fragment.last {
                        items.push((channel, fragment.kind, slot));
                    }
                    cloud.consume(channel, length);
                }
                _ => {}
            }
        }
        for (channel, kind, slot) in items {
            self.answer(channel, kind, slot);
        }
        if is_cut {
            self.lose();
        }
    }

    fn answer(&mut self, channel: u8, kind: u8, slot: u8) {
        let (kind, body) = match kind {
            to_cloud::CONNECT => (to_device::CONNECTED, vec![0, 0]),
            to_cloud::PUBLISH => (to_device::PUBLISHED, vec![slot]),
            to_cloud::SUBSCRIBE => (to_device::SUBSCRIBED, vec![0, 1]),
            _ => return,
        };
        match self.how {
            Cloud::Prompt => self.send_answer(channel, kind, &body),
            Cloud::Late => self.delayed.push((channel, kind, body)),
            Cloud::Never => {}
            Cloud::Twice => {
                self.send_answer(channel, kind, &body);
                // The cloud's own end would not let it out: the second one goes as bare bytes.
                let header = [kind << 4 | channel, (body.len() as u8) << 1];
                self.down(&[&header[..], &body].concat());
            }
        }
    }

    fn send_answer(&mut self, channel: u8, kind: u8, body: &[u8]) {
        let mut out = [0; ANSWER_FRAME];
        let Some(cloud) = &mut self.cloud else { return };
        if let Ok(length) = cloud.write_answer(channel, kind, body, &mut out) {
            self.down(&out[..length]);
        }
    }

    /// A message of QoS 1 on the first channel, if there is one.
    fn deliver(&mut self) {
        let mut head = [0; MessageHead::MAX];
        let length = MessageHead { delivery: Some(3), retain: false, topic: 3 }.encode(&mut head);
        let body = [&head[..length], b"a/b", &[b'm'; 200]].concat();
        let Some(cloud) = &mut self.cloud else { return };
        let open = (1..=15).find(|channel| cloud.is_channel_open(*channel));
        let Some(channel) = open else { return };
        if cloud.begin_item(channel, to_device::MESSAGE, length as u32, 203).is_err() {
            return;
        }
        let (mut bytes, mut left) = (Vec::new(), &body[..]);
        while let Some((header, length)) = cloud.next_fragment(channel, 90) {
            let (part, rest) = left.split_at(length);
            bytes.extend([header.as_slice(), part].concat());
            left = rest;
        }
        self.down(&bytes);
        self.pump();
    }

    fn down(&mut self, bytes: &[u8]) {
        if self.cloud.is_none() {
            return;
        }
        let room = self.cut.down.saturating_sub(self.moved.down);
        let input = &bytes[..bytes.len().min(room)];
        self.moved.down += input.len();
        let outcome = self.drive(LinkInput::Received(input));
        if outcome.is_err() {
            assert_eq!(self.how, Cloud::Twice, "{outcome:?}");
            self.was_refused = true;
            self.lose();
        } else if input.len() < bytes.len() {
            self.lose();
        }
    }
}

/// Shows M12, D53, D70, D84, D87.
#[test]
fn a_link_cut_at_any_byte_loses_no_answer_and_no_log_line() {
    let (all, answered) = Exchange::new(Cloud::Prompt, NO_CUT).run();
    assert!(all.up > 500 && all.down > 400 && answered == 10, "both times: {all:?} {answered}");
    for up in 0..all.up {
        Exchange::new(Cloud::Prompt, Cut { up, ..NO_CUT }).run();
    }
    for down in 0..all.down {
        Exchange::new(Cloud::Prompt, Cut { down, ..NO_CUT }).run();
    }
}

/// Shows M12, D53.
#[test]
fn a_cloud_that_answers_late_or_never_may_be_cut_off_at_any_byte() {
    for how in [Cloud::Late, Cloud::Never] {
        let (all, _) = Exchange::new(how, NO_CUT).run();
        for byte in (0..all.up).step_by(3) {
            Exchange::new(how, Cut { up: byte, ..NO_CUT }).run();
        }
        for byte in 0..all.down {
            Exchange::new(how, Cut { down: byte, ..NO_CUT }).run();
        }
    }
}

/// Shows M12, D53, D89.
#[test]
fn a_cloud_that_answers_twice_is_dropped_and_every_request_still_has_one_answer() {
    let mut exchange = Exchange::new(Cloud::Twice, NO_CUT);
    exchange.connect();
    exchange.script();
    exchange.read_all();
    assert!(exchange.was_refused && exchange.pending.is_empty(), "{:?}", exchange.pending);
    exchange.recover();
}
