//! One peripheral on a bench: accessed by address, its lines and outputs looked at.

use super::{Context, Input, Lines, Peripheral, Store};
use crate::events::Output;

pub struct Bench {
    base: u32,
    pub peripheral: Box<dyn Peripheral>,
    pub now: u64,
    outputs: Vec<Output>,
}

impl Bench {
    pub fn new(base: u32, peripheral: Box<dyn Peripheral>) -> Bench {
        Bench { base, peripheral, now: 0, outputs: Vec::new() }
    }

    pub fn read(&mut self, address: u32) -> u32 {
        self.peripheral.advance(self.now);
        let mut context = Context { now: self.now, outputs: &mut self.outputs };
        self.peripheral.read(address - self.base, &mut context)
    }

    pub fn write(&mut self, address: u32, value: u32) {
        self.peripheral.advance(self.now);
        let mut context = Context { now: self.now, outputs: &mut self.outputs };
        self.peripheral.write(address - self.base, Store::word(value), &mut context);
    }

    pub fn reset(&mut self) {
        self.peripheral.reset(&mut Context { now: self.now, outputs: &mut self.outputs });
    }

    pub fn input(&mut self, input: &Input<'_>) -> bool {
        self.peripheral.input(input)
    }

    pub fn level(&mut self, line: u16) -> bool {
        self.peripheral.advance(self.now);
        let mut lines = Lines::default();
        self.peripheral.interrupts(&mut lines);
        lines.level(line)
    }

    /// What left the peripheral since last asked.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }
}
