//! Both ends of the link as [`StateMachine`]s: an end answers its own events, and its outputs are the bytes it sends.

use link::cloud::{self, CloudLink};
use link::connection::Hello;
use link::device::{self, DeviceLink};
use sansio::{Duration, Instant, StateMachine, WallTime, drive, drive_timeout};

/// What a device introduces itself with.
pub(crate) const HELLO: Hello =
    Hello { version: 1, boot: 1, wake_reason: 0, clock: Instant::ZERO, image: [0; 32] };
/// What the cloud says of the time of day.
const WALL: WallTime = WallTime::from_micros(1 << 50);
/// Outputs that can follow from one input; more are a loop.
const MAX_OUTPUTS: usize = 100;

/// A device's end whose application stores half of what arrives, and credits that when an item is complete.
pub(crate) struct DeviceEnd {
    pub link: DeviceLink,
    /// The transport takes nothing.
    pub is_blocked: bool,
}

impl DeviceEnd {
    /// An end whose transport is established.
    pub(crate) fn connected(now: Instant) -> Self {
        let mut end = Self { link: DeviceLink::new(), is_blocked: false };
        end.handle(now, device::Input::Connected(&HELLO)).expect("only received bytes can be a violation");
        end
    }

    fn on_event(&mut self, event: &device::Event<'_>) -> Result<(), link::Error> {
        let device::Event::Item(fragment) = event else { return Ok(()) };
        assert!(fragment.channel != 0 && fragment.bytes.len() <= 4096, "{fragment:?}");
        let (channel, length) = (fragment.channel, fragment.bytes.len() as u32);
        self.link.store(channel, length / 2)?;
        if fragment.last {
            self.link.return_credit(channel, length / 2, 1);
        }
        Ok(())
    }
}

impl StateMachine for DeviceEnd {
    type Time = Instant;
    type Input<'a> = device::Input<'a>;
    type Output = Vec<u8>;
    type Error = link::Error;

    const TIMEOUT: device::Input<'static> = device::Input::Timeout;

    fn handle(&mut self, now: Instant, mut input: device::Input<'_>) -> Result<(), link::Error> {
        while let Some(event) = self.link.handle(now, &mut input)? {
            self.on_event(&event)?;
        }
        assert!(!matches!(input, device::Input::Received([_, ..])), "None means that nothing is left");
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.is_blocked { None } else { transmitted(|out| self.link.transmit(now, out)) }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.link.next_timeout()
    }
}

/// A cloud's end that welcomes every device and consumes an item when it is complete.
pub(crate) struct CloudEnd {
    pub link: CloudLink,
    /// The transport takes nothing.
    pub is_blocked: bool,
}

impl CloudEnd {
    /// An end whose transport is established.
    pub(crate) fn connected(now: Instant) -> Self {
        Self { link: CloudLink::new(now), is_blocked: false }
    }

    fn on_event(&mut self, event: &cloud::Event<'_>) {
        match event {
            cloud::Event::Hello(_) => {
                self.link.send_welcome(Duration::from_secs(60), 16_384, WALL, true);
            }
            cloud::Event::Log(head) => {
                assert!(self.link.log_text().len() <= 1024);
                self.link.acknowledge_logs(head.sequence);
            }
            cloud::Event::TimeQuery => self.link.send_time(WALL),
            cloud::Event::Item(fragment) => {
                assert!(fragment.channel != 0 && fragment.bytes.len() <= 4096, "{fragment:?}");
                if fragment.last {
                    self.link.consume(fragment.channel, fragment.bytes.len() as u32);
                }
            }
            _ => {}
        }
    }
}

impl StateMachine for CloudEnd {
    type Time = Instant;
    type Input<'a> = cloud::Input<'a>;
    type Output = Vec<u8>;
    type Error = link::Error;

    const TIMEOUT: cloud::Input<'static> = cloud::Input::Timeout;

    fn handle(&mut self, now: Instant, mut input: cloud::Input<'_>) -> Result<(), link::Error> {
        while let Some(event) = self.link.handle(now, &mut input)? {
            self.on_event(&event);
        }
        assert!(!matches!(input, cloud::Input::Received([_, ..])), "None means that nothing is left");
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.is_blocked { None } else { transmitted(|out| self.link.transmit(now, out)) }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.link.next_timeout()
    }
}

/// One write, into a buffer that is just large enough for any control frame.
fn transmitted(transmit: impl FnOnce(&mut [u8]) -> usize) -> Option<Vec<u8>> {
    let mut out = [0; 160];
    let length = transmit(&mut out);
    (length > 0).then(|| out[..length].to_vec())
}

/// Drives an end and checks that its outputs come to an end.
pub(crate) fn drive_end<M: StateMachine>(
    end: &mut M,
    now: M::Time,
    input: M::Input<'_>,
) -> Result<(), M::Error> {
    let mut count = 0;
    drive(end, now, input, &mut |_| count_output(&mut count))
}

/// Delivers a timeout that is due, or one that is early, which must be harmless.
pub(crate) fn drive_any_timeout<M: StateMachine>(
    machine: &mut M,
    now: M::Time,
    sink: &mut dyn FnMut(M::Output),
) -> Result<(), M::Error> {
    if drive_timeout(machine, now, sink)? { Ok(()) } else { drive(machine, now, M::TIMEOUT, sink) }
}

/// Sends what followed from calls of the link.
pub(crate) fn drain_end<M: StateMachine>(end: &mut M, now: M::Time) {
    let mut count = 0;
    while end.poll(now).is_some() {
        count_output(&mut count);
    }
}

fn count_output(count: &mut usize) {
    *count += 1;
    assert!(*count <= MAX_OUTPUTS, "control frames without end");
}
