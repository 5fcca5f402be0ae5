use armv8m::Cycles;

use crate::events::BoardEvent;
use crate::memory_map::CYCLES_PER_MICRO;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;
use crate::pin::Pin;
use crate::wiring::Attachment;

/// A model as a wiring makes it, on bus 1.
pub(super) struct Wired {
    target: Box<dyn Target>,
    now: Cycles,
    events: Vec<BoardEvent>,
    driven: Vec<(Pin, bool)>,
}

impl Wired {
    pub(super) fn new(spec: &str) -> Self {
        match Attachment::i2c(&format!("1:{spec}")).expect("a wiring") {
            Attachment::I2c { bus: 1, target, .. } => {
                Self { target, now: 0, events: Vec::new(), driven: Vec::new() }
            }
            _ => panic!("not on I2C1"),
        }
    }

    fn with<T>(&mut self, what: impl FnOnce(&mut dyn Target, &mut Context<'_>) -> T) -> T {
        let mut context =
            Context { now: self.now, bytes: 4, events: &mut self.events, driven: &mut self.driven };
        what(self.target.as_mut(), &mut context)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.with(|target, context| {
            target.start(false, context);
            assert!(bytes.iter().all(|byte| target.write(*byte, context)));
            target.stop(context);
        });
    }

    /// Writes, then reads `count` bytes without a stop between.
    pub(super) fn read(&mut self, pointer: &[u8], count: usize) -> Vec<u8> {
        self.with(|target, context| {
            target.start(false, context);
            assert!(pointer.iter().all(|byte| target.write(*byte, context)));
            target.start(true, context);
            let bytes = (0..count).map(|_| target.read(context)).collect();
            target.stop(context);
            bytes
        })
    }

    pub(super) fn set(&mut self, quantity: &str, value: f64) -> bool {
        self.with(|target, context| target.advance(context));
        self.target.set(quantity, value, self.now)
    }

    /// Lets time pass, stopping at each of its events; returns what it drove.
    pub(super) fn pass_micros(&mut self, micros: u64) -> Vec<(String, bool)> {
        let end = self.now + micros * CYCLES_PER_MICRO;
        while let Some(at) = self.target.next_event().filter(|at| *at <= end) {
            assert!(at > self.now, "an event in the past");
            self.now = at;
            self.with(|target, context| target.advance(context));
        }
        self.now = end;
        self.take_driven()
    }

    pub(super) fn pass_seconds(&mut self, seconds: u64) -> Vec<(String, bool)> {
        self.pass_micros(seconds * 1_000_000)
    }

    pub(super) fn take_driven(&mut self) -> Vec<(String, bool)> {
        self.driven.drain(..).map(|(pin, level)| (pin.to_string(), level)).collect()
    }

    pub(super) fn outputs(&mut self) -> Vec<BoardEvent> {
        std::mem::take(&mut self.events)
    }
}
