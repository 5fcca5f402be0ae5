//! One peripheral on a bench: accessed by address, its lines and outputs looked at.

use armv8m::Cycles;

use super::{BoardSignal, Context, Lines, Peripheral, RegisterWrite, Requests};
use crate::events::BoardEvent;
use crate::pin::Pin;

pub(crate) struct Bench {
    base: u32,
    pub peripheral: Box<dyn Peripheral>,
    pub now: Cycles,
    events: Vec<BoardEvent>,
    driven: Vec<(Pin, bool)>,
}

impl Bench {
    pub(crate) fn new(base: u32, peripheral: Box<dyn Peripheral>) -> Self {
        Self { base, peripheral, now: 0, events: Vec::new(), driven: Vec::new() }
    }

    fn with<T>(&mut self, what: impl FnOnce(&mut dyn Peripheral, &mut Context<'_>) -> T) -> T {
        let mut context =
            Context { now: self.now, bytes: 4, events: &mut self.events, driven: &mut self.driven };
        what(self.peripheral.as_mut(), &mut context)
    }

    pub(crate) fn read(&mut self, address: u32) -> u32 {
        let base = self.base;
        self.with(|peripheral, context| {
            peripheral.advance(context);
            peripheral.read(address - base, context)
        })
    }

    pub(crate) fn write(&mut self, address: u32, value: u32) {
        let base = self.base;
        self.with(|peripheral, context| {
            peripheral.advance(context);
            peripheral.write(address - base, RegisterWrite::word(value), context);
        });
    }

    /// Writes the lowest bytes of a word.
    pub(crate) fn write_bytes(&mut self, address: u32, bytes: u32, value: u32) {
        let base = self.base;
        let mask = u32::MAX >> (32 - 8 * bytes);
        self.with(|peripheral, context| {
            context.bytes = bytes;
            peripheral.advance(context);
            peripheral.write(address - base, RegisterWrite { value: value & mask, mask }, context);
        });
    }

    /// Reads the lowest bytes of a word.
    pub(crate) fn read_bytes(&mut self, address: u32, bytes: u32) -> u32 {
        let base = self.base;
        self.with(|peripheral, context| {
            context.bytes = bytes;
            peripheral.advance(context);
            peripheral.read(address - base, context) & u32::MAX >> (32 - 8 * bytes)
        })
    }

    /// Whether a request for direct memory access is active.
    pub(crate) fn requests(&self, number: u8) -> bool {
        let mut requests = Requests::default();
        self.peripheral.requests(&mut requests);
        requests.has(number)
    }

    pub(crate) fn reset(&mut self) {
        self.with(|peripheral, context| peripheral.reset(context));
    }

    pub(crate) fn signal(&mut self, signal: &BoardSignal<'_>) -> bool {
        let now = self.now;
        self.with(|peripheral, context| {
            peripheral.advance(context);
            peripheral.signal(signal, now)
        })
    }

    pub(crate) fn level(&mut self, line: u16) -> bool {
        self.with(|peripheral, context| peripheral.advance(context));
        let mut lines = Lines::default();
        self.peripheral.interrupts(&mut lines);
        lines.level(line)
    }

    /// Lets time pass up to `now`, stopping at each event.
    pub(crate) fn pass_to(&mut self, now: Cycles) {
        while let Some(at) = self.peripheral.next_event().filter(|at| *at <= now) {
            self.now = at;
            self.with(|peripheral, context| peripheral.advance(context));
        }
        self.now = now;
    }

    /// What left the peripheral since last asked.
    pub(crate) fn outputs(&mut self) -> Vec<BoardEvent> {
        std::mem::take(&mut self.events)
    }
}
