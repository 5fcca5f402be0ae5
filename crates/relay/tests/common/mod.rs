//! A relay between a device's end of the link and a scripted broker, on a virtual clock.
#![allow(dead_code, reason = "each test file uses its part of the harness")]

mod requests;
mod sockets;

use std::collections::{BTreeMap, VecDeque};

use link::channel::{ChannelType, ClosureReason};
use link::config::ConfigHead;
use link::connection::{ByeReason, Hello};
use link::device::{Answer, DeviceLink, Event, Input as LinkInput, LOG_FRAME};
use link::http::ResponseHead;
use link::kind::{to_cloud, to_device};
use link::mqtt::{LostHead, MessageHead, Outcome, RequestState};
use link::{Fragment, Violation};
use relay::{
    ConnectionEnd, ConnectionId, DeviceRelay, ExchangeId, HttpOutcome, HttpRequest, Input, LookupId,
    LookupKey, Notice, Output, Settings, Target,
};
use sansio::{Duration, Instant, WallTime};

pub(crate) use requests::*;
pub(crate) use sockets::{Socket, SocketState};

/// When every rig starts.
pub(crate) const START: Instant = Instant::from_secs(1);
pub(crate) const RING: u32 = 1536;
pub(crate) const WALL: u64 = 1_700_000_000_000_000;
pub(crate) const HELLO: Hello = Hello {
    version: 1,
    boot: 0x0403_0201,
    wake_reason: 8,
    clock: Instant::from_micros(300),
    image: [0xab; 32],
};

/// What the device received, in whole items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Welcome { wall: u64, logging: bool },
    Time { wall: u64 },
    LogTaken { sequence: u32 },
    Logging { enabled: bool },
    Bye { reason: ByeReason },
    Closed { channel: u8, reason: ClosureReason },
    Answer { channel: u8, answer: Answer },
    Message { channel: u8, delivery: Option<u32>, retain: bool, topic: Vec<u8>, payload: Vec<u8> },
    Lost { channel: u8, length: u32, topic: Vec<u8> },
    Config { channel: u8, result: u8, items: Vec<(u8, Vec<u8>)> },
    Http { channel: u8, result: u8, status: u32, headers: Vec<String>, body: Vec<u8> },
}

pub(crate) struct Rig {
    pub now: Instant,
    pub relay: DeviceRelay,
    pub device: DeviceLink,
    /// Every byte the device was sent since last emptied.
    pub bytes: Vec<u8>,
    pub received: Vec<Received>,
    pub sockets: BTreeMap<u32, Socket>,
    pub targets: Vec<(ConnectionId, Target)>,
    pub lookups: Vec<(LookupId, Vec<LookupKey>)>,
    pub exchanges: Vec<(ExchangeId, HttpRequest)>,
    pub cancelled: Vec<ExchangeId>,
    pub logs: Vec<relay::LogLine>,
    pub hello: Option<relay::HelloInfo>,
    pub notices: Vec<Notice>,
    pub disconnected: Option<ByeReason>,
    pub violation: Option<Violation>,
    /// The application reads as soon as something arrives.
    pub reads: bool,
    /// Broker connections accept bytes at once.
    pub writes: bool,
    assembling: BTreeMap<u8, (u8, Vec<u8>)>,
    unread: BTreeMap<u8, VecDeque<u32>>,
}

impl Rig {
    pub(crate) fn connected_with(settings: Settings) -> Self {
        let mut device = DeviceLink::new();
        let _ = device.handle(START, &mut LinkInput::Connected(&HELLO));
        Self {
            now: START,
            relay: DeviceRelay::new(START, Settings { wall_time: WallTime::from_micros(WALL), ..settings }),
            device,
            bytes: Vec::new(),
            received: Vec::new(),
            sockets: BTreeMap::new(),
            targets: Vec::new(),
            lookups: Vec::new(),
            exchanges: Vec::new(),
            cancelled: Vec::new(),
            logs: Vec::new(),
            hello: None,
            notices: Vec::new(),
            disconnected: None,
            violation: None,
            reads: true,
            writes: true,
            assembling: BTreeMap::new(),
            unread: BTreeMap::new(),
        }
    }

    /// The link is open.
    pub(crate) fn open_with(settings: Settings) -> Self {
        let mut rig = Self::connected_with(settings);
        rig.pump();
        assert_eq!(rig.received, [Received::Welcome { wall: WALL, logging: settings.logging }]);
        rig.received.clear();
        rig
    }

    pub(crate) fn open() -> Self {
        Self::open_with(Settings { notices: true, ..Settings::default() })
    }

    /// With an MQTT channel on which nothing has been requested.
    pub(crate) fn with_channel(ring: u32) -> (Self, u8) {
        let mut rig = Self::open();
        let channel = rig.open_channel(ChannelType::Mqtt, ring);
        (rig, channel)
    }

    /// With an MQTT channel connected to a broker over connection 1.
    pub(crate) fn with_broker(version5: bool, ring: u32) -> (Self, u8) {
        let (mut rig, channel) = Self::with_channel(ring);
        rig.connect(channel, version5, 1);
        (rig, channel)
    }

    /// Connects a channel to a broker; the outcome is checked and dropped.
    pub(crate) fn connect(&mut self, channel: u8, version5: bool, connection: u32) {
        self.send(
            channel,
            to_cloud::CONNECT,
            &ConnectRequest { version5, ..ConnectRequest::default() }.body(),
        );
        self.opened(connection);
        self.broker_sends(connection, connack(version5));
        let answer = Answer::Connected(Outcome { state: RequestState::Completed, reason: 0 });
        assert_eq!(self.received, [Received::Answer { channel, answer }]);
        self.received.clear();
        self.socket(connection).sent.clear();
    }

    pub(crate) fn open_channel(&mut self, channel_type: ChannelType, ring: u32) -> u8 {
        let channel = self.device.open_channel(channel_type, ring).unwrap();
        self.pump();
        channel
    }

    pub(crate) fn socket(&mut self, connection: u32) -> &mut Socket {
        self.sockets.get_mut(&connection).unwrap()
    }

    /// The bytes the broker received since the last call.
    pub(crate) fn sent(&mut self, connection: u32) -> Vec<u8> {
        std::mem::take(&mut self.socket(connection).sent)
    }

    pub(crate) fn received(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }

    pub(crate) fn answers(&mut self) -> Vec<Answer> {
        let answer = |received: Received| match received {
            Received::Answer { answer, .. } => Some(answer),
            _ => None,
        };
        self.received().into_iter().filter_map(answer).collect()
    }

    // --- Inputs.

    pub(crate) fn input(&mut self, input: Input<'_>) {
        if let Err(violation) = self.relay.handle(self.now, input) {
            assert_eq!(self.violation, None, "one violation is the end");
            self.violation = Some(violation);
        }
        self.pump();
    }

    pub(crate) fn opened(&mut self, connection: u32) {
        let socket = self.socket(connection);
        assert_eq!(socket.state, SocketState::Opening);
        socket.state = SocketState::Open;
        self.input(Input::ConnectionOpened { connection: ConnectionId(connection) });
    }

    pub(crate) fn failed(&mut self, connection: u32, error: relay::ConnectError) {
        self.socket(connection).state = SocketState::Closed;
        self.input(Input::ConnectionFailed { connection: ConnectionId(connection), error });
    }

    pub(crate) fn broker_sends(&mut self, connection: u32, bytes: impl AsRef<[u8]>) {
        self.input(Input::ConnectionReceived { connection: ConnectionId(connection), bytes: bytes.as_ref() });
    }

    pub(crate) fn broker_closes(&mut self, connection: u32, clean: bool) {
        let end =
            if clean { ConnectionEnd::Closed } else { ConnectionEnd::Failed(relay::ConnectError::Socket) };
        self.broker_ends(connection, end);
    }

    pub(crate) fn broker_ends(&mut self, connection: u32, end: ConnectionEnd) {
        self.socket(connection).state = SocketState::Closed;
        self.input(Input::ConnectionClosed { connection: ConnectionId(connection), end });
    }

    /// The connection takes up to `most` bytes.
    pub(crate) fn written(&mut self, connection: u32, most: usize) {
        let bytes = self.socket(connection).take(most);
        self.input(Input::ConnectionWritten { connection: ConnectionId(connection), bytes });
    }

    pub(crate) fn looked_up(&mut self, lookup: LookupId, values: Vec<relay::Value>) {
        self.input(Input::LookupFinished { lookup, values });
    }

    pub(crate) fn http(&mut self, exchange: ExchangeId, outcome: HttpOutcome) {
        self.input(Input::HttpFinished { exchange, outcome });
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(due) = self.relay.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(Input::Timeout);
            assert!(self.relay.next_timeout().is_none_or(|next| next > self.now), "a timeout that stays due");
        }
        self.now = until;
    }

    pub(crate) fn close(&mut self, channel: u8) {
        self.device.close_channel(channel);
        self.pump();
    }

    pub(crate) fn log(&mut self, sequence: u32, text: &[u8]) {
        let mut out = [0; LOG_FRAME];
        let head = link::connection::LogHead { sequence, clock: Instant::from_micros(77) };
        let length = self.device.log_frame(self.now, &head, text.len(), &mut out).unwrap();
        let frame = [&out[..length], text].concat();
        self.input(Input::LinkReceived(&frame));
    }

    /// Sends an item in as many fragments as the window asks for; it must not get stuck.
    pub(crate) fn send(&mut self, channel: u8, kind: u8, body: &[u8]) {
        assert_eq!(self.try_send(channel, kind, body), body.len(), "the window did not open");
    }

    /// Sends as much of an item as the window allows, and gives how many bytes that was.
    pub(crate) fn try_send(&mut self, channel: u8, kind: u8, body: &[u8]) -> usize {
        let mut sent = 0;
        loop {
            let left = body.len() - sent;
            let Some((length, more)) = self.device.next_fragment(channel, left as u32, 4096) else {
                return sent;
            };
            let header = self.device.channel_frame(self.now, channel, kind, length, more).unwrap();
            let frame = [header.as_slice(), &body[sent..][..usize::from(length)]].concat();
            sent += usize::from(length);
            self.input(Input::LinkReceived(&frame));
            if !more {
                return sent;
            }
        }
    }

    // --- What comes out.

    /// Passes everything on until nothing more happens.
    pub(crate) fn pump(&mut self) {
        loop {
            let mut out = [0; 512];
            let length = self.device.transmit(self.now, &mut out);
            if length > 0
                && let Err(violation) = self.relay.handle(self.now, Input::LinkReceived(&out[..length]))
            {
                self.violation = Some(violation);
            }
            let (drained, written) = (self.drain(), self.write());
            if !drained && !written && length == 0 {
                return;
            }
        }
    }

    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.relay.poll(self.now) {
            any = true;
            assert!(self.disconnected.is_none(), "nothing follows the end: {output:?}");
            self.output(output);
        }
        any
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::LinkSend(bytes) => self.deliver(&bytes),
            Output::OpenConnection { connection, target } => {
                assert!(self.sockets.insert(connection.0, Socket::default()).is_none(), "a name used twice");
                self.targets.push((connection, target));
            }
            Output::ConnectionSend { connection, bytes } => self.socket(connection.0).give(&bytes),
            Output::CloseConnection { connection, abort } => self.socket(connection.0).close(abort),
            Output::PauseReading { connection } => self.socket(connection.0).pause(true),
            Output::ResumeReading { connection } => self.socket(connection.0).pause(false),
            Output::Lookup { lookup, keys } => self.lookups.push((lookup, keys)),
            Output::HttpRequest { exchange, request } => self.exchanges.push((exchange, request)),
            Output::CancelHttp { exchange } => self.cancelled.push(exchange),
            Output::Log(line) => self.logs.push(line),
            Output::Hello(hello) => self.hello = Some(hello),
            Output::Notice(notice) => self.notices.push(notice),
            Output::Disconnect { reason } => self.disconnected = Some(reason),
        }
    }

    fn write(&mut self) -> bool {
        if !self.writes {
            return false;
        }
        let mut any = false;
        for connection in self.sockets.keys().copied().collect::<Vec<_>>() {
            let socket = self.socket(connection);
            if socket.untaken.is_empty() || socket.state != SocketState::Open {
                continue;
            }
            let bytes = socket.take(usize::MAX);
            any = true;
            let input = Input::ConnectionWritten { connection: ConnectionId(connection), bytes };
            self.relay.handle(self.now, input).unwrap();
        }
        any
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut input = LinkInput::Received(bytes);
        loop {
            let event = self.device.handle(self.now, &mut input).expect("the cloud keeps the rules");
            let Some(event) = event else { return };
            if let Event::Item(fragment) = event {
                self.piece(&fragment);
                continue;
            }
            if let Event::Window { .. } = event {
                continue;
            }
            self.received.push(match event {
                Event::Welcome { wall, logging } => Received::Welcome { wall: wall.as_micros(), logging },
                Event::Time { wall } => Received::Time { wall: wall.as_micros() },
                Event::LogTaken { sequence } => Received::LogTaken { sequence },
                Event::Logging { enabled } => Received::Logging { enabled },
                Event::Bye { reason } => Received::Bye { reason },
                Event::Closed { channel, reason } => Received::Closed { channel, reason },
                Event::Answer { channel, answer } => Received::Answer { channel, answer },
                Event::Window { .. } | Event::Item(_) => unreachable!(),
            });
        }
    }

    fn piece(&mut self, fragment: &Fragment<'_>) {
        let (_, bytes) = self.assembling.entry(fragment.channel).or_insert((fragment.kind, Vec::new()));
        bytes.extend_from_slice(fragment.bytes);
        if !fragment.last {
            return;
        }
        let (kind, bytes) = self.assembling.remove(&fragment.channel).unwrap();
        let channel = fragment.channel;
        let (received, content) = match kind {
            to_device::MESSAGE => {
                let (head, length) = MessageHead::decode(&bytes).unwrap().unwrap();
                let (topic, payload) = bytes[length..].split_at(head.topic as usize);
                let (topic, payload) = (topic.to_vec(), payload.to_vec());
                let MessageHead { delivery, retain, .. } = head;
                (Received::Message { channel, delivery, retain, topic, payload }, bytes.len() - length)
            }
            to_device::LOST => {
                let (head, length) = LostHead::decode(&bytes).unwrap().unwrap();
                let topic = bytes[length..].to_vec();
                (Received::Lost { channel, length: head.message_len, topic }, bytes.len() - length)
            }
            to_device::CONFIG_RESPONSE => config(channel, &bytes),
            to_device::HTTP_RESPONSE => http(channel, &bytes),
            _ => panic!("kind {kind}"),
        };
        self.device.store(channel, content as u32).expect("no more than the ring");
        self.received.push(received);
        self.unread.entry(channel).or_default().push_back(content as u32);
        if self.reads {
            self.read(channel, usize::MAX);
        }
    }

    /// How many items the application has not read.
    pub(crate) fn unread(&self, channel: u8) -> usize {
        self.unread.get(&channel).map_or(0, VecDeque::len)
    }

    pub(crate) fn unread_bytes(&self, channel: u8) -> u32 {
        self.unread.get(&channel).map_or(0, |items| items.iter().sum())
    }

    /// The application reads up to `most` items.
    pub(crate) fn read(&mut self, channel: u8, most: usize) {
        let Some(items) = self.unread.get_mut(&channel) else { return };
        for _ in 0..most {
            let Some(bytes) = items.pop_front() else { return };
            self.device.return_credit(channel, bytes, 1);
        }
    }

    /// Drops what an earlier channel of the same number had.
    pub(crate) fn forget(&mut self, channel: u8) {
        self.unread.remove(&channel);
        self.assembling.remove(&channel);
    }
}

fn config(channel: u8, bytes: &[u8]) -> (Received, usize) {
    let (head, length) = ConfigHead::decode(bytes).unwrap().unwrap();
    let mut values = &bytes[length..];
    let content = values.len();
    let mut items = Vec::new();
    for &(result, length) in head.items() {
        let (value, rest) = values.split_at(length as usize);
        items.push((result.code(), value.to_vec()));
        values = rest;
    }
    assert_eq!(values, b"");
    (Received::Config { channel, result: head.result.code(), items }, content)
}

fn http(channel: u8, bytes: &[u8]) -> (Received, usize) {
    let (head, length) = ResponseHead::decode(bytes).unwrap().unwrap();
    let mut rest = &bytes[length..];
    let content = rest.len();
    let mut headers = Vec::new();
    for &length in head.header_lengths() {
        let (line, after) = rest.split_at(length as usize);
        headers.push(String::from_utf8_lossy(line).into_owned());
        rest = after;
    }
    let ResponseHead { result, status, .. } = head;
    (Received::Http { channel, result: result.code(), status, headers, body: rest.to_vec() }, content)
}

pub(crate) fn answer(channel: u8, answer: Answer) -> Received {
    Received::Answer { channel, answer }
}
