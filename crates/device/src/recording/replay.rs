//! Runs a recording again.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::format::{self, Head, wiring};
use super::{Entry, Input, RecordingError, Stance, Trail, sum};
use crate::events::DeviceEvent;
use crate::image::Image;
use crate::machine::{Machine, Provisions, Ran, Settings};
use crate::map::CYCLES_PER_MICRO;
use crate::storage::Storage;
use crate::transport::CHUNK;
use crate::wiring::Attachment;

/// Most cycles between two returns to the caller.
const STRETCH: u64 = 40_000_000;

/// A recording being replayed: no clock, no network, as fast as it goes.
pub struct Replay {
    machine: Machine,
    from: Box<dyn Read + Send>,
    stance: Stance,
    trail: Trail,
    events: Vec<DeviceEvent>,
    next: Option<Entry>,
    /// Cycle of the last entry that was read.
    cycle: u64,
    /// Cycle up to which the state was seen to be the same.
    matched: u64,
    chunk: Box<[u8]>,
    sent: Vec<u8>,
}

/// What a turn of a replay came to.
#[derive(Debug)]
pub enum Turn {
    /// There is more.
    Going,
    /// It is over.
    Ended(Ending),
}

/// How a replay ends.
#[derive(Debug)]
pub enum Ending {
    /// Everything was as recorded, up to this cycle.
    Exact {
        /// The last cycle.
        cycle: u64,
        /// The recording has its end; otherwise it was cut off.
        is_whole: bool,
    },
    /// It went another way.
    Diverged(Divergence),
    /// The recording is unreadable from here on.
    Unreadable(RecordingError),
}

/// The first thing that was not as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Where it was seen.
    pub cycle: u64,
    /// Cycle up to which state was known to be the same.
    pub matched: u64,
    /// What it was.
    pub what: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cycle, matched, what } = self;
        let micros = cycle / CYCLES_PER_MICRO;
        write!(f, "{what} at cycle {cycle} ({}.{:06} s)", micros / 1_000_000, micros % 1_000_000)?;
        write!(f, "; the state was last seen to be as recorded at cycle {matched}")
    }
}

impl Replay {
    /// Reads the beginning of the recording at `path` and makes the device it was made with, whose application is `image`
    /// and to which `targets` are wired. With `trace` every call is told.
    pub fn open(
        path: &Path,
        image: &Image,
        targets: Vec<Attachment>,
        trace: bool,
    ) -> Result<Self, RecordingError> {
        Self::from(Box::new(BufReader::new(File::open(path)?)), image, targets, trace)
    }

    /// The same from bytes.
    pub fn from(
        mut from: Box<dyn Read + Send>,
        image: &Image,
        targets: Vec<Attachment>,
        trace: bool,
    ) -> Result<Self, RecordingError> {
        let head = Head::read(&mut from)?;
        if head.image != image.digest() {
            return Err(RecordingError::OtherImage);
        }
        if head.wiring != wiring(&targets) {
            return Err(RecordingError::Wiring(head.wiring.join(", ")));
        }
        let machine = machine(head, image, targets, trace);
        Ok(Self {
            machine,
            from,
            stance: Stance::Ran,
            trail: Trail::new(),
            events: Vec::new(),
            next: None,
            cycle: 0,
            matched: 0,
            chunk: vec![0; CHUNK].into_boxed_slice(),
            sent: Vec::new(),
        })
    }

    /// Guest time in cycles.
    pub fn now(&self) -> u64 {
        self.machine.now()
    }

    /// What happened since last asked, in order.
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        self.gather();
        std::mem::take(&mut self.events)
    }

    /// What the device has sent to its cloud since last asked, in plain text.
    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// Goes on for a while, but not beyond the next entry.
    pub fn turn(&mut self) -> Turn {
        match self.go_on() {
            Ok(None) => Turn::Going,
            Ok(Some(ending)) | Err(ending) => Turn::Ended(ending),
        }
    }

    fn go_on(&mut self) -> Result<Option<Ending>, Ending> {
        let Some(entry) = self.next_entry()? else {
            return Ok(Some(Ending::Exact { cycle: self.now(), is_whole: false }));
        };
        if !self.reach(&entry)? {
            self.next = Some(entry);
            return Ok(None);
        }
        let ends = matches!(entry.input, Input::End(_));
        self.apply(entry)?;
        Ok(ends.then(|| Ending::Exact { cycle: self.now(), is_whole: true }))
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, Ending> {
        if let Some(entry) = self.next.take() {
            return Ok(Some(entry));
        }
        let read = match format::read_entry(&mut self.from, self.cycle) {
            // A device that was killed in the midst of an entry.
            Err(RecordingError::Damaged("it ends too early")) => Ok(None),
            read => read,
        };
        let entry = read.map_err(Ending::Unreadable)?;
        self.cycle = entry.as_ref().map_or(self.cycle, |entry| entry.cycle);
        Ok(entry)
    }

    /// Brings the machine towards the place of `entry`; true when it is there.
    fn reach(&mut self, entry: &Entry) -> Result<bool, Ending> {
        let stretch = entry.cycle.min(self.now().saturating_add(STRETCH));
        while self.now() < stretch {
            self.run(stretch - self.now());
            if self.stance == Stance::Idle && self.now() < stretch {
                self.machine.pass_time(stretch);
                self.stance = Stance::Passed;
            }
        }
        if self.now() < entry.cycle {
            return Ok(false);
        }
        self.take_stance(entry)?;
        Ok(true)
    }

    /// At an entry's cycle, makes the last steps there that take no time.
    fn take_stance(&mut self, entry: &Entry) -> Result<(), Ending> {
        if entry.stance == Stance::Idle || entry.stance == Stance::Passed && self.stance == Stance::Ran {
            while self.stance != Stance::Idle && self.now() == entry.cycle {
                self.run(1);
            }
        }
        if entry.stance == Stance::Passed && self.stance == Stance::Idle {
            self.machine.pass_time(entry.cycle);
            self.stance = Stance::Passed;
        }
        if self.now() == entry.cycle && self.stance == entry.stance {
            return Ok(());
        }
        Err(self.diverged(match entry.stance {
            Stance::Ran => "the application waits where it ran",
            Stance::Idle | Stance::Passed => "the application runs where it waited",
        }))
    }

    fn run(&mut self, budget: u64) {
        self.stance = if self.machine.run(budget) == Ran::Idle { Stance::Idle } else { Stance::Ran };
    }

    fn apply(&mut self, entry: Entry) -> Result<(), Ending> {
        let before = std::mem::replace(&mut self.stance, Stance::Ran);
        let machine = &mut self.machine;
        match entry.input {
            Input::Serial { port, bytes } => {
                let _taken = machine.send_serial(port, &bytes);
            }
            Input::Pin { port, pin, level } => machine.drive_pin(port, pin, level),
            Input::Quantity { bus, address, name, value } => {
                let _known = machine.set_quantity(bus, address, &name, value);
            }
            Input::LinkConnecting => machine.link_connecting(),
            Input::LinkConnected => machine.link_connected(),
            Input::LinkLost { kind, text } => machine.link_lost(kind, text),
            // A violation was answered with the loss that follows.
            Input::Received(bytes) => drop(machine.receive(&bytes)),
            Input::TimeSkipped(cycles) => machine.skip_time(cycles),
            Input::Farewell => machine.farewell(),
            Input::Transmitted { length, sum } => self.transmit(length, sum)?,
            Input::Check(digest) | Input::End(digest) => {
                self.stance = before;
                self.compare(digest)?;
            }
        }
        Ok(())
    }

    fn transmit(&mut self, length: u32, expected: [u8; 4]) -> Result<(), Ending> {
        let given = self.machine.transmit(&mut self.chunk);
        let bytes = &self.chunk[..given];
        if given != length as usize {
            return Err(self.diverged(&format!("{given} bytes go to the cloud where {length} went")));
        }
        if sum(bytes) != expected {
            return Err(self.diverged(&format!("other bytes go to the cloud, {length} as then,")));
        }
        self.sent.extend(bytes);
        Ok(())
    }

    fn compare(&mut self, digest: [u8; super::DIGEST]) -> Result<(), Ending> {
        self.gather();
        if self.trail.digest(&self.machine) != digest {
            return Err(self.diverged("registers, memory or what was told are others"));
        }
        self.matched = self.now();
        Ok(())
    }

    fn gather(&mut self) {
        for event in self.machine.take_events() {
            self.trail.add_event(&event);
            self.events.push(event);
        }
    }

    fn diverged(&self, what: &str) -> Ending {
        Ending::Diverged(Divergence { cycle: self.now(), matched: self.matched, what: what.to_owned() })
    }
}

/// The device as it was when the recording began.
fn machine(head: Head, image: &Image, targets: Vec<Attachment>, trace: bool) -> Machine {
    let settings = Settings {
        device_id: head.device_id,
        image: image.clone(),
        chance: head.seed.chance(),
        restart: head.restart,
        trace,
        targets,
    };
    let provisions = Provisions {
        storage: Storage::holding(head.flash, head.wifi),
        policy: head.policy,
        factory_test: head.factory_test,
        free_clock: head.free_clock,
        poll_scale: head.poll_scale,
        ..Provisions::default()
    };
    Machine::provisioned(settings, provisions)
}
