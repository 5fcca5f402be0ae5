//! Each end of the link as a [`StateMachine`] whose outputs are its events, as owned values. What it sends is taken by
//! `transmit`, since tests decide when.

use std::collections::VecDeque;

use link::channel::{ClosureReason, Open, RingCredit};
use link::connection::{ByeReason, Hello};
use link::device::Answer;
use link::{CloudLink, DeviceLink, Error, Fragment, cloud, device};
use sansio::{Instant, StateMachine, WallTime};

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

/// An end and the events of one input.
pub(crate) struct End<'l, L, E> {
    link: &'l mut L,
    events: VecDeque<E>,
}

impl<'l, L, E> End<'l, L, E> {
    pub(crate) fn new(link: &'l mut L) -> Self {
        Self { link, events: VecDeque::new() }
    }
}

impl StateMachine for End<'_, DeviceLink, DeviceEvent> {
    type Time = Instant;
    type Input<'a> = device::Input<'a>;
    type Output = DeviceEvent;
    type Error = Error;

    const TIMEOUT: device::Input<'static> = device::Input::Timeout;

    fn handle(&mut self, now: Instant, mut input: device::Input<'_>) -> Result<(), Error> {
        while let Some(event) = self.link.handle(now, &mut input)? {
            self.events.push_back(match event {
                device::Event::Welcome { wall, logging } => DeviceEvent::Welcome { wall, logging },
                device::Event::Time { wall } => DeviceEvent::Time { wall },
                device::Event::LogTaken { sequence } => DeviceEvent::LogTaken { sequence },
                device::Event::Logging { enabled } => DeviceEvent::Logging { enabled },
                device::Event::Bye { reason } => DeviceEvent::Bye { reason },
                device::Event::Closed { channel, reason } => DeviceEvent::Closed { channel, reason },
                device::Event::Window { channel } => DeviceEvent::Window { channel },
                device::Event::Answer { channel, answer } => DeviceEvent::Answer { channel, answer },
                device::Event::Item(Fragment { channel, kind, first, last, bytes }) => {
                    DeviceEvent::Item { channel, kind, first, last, bytes: bytes.to_vec() }
                }
            });
        }
        assert!(!matches!(input, device::Input::Received([_, ..])), "None means that nothing is left");
        Ok(())
    }

    fn poll(&mut self, _now: Instant) -> Option<DeviceEvent> {
        self.events.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.link.next_timeout()
    }
}

impl StateMachine for End<'_, CloudLink, CloudEvent> {
    type Time = Instant;
    type Input<'a> = cloud::Input<'a>;
    type Output = CloudEvent;
    type Error = Error;

    const TIMEOUT: cloud::Input<'static> = cloud::Input::Timeout;

    fn handle(&mut self, now: Instant, mut input: cloud::Input<'_>) -> Result<(), Error> {
        while let Some(event) = self.link.handle(now, &mut input)? {
            self.events.push_back(match event {
                cloud::Event::Hello(hello) => CloudEvent::Hello(hello),
                cloud::Event::Log(head) => {
                    let text = self.link.log_text().to_vec();
                    CloudEvent::Log { sequence: head.sequence, clock: head.clock, text }
                }
                cloud::Event::TimeQuery => CloudEvent::TimeQuery,
                cloud::Event::Bye { reason } => {
                    CloudEvent::Bye { reason, text: self.link.bye_text().to_vec() }
                }
                cloud::Event::Open { channel, open } => CloudEvent::Open { channel, open },
                cloud::Event::Close { channel } => CloudEvent::Close { channel },
                cloud::Event::Credit { channel, credit } => CloudEvent::Credit { channel, credit },
                cloud::Event::Item(Fragment { channel, kind, first, last, bytes }) => {
                    CloudEvent::Item { channel, kind, first, last, bytes: bytes.to_vec() }
                }
            });
        }
        assert!(!matches!(input, cloud::Input::Received([_, ..])), "None means that nothing is left");
        Ok(())
    }

    fn poll(&mut self, _now: Instant) -> Option<CloudEvent> {
        self.events.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.link.next_timeout()
    }
}
