//! A cloud in a test: the link's own session, with scripted answers behind it and a broker that only knows its client.
//!
//! It answers at once, in the order of requests, and never more than the device gave room for: the session holds both
//! ends to link.md, and a violation by the device is a panic here.

use std::collections::{BTreeMap, VecDeque};

use link::channel::{ChannelType, ClosureReason, Open};
use link::cloud::{CloudLink, Event, Input};
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyLocation, KeyResult};
use link::http::{HttpRequest, HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};
use link::mqtt::{
    Acknowledge, FilterCodes, MessageHead, Outcome, Publish, Published, RequestState, Subscribe, Topic,
    TopicRef, Unsubscribe,
};
use link::{Fragment, SendError};
use sansio::{Duration, Instant, WallTime};

use super::end::CloudEnd;

/// Time without traffic after which the device asks whether the cloud is there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Bytes a device may have on its way, for each channel.
const WINDOW: u32 = 16_384;
/// 2023-11-14 22:13:20 UTC, in microseconds.
pub(crate) const WALL: u64 = 1_700_000_000_000_000;

/// What the cloud answers to an HTTP request.
#[derive(Clone, Debug)]
pub(crate) struct HttpAnswer {
    /// How the exchange ended.
    pub result: HttpResult,
    /// The server's status.
    pub status: u32,
    /// Header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// An HTTP request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAsked {
    pub method: String,
    pub url: String,
    pub headers: Vec<String>,
    pub body: String,
    pub timeout_ms: u32,
}

/// The other end of an opaque channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OpaqueEnd {
    /// There is none: the channel is ended at once (D99).
    #[default]
    Absent,
    /// Sends back what comes.
    Echo,
}

/// What the cloud has and does.
#[derive(Default)]
pub(crate) struct Script {
    /// Values by scope and store, and key.
    pub config: BTreeMap<(KeyPlaceCode, String), Vec<u8>>,
    /// Answers to HTTP requests; without one the request fails.
    pub http: Option<fn(&HttpAsked) -> HttpAnswer>,
    /// What opaque channels reach.
    pub opaque: OpaqueEnd,
    /// Requests of these channel types are left without an answer.
    pub silent: Vec<u8>,
}

/// A place of a key as a number that can be ordered.
pub(crate) type KeyPlaceCode = u8;

/// The account's or the device's own, a secret or a plain value.
pub(crate) fn place(device: bool, config: bool) -> KeyPlaceCode {
    KeyLocation { device, config }.code()
}

struct Channel {
    carries: ChannelType,
    item: Vec<u8>,
    waiting: VecDeque<Item>,
    topics: BTreeMap<u8, Vec<u8>>,
    filters: Vec<Vec<u8>>,
}

/// An item on its way to the device: bytes that take no room in the ring, and bytes that do.
struct Item {
    kind: u8,
    head: Vec<u8>,
    content: Vec<u8>,
}

/// The cloud's side of one connection after another.
pub(crate) struct Cloud {
    pub script: Script,
    link: CloudLink,
    channels: BTreeMap<u8, Channel>,
    outgoing: Vec<u8>,
    deliveries: u32,
    /// Log lines, in the order of their numbers, each once.
    pub log: Vec<String>,
    last_log: u32,
    /// Messages published, topic and payload.
    pub published: Vec<(String, Vec<u8>)>,
    /// Numbers of deliveries acknowledged.
    pub acknowledged: Vec<u32>,
    /// HTTP requests.
    pub asked: Vec<HttpAsked>,
    /// Every channel opened, by type.
    pub opened: Vec<ChannelType>,
}

impl Cloud {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            link: CloudLink::new(Instant::ZERO),
            channels: BTreeMap::new(),
            outgoing: Vec::new(),
            deliveries: 0,
            log: Vec::new(),
            last_log: 0,
            published: Vec::new(),
            acknowledged: Vec::new(),
            asked: Vec::new(),
            opened: Vec::new(),
        }
    }

    /// The channel of this type that was opened last.
    pub(crate) fn channel(&self, channel_type: ChannelType) -> Option<u8> {
        let mut found = self.channels.iter().filter(|(_, channel)| channel.carries == channel_type);
        found.next_back().map(|(&number, _)| number)
    }

    /// A message of QoS 1 for the MQTT client there is.
    pub(crate) fn message(&mut self, topic: &str, payload: &[u8]) {
        let number = self.channel(ChannelType::Mqtt).expect("an MQTT channel");
        self.deliver(number, topic.as_bytes(), payload);
    }

    /// Ends the channel of this type.
    pub(crate) fn end(&mut self, channel_type: ChannelType, reason: ClosureReason) {
        let number = self.channel(channel_type).expect("a channel");
        self.channels.remove(&number);
        self.link.close_channel(number, reason);
    }

    fn note_log(&mut self, sequence: u32) {
        if sequence > self.last_log {
            self.last_log = sequence;
            self.log.push(String::from_utf8_lossy(self.link.log_text()).into_owned());
        }
        self.link.acknowledge_logs(sequence);
    }

    fn open(&mut self, number: u8, open: Open) {
        self.opened.push(open.channel_type);
        if open.channel_type == ChannelType::OpaqueBytes && self.script.opaque == OpaqueEnd::Absent {
            self.link.close_channel(number, ClosureReason::ConnectionTerminated);
            return;
        }
        let channel = Channel {
            carries: open.channel_type,
            item: Vec::new(),
            waiting: VecDeque::new(),
            topics: BTreeMap::new(),
            filters: Vec::new(),
        };
        self.channels.insert(number, channel);
    }

    fn piece(&mut self, fragment: &Fragment<'_>) {
        let Some(channel) = self.channels.get_mut(&fragment.channel) else { return };
        channel.item.extend(fragment.bytes);
        if !fragment.last {
            return;
        }
        let item = std::mem::take(&mut channel.item);
        let channel_type = channel.carries.code();
        self.link.consume(fragment.channel, item.len() as u32);
        if !self.script.silent.contains(&channel_type) {
            self.item(fragment.channel, fragment.kind, &item);
        }
    }

    fn item(&mut self, number: u8, kind: u8, item: &[u8]) {
        match kind {
            to_cloud::TOPIC => self.name_topic(number, item),
            to_cloud::PUBLISH => self.publish(number, item),
            to_cloud::CONNECT => self.completed(number, to_device::CONNECTED),
            to_cloud::SUBSCRIBE => self.subscribe(number, item),
            to_cloud::UNSUBSCRIBE => self.unsubscribe(number, item),
            to_cloud::DISCONNECT => self.completed(number, to_device::DISCONNECTED),
            to_cloud::ACKNOWLEDGE => {
                self.acknowledged.push(Acknowledge::decode(item).expect("a number").delivery);
            }
            to_cloud::HTTP_REQUEST => self.exchange(number, item),
            to_cloud::CONFIG_FETCH => self.fetch(number, item),
            to_cloud::DATA => self.queue(number, to_device::DATA, &[], item),
            other => panic!("no such kind: {other}"),
        }
    }

    fn name_topic(&mut self, number: u8, item: &[u8]) {
        let topic = Topic::decode(item).expect("a topic");
        let channel = self.channels.get_mut(&number).expect("open");
        channel.topics.insert(topic.number, topic.name.to_vec());
    }

    /// Answers a publish, and delivers it to the same client if it subscribed.
    fn publish(&mut self, number: u8, item: &[u8]) {
        let publish = Publish::decode(item).expect("a publish");
        let channel = &self.channels[&number];
        let topic = match publish.topic {
            TopicRef::Number(known) => channel.topics[&known].clone(),
            TopicRef::Name(name) => name.to_vec(),
        };
        let subscribed = channel.filters.contains(&topic);
        let state =
            if publish.qos_out_of_range { RequestState::InvalidParameters } else { RequestState::Completed };
        let mut body = [0; Published::MAX];
        let length = Published { slot: publish.slot, state, reason: 0 }.encode(&mut body);
        self.queue(number, to_device::PUBLISHED, &body[..length], &[]);
        self.published.push((String::from_utf8_lossy(&topic).into_owned(), publish.payload.to_vec()));
        if subscribed {
            self.deliver(number, &topic, publish.payload);
        }
    }

    fn deliver(&mut self, number: u8, topic: &[u8], payload: &[u8]) {
        let head = MessageHead { delivery: Some(self.deliveries), retain: false, topic: topic.len() as u32 };
        self.deliveries += 1;
        let mut bytes = [0; MessageHead::MAX];
        let length = head.encode(&mut bytes);
        self.queue(number, to_device::MESSAGE, &bytes[..length], &[topic, payload].concat());
    }

    fn completed(&mut self, number: u8, kind: u8) {
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state: RequestState::Completed, reason: 0 }.encode(&mut body);
        self.queue(number, kind, &body[..length], &[]);
    }

    /// Grants what was requested.
    fn subscribe(&mut self, number: u8, item: &[u8]) {
        let filters: Vec<_> = Subscribe::decode(item).expect("filters").iter().collect();
        let codes: Vec<u8> = filters.iter().map(|(options, _)| options.qos).collect();
        let channel = self.channels.get_mut(&number).expect("open");
        channel.filters.extend(filters.iter().map(|(_, filter)| filter.to_vec()));
        self.codes(number, to_device::SUBSCRIBED, &codes);
    }

    fn unsubscribe(&mut self, number: u8, item: &[u8]) {
        let filters: Vec<_> = Unsubscribe::decode(item).expect("filters").iter().collect();
        let channel = self.channels.get_mut(&number).expect("open");
        channel.filters.retain(|filter| !filters.contains(&filter.as_slice()));
        self.codes(number, to_device::UNSUBSCRIBED, &vec![0; filters.len()]);
    }

    fn codes(&mut self, number: u8, kind: u8, codes: &[u8]) {
        let mut body = [0; FilterCodes::MAX];
        let length = FilterCodes::completed(codes).expect("at most eight").encode(&mut body);
        self.queue(number, kind, &body[..length], &[]);
    }

    fn exchange(&mut self, number: u8, item: &[u8]) {
        let request = HttpRequest::decode(item).expect("a request");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let asked = HttpAsked {
            method: text(request.method),
            url: text(request.url),
            headers: request.headers.iter().map(text).collect(),
            body: text(request.body),
            timeout_ms: request.timeout,
        };
        let failed =
            HttpAnswer { result: HttpResult::RequestFailed, status: 0, headers: vec![], body: vec![] };
        let answer = self.script.http.map_or(failed, |answer| answer(&asked));
        self.asked.push(asked);
        let lengths: Vec<u32> = answer.headers.iter().map(|header| header.len() as u32).collect();
        let mut head = [0; ResponseHead::MAX];
        let response = ResponseHead::new(answer.result, answer.status, &lengths).expect("few headers");
        let length = response.encode(&mut head);
        let content = [answer.headers.concat().as_bytes(), &answer.body].concat();
        self.queue(number, to_device::HTTP_RESPONSE, &head[..length], &content);
    }

    fn fetch(&mut self, number: u8, item: &[u8]) {
        let fetch = ConfigFetch::decode(item).expect("keys");
        let found: Vec<_> = fetch.iter().map(|(place, key)| self.value(place, key)).collect();
        let results: Vec<_> = found.iter().map(|value| result_of(value.as_deref())).collect();
        let mut head = [0; ConfigHead::MAX];
        let length = ConfigHead::new(FetchResult::Ok, &results).expect("few keys").encode(&mut head);
        let content: Vec<u8> = found.into_iter().flatten().flatten().collect();
        self.queue(number, to_device::CONFIG_RESPONSE, &head[..length], &content);
    }

    fn value(&self, place: KeyLocation, key: &[u8]) -> Option<Vec<u8>> {
        self.script.config.get(&(place.code(), String::from_utf8_lossy(key).into_owned())).cloned()
    }

    fn queue(&mut self, number: u8, kind: u8, head: &[u8], content: &[u8]) {
        let item = Item { kind, head: head.to_vec(), content: content.to_vec() };
        self.channels.get_mut(&number).expect("open").waiting.push_back(item);
    }

    /// Sends what waits, as far as there is room.
    fn send_waiting(&mut self) {
        for (&number, channel) in &mut self.channels {
            while let Some(item) = channel.waiting.front_mut() {
                let (head, content) = (item.head.len() as u32, item.content.len() as u32);
                match self.link.begin_item(number, item.kind, head, content) {
                    Ok(()) => {}
                    Err(SendError::Blocked) => break,
                    Err(refusal) => panic!("kind {} on channel {number}: {refusal:?}", item.kind),
                }
                let body = [std::mem::take(&mut item.head), std::mem::take(&mut item.content)].concat();
                let mut left = body.as_slice();
                while let Some((header, length)) = self.link.next_fragment(number, 4096) {
                    let (now, later) = left.split_at(length);
                    self.outgoing.extend(header.as_slice());
                    self.outgoing.extend(now);
                    left = later;
                }
                channel.waiting.pop_front();
            }
        }
    }
}

/// It has no use for the time: nothing here is ever late.
impl CloudEnd for Cloud {
    fn reconnect(&mut self, _now: u64) {
        self.link = CloudLink::new(Instant::ZERO);
        self.channels.clear();
        self.outgoing.clear();
    }

    fn hear(&mut self, _now: u64, bytes: &[u8]) {
        let mut input = Input::Received(bytes);
        while let Some(event) =
            self.link.handle(Instant::ZERO, &mut input).expect("a device that keeps the rules")
        {
            match event {
                Event::Hello(_) => {
                    self.link.send_welcome(KEEPALIVE, WINDOW, WallTime::from_micros(WALL), true);
                }
                Event::Log(head) => self.note_log(head.sequence),
                Event::TimeQuery => self.link.send_time(WallTime::from_micros(WALL)),
                Event::Open { channel, open } => self.open(channel, open),
                Event::Close { channel } => _ = self.channels.remove(&channel),
                Event::Item(fragment) => self.piece(&fragment),
                Event::Credit { .. } | Event::Bye { .. } => {}
            }
        }
    }

    fn speak(&mut self) -> Vec<u8> {
        self.send_waiting();
        loop {
            let mut out = [0; 256];
            let length = self.link.transmit(Instant::ZERO, &mut out);
            if length == 0 {
                return std::mem::take(&mut self.outgoing);
            }
            self.outgoing.extend(&out[..length]);
        }
    }

    fn log(&self) -> &[String] {
        &self.log
    }
}

fn result_of(value: Option<&[u8]>) -> (KeyResult, u32) {
    value.map_or((KeyResult::NotFound, 0), |value| (KeyResult::Ok, value.len() as u32))
}
