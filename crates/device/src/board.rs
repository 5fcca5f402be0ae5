//! The board: everything on the bus that is neither memory nor processor, and what leaves through its pins.

use std::collections::BTreeSet;

use armv8m::Cycles;

use crate::events::BoardEvent;
use crate::memory_map::PERIPHERALS;
use crate::peripherals::dma::{Dma, Step};
use crate::peripherals::rcc::Rcc;
use crate::peripherals::{
    BoardSignal, Context, Lines, MappedPeripheral, Peripheral, PeripheralConfig, RegisterWrite, Requests,
    dma, exti, flash, gpio, peripheral_map, rng, spi, usart,
};
use crate::pin::Pin;
use crate::storage::Storage;
use crate::wiring::Attachment;

/// Most addresses without a register that are remembered, so that a runaway loop cannot fill the host's memory.
const MAX_UNKNOWN: usize = 256;

/// Nothing answers at an address outside the application's peripheral region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchAddress;

/// Most data items moved at once, so that a linked list with a cycle does not block the device forever.
const MAX_STEPS: usize = 1 << 16;

/// Memory as direct memory access sees it.
pub trait DirectMemory {
    /// Reads `bytes` (1, 2 or 4) at `address`, a multiple of them; `None` if nothing is there.
    fn load(&self, address: u32, bytes: u32) -> Option<u32>;
    /// Writes `bytes` at `address`; `false` if it may not.
    fn store(&mut self, address: u32, bytes: u32, value: u32) -> bool;
}

/// What a board is made from.
pub struct BoardConfig {
    /// Feeds the random number generator.
    pub entropy: rng::EntropySource,
    /// The microcontroller's own number.
    pub unique: [u8; 12],
    /// What is wired to it.
    pub attachments: Vec<Attachment>,
}

impl BoardConfig {
    /// Passes the attachments to the peripherals they are wired to. One for a bus that does not exist is left out: it
    /// is refused where a wiring is read.
    fn into_peripherals(self) -> PeripheralConfig {
        let mut config = PeripheralConfig::new(self.entropy, self.unique);
        for attachment in self.attachments {
            match attachment {
                Attachment::I2c { bus, target, .. } => {
                    if let Some(targets) =
                        usize::from(bus).checked_sub(1).and_then(|index| config.i2c.get_mut(index))
                    {
                        targets.push(target);
                    }
                }
                Attachment::Spi { bus, device, select } => {
                    if let Some(index) = spi::BUSES.iter().position(|kind| kind.number == bus) {
                        config.spi[index] = Some((device, select.is_some()));
                    }
                }
                Attachment::Overrunning { port } => config.overrunning.push(port),
            }
        }
        config
    }
}

/// The interrupt lines and DMA requests of a peripheral, and when it next changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    lines: Lines,
    requests: Requests,
    next_event: Option<Cycles>,
}

/// The peripherals at their addresses.
pub struct Board {
    mapped: Vec<MappedPeripheral>,
    /// The last known state of each, in the same order.
    states: Vec<State>,
    rcc: Rcc,
    lines: Lines,
    requests: Requests,
    /// A DMA transfer is due.
    transfer_due: bool,
    /// Index of the DMA controller.
    controller: usize,
    events: Vec<BoardEvent>,
    /// Pins whose level an attachment has changed, and whose ports do not know it yet.
    driven: Vec<(Pin, bool)>,
    /// Chip-select pins, and the first register of the bus each belongs to.
    selects: Vec<(Pin, u32)>,
    storage: Storage,
    system_led: bool,
    unknown: BTreeSet<u32>,
    /// The earliest cycle at which a peripheral raises a line by itself.
    next_event: Option<Cycles>,
    /// A register that [`Board::is_steady`] has changed by time alone, and the processor does not know it yet.
    has_changed: bool,
}

impl Board {
    /// A board after power-on.
    pub fn new(config: BoardConfig, storage: Storage) -> Self {
        let selects = config.attachments.iter().filter_map(Attachment::select).collect();
        let mapped = peripheral_map(config.into_peripherals());
        let controller = mapped.iter().position(|mapped| mapped.base == dma::BASE).expect("it is there");
        Self {
            states: vec![State::default(); mapped.len()],
            mapped,
            rcc: Rcc::default(),
            lines: Lines::default(),
            requests: Requests::default(),
            transfer_due: false,
            controller,
            events: Vec::new(),
            driven: Vec::new(),
            selects,
            storage,
            system_led: true,
            unknown: BTreeSet::new(),
            next_event: None,
            has_changed: false,
        }
    }

    /// Back to the state after reset; pins remain driven from outside, and storage keeps its content.
    pub fn reset(&mut self, now: Cycles) {
        self.set_system_led(true);
        self.rcc = Rcc::default();
        self.for_each(now, |mapped, context| mapped.peripheral.reset(context));
        self.clock_serial_ports(now);
    }

    /// Passes the clocks that RCC selects for the serial ports to them.
    fn clock_serial_ports(&mut self, now: Cycles) {
        for port in &usart::PORTS {
            let hz = self.rcc.serial_clock_hz(port.number);
            self.signal(port.base, &BoardSignal::KernelClock { hz }, now);
        }
    }

    /// Reads `bytes` (1, 2 or 4) at `address`, which is a multiple of them.
    ///
    /// # Errors
    /// [`NoSuchAddress`] outside the peripheral region; inside it an address without a register reads 0.
    pub fn read(&mut self, address: u32, bytes: u32, now: Cycles) -> Result<u32, NoSuchAddress> {
        let lane = Lane::new(address, bytes);
        let Some(word) =
            self.access(address, bytes, now, |peripheral, offset, context| peripheral.read(offset, context))?
        else {
            return Ok(0);
        };
        Ok(lane.take(word))
    }

    /// Reads as [`Board::read`] does, and changes nothing. `None` where there is no register, or none that can be read
    /// without an effect. To be called when everything that was due by `now` has happened.
    pub fn inspect(&mut self, address: u32, bytes: u32, now: Cycles) -> Option<u32> {
        let Some(index) = self.find(address) else { return PERIPHERALS.contains(&address).then_some(0) };
        let MappedPeripheral { base, peripheral, .. } = &mut self.mapped[index];
        let offset = (address - *base) & !3;
        if peripheral.has_read_effect(offset) {
            return None;
        }
        let mut context = Context { now, bytes, events: &mut Vec::new(), driven: &mut Vec::new() };
        Some(Lane::new(address, bytes).take(peripheral.read(offset, &mut context)))
    }

    /// Writes `bytes` (1, 2 or 4) at `address`, which is a multiple of them.
    ///
    /// # Errors
    /// [`NoSuchAddress`] outside the peripheral region; inside it a write to an address without a register is ignored.
    pub fn write(&mut self, address: u32, bytes: u32, value: u32, now: Cycles) -> Result<(), NoSuchAddress> {
        let store = Lane::new(address, bytes).put(value);
        self.access(address, bytes, now, |peripheral, offset, context| {
            peripheral.write(offset, store, context);
        })?;
        Ok(())
    }

    /// Whether reading `address` has no effect and gives the same value until something is written or arrives from
    /// outside. An address without a model reads zero for ever.
    pub fn is_steady(&self, address: u32) -> bool {
        let Some(index) = self.find(address) else { return true };
        let MappedPeripheral { base, peripheral, .. } = &self.mapped[index];
        peripheral.is_steady((address - base) & !3)
    }

    /// Lets time pass up to `now`. Returns whether a register that [`Board::is_steady`] has changed by it.
    pub fn advance(&mut self, now: Cycles) -> bool {
        if self.next_event.is_some_and(|at| at <= now) {
            for index in 0..self.mapped.len() {
                if self.states[index].next_event.is_some_and(|at| at <= now) {
                    self.advance_one(index, now);
                }
            }
            self.apply_driven_pins(now);
        }
        std::mem::take(&mut self.has_changed)
    }

    fn advance_one(&mut self, index: usize, now: Cycles) {
        let mut context = Context { now, bytes: 4, events: &mut self.events, driven: &mut self.driven };
        let peripheral = &mut self.mapped[index].peripheral;
        peripheral.advance(&mut context);
        self.has_changed |= peripheral.take_change();
        self.update(index);
    }

    /// Stops the clocks that are stopped in the stop modes, or starts them again.
    pub fn stop_clocks(&mut self, stopped: bool, now: Cycles) {
        self.for_each(now, |mapped, context| {
            mapped.peripheral.advance(context);
            mapped.peripheral.stop_clock(stopped, context.now);
        });
    }

    /// The earliest cycle at which a peripheral raises a line by itself.
    pub fn next_event(&self) -> Option<Cycles> {
        self.next_event
    }

    /// Levels of the interrupt lines.
    pub fn lines(&self) -> Lines {
        self.lines
    }

    /// What has left the board since the last call, in order.
    pub fn take_events(&mut self) -> Vec<BoardEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whether there are events for [`Board::take_events`].
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Gives a signal to the peripheral whose first register is at `base`, at cycle `now`. Returns whether it was
    /// accepted.
    pub fn signal(&mut self, base: u32, signal: &BoardSignal<'_>, now: Cycles) -> bool {
        let Some(index) = self.find(base) else { return false };
        self.advance_one(index, now);
        let taken = self.mapped[index].peripheral.signal(signal, now);
        self.update(index);
        self.apply_driven_pins(now);
        taken
    }

    /// Drives a pin from outside. An edge goes to the external interrupt controller as well.
    pub fn drive_pin(&mut self, which: Pin, level: bool, now: Cycles) {
        if !which.exists() {
            return;
        }
        let Pin { port, pin } = which;
        // Read before and after: an output that drives the pin hides the change, and then there is no edge.
        let was = self.pin(port, pin, now);
        self.signal(gpio::base(port), &BoardSignal::Pin { pin, level }, now);
        if self.pin(port, pin, now) != was {
            self.signal(exti::BASE, &BoardSignal::Edge { port, pin, rising: level }, now);
        }
    }

    /// The level a pin reads as; `port` 0 is A.
    pub fn pin(&mut self, port: u8, pin: u8, now: Cycles) -> bool {
        self.read(gpio::base(port) + gpio::IDR, 4, now).is_ok_and(|levels| levels >> pin & 1 == 1)
    }

    /// Reads a register for the kernel's peek call; `None` if the application may not read it.
    pub fn peek(&mut self, register: u32) -> Option<u32> {
        if Rcc::owns(register) { self.rcc.peek(register) } else { flash::peek(register) }
    }

    /// Changes a register for the kernel's poke call; `false` if the application may not change it.
    pub fn poke(&mut self, register: u32, mask: u32, xor: u32, now: Cycles) -> bool {
        let Some(in_reset) = self.rcc.poke(register, mask, xor) else { return false };
        for index in in_reset.into_iter().filter_map(|base| self.find(base)).collect::<Vec<_>>() {
            let mut context = Context { now, bytes: 4, events: &mut self.events, driven: &mut self.driven };
            self.mapped[index].peripheral.reset(&mut context);
            self.update(index);
        }
        // Any of the registers may select the clock of a serial port.
        self.clock_serial_ports(now);
        true
    }

    /// Whether there is data for [`Board::transfer`] to move.
    pub fn is_transfer_due(&self) -> bool {
        self.transfer_due
    }

    /// Moves data by direct memory access, as far as there are requests.
    pub fn transfer(&mut self, memory: &mut dyn DirectMemory, now: Cycles) {
        for _ in 0..MAX_STEPS {
            let requests = self.requests;
            let Some(step) = self.dma().next(requests) else { break };
            match step {
                Step::Link { channel, address, words } => self.link(channel, address, words, memory),
                step @ Step::Move { .. } => self.move_item(step, memory, now),
            }
            // After each step, because it may have changed the requests that the next one depends on.
            self.update(self.controller);
        }
    }

    fn dma(&mut self) -> &mut Dma {
        self.mapped[self.controller].peripheral.dma().expect("this is the controller")
    }

    fn link(&mut self, channel: usize, address: u32, words: u32, memory: &mut dyn DirectMemory) {
        let item: Option<Vec<u32>> = (0..words).map(|word| memory.load(address + 4 * word, 4)).collect();
        match item {
            Some(item) => self.dma().linked(channel, &item),
            None => self.dma().link_failed(channel),
        }
    }

    /// Moves one data item; a bus error ends the channel.
    fn move_item(&mut self, step: Step, memory: &mut dyn DirectMemory, now: Cycles) {
        let Step::Move {
            channel,
            mut source,
            source_bytes,
            source_moves,
            reads,
            mut destination,
            destination_bytes,
            destination_moves,
            writes,
        } = step
        else {
            return;
        };
        let mut item = 0u32;
        for part in 0..reads {
            let Some(value) = self.load(source, source_bytes, memory, now) else {
                return self.dma().data_failed(channel);
            };
            item |= value << (8 * source_bytes * part);
            source = if source_moves { source.wrapping_add(source_bytes) } else { source };
        }
        for part in 0..writes {
            let value = item >> (8 * destination_bytes * part);
            if !self.store(destination, destination_bytes, value, memory, now) {
                return self.dma().data_failed(channel);
            }
            destination =
                if destination_moves { destination.wrapping_add(destination_bytes) } else { destination };
        }
        self.dma().moved(channel, reads * source_bytes, source, destination);
    }

    fn load(&mut self, address: u32, bytes: u32, memory: &mut dyn DirectMemory, now: Cycles) -> Option<u32> {
        if !address.is_multiple_of(bytes) {
            return None;
        }
        if PERIPHERALS.contains(&address) {
            return self.read(address, bytes, now).ok();
        }
        memory.load(address, bytes)
    }

    fn store(
        &mut self,
        address: u32,
        bytes: u32,
        value: u32,
        memory: &mut dyn DirectMemory,
        now: Cycles,
    ) -> bool {
        if !address.is_multiple_of(bytes) {
            return false;
        }
        if PERIPHERALS.contains(&address) {
            return self.write(address, bytes, value, now).is_ok();
        }
        memory.store(address, bytes, value)
    }

    /// What survives a loss of power.
    pub fn storage(&mut self) -> &mut Storage {
        &mut self.storage
    }

    /// Sets whether the system LED may show the connection's state, as it may after a start.
    pub fn set_system_led(&mut self, enabled: bool) {
        if std::mem::replace(&mut self.system_led, enabled) != enabled {
            self.events.push(BoardEvent::SystemLed { enabled });
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
        bytes: u32,
        now: Cycles,
        what: impl FnOnce(&mut dyn Peripheral, u32, &mut Context<'_>) -> T,
    ) -> Result<Option<T>, NoSuchAddress> {
        let Some(index) = self.find(address) else {
            return self.note_unknown(address).map(|()| None);
        };
        let first = self.events.len();
        let MappedPeripheral { base, peripheral, .. } = &mut self.mapped[index];
        let mut context = Context { now, bytes, events: &mut self.events, driven: &mut self.driven };
        peripheral.advance(&mut context);
        // After time has passed for it, so that the access sees the state of this cycle.
        let result = what(peripheral.as_mut(), (address - *base) & !3, &mut context);
        self.update(index);
        self.apply_driven_pins(now);
        // Only pins change selects, and each change of a pin is an event.
        if self.events.len() > first && !self.selects.is_empty() {
            self.update_selects(first, now);
        }
        Ok(Some(result))
    }

    fn find(&self, address: u32) -> Option<usize> {
        // The peripherals are sorted by address.
        let index = self.mapped.partition_point(|mapped| mapped.base <= address).checked_sub(1)?;
        (address - self.mapped[index].base < self.mapped[index].size).then_some(index)
    }

    fn note_unknown(&mut self, address: u32) -> Result<(), NoSuchAddress> {
        if !PERIPHERALS.contains(&address) {
            return Err(NoSuchAddress);
        }
        if self.unknown.len() < MAX_UNKNOWN && self.unknown.insert(address & !3) {
            self.events.push(BoardEvent::UnknownRegister { address: address & !3 });
        }
        Ok(())
    }

    /// Does `what` to every peripheral.
    fn for_each(&mut self, now: Cycles, what: impl Fn(&mut MappedPeripheral, &mut Context<'_>)) {
        for index in 0..self.mapped.len() {
            let mut context = Context { now, bytes: 4, events: &mut self.events, driven: &mut self.driven };
            what(&mut self.mapped[index], &mut context);
            self.update(index);
        }
        self.apply_driven_pins(now);
    }

    /// Selects what is wired to a serial bus while its chip-select pin is low.
    fn update_selects(&mut self, first: usize, now: Cycles) {
        for index in first..self.events.len() {
            let BoardEvent::Pin { port, pin, level } = self.events[index] else { continue };
            let wired = self.selects.iter().find(|(select, _)| *select == Pin { port, pin });
            if let Some((_, bus)) = wired.copied() {
                self.signal(bus, &BoardSignal::Select { selected: !level }, now);
            }
        }
    }

    /// Passes the levels of pins that attachments drive to their ports.
    fn apply_driven_pins(&mut self, now: Cycles) {
        for (pin, level) in std::mem::take(&mut self.driven) {
            self.drive_pin(pin, level, now);
        }
    }

    /// Updates lines, requests and the next event after anything that may have changed those of one peripheral.
    fn update(&mut self, index: usize) {
        let peripheral = &self.mapped[index].peripheral;
        let mut state = State { next_event: peripheral.next_event(), ..State::default() };
        peripheral.interrupts(&mut state.lines);
        peripheral.requests(&mut state.requests);
        // Most accesses change neither lines, requests nor the next event: then the sums over all peripherals stay as
        // they are.
        if state != self.states[index] {
            self.states[index] = state;
            self.requests =
                self.states.iter().fold(Requests::default(), |all, state| all.with(state.requests));
            self.lines = self.states.iter().fold(Lines::default(), |all, state| all.with(state.lines));
            self.next_event = self.states.iter().filter_map(|state| state.next_event).min();
        } else if index != self.controller {
            return;
        }
        let requests = self.requests;
        self.transfer_due = self.dma().is_due(requests);
    }
}

/// The bytes of a word that a narrow access reads or writes.
struct Lane {
    shift: u32,
    mask: u32,
}

impl Lane {
    fn new(address: u32, bytes: u32) -> Self {
        let mask = if bytes >= 4 { u32::MAX } else { (1 << (8 * bytes)) - 1 };
        Self { shift: 8 * (address & 3 & !(bytes - 1)), mask }
    }

    fn take(&self, word: u32) -> u32 {
        word >> self.shift & self.mask
    }

    fn put(&self, value: u32) -> RegisterWrite {
        RegisterWrite { value: (value & self.mask) << self.shift, mask: self.mask << self.shift }
    }
}

#[cfg(test)]
mod tests;
