//! The two ends driven against each other on a virtual clock.
#![allow(dead_code, reason = "each test file uses its part of the harness")]

mod ends;

use std::collections::VecDeque;

use ends::End;
pub(crate) use ends::{CloudEvent, DeviceEvent};

use link::channel::ChannelType;
use link::connection::Hello;
use link::{CloudLink, DeviceLink, Error, TimeoutReason, Violation, cloud, device};
use sansio::{Duration, Instant, StateMachine, WallTime, drive};

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
        timeout(&mut End::new(&mut self.device), now)
    }

    /// A timeout of the cloud's end.
    pub(crate) fn cloud_timeout(&mut self, now: Instant) -> Result<(), TimeoutReason> {
        timeout(&mut End::new(&mut self.cloud), now)
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

    /// Delivers at most `max` of the bytes to the cloud.
    pub(crate) fn deliver_to_cloud(&mut self, max: usize) -> Result<(), Violation> {
        let count = max.min(self.to_cloud.len());
        let bytes: Vec<u8> = self.to_cloud.drain(..count).collect();
        let sink = &mut |event| self.cloud_events.push(event);
        drive(&mut End::new(&mut self.cloud), self.now, cloud::Input::Received(&bytes), sink)
            .map_err(violation)
    }

    /// Delivers at most `max` of the bytes to the device.
    pub(crate) fn deliver_to_device(&mut self, max: usize) -> Result<(), Violation> {
        let count = max.min(self.to_device.len());
        let bytes: Vec<u8> = self.to_device.drain(..count).collect();
        let sink = &mut |event| self.device_events.push(event);
        drive(&mut End::new(&mut self.device), self.now, device::Input::Received(&bytes), sink)
            .map_err(violation)
    }

    /// The device sends an item, cut as the window allows. Returns how many bytes of it were sent.
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

    /// The cloud sends an item that the ring has room for.
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

/// The violation for which received bytes were refused. They never cause a timeout.
fn violation(error: Error) -> Violation {
    match error {
        Error::Violation(broken) => broken,
        Error::Timeout(reason) => panic!("{reason:?}"),
    }
}

/// Handles a timeout, which brings no event.
fn timeout<M: StateMachine<Time = Instant, Error = Error>>(
    end: &mut M,
    now: Instant,
) -> Result<(), TimeoutReason> {
    match drive(end, now, M::TIMEOUT, &mut |_| panic!("a timeout brings no event")) {
        Ok(()) => Ok(()),
        Err(Error::Timeout(reason)) => Err(reason),
        Err(Error::Violation(broken)) => panic!("{broken}"),
    }
}
