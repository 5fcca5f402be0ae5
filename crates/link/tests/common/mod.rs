//! The two ends driven against each other on a virtual clock.
#![allow(dead_code, reason = "each test file uses its part of the harness")]

use std::collections::VecDeque;

use link::channel::{ChannelType, ClosureReason, Open, RingCredit};
use link::connection::{ByeReason, Hello};
use link::device::Answer;
use link::{CloudLink, DeviceLink, Error, TimeoutReason, Violation, cloud, device};
use sansio::{Duration, Instant, WallTime};

pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);
pub(crate) const WINDOW: u32 = 16_384;
pub(crate) const RING: u32 = 1536;
pub(crate) const WALL: WallTime = WallTime::from_micros(1_700_000_000_000_000);

pub(crate) const HELLO: Hello = Hello {
    version: 1,
    boot: 0x0403_0201,
    wake_reason: 8,
    clock: Instant::from_micros(300),
    image: [0xab; 32],
};

/// The events of the device's end, as owned values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceEvent {
    Welcome { wall: WallTime, logging: bool },
    Time { wall: WallTime },
    LogTaken { sequence: u32 },
    Logging { enabled: bool },
    Bye { reason: ByeReason },
    Closed { channel: u8, reason: ClosureReason },
    Window { channel: u8 },
    Answer { channel: u8, answer: Answer },
    Item { channel: u8, kind: u8, first: bool, last: bool, bytes: Vec<u8> },
}

/// The events of the cloud's end, as owned values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CloudEvent {
    Hello(Hello),
    Log { sequence: u32, clock: Instant, text: Vec<u8> },
    TimeQuery,
    Bye { reason: ByeReason, text: Vec<u8> },
    Open { channel: u8, open: Open },
    Close { channel: u8 },
    Credit { channel: u8, credit: RingCredit },
    Item { channel: u8, kind: u8, first: bool, last: bool, bytes: Vec<u8> },
}

/// Both ends and the bytes between them, on one clock.
pub(crate) struct Pair {
    pub now: Instant,
    pub device: DeviceLink,
    pub cloud: CloudLink,
    pub to_cloud: VecDeque<u8>,
    pub to_device: VecDeque<u8>,
    pub device_events: Vec<DeviceEvent>,
    pub cloud_events: Vec<CloudEvent>,
}

impl Pair {
    /// Two ends, the transport up, nothing sent.
    pub(crate) fn connected() -> Self {
        let mut device = DeviceLink::new();
        let now = Instant::from_secs(1);
        device.handle(now, &mut device::Input::Connected(&HELLO)).unwrap();
        Self {
            now,
            device,
            cloud: CloudLink::new(now),
            to_cloud: VecDeque::new(),
            to_device: VecDeque::new(),
            device_events: Vec::new(),
            cloud_events: Vec::new(),
        }
    }

    /// Two ends after `WELCOME`.
    pub(crate) fn open() -> Self {
        let mut pair = Self::connected();
        pair.exchange();
        pair.cloud.send_welcome(KEEPALIVE, WINDOW, WALL, true);
        pair.exchange();
        assert!(pair.device.is_open());
        pair.device_events.clear();
        pair.cloud_events.clear();
        pair
    }

    /// An open pair with one open channel.
    pub(crate) fn with_channel(channel_type: ChannelType) -> (Self, u8) {
        let mut pair = Self::open();
        let channel = pair.device.open_channel(channel_type, RING).unwrap();
        pair.exchange();
        pair.cloud_events.clear();
        (pair, channel)
    }

    /// A timeout of the device's end.
    pub(crate) fn device_timeout(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        outcome(self.device.handle(now, &mut device::Input::Timeout))
    }

    /// A timeout of the cloud's end.
    pub(crate) fn cloud_timeout(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        outcome(self.cloud.handle(now, &mut cloud::Input::Timeout))
    }

    /// Moves bytes both ways until neither end has any to send. No rule may be broken.
    pub(crate) fn exchange(&mut self) {
        self.try_exchange().unwrap();
    }

    pub(crate) fn try_exchange(&mut self) -> Result<(), Violation> {
        loop {
            self.flush_device();
            self.flush_cloud();
            if self.to_cloud.is_empty() && self.to_device.is_empty() {
                return Ok(());
            }
            self.deliver_to_cloud(usize::MAX)?;
            self.deliver_to_device(usize::MAX)?;
        }
    }

    /// Moves the control frames of the device's end into the stream to the cloud.
    pub(crate) fn flush_device(&mut self) -> usize {
        let mut out = [0; 160];
        let written = self.device.transmit(self.now, &mut out);
        self.to_cloud.extend(&out[..written]);
        written
    }

    pub(crate) fn flush_cloud(&mut self) -> usize {
        let mut out = [0; 160];
        let written = self.cloud.transmit(self.now, &mut out);
        self.to_device.extend(&out[..written]);
        written
    }

    pub(crate) fn deliver_to_cloud(&mut self, most: usize) -> Result<(), Violation> {
        let count = most.min(self.to_cloud.len());
        let bytes: Vec<u8> = self.to_cloud.drain(..count).collect();
        let mut input = cloud::Input::Received(&bytes);
        while let Some(event) = self.cloud.handle(self.now, &mut input).map_err(violation)? {
            let event = match event {
                cloud::Event::Hello(hello) => CloudEvent::Hello(hello),
                cloud::Event::Log(head) => CloudEvent::Log {
                    sequence: head.sequence,
                    clock: head.clock,
                    text: self.cloud.log_text().to_vec(),
                },
                cloud::Event::TimeQuery => CloudEvent::TimeQuery,
                cloud::Event::Bye { reason } => {
                    CloudEvent::Bye { reason, text: self.cloud.bye_text().to_vec() }
                }
                cloud::Event::Open { channel, open } => CloudEvent::Open { channel, open },
                cloud::Event::Close { channel } => CloudEvent::Close { channel },
                cloud::Event::Credit { channel, credit } => CloudEvent::Credit { channel, credit },
                cloud::Event::Item(fragment) => CloudEvent::Item {
                    channel: fragment.channel,
                    kind: fragment.kind,
                    first: fragment.first,
                    last: fragment.last,
                    bytes: fragment.bytes.to_vec(),
                },
            };
            self.cloud_events.push(event);
        }
        assert!(matches!(input, cloud::Input::Received([])), "None means that the input is used up");
        Ok(())
    }

    pub(crate) fn deliver_to_device(&mut self, most: usize) -> Result<(), Violation> {
        let count = most.min(self.to_device.len());
        let bytes: Vec<u8> = self.to_device.drain(..count).collect();
        let mut input = device::Input::Received(&bytes);
        while let Some(event) = self.device.handle(self.now, &mut input).map_err(violation)? {
            self.device_events.push(owned(event));
        }
        assert!(matches!(input, device::Input::Received([])), "None means that the input is used up");
        Ok(())
    }

    /// The device sends a whole item, cut as the window allows; how many bytes of it went.
    pub(crate) fn device_sends(&mut self, channel: u8, kind: u8, body: &[u8]) -> usize {
        let mut sent = 0;
        loop {
            let left = (body.len() - sent) as u32;
            let Some((length, more)) = self.device.next_fragment(channel, left, usize::MAX) else {
                return sent;
            };
            let header = self.device.channel_frame(self.now, channel, kind, length, more).unwrap();
            self.to_cloud.extend(header.as_slice());
            self.to_cloud.extend(&body[sent..][..usize::from(length)]);
            sent += usize::from(length);
            if !more {
                return sent;
            }
        }
    }

    /// The cloud sends a whole item it has room for.
    pub(crate) fn cloud_sends(&mut self, channel: u8, kind: u8, head: &[u8], content: &[u8]) {
        self.cloud.begin_item(channel, kind, head.len() as u32, content.len() as u32).unwrap();
        let body = [head, content].concat();
        let mut body = body.as_slice();
        while let Some((header, length)) = self.cloud.next_fragment(channel, usize::MAX) {
            self.to_device.extend(header.as_slice());
            self.to_device.extend(&body[..length]);
            body = &body[length..];
        }
        assert!(body.is_empty());
    }

    pub(crate) fn cloud_answers(&mut self, channel: u8, kind: u8, body: &[u8]) {
        let mut out = [0; cloud::ANSWER_FRAME];
        let length = self.cloud.write_answer(channel, kind, body, &mut out).unwrap();
        self.to_device.extend(&out[..length]);
    }
}

/// Why bytes were refused: time plays no part in that.
fn violation(error: Error) -> Violation {
    match error {
        Error::Violation(broken) => broken,
        Error::Timeout(reason) => panic!("{reason:?}"),
    }
}

fn outcome<E>(handled: Result<Option<E>, Error>) -> Result<(), TimeoutReason> {
    match handled {
        Ok(event) => {
            assert!(event.is_none(), "a timeout brings no event");
            Ok(())
        }
        Err(Error::Timeout(reason)) => Err(reason),
        Err(Error::Violation(broken)) => panic!("{broken}"),
    }
}

pub(crate) fn owned(event: device::Event<'_>) -> DeviceEvent {
    match event {
        device::Event::Welcome { wall, logging } => DeviceEvent::Welcome { wall, logging },
        device::Event::Time { wall } => DeviceEvent::Time { wall },
        device::Event::LogTaken { sequence } => DeviceEvent::LogTaken { sequence },
        device::Event::Logging { enabled } => DeviceEvent::Logging { enabled },
        device::Event::Bye { reason } => DeviceEvent::Bye { reason },
        device::Event::Closed { channel, reason } => DeviceEvent::Closed { channel, reason },
        device::Event::Window { channel } => DeviceEvent::Window { channel },
        device::Event::Answer { channel, answer } => DeviceEvent::Answer { channel, answer },
        device::Event::Item(fragment) => DeviceEvent::Item {
            channel: fragment.channel,
            kind: fragment.kind,
            first: fragment.first,
            last: fragment.last,
            bytes: fragment.bytes.to_vec(),
        },
    }
}
