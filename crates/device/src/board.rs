//! The board: everything on the bus that is neither memory nor processor, and what leaves through its pins.

use std::collections::BTreeSet;

use crate::events::Output;
use crate::map::PERIPHERALS;
use crate::peripherals::rcc::Rcc;
use crate::peripherals::{
    Context, Fittings, Input, Lines, Peripheral, Placed, Store, exti, flash, gpio, table,
};
use crate::storage::Storage;
use crate::wiring::Pin;

/// Most addresses without a register that are remembered, so that a wild loop cannot fill the host's memory.
const MAX_UNKNOWN: usize = 256;

/// Nothing answers at an address outside the application's peripheral region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchAddress;

/// What a peripheral drives and awaits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    lines: Lines,
    next_event: Option<u64>,
}

/// The peripherals in their places.
pub struct Board {
    placed: Vec<Placed>,
    /// What each of them did to lines and time when last asked, in the same order.
    states: Vec<State>,
    rcc: Rcc,
    lines: Lines,
    outputs: Vec<Output>,
    /// Pins that something wired to the board has moved and that are still to be followed.
    driven: Vec<(Pin, bool)>,
    storage: Storage,
    system_led: bool,
    unknown: BTreeSet<u32>,
    /// The earliest cycle at which a peripheral raises a line by itself.
    next_event: Option<u64>,
}

impl Board {
    /// A board after power-on.
    pub fn new(fittings: Fittings, storage: Storage) -> Board {
        let placed = table(fittings);
        Board {
            states: vec![State::default(); placed.len()],
            placed,
            rcc: Rcc::default(),
            lines: Lines::default(),
            outputs: Vec::new(),
            driven: Vec::new(),
            storage,
            system_led: true,
            unknown: BTreeSet::new(),
            next_event: None,
        }
    }

    /// Back to the state after reset; what drives the pins from outside goes on, and what is stored stays.
    pub fn reset(&mut self, now: u64) {
        self.set_system_led(true);
        self.rcc = Rcc::default();
        self.each(now, |placed, context| placed.peripheral.reset(context));
    }

    /// Reads `bytes` (1, 2 or 4) at `address`, which is a multiple of them.
    pub fn read(&mut self, address: u32, bytes: u32, now: u64) -> Result<u32, NoSuchAddress> {
        let lane = Lane::new(address, bytes);
        let Some(word) =
            self.access(address, now, |peripheral, offset, context| peripheral.read(offset, context))?
        else {
            return Ok(0);
        };
        Ok(lane.take(word))
    }

    /// Writes `bytes` (1, 2 or 4) at `address`, which is a multiple of them.
    pub fn write(&mut self, address: u32, bytes: u32, value: u32, now: u64) -> Result<(), NoSuchAddress> {
        let store = Lane::new(address, bytes).put(value);
        self.access(address, now, |peripheral, offset, context| peripheral.write(offset, store, context))?;
        Ok(())
    }

    /// Whether reading `address` has no effect and gives the same value until something is written or arrives from
    /// outside. An address without a model reads zero for ever.
    pub fn is_steady(&self, address: u32) -> bool {
        let Some(index) = self.find(address) else { return true };
        let Placed { base, peripheral, .. } = &self.placed[index];
        peripheral.is_steady((address - base) & !3)
    }

    /// Lets time pass up to `now`.
    pub fn advance(&mut self, now: u64) {
        if self.next_event.is_some_and(|at| at <= now) {
            self.each(now, |placed, context| placed.peripheral.advance(context));
        }
    }

    /// The earliest cycle at which a peripheral raises a line by itself.
    pub fn next_event(&self) -> Option<u64> {
        self.next_event
    }

    /// Levels of the interrupt lines.
    pub fn lines(&self) -> Lines {
        self.lines
    }

    /// Takes what left the board since last asked, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Whether anything waits to be taken by [`Board::take_outputs`].
    pub fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Gives `input` to the peripheral whose first register is at `base`. Answers whether it was taken.
    pub fn input(&mut self, base: u32, input: &Input<'_>) -> bool {
        let Some(index) = self.find(base) else { return false };
        let taken = self.placed[index].peripheral.input(input);
        self.settle(index);
        taken
    }

    /// Drives a pin from outside. An edge goes to the external interrupt controller as well.
    pub fn drive_pin(&mut self, Pin { port, pin }: Pin, level: bool, now: u64) {
        if port >= gpio::PORTS || pin > 15 {
            return;
        }
        let was = self.pin(port, pin, now);
        self.input(gpio::base(port), &Input::Pin { pin, level });
        if self.pin(port, pin, now) != was {
            self.input(exti::BASE, &Input::Edge { port, pin, rising: level });
        }
    }

    /// The level a pin reads as; `port` 0 is A.
    pub fn pin(&mut self, port: u8, pin: u8, now: u64) -> bool {
        self.read(gpio::base(port) + gpio::IDR, 4, now).is_ok_and(|levels| levels >> pin & 1 == 1)
    }

    /// Reads a register for the application, as the kernel's peek does; `None` if it may not be reached.
    pub fn peek(&mut self, register: u32) -> Option<u32> {
        if Rcc::owns(register) { self.rcc.peek(register) } else { flash::peek(register) }
    }

    /// Changes a register for the application, as the kernel's poke does; `false` if it may not be reached.
    pub fn poke(&mut self, register: u32, mask: u32, xor: u32, now: u64) -> bool {
        let Some(held) = self.rcc.poke(register, mask, xor) else { return false };
        for index in held.into_iter().filter_map(|base| self.find(base)).collect::<Vec<_>>() {
            let mut context = Context { now, outputs: &mut self.outputs, driven: &mut self.driven };
            self.placed[index].peripheral.reset(&mut context);
            self.settle(index);
        }
        true
    }

    /// What outlives the device's power.
    pub fn storage(&mut self) -> &mut Storage {
        &mut self.storage
    }

    /// Says whether the system LED may show the connection's state, as it may from the start on.
    pub fn set_system_led(&mut self, enabled: bool) {
        if std::mem::replace(&mut self.system_led, enabled) != enabled {
            self.outputs.push(Output::SystemLed { enabled });
        }
    }

    /// Addresses in the peripheral region that were accessed though nothing modelled is there; each once.
    pub fn unknown(&self) -> impl Iterator<Item = u32> + '_ {
        self.unknown.iter().copied()
    }

    /// Does `what` with the peripheral at `address`; `None` if there is none in the region.
    fn access<T>(
        &mut self,
        address: u32,
        now: u64,
        what: impl FnOnce(&mut dyn Peripheral, u32, &mut Context<'_>) -> T,
    ) -> Result<Option<T>, NoSuchAddress> {
        let Some(index) = self.find(address) else {
            return self.note_unknown(address).map(|()| None);
        };
        let Placed { base, peripheral, .. } = &mut self.placed[index];
        let mut context = Context { now, outputs: &mut self.outputs, driven: &mut self.driven };
        peripheral.advance(&mut context);
        let result = what(peripheral.as_mut(), (address - *base) & !3, &mut context);
        self.settle(index);
        self.follow(now);
        Ok(Some(result))
    }

    fn find(&self, address: u32) -> Option<usize> {
        let index = self.placed.partition_point(|placed| placed.base <= address).checked_sub(1)?;
        (address - self.placed[index].base < self.placed[index].size).then_some(index)
    }

    fn note_unknown(&mut self, address: u32) -> Result<(), NoSuchAddress> {
        if !PERIPHERALS.contains(&address) {
            return Err(NoSuchAddress);
        }
        if self.unknown.len() < MAX_UNKNOWN && self.unknown.insert(address & !3) {
            self.outputs.push(Output::UnknownRegister { address: address & !3 });
        }
        Ok(())
    }

    /// Does `what` to every peripheral.
    fn each(&mut self, now: u64, what: impl Fn(&mut Placed, &mut Context<'_>)) {
        for index in 0..self.placed.len() {
            let mut context = Context { now, outputs: &mut self.outputs, driven: &mut self.driven };
            what(&mut self.placed[index], &mut context);
            self.settle(index);
        }
        self.follow(now);
    }

    /// Takes the pins that were moved from outside to their ports.
    fn follow(&mut self, now: u64) {
        for (pin, level) in std::mem::take(&mut self.driven) {
            self.drive_pin(pin, level, now);
        }
    }

    /// Takes stock after anything that may have moved a line or a moment of one peripheral.
    fn settle(&mut self, index: usize) {
        let peripheral = &self.placed[index].peripheral;
        let mut state = State { next_event: peripheral.next_event(), ..State::default() };
        peripheral.interrupts(&mut state.lines);
        if state != self.states[index] {
            self.states[index] = state;
            self.lines = self.states.iter().fold(Lines::default(), |all, state| all.with(state.lines));
            self.next_event = self.states.iter().filter_map(|state| state.next_event).min();
        }
    }
}

/// The bytes of a word that a narrow access means.
struct Lane {
    shift: u32,
    mask: u32,
}

impl Lane {
    fn new(address: u32, bytes: u32) -> Lane {
        let mask = if bytes >= 4 { u32::MAX } else { (1 << (8 * bytes)) - 1 };
        Lane { shift: 8 * (address & 3 & !(bytes - 1)), mask }
    }

    fn take(&self, word: u32) -> u32 {
        word >> self.shift & self.mask
    }

    fn put(&self, value: u32) -> Store {
        Store { value: (value & self.mask) << self.shift, mask: self.mask << self.shift }
    }
}

#[cfg(test)]
mod tests;
