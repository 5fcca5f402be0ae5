//! A machine, what a schedule still has for it, and a recording of every input, if there is a recorder.

use armv8m::Cycles;

use super::{CHECK_INTERVAL, EventDigest, Position, Record, Recorder, checksum};
use crate::clock::{Pace, TimeScale};
use crate::events::DeviceEvent;
use crate::machine::{DebuggerInput, Input, InputError, Machine, RunResult, StopReason};
use crate::stimulus::Schedule;

/// A machine of which everything that changes it is recorded, if there is a recorder.
pub struct RecordedMachine {
    machine: Machine,
    schedule: Schedule,
    /// The cycle beyond which it does not go.
    end: Option<Cycles>,
    recording: Option<Recording>,
    /// How fast its time went when that was last measured, and how fast it should.
    pace: Option<(Pace, TimeScale)>,
}

struct Recording {
    recorder: Recorder,
    digest: EventDigest,
    /// Events that are in the digest, and were not taken by the driver yet.
    events: Vec<DeviceEvent>,
    /// Instructions executed at the last check.
    checked: u64,
}

impl RecordedMachine {
    /// A machine that was just made.
    pub fn new(machine: Machine, recorder: Option<Recorder>) -> Self {
        let (digest, events, checked) = (EventDigest::new(), Vec::new(), machine.instructions());
        let recording = recorder.map(|recorder| Recording { recorder, digest, events, checked });
        Self { machine, schedule: Schedule::default(), end: None, recording, pace: None }
    }

    /// Delivers a schedule's stimuli from now on. They are recorded like every other input, so a replay needs no
    /// schedule.
    pub fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Ends its life at cycle `end`: it goes no further, at most to the end of the instruction there.
    pub fn set_end(&mut self, end: Option<Cycles>) {
        self.end = end;
    }

    /// Whether it has reached the end that was set.
    pub fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.now() >= end)
    }

    /// The machine. Every change goes through [`RecordedMachine::handle`].
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine, for a replay, which records nothing.
    pub(super) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Notes how fast its driver measured its time to go, for who asks.
    pub(crate) fn set_pace(&mut self, pace: Option<Pace>, scale: TimeScale) {
        self.pace = pace.map(|pace| (pace, scale));
    }

    /// How fast its time went when that was last measured, and how fast it should.
    pub(crate) fn pace(&self) -> Option<(Pace, TimeScale)> {
        self.pace
    }

    /// Does what a debugger requests. It is an input like others, except in a replay, where it must change nothing.
    ///
    /// # Errors
    /// It is not possible, or not in a replay.
    pub(crate) fn debug(&mut self, input: DebuggerInput<'_>) -> Result<(), InputError> {
        if self.machine.has_passive_debugger() {
            return self.machine.inspect(&input);
        }
        self.handle(&Input::Debugger(input))
    }

    /// Guest time in cycles.
    pub fn now(&self) -> Cycles {
        self.machine.now()
    }

    /// As [`Machine::handle`].
    pub fn handle(&mut self, input: &Input<'_>) -> Result<(), InputError> {
        let position = Position::of(&self.machine);
        let result = self.machine.handle(input);
        // Bytes for a full line would otherwise be in the recording again and again.
        if self.recording.is_some() && result != Err(InputError::NotAccepted) {
            self.record(position, &Record::Input(input.clone()));
        }
        result
    }

    /// As [`Machine::run`], but not beyond the schedule's next stimulus or the end.
    pub fn run(&mut self, budget: Cycles) -> RunResult {
        self.deliver_due();
        if self.is_at_end() {
            return RunResult::Busy;
        }
        let until_next = self.next_limit().map_or(budget, |at| at - self.now());
        let result = self.machine.run(budget.min(until_next));
        if let Some(recording) = &self.recording
            && self.machine.instructions() - recording.checked >= CHECK_INTERVAL
        {
            self.check(Record::Check);
        }
        result
    }

    /// As [`Machine::pass_time`], but not beyond the schedule's next stimulus or the end.
    pub fn pass_time(&mut self, to: Cycles) {
        self.machine.pass_time(self.next_limit().map_or(to, |at| at.min(to)));
    }

    /// As [`Machine::next_timeout`], or when the schedule's next stimulus is due, or the end.
    pub fn next_timeout(&self) -> Option<Cycles> {
        [self.machine.next_timeout(), self.next_limit()].into_iter().flatten().min()
    }

    /// The cycle of the schedule's next stimulus or of the end.
    fn next_limit(&self) -> Option<Cycles> {
        [self.schedule.next_timeout(), self.end].into_iter().flatten().min()
    }

    /// As [`Machine::transmit`]. An attempt that gives nothing changes nothing, and is not recorded.
    pub fn transmit(&mut self, out: &mut [u8]) -> usize {
        let position = Position::of(&self.machine);
        let length = self.machine.transmit(out);
        if length > 0 && self.recording.is_some() {
            let checksum = checksum(&out[..length]);
            self.record(position, &Record::Transmitted { length: length as u32, checksum });
        }
        length
    }

    /// As [`Machine::take_events`].
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        let Some(recording) = &mut self.recording else { return self.machine.take_events() };
        recording.collect_events(&mut self.machine);
        std::mem::take(&mut recording.events)
    }

    /// Reads memory for a debugger, as [`Machine::read_memory`].
    pub(crate) fn read_memory(&mut self, address: u32, into: &mut [u8]) -> usize {
        let position = Position::of(&self.machine);
        let length = self.machine.read_memory(address, into);
        if !Machine::is_memory(address) {
            let read = DebuggerInput::ReadPeripherals { address, length: into.len() as u32 };
            self.record(position, &Record::Input(Input::Debugger(read)));
        }
        length
    }

    /// Takes the reason for which the application halted last. That changes nothing for the application.
    pub(crate) fn take_stop(&mut self) -> Option<StopReason> {
        self.machine.take_stop()
    }

    /// Hands what was recorded to the operating system.
    pub fn flush(&mut self) {
        if self.recording.as_mut().is_some_and(|recording| !recording.recorder.flush()) {
            self.recording = None;
        }
    }

    /// Ends the recording; the machine goes no further.
    pub fn end(&mut self) {
        self.check(Record::End);
        self.flush();
    }

    fn deliver_due(&mut self) {
        if !self.schedule.is_due(self.now()) {
            return;
        }
        let mut schedule = std::mem::take(&mut self.schedule);
        schedule.deliver_due(self.now(), |input| self.handle(input));
        self.schedule = schedule;
    }

    pub(super) fn check(&mut self, record: fn([u8; super::DIGEST]) -> Record<'static>) {
        let Some(recording) = &mut self.recording else { return };
        recording.collect_events(&mut self.machine);
        recording.checked = self.machine.instructions();
        let digest = recording.digest.with_state(&self.machine);
        self.record(Position::of(&self.machine), &record(digest));
    }

    fn record(&mut self, position: Position, record: &Record<'_>) {
        if self.recording.as_mut().is_some_and(|recording| !recording.recorder.add(position, record)) {
            // The rest could not be replayed without what is missing here. `Status` reports it in the end.
            self.recording = None;
        }
    }
}

impl Recording {
    fn collect_events(&mut self, machine: &mut Machine) {
        for event in machine.take_events() {
            self.digest.add(&event);
            self.events.push(event);
        }
    }
}
