//! Runs a recording again.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use armv8m::Cycles;
use sansio::drive;

use super::format::{self, Header, wiring};
use super::{DIGEST, Entry, EventDigest, Position, Record, RecordedMachine, RecordingError, checksum};
use crate::debug::Debugging;
use crate::debug::gdb::GdbConnection;
use crate::events::{DeviceEvent, PinFilter};
use crate::image::Image;
use crate::machine::{DebuggerInput, Input, Machine, Provisioning, RunResult, RunState, Settings};
use crate::memory_map::CYCLES_PER_MICRO;
use crate::storage::Storage;
use crate::transport::CHUNK;
use crate::waker::Waker;
use crate::wiring::Attachment;

/// Most cycles between two returns to the caller.
const MAX_STRETCH: Cycles = 40_000_000;

/// Most cycles between two looks at what a debugger has sent.
const DEBUGGED_STRETCH: Cycles = 4_000_000;

/// Longest wait for a debugger before the next return to the caller, which may want to stop.
const DEBUGGER_WAIT: Duration = Duration::from_millis(100);

/// A recording being replayed: no clock, no network, as fast as it goes.
pub struct Replay {
    /// Without a recorder.
    machine: RecordedMachine,
    debugger: Option<ReplayDebugger>,
    /// How it ended, while a debugger looks at that.
    ended: Option<Ending>,
    from: Box<dyn Read + Send>,
    digest: EventDigest,
    events: Vec<DeviceEvent>,
    next: Option<Entry>,
    /// Cycle of the last entry that was read.
    cycle: Cycles,
    /// Cycle up to which the state was seen to be the same.
    matched: Cycles,
    chunk: Box<[u8]>,
    sent: Vec<u8>,
}

/// Where a debugger may connect, and what wakes the replay when it sends something.
struct ReplayDebugger {
    connection: GdbConnection,
    waker: Waker,
    was_attached: bool,
}

/// Whether the recording at `path` contains what a debugger did. No other debugger can then be attached to its replay.
///
/// # Errors
/// It cannot be read.
pub fn contains_debugger(path: &Path) -> Result<bool, RecordingError> {
    let mut from = BufReader::new(File::open(path)?);
    Header::read(&mut from)?;
    let mut cycle = 0;
    loop {
        match format::read_entry(&mut from, cycle) {
            Ok(Some(Entry { record: Record::Input(Input::Debugger(_)), .. })) => return Ok(true),
            Ok(Some(entry)) => cycle = entry.position.cycle,
            // The replay says what is wrong with it when it is there.
            Ok(None) | Err(_) => return Ok(false),
        }
    }
}

/// The result of a turn of a replay.
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
        cycle: Cycles,
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
    pub cycle: Cycles,
    /// Cycle up to which state was known to be the same.
    pub matched: Cycles,
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
    /// Reads the beginning of the recording at `path` and makes the device it was made with, whose application is
    /// `image` and to which `attachments` are wired. With `trace` every call is reported.
    ///
    /// # Errors
    /// [`RecordingError`]: the file cannot be read, has another format version, or was made with another image or
    /// wiring.
    pub fn open(
        path: &Path,
        image: &Image,
        attachments: Vec<Attachment>,
        trace: bool,
    ) -> Result<Self, RecordingError> {
        Self::from(Box::new(BufReader::new(File::open(path)?)), image, attachments, trace)
    }

    /// The same from bytes.
    ///
    /// # Errors
    /// As [`Replay::open`].
    pub fn from(
        mut from: Box<dyn Read + Send>,
        image: &Image,
        attachments: Vec<Attachment>,
        trace: bool,
    ) -> Result<Self, RecordingError> {
        let header = Header::read(&mut from)?;
        if header.image != image.digest() {
            return Err(RecordingError::OtherImage);
        }
        if header.wiring != wiring(&attachments) {
            return Err(RecordingError::Wiring(header.wiring.join(", ")));
        }
        let machine = RecordedMachine::new(machine(header, image, attachments, trace), None);
        Ok(Self {
            machine,
            debugger: None,
            ended: None,
            from,
            digest: EventDigest::new(),
            events: Vec::new(),
            next: None,
            cycle: 0,
            matched: 0,
            chunk: vec![0; CHUNK].into_boxed_slice(),
            sent: Vec::new(),
        })
    }

    /// Names functions in crash reports by the symbols, and writes a trace, which is complete: the replay waits for it.
    /// With a place for a debugger the replay waits for one before the first instruction; it changes nothing in the
    /// replay (D340).
    ///
    /// # Errors
    /// The operating system's, where it refuses a thread or a file for the debugger.
    pub fn debug(&mut self, debugging: Debugging) -> io::Result<()> {
        self.machine.machine_mut().set_symbols(debugging.symbols);
        if let Some(tracer) = debugging.tracer {
            self.machine.machine_mut().trace_to(tracer.lossless());
        }
        if let Some(server) = debugging.gdb {
            let waker = Waker::new()?;
            let connection = GdbConnection::new(server.open(waker.clone())?);
            self.debugger = Some(ReplayDebugger { connection, waker, was_attached: false });
            self.halt_at_reset();
        }
        Ok(())
    }

    /// Makes the machine's debugger passive, and halts the replay before the first instruction.
    fn halt_at_reset(&mut self) {
        self.machine.machine_mut().set_passive_debugger();
        let halted = self.machine.debug(DebuggerInput::HaltAtReset);
        debug_assert_eq!(halted, Ok(()), "a halt is always accepted");
    }

    /// The machine with a passive debugger, without a connection to one.
    #[cfg(test)]
    pub(super) fn debugged(&mut self) -> &mut RecordedMachine {
        self.machine.machine_mut().set_passive_debugger();
        &mut self.machine
    }

    /// Whether a debugger has attached, and not detached: until then nothing but the end of the recording should end
    /// the replay.
    pub fn is_debugged(&self) -> bool {
        self.debugger.as_ref().is_some_and(|debugger| debugger.connection.is_attached())
    }

    /// How the replay has ended, while a debugger is attached that may still look at that.
    pub fn ended(&self) -> Option<&Ending> {
        self.ended.as_ref()
    }

    /// What the debugger has requested since the last call that is not possible in a replay.
    pub fn take_refusal(&mut self) -> Option<&'static str> {
        self.debugger.as_mut()?.connection.take_refusal()
    }

    /// Reports these pins, as [`Machine::report_pins`].
    pub fn report_pins(&mut self, pins: PinFilter) {
        self.machine.machine_mut().report_pins(pins);
    }

    /// Reports the lines of the application's log, as [`Machine::report_log`].
    pub fn report_log(&mut self, reports: bool) {
        self.machine.machine_mut().report_log(reports);
    }

    /// Guest time in cycles.
    pub fn now(&self) -> Cycles {
        self.machine.now()
    }

    /// What has happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        self.collect_events();
        std::mem::take(&mut self.events)
    }

    /// What the device has sent to its cloud since the last call, in plain text.
    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// Continues for a while, but not beyond the next entry. While a debugger has stopped the application, waits a
    /// moment for what the debugger does next.
    pub fn turn(&mut self) -> Turn {
        self.serve_debugger();
        if self.is_paused() {
            self.wait_for_debugger();
            return Turn::Going;
        }
        if self.ended.is_none() {
            match self.advance() {
                Ok(None) => return Turn::Going,
                Ok(Some(ending)) | Err(ending) => self.ended = Some(ending),
            }
        }
        if self.is_debugged() {
            self.machine.machine_mut().stop_at_end();
            return Turn::Going;
        }
        self.ended.take().map_or(Turn::Going, Turn::Ended)
    }

    /// Handles what a debugger has sent. Whether one is attached is no event of the machine, and not in the digest.
    fn serve_debugger(&mut self) {
        let Some(debugger) = &mut self.debugger else { return };
        debugger.connection.poll(&mut self.machine);
        let attached = debugger.connection.is_attached();
        if std::mem::replace(&mut debugger.was_attached, attached) != attached {
            self.events.push(DeviceEvent::Debugger { attached });
        }
    }

    fn wait_for_debugger(&self) {
        if let Some(debugger) = &self.debugger {
            debugger.waker.wait(None, Some(Instant::now() + DEBUGGER_WAIT));
        }
    }

    fn advance(&mut self) -> Result<Option<Ending>, Ending> {
        let Some(entry) = self.next_entry()? else {
            return Ok(Some(Ending::Exact { cycle: self.now(), is_whole: false }));
        };
        if !self.reach(entry.position)? {
            self.next = Some(entry);
            return Ok(None);
        }
        let ends = matches!(entry.record, Record::End(_));
        self.apply(entry.record)?;
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
        // Entries store the difference to the one before.
        self.cycle = entry.as_ref().map_or(self.cycle, |entry| entry.position.cycle);
        Ok(entry)
    }

    /// Brings the machine towards `position`; true when it is there.
    fn reach(&mut self, position: Position) -> Result<bool, Ending> {
        // Not longer, so that a caller can show events and be interrupted.
        let most = if self.debugger.is_some() { DEBUGGED_STRETCH } else { MAX_STRETCH };
        let stretch = position.cycle.min(self.now().saturating_add(most));
        while self.now() < stretch && !self.is_paused() {
            if self.machine.run(stretch - self.now()) == RunResult::Idle
                && self.now() < stretch
                && !self.is_paused()
            {
                // Only a debugger's entry can resume it, and there is none before the next entry: time would never
                // pass.
                if self.machine.machine().is_halted() {
                    return Err(self.diverged("the application is halted where it ran"));
                }
                self.machine.pass_time(stretch);
            }
        }
        if self.now() < position.cycle || self.is_paused() {
            return Ok(false);
        }
        self.take_last_steps(position)
    }

    /// A debugger has stopped the replay: the rest of this turn happens when it continues.
    fn is_paused(&self) -> bool {
        self.machine.machine().has_passive_debugger() && self.machine.machine().is_stopped()
    }

    /// At an entry's cycle, takes the last steps there, which take no time; false if a debugger has stopped in between.
    fn take_last_steps(&mut self, position: Position) -> Result<bool, Ending> {
        let Position { cycle, run_state } = position;
        // One cycle can end in three states, which differ in what the next input meets (see `RunState`).
        let has_run = self.run_state() == RunState::Ran;
        if run_state == RunState::Idle || run_state == RunState::Passed && has_run {
            while self.run_state() != RunState::Idle && self.now() == cycle {
                self.machine.run(1);
                if self.is_paused() {
                    return Ok(false);
                }
            }
        }
        if run_state == RunState::Passed && self.run_state() == RunState::Idle {
            self.machine.pass_time(cycle);
        }
        if Position::of(self.machine.machine()) == position {
            return Ok(true);
        }
        Err(self.diverged(match run_state {
            RunState::Ran => "the application waits where it ran",
            RunState::Idle | RunState::Passed => "the application runs where it waited",
        }))
    }

    fn run_state(&self) -> RunState {
        self.machine.machine().run_state()
    }

    fn apply(&mut self, record: Record<'static>) -> Result<(), Ending> {
        match record {
            // A violation of the link was followed by the loss that is the next entry.
            Record::Input(input) => {
                if self.debugger.is_some() && matches!(input, Input::Debugger(_)) {
                    return Err(Ending::Unreadable(RecordingError::Debugged));
                }
                let now = self.now();
                let _ = drive(self.machine.machine_mut(), now, input, &mut |event| {
                    self.digest.add(&event);
                    self.events.push(event);
                });
            }
            Record::Transmitted { length, checksum } => self.transmit(length, checksum)?,
            Record::Check(digest) | Record::End(digest) => self.compare(digest)?,
        }
        Ok(())
    }

    fn transmit(&mut self, length: u32, expected: [u8; 4]) -> Result<(), Ending> {
        let given = self.machine.transmit(&mut self.chunk);
        let bytes = &self.chunk[..given];
        // What the kernel sends depends on everything before, so that this finds a divergence early.
        if given != length as usize {
            return Err(self.diverged(&format!("{given} bytes go to the cloud, recorded were {length},")));
        }
        if checksum(bytes) != expected {
            return Err(self.diverged(&format!("{length} bytes go to the cloud, but not those recorded,")));
        }
        self.sent.extend(bytes);
        Ok(())
    }

    fn compare(&mut self, digest: [u8; DIGEST]) -> Result<(), Ending> {
        self.collect_events();
        if self.digest.with_state(self.machine.machine()) != digest {
            return Err(self.diverged("registers, memory or events differ"));
        }
        self.matched = self.now();
        Ok(())
    }

    fn collect_events(&mut self) {
        for event in self.machine.take_events() {
            self.digest.add(&event);
            self.events.push(event);
        }
    }

    fn diverged(&self, what: &str) -> Ending {
        Ending::Diverged(Divergence { cycle: self.now(), matched: self.matched, what: what.to_owned() })
    }
}

/// The device as it was when the recording began.
fn machine(header: Header, image: &Image, attachments: Vec<Attachment>, trace: bool) -> Machine {
    let settings = Settings {
        device_id: header.device_id,
        image: image.clone(),
        entropy: header.seed.entropy(),
        restart: header.restart,
        trace,
        attachments,
    };
    let provisioning = Provisioning {
        storage: Storage::with_content(header.flash, header.wifi),
        policy: header.policy,
        factory_test: header.factory_test,
        free_clock: header.free_clock,
        poll_scale: header.poll_scale,
        ..Provisioning::default()
    };
    Machine::with_provisioning(settings, provisioning)
}
