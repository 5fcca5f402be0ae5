//! A cloud that says what the test tells it to, in frames, through the link's own session.

use link::channel::{ClosureReason, Open};
use link::cloud::{ANSWER_FRAME, CloudLink, Event, Input};
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::connection::{ByeReason, Hello};
use link::kind::to_device;
use link::mqtt::{FilterCodes, LostHead, LostReason, MessageHead, Outcome, Published, RequestState};
use sansio::{Duration, Instant, WallTime};

/// What the device said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Hello(Hello),
    Log { sequence: u32, clock: u64, text: Vec<u8> },
    TimeQuery,
    Bye(ByeReason),
    Open { channel: u8, open: Open },
    Close(u8),
    Credit { channel: u8, bytes: u32, items: u32 },
    Item { channel: u8, kind: u8, body: Vec<u8> },
}

/// The cloud's end of one connection.
pub(crate) struct Cloud {
    pub link: CloudLink,
    /// What the session does not let through is left out, instead of failing the test.
    pub lenient: bool,
    pub said: Vec<Said>,
    pub welcome_wall: u64,
    /// The text of the device's farewell.
    pub farewell: String,
    pub welcome_logging: bool,
    /// Items are kept back: their bytes stay in the device's window until [`Cloud::take`].
    pub slow: bool,
    kept: u32,
    /// Fragments of items as they came: channel, kind, bytes.
    pub fragments: Vec<(u8, u8, usize)>,
    unfinished: [Vec<u8>; 16],
    out: Vec<u8>,
}

/// What the wall clock says when the device is welcomed, microseconds since 1970.
pub(crate) const WALL: u64 = 1_800_000_000_000_000;

impl Cloud {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            link: CloudLink::new(Instant::from_micros(now)),
            lenient: false,
            said: Vec::new(),
            welcome_wall: WALL,
            farewell: String::new(),
            welcome_logging: true,
            slow: false,
            kept: 0,
            fragments: Vec::new(),
            unfinished: Default::default(),
            out: Vec::new(),
        }
    }

    pub(crate) fn welcome(&mut self) {
        let wall = WallTime::from_micros(self.welcome_wall);
        self.link.send_welcome(Duration::from_secs(60), 16_384, wall, self.welcome_logging);
    }

    /// What the device has said since the last time, credit left out.
    pub(crate) fn heard(&mut self) -> Vec<Said> {
        let mut said = std::mem::take(&mut self.said);
        said.retain(|said| !matches!(said, Said::Credit { .. }));
        said
    }

    /// The items among it.
    pub(crate) fn items(&mut self) -> Vec<(u8, Vec<u8>)> {
        let items = self.heard().into_iter().filter_map(|said| match said {
            Said::Item { kind, body, .. } => Some((kind, body)),
            _ => None,
        });
        items.collect()
    }

    pub(crate) fn receive(&mut self, now: u64, bytes: &[u8]) {
        let mut input = Input::Received(bytes);
        loop {
            let event = self
                .link
                .handle(Instant::from_micros(now), &mut input)
                .expect("the device keeps to the rules");
            let Some(event) = event else { return };
            let said = match event {
                Event::Hello(hello) => Said::Hello(hello),
                Event::Log(head) => Said::Log {
                    sequence: head.sequence,
                    clock: head.clock.as_micros(),
                    text: self.link.log_text().to_vec(),
                },
                Event::TimeQuery => Said::TimeQuery,
                Event::Bye { reason } => {
                    self.farewell = String::from_utf8_lossy(self.link.bye_text()).into_owned();
                    Said::Bye(reason)
                }
                Event::Open { channel, open } => Said::Open { channel, open },
                Event::Close { channel } => Said::Close(channel),
                Event::Credit { channel, credit } => {
                    Said::Credit { channel, bytes: credit.bytes, items: credit.items }
                }
                Event::Item(fragment) => {
                    let body = &mut self.unfinished[usize::from(fragment.channel)];
                    body.extend_from_slice(fragment.bytes);
                    self.fragments.push((fragment.channel, fragment.kind, fragment.bytes.len()));
                    if !fragment.last {
                        continue;
                    }
                    let body = std::mem::take(body);
                    if self.slow {
                        self.kept += body.len() as u32;
                    } else {
                        self.link.consume(fragment.channel, body.len() as u32);
                    }
                    Said::Item { channel: fragment.channel, kind: fragment.kind, body }
                }
            };
            self.said.push(said);
        }
    }

    /// Takes further what was kept back of a channel.
    pub(crate) fn take(&mut self, channel: u8) {
        self.link.consume(channel, std::mem::take(&mut self.kept));
    }

    /// Bytes for the device.
    pub(crate) fn transmit(&mut self) -> Vec<u8> {
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

    /// Bytes as they are, whatever the rules.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A whole item, cut into frames of at most `most` bytes.
    pub(crate) fn item(&mut self, channel: u8, kind: u8, head: &[u8], content: &[u8], most: usize) {
        self.begin(channel, kind, head, content, most, usize::MAX);
    }

    /// The first `frames` frames of an item.
    #[track_caller]
    pub(crate) fn begin(
        &mut self,
        channel: u8,
        kind: u8,
        head: &[u8],
        content: &[u8],
        most: usize,
        frames: usize,
    ) {
        let begun = self.try_begin(channel, kind, head, content, most, frames);
        assert!(begun || self.lenient, "the test may send this");
    }

    /// The same, if the link's rules allow it.
    pub(crate) fn try_begin(
        &mut self,
        channel: u8,
        kind: u8,
        head: &[u8],
        content: &[u8],
        most: usize,
        frames: usize,
    ) -> bool {
        // Control frames owed go first, as they would on the wire.
        let owed = self.transmit();
        self.out.extend(owed);
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

    pub(crate) fn answer(&mut self, channel: u8, kind: u8, body: &[u8]) {
        let owed = self.transmit();
        self.out.extend(owed);
        let mut out = [0; ANSWER_FRAME];
        match self.link.write_answer(channel, kind, body, &mut out) {
            Ok(count) => self.out.extend_from_slice(&out[..count]),
            Err(refusal) => assert!(self.lenient, "the test may answer this: {refusal:?}"),
        }
    }

    pub(crate) fn connected(&mut self, channel: u8, state: RequestState, reason: u32) {
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state, reason }.encode(&mut body);
        self.answer(channel, to_device::CONNECTED, &body[..length]);
    }

    pub(crate) fn disconnected(&mut self, channel: u8, state: RequestState, reason: u32) {
        let mut body = [0; Outcome::MAX];
        let length = Outcome { state, reason }.encode(&mut body);
        self.answer(channel, to_device::DISCONNECTED, &body[..length]);
    }

    pub(crate) fn published(&mut self, channel: u8, slot: u8, state: RequestState, reason: u32) {
        let mut body = [0; Published::MAX];
        let length = Published { slot, state, reason }.encode(&mut body);
        self.answer(channel, to_device::PUBLISHED, &body[..length]);
    }

    pub(crate) fn subscribed(&mut self, channel: u8, codes: &[u8]) {
        self.filters(channel, to_device::SUBSCRIBED, codes);
    }

    pub(crate) fn unsubscribed(&mut self, channel: u8, codes: &[u8]) {
        self.filters(channel, to_device::UNSUBSCRIBED, codes);
    }

    fn filters(&mut self, channel: u8, kind: u8, codes: &[u8]) {
        let mut body = [0; FilterCodes::MAX];
        let length = FilterCodes::completed(codes).expect("one to eight codes").encode(&mut body);
        self.answer(channel, kind, &body[..length]);
    }

    pub(crate) fn message(
        &mut self,
        channel: u8,
        delivery: Option<u32>,
        retain: bool,
        topic: &[u8],
        payload: &[u8],
    ) {
        let mut head = [0; MessageHead::MAX];
        let length = MessageHead { delivery, retain, topic: topic.len() as u32 }.encode(&mut head);
        self.item(channel, to_device::MESSAGE, &head[..length], &[topic, payload].concat(), 4096);
    }

    pub(crate) fn lost(&mut self, channel: u8, message_len: u32, topic: &[u8]) {
        let mut head = [0; LostHead::MAX];
        let length = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len }.encode(&mut head);
        self.item(channel, to_device::LOST, &head[..length], topic, 4096);
    }

    pub(crate) fn config(
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
        self.item(channel, to_device::CONFIG_RESPONSE, &head[..length], &values, most);
    }

    pub(crate) fn closed(&mut self, channel: u8, reason: ClosureReason) {
        self.link.close_channel(channel, reason);
    }
}
