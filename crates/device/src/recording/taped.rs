//! A machine whose inputs are recorded, if that was asked for. It can be looked at like the machine itself, and everything
//! that changes it goes through here; so does what reaches it by a schedule, which then is recorded like anything else.

use std::collections::VecDeque;
use std::ops::Deref;

use kernel::{LinkLoss, Violation};

use super::format::cut;
use super::{CHECK_AFTER, Input, Recorder, Stance, Trail, sum};
use crate::events::DeviceEvent;
use crate::machine::{Machine, Ran};
use crate::stimulus::{Action, Schedule};

/// A machine, what is still to reach it, and who writes down what does.
pub struct Taped {
    machine: Machine,
    schedule: Schedule,
    /// Bytes of the schedule for which a serial port's line had no room yet.
    late: VecDeque<(u8, Vec<u8>)>,
    tape: Option<Tape>,
}

struct Tape {
    recorder: Recorder,
    stance: Stance,
    trail: Trail,
    /// Events that were taken to be counted, and are still to be told.
    events: Vec<DeviceEvent>,
    /// Instructions executed when the state was last written down.
    checked: u64,
}

impl Deref for Taped {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Taped {
    /// A machine that has only just been made.
    pub fn new(machine: Machine, recorder: Option<Recorder>) -> Self {
        let tape = |recorder| Tape {
            recorder,
            stance: Stance::Ran,
            trail: Trail::new(),
            events: Vec::new(),
            checked: machine.instructions(),
        };
        let tape = recorder.map(tape);
        Self { machine, schedule: Schedule::default(), late: VecDeque::new(), tape }
    }

    /// What reaches the machine by itself from now on.
    pub fn follow(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// As [`Machine::next_event`], or when the schedule goes on.
    pub fn next_event(&self) -> Option<u64> {
        [self.machine.next_event(), self.schedule.next()].into_iter().flatten().min()
    }

    /// The machine, for changes that are in no recording: a debugger's.
    pub fn unrecorded(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// As [`Machine::run`], but not beyond the next entry of the schedule.
    pub fn run(&mut self, budget: u64) -> Ran {
        self.do_what_is_due();
        let next = self.schedule.next().map_or(budget, |at| at - self.machine.now());
        let ran = self.machine.run(budget.min(next));
        if let Some(tape) = &mut self.tape {
            tape.stance = if ran == Ran::Idle { Stance::Idle } else { Stance::Ran };
            if self.machine.instructions() - tape.checked >= CHECK_AFTER {
                self.check(Input::Check);
            }
        }
        ran
    }

    /// As [`Machine::pass_time`], but not beyond the next entry of the schedule; only after a run that ended idle.
    pub fn pass_time(&mut self, to: u64) {
        self.machine.pass_time(self.schedule.next().map_or(to, |at| at.min(to)));
        if let Some(tape) = &mut self.tape {
            tape.stance = Stance::Passed;
        }
    }

    fn do_what_is_due(&mut self) {
        while let Some((port, bytes)) = self.late.pop_front() {
            if !self.send_serial(port, &bytes) {
                self.late.push_front((port, bytes));
                break;
            }
        }
        while let Some(stimulus) = self.schedule.take_due(self.machine.now()) {
            match stimulus.action {
                Action::Pin { pin, level } => self.drive_pin(pin.port, pin.pin, level),
                Action::Quantity { bus, address, name, value } => {
                    // Whether there is such a sensor was checked when the schedule was made.
                    let _known = self.set_quantity(bus, address, &name, value);
                }
                Action::Serial { port, bytes } => {
                    if !self.send_serial(port, &bytes) {
                        self.late.push_back((port, bytes));
                    }
                }
            }
        }
    }

    /// As [`Machine::drive_pin`].
    pub fn drive_pin(&mut self, port: u8, pin: u8, level: bool) {
        self.note(|| Input::Pin { port, pin, level });
        self.machine.drive_pin(port, pin, level);
    }

    /// As [`Machine::set_quantity`].
    pub fn set_quantity(&mut self, bus: u8, address: u8, name: &str, value: f64) -> bool {
        self.note(|| Input::Quantity { bus, address, name: cut(name.to_owned()), value });
        self.machine.set_quantity(bus, address, name, value)
    }

    /// As [`Machine::send_serial`]. Bytes that are not taken change nothing, and are not recorded.
    pub fn send_serial(&mut self, port: u8, bytes: &[u8]) -> bool {
        let taken = self.machine.send_serial(port, bytes);
        if taken {
            self.note(|| Input::Serial { port, bytes: bytes.to_vec() });
        }
        taken
    }

    /// As [`Machine::link_connecting`].
    pub fn link_connecting(&mut self) {
        self.note(|| Input::LinkConnecting);
        self.machine.link_connecting();
    }

    /// As [`Machine::link_connected`].
    pub fn link_connected(&mut self) {
        self.note(|| Input::LinkConnected);
        self.machine.link_connected();
    }

    /// As [`Machine::link_lost`].
    pub fn link_lost(&mut self, kind: LinkLoss, cause: String) {
        let cause = cut(cause);
        self.note(|| Input::LinkLost { kind, text: cause.clone() });
        self.machine.link_lost(kind, cause);
    }

    /// As [`Machine::receive`].
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.note(|| Input::Received(bytes.to_vec()));
        self.machine.receive(bytes)
    }

    /// As [`Machine::skip_time`].
    pub fn skip_time(&mut self, cycles: u64) {
        self.note(|| Input::TimeSkipped(cycles));
        self.machine.skip_time(cycles);
    }

    /// As [`Machine::farewell`].
    pub fn farewell(&mut self) {
        self.note(|| Input::Farewell);
        self.machine.farewell();
    }

    /// As [`Machine::transmit`]. An attempt that gives nothing changes nothing, and is not recorded.
    pub fn transmit(&mut self, out: &mut [u8]) -> usize {
        let length = self.machine.transmit(out);
        if length > 0 {
            let bytes = &out[..length];
            self.note(|| Input::Transmitted { length: length as u32, sum: sum(bytes) });
        }
        length
    }

    /// As [`Machine::take_events`].
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        let Some(tape) = &mut self.tape else { return self.machine.take_events() };
        tape.gather(&mut self.machine);
        std::mem::take(&mut tape.events)
    }

    /// What was recorded goes to the file.
    pub fn flush(&mut self) {
        if self.tape.as_mut().is_some_and(|tape| !tape.recorder.flush()) {
            self.tape = None;
        }
    }

    /// Ends the recording; the machine goes no further.
    pub fn end(&mut self) {
        self.check(Input::End);
        self.flush();
    }

    fn check(&mut self, kind: fn([u8; super::DIGEST]) -> Input) {
        let Some(tape) = &mut self.tape else { return };
        tape.gather(&mut self.machine);
        tape.checked = self.machine.instructions();
        let digest = tape.trail.digest(&self.machine);
        let stance = tape.stance;
        self.note(|| kind(digest));
        // Nothing was done to the machine.
        if let Some(tape) = &mut self.tape {
            tape.stance = stance;
        }
    }

    /// Writes down what is about to be done to the machine.
    fn note(&mut self, input: impl FnOnce() -> Input) {
        let Some(tape) = &mut self.tape else { return };
        let noted = tape.recorder.add(self.machine.now(), tape.stance, input());
        tape.stance = Stance::Ran;
        if !noted {
            // Nobody reads these from now on; who asked for the recording is told at the end.
            self.tape = None;
        }
    }
}

impl Tape {
    fn gather(&mut self, machine: &mut Machine) {
        for event in machine.take_events() {
            self.trail.add_event(&event);
            self.events.push(event);
        }
    }
}
