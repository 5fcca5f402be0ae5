//! A machine with a committed image of the `sdk` folder, and a scripted cloud at the other end of its link.
//!
//! Everything happens in guest time on the test's thread, so a minute of an application's life takes what it takes.

use std::path::Path;
use std::sync::Arc;

use device::debug::symbols::Symbols;
use device::events::DeviceEvent;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Input, Machine, RestartPolicy, RunResult, Settings};
use device::recording::RecordedMachine;
use kernel::LinkLoss;

use super::cloud::{Cloud, Script};
use super::end::CloudEnd;

pub(crate) const DEVICE_ID: &str = "UV00112233445566778899aabbccddeeff";
/// Cycles in a millisecond.
pub(crate) const MILLISECOND: u64 = 160_000;
/// Cycles between looks at the link while the application is busy: the network is slower than memory.
const PACE: u64 = MILLISECOND;

pub(crate) struct Bench<C = Cloud> {
    pub machine: RecordedMachine,
    pub cloud: C,
    pub events: Vec<DeviceEvent>,
    /// Cycles between looks at the link while the application is busy.
    pub pace: u64,
    up: bool,
    /// The network is there; false is a cable pulled out.
    plugged: bool,
}

impl Bench {
    /// The image at `path` in the `sdk` folder, and a cloud that plays by `script`.
    pub(crate) fn new(path: &str, script: Script) -> Self {
        Self::with(path, Cloud::new(script))
    }
}

impl<C: CloudEnd> Bench<C> {
    /// The image at `path` in the `sdk` folder, and a cloud.
    pub(crate) fn with(path: &str, cloud: C) -> Self {
        Self::start(path, cloud, false)
    }

    /// The same, with an event for each system call.
    pub(crate) fn traced(path: &str, cloud: C) -> Self {
        Self::start(path, cloud, true)
    }

    fn start(path: &str, cloud: C, trace: bool) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").join(path);
        let mut machine = Machine::new(Settings {
            device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
            image: Image::load(&path).expect("a committed image"),
            entropy: Arc::new(|| 0x5EED_0001),
            restart: RestartPolicy::default(),
            trace,
            attachments: Vec::new(),
        });
        machine.set_symbols(Symbols::load(&path));
        Self::around(RecordedMachine::new(machine, None), cloud)
    }

    /// A machine and its cloud.
    pub(crate) fn around(machine: RecordedMachine, cloud: C) -> Self {
        Self { machine, cloud, events: Vec::new(), pace: PACE, up: false, plugged: true }
    }

    /// Advances guest time until `done`, for at most `milliseconds`.
    pub(crate) fn run_until(&mut self, milliseconds: u64, done: impl Fn(&Self) -> bool) {
        let end = self.machine.now() + milliseconds * MILLISECOND;
        while !done(self) {
            assert!(self.machine.now() < end, "log: {:#?}\nevents: {:?}", self.cloud.log(), self.events);
            self.step(end);
        }
    }

    /// Advances guest time by `milliseconds`.
    pub(crate) fn run_for(&mut self, milliseconds: u64) {
        let end = self.machine.now() + milliseconds * MILLISECOND;
        while self.machine.now() < end {
            self.step(end);
        }
    }

    /// Runs until the log has a line that begins so, and answers the line.
    pub(crate) fn run_to_line(&mut self, milliseconds: u64, start: &str) -> String {
        self.run_until(milliseconds, |bench| bench.line(start).is_some());
        self.line(start).expect("it is there").to_owned()
    }

    /// The last log line that begins so.
    pub(crate) fn line(&self, start: &str) -> Option<&str> {
        self.cloud.log().iter().rev().map(String::as_str).find(|line| line.starts_with(start))
    }

    /// Cuts the link, as a cable pulled out does; it stays so until [`Bench::plug`].
    pub(crate) fn unplug(&mut self) {
        self.plugged = false;
        self.drop_link(LinkLoss::NoCarrier);
    }

    /// The network is there again.
    pub(crate) fn plug(&mut self) {
        self.plugged = true;
    }

    fn step(&mut self, end: u64) {
        let was_idle = self.machine.run(self.pace) == RunResult::Idle;
        if !self.carry() && was_idle {
            self.machine.pass_time(end);
        }
    }

    /// Carries bytes both ways; returns whether there were any.
    fn carry(&mut self) -> bool {
        self.keep_link();
        let mut chunk = vec![0; 16 * 1024];
        let length = if self.up { self.machine.transmit(&mut chunk) } else { 0 };
        let now = self.machine.now() / MILLISECOND;
        self.cloud.hear(now, &chunk[..length]);
        let answer = if self.up { self.cloud.speak() } else { Vec::new() };
        if !answer.is_empty() {
            self.machine
                .handle(&Input::Received(answer.as_slice().into()))
                .expect("a cloud that keeps the rules");
        }
        self.events.extend(self.machine.take_events());
        length > 0 || !answer.is_empty()
    }

    fn keep_link(&mut self) {
        let wanted = self.machine.machine().wants_link() && self.plugged;
        if wanted && !self.up {
            self.up = true;
            self.cloud.reconnect(self.machine.now() / MILLISECOND);
            self.machine.handle(&Input::LinkConnecting).expect("accepted");
            self.machine.handle(&Input::LinkConnected).expect("accepted");
        } else if self.up && !self.machine.machine().wants_link() {
            self.drop_link(LinkLoss::Requested);
        }
    }

    fn drop_link(&mut self, loss: LinkLoss) {
        if self.up {
            self.up = false;
            self.machine
                .handle(&Input::LinkLost { kind: loss, cause: "cut by the test".into() })
                .expect("accepted");
        }
    }
}
