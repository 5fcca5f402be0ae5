//! A cloud that sends what the test says, through the cloud's end of the link.

use link::channel::{ClosureReason, Open};
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::connection::{ByeReason, Hello};
use link::kind::to_device;
use link::mqtt::{FilterCodes, LostHead, LostReason, MessageHead, Outcome, Published, RequestState};
use sansio::{Duration, Instant, WallTime};

/// What the device has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the frames")]
pub enum DeviceMessage {
    /// `HELLO`.
    Hello(Hello),
    /// `LOG`.
    Log { sequence: u32, clock: u64, text: Vec<u8> },
    /// `TIME_QUERY`.
    TimeQuery,
    /// `BYE`.
    Bye(ByeReason),
    /// `OPEN`.
    Open { channel: u8, open: Open },
    /// `CLOSE` of this channel.
    Close(u8),
    /// `CREDIT`.
    Credit { channel: u8, bytes: u32, items: u32 },
    /// A whole item.
    Item { channel: u8, kind: u8, body: Vec<u8> },
}

/// The cloud's end of one connection.
pub struct TestCloud {
    /// The link of the product.
    pub link: CloudLink,
    /// Whether what the link refuses is left out, instead of failing the test.
    pub lenient: bool,
    /// What the device has sent.
    pub messages: Vec<DeviceMessage>,
    /// The time of day in `WELCOME`.
    pub welcome_wall: WallTime,
    /// The text of the device's `BYE`.
    pub bye_text: String,
    /// Whether `WELCOME` allows log messages.
    pub welcome_logging: bool,
    /// Whether items are held: their bytes stay in the device's window until [`TestCloud::consume_held`].
    pub holds_items: bool,
    held: u32,
    /// Fragments of items: channel, kind, length.
    pub fragments: Vec<(u8, u8, usize)>,
    incomplete: [Vec<u8>; 16],
    out: Vec<u8>,
}

/// The time of day when the device is welcomed.
pub const WALL: WallTime = WallTime::from_micros(1_800_000_000_000_000);

impl TestCloud {
    /// A cloud to which a device has just connected.
    pub fn new(now: Instant) -> Self {
        Self {
            link: CloudLink::new(now),
            lenient: false,
            messages: Vec::new(),
            welcome_wall: WALL,
            bye_text: String::new(),
            welcome_logging: true,
            holds_items: false,
            held: 0,
            fragments: Vec::new(),
            incomplete: Default::default(),
            out: Vec::new(),
        }
    }

    /// Welcomes the device.
    pub fn send_welcome(&mut self) {
        self.link.send_welcome(Duration::from_secs(60), 16_384, self.welcome_wall, self.welcome_logging);
    }

    /// What the device has sent since the last time, except for credit.
    pub fn take_messages(&mut self) -> Vec<DeviceMessage> {
        let mut messages = std::mem::take(&mut self.messages);
        messages.retain(|message| !matches!(message, DeviceMessage::Credit { .. }));
        messages
    }

    /// The items that the device has sent since the last time: kind and body.
    pub fn take_items(&mut self) -> Vec<(u8, Vec<u8>)> {
        let items = self.take_messages().into_iter().filter_map(|message| match message {
            DeviceMessage::Item { kind, body, .. } => Some((kind, body)),
            _ => None,
        });
        items.collect()
    }

    /// Receives bytes from the device, which must keep the rules of the link.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let mut input = Input::Received(bytes);
        loop {
            let event = self.link.handle(now, &mut input).expect("the device keeps to the rules");
            let Some(event) = event else { return };
            let message = match event {
                Event::Hello(hello) => DeviceMessage::Hello(hello),
                Event::Log(head) => DeviceMessage::Log {
                    sequence: head.sequence,
                    clock: head.clock.as_micros(),
                    text: self.link.log_text().to_vec(),
                },
                Event::TimeQuery => DeviceMessage::TimeQuery,
                Event::Bye { reason } => {
                    self.bye_text = String::from_utf8_lossy(self.link.bye_text()).into_owned();
                    DeviceMessage::Bye(reason)
                }
                Event::Open { channel, open } => DeviceMessage::Open { channel, open },
                Event::Close { channel } => DeviceMessage::Close(channel),
                Event::Credit { channel, credit } => {
                    DeviceMessage::Credit { channel, bytes: credit.bytes, items: credit.items }
                }
                Event::Item(fragment) => {
                    let body = &mut self.incomplete[usize::from(fragment.channel)];
                    body.extend_from_slice(fragment.bytes);
                    self.fragments.push((fragment.channel, fragment.kind, fragment.bytes.len()));
                    if !fragment.last {
                        continue;
                    }
                    let body = std::mem::take(body);
                    if self.holds_items {
                        self.held += body.len() as u32;
                    } else {
                        self.link.consume(fragment.channel, body.len() as u32);
                    }
                    DeviceMessage::Item { channel: fragment.channel, kind: fragment.kind, body }
                }
            };
            self.messages.push(message);
        }
    }

    /// Consumes what was held of a channel.
    pub fn consume_held(&mut self, channel: u8) {
        self.link.consume(channel, std::mem::take(&mut self.held));
    }

    /// Bytes for the device.
    pub fn transmit(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.out);
        let mut out = [0; 512];
        loop {
            let count = self.link.transmit(Instant::ZERO, &mut out);
            bytes.extend_from_slice(&out[..count]);
            if count == 0 {
                return bytes;
            }
        }
    }

    /// Sends bytes as they are, whatever the rules.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Sends an item in frames of at most `most` bytes.
    pub fn send_item(&mut self, channel: u8, kind: u8, head: &[u8], content: &[u8], most: usize) {
        self.send_fragments(channel, kind, head, content, most, usize::MAX);
    }

    /// Sends the first `frames` frames of an item.
    #[track_caller]
    pub fn send_fragments(
        &mut self,
        channel: u8,
        kind: u8,
        head: &[u8],
        content: &[u8],
        most: usize,
        frames: usize,
    ) {
        let begun = self.try_send_fragments(channel, kind, head, content, most, frames);
        assert!(begun || self.lenient, "the test may send this");
    }

    /// The same, if the link's rules allow it; whether they did.
    pub fn try_send_fragments(
        &mut self,
        channel: u8,
        kind: u8,
        head: &[u8],
        content: &[u8],
        most: usize,
        frames: usize,
    ) -> bool {
        // Pending control frames go first, as they would on the link.
        let pending = self.transmit();
        self.out.extend(pending);
        if self.link.begin_item(channel, kind, head.len() as u32, content.len() as u32).is_err() {
            return false;
        }
        let body = [head, content].concat();
        let mut left = &body[..];
        for _ in 0..frames {
            let Some((header, length)) = self.link.next_fragment(channel, most) else { break };
            let (part, rest) = left.split_at(length);
            self.out.extend_from_slice(header.as_slice());
            self.out.extend_from_slice(part);
            left = rest;
        }
        true
    }

    /// Sends an answer to a request.
    pub fn send_answer(&mut self, channel: u8, kind: u8, body: &[u8]) {
        let pending = self.transmit();
        self.out.extend(pending);
        let mut out = [0; ANSWER_FRAME];
        match self.link.write_answer(channel, kind, body, &mut out) {
            Ok(count) => self.out.extend_from_slice(&out[..count]),
            Err(refusal) => assert!(self.lenient, "the test may answer this: {refusal:?}"),
        }
    }

    /// Answers a connect.
    pub fn answer_connect(&mut self, channel: u8, state: RequestState, reason: u32) {
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state, reason }.encode(&mut body);
        self.send_answer(channel, to_device::CONNECTED, &body[..length]);
    }

    /// Answers a disconnect, or reports one.
    pub fn answer_disconnect(&mut self, channel: u8, state: RequestState, reason: u32) {
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state, reason }.encode(&mut body);
        self.send_answer(channel, to_device::DISCONNECTED, &body[..length]);
    }

    /// Answers the publish in this slot.
    pub fn answer_publish(&mut self, channel: u8, slot: u8, state: RequestState, reason: u32) {
        let mut body = [0; Published::MAX];
        let length = Published { slot, state, reason }.encode(&mut body);
        self.send_answer(channel, to_device::PUBLISHED, &body[..length]);
    }

    /// Answers a subscribe.
    pub fn answer_subscribe(&mut self, channel: u8, codes: &[u8]) {
        self.filters(channel, to_device::SUBSCRIBED, codes);
    }

    /// Answers an unsubscribe.
    pub fn answer_unsubscribe(&mut self, channel: u8, codes: &[u8]) {
        self.filters(channel, to_device::UNSUBSCRIBED, codes);
    }

    fn filters(&mut self, channel: u8, kind: u8, codes: &[u8]) {
        let mut body = [0; FilterCodes::MAX];
        let length = FilterCodes::completed(codes).expect("one to eight codes").encode(&mut body);
        self.send_answer(channel, kind, &body[..length]);
    }

    /// Sends a message.
    pub fn send_message(
        &mut self,
        channel: u8,
        delivery: Option<u32>,
        retain: bool,
        topic: &[u8],
        payload: &[u8],
    ) {
        let mut head = [0; MessageHead::MAX];
        let length = MessageHead { delivery, retain, topic: topic.len() as u32 }.encode(&mut head);
        self.send_item(channel, to_device::MESSAGE, &head[..length], &[topic, payload].concat(), 4096);
    }

    /// Sends the notice of a lost message.
    pub fn send_lost(&mut self, channel: u8, message_len: u32, topic: &[u8]) {
        let mut head = [0; LostHead::MAX];
        let length = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len }.encode(&mut head);
        self.send_item(channel, to_device::LOST, &head[..length], topic, 4096);
    }

    /// Sends a configuration response.
    pub fn send_config(
        &mut self,
        channel: u8,
        result: FetchResult,
        items: &[(KeyResult, &[u8])],
        most: usize,
    ) {
        let lengths: Vec<_> = items.iter().map(|(result, value)| (*result, value.len() as u32)).collect();
        let mut head = [0; ConfigHead::MAX];
        let length = ConfigHead::new(result, &lengths).expect("at most 32 items").encode(&mut head);
        let values: Vec<u8> = items.iter().flat_map(|(_, value)| value.to_vec()).collect();
        self.send_item(channel, to_device::CONFIG_RESPONSE, &head[..length], &values, most);
    }

    /// Closes a channel.
    pub fn send_closed(&mut self, channel: u8, reason: ClosureReason) {
        self.link.close_channel(channel, reason);
    }
}
