//! The microcontroller's peripherals, one file a kind, and the table that places them.
//!
//! To add one: write a file with a type that implements [`Peripheral`], and give it a row in [`peripheral_map`].
//! Offsets, bits and reset values are those of the STM32U585's reference manual (RM0456).

pub mod crc;
pub mod dma;
pub mod exti;
pub mod flash;
pub mod gpio;
pub mod i2c;
pub mod rcc;
pub mod rng;
pub mod signature;
pub mod spi;
pub mod tim;
pub mod usart;

use crate::events::BoardEvent;
use crate::pin::{self, Pin};
use crate::wiring::Attachment;

/// A peripheral's registers and what they do.
///
/// Time is the processor's cycle count; a peripheral never counts cycles, it computes from the count it is given.
pub trait Peripheral: Send {
    /// Reads the word at `offset`, a multiple of four.
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32;

    /// Writes to the word at `offset`, a multiple of four.
    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>);

    /// Whether reading the word at `offset` has no effect and gives the same value until something is written, arrives from
    /// outside, or [`Peripheral::take_change`] says so: a loop that only waits for it need then not run.
    fn is_steady(&self, _offset: u32) -> bool {
        false
    }

    /// Tells the level of each of the peripheral's interrupt lines.
    fn interrupts(&self, _lines: &mut Lines) {}

    /// Tells which of its requests for direct memory access stand.
    fn requests(&self, _requests: &mut Requests) {}

    /// This peripheral as the controller of direct memory access, if it is that one.
    fn dma(&mut self) -> Option<&mut dma::Dma> {
        None
    }

    /// Lets time pass up to the context's now.
    fn advance(&mut self, _context: &mut Context<'_>) {}

    /// Its clock stands still from `now` on, as in the stop modes, or goes on. It was advanced to `now`.
    fn hold(&mut self, _held: bool, _now: u64) {}

    /// Whether something that reads as steady has changed by itself since this was last asked.
    fn take_change(&mut self) -> bool {
        false
    }

    /// The cycle at which an interrupt line of this peripheral, or what reads as steady, next changes by itself.
    fn next_event(&self) -> Option<u64> {
        None
    }

    /// Something arrives from outside at cycle `now`, to which this was advanced. Answers whether it was taken.
    fn signal(&mut self, _signal: &BoardSignal<'_>, _now: u64) -> bool {
        false
    }

    /// Back to the state after reset.
    fn reset(&mut self, context: &mut Context<'_>);
}

/// What an access may need besides the register: the time, and places for what comes of it.
pub struct Context<'a> {
    /// The processor's cycle count.
    pub now: u64,
    /// Bytes of the access: 1, 2 or 4.
    pub bytes: u32,
    /// What observers are told, in order.
    pub events: &'a mut Vec<BoardEvent>,
    /// Pins that something wired to the board drives, with their new levels, in order.
    pub driven: &'a mut Vec<(Pin, bool)>,
}

/// A write to part or all of a word: `value` counts where `mask` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterWrite {
    /// The written bytes, in their place in the word.
    pub value: u32,
    /// Ones over the written bytes.
    pub mask: u32,
}

impl RegisterWrite {
    /// A write to the whole word.
    pub const fn word(value: u32) -> Self {
        Self { value, mask: u32::MAX }
    }

    /// The register after this write, where only the bits in `writable` may change.
    pub const fn apply_to(self, old: u32, writable: u32) -> u32 {
        let mask = self.mask & writable;
        old & !mask | self.value & mask
    }

    /// The ones this write writes; for registers where a one acts and a zero does not.
    pub const fn ones(self) -> u32 {
        self.value & self.mask
    }

    /// The zeros this write writes; for registers where a zero acts and a one does not.
    pub const fn zeros(self) -> u32 {
        !self.value & self.mask
    }
}

/// Levels of the external interrupt lines, as far as peripherals drive them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lines(u128);

impl Lines {
    /// Raises `line` if `level` is set. A line several sources share is high while one of them is.
    pub fn set(&mut self, line: u16, level: bool) {
        self.0 |= u128::from(level) << line;
    }

    /// The lines high in either.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `line` is high.
    pub fn level(self, line: u16) -> bool {
        self.0 >> line & 1 == 1
    }

    /// The lines whose level differs between `self` and `other`, with their level in `self`.
    pub fn changed_from(self, other: Self) -> impl Iterator<Item = (u16, bool)> {
        let changed = self.0 ^ other.0;
        (0..128).filter(move |line| changed >> line & 1 == 1).map(move |line| (line, self.level(line)))
    }
}

/// Requests for direct memory access, by the numbers GPDMA1 knows them by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests(u128);

impl Requests {
    /// Raises request `number` if `level` is set.
    pub fn set(&mut self, number: u8, level: bool) {
        self.0 |= u128::from(level) << number;
    }

    /// The requests standing in either.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether request `number` stands.
    pub fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// Something that reaches a peripheral from outside the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BoardSignal<'a> {
    /// The other end of a serial port sends bytes.
    Serial(&'a [u8]),
    /// The clock a serial port counts its bits by has this frequency.
    KernelClock {
        /// In hertz.
        hz: u32,
    },
    /// A pin is driven from outside.
    Pin {
        /// Number of the pin in its port.
        pin: u8,
        /// Its level.
        level: bool,
    },
    /// A pin's level changed; for the external interrupt controller.
    Edge {
        /// Port of the pin, 0 for A.
        port: u8,
        /// Number of the pin in its port.
        pin: u8,
        /// It rose; else it fell.
        rising: bool,
    },
    /// What is wired to a serial bus is selected by its pin.
    Select {
        /// It is; else no longer.
        selected: bool,
    },
    /// What a sensor on a bus measures is set.
    Quantity {
        /// Its address on the bus.
        address: u8,
        /// Name of the quantity.
        name: &'a str,
        /// Its value from now on.
        value: f64,
    },
}

/// A peripheral with its place in the address space.
pub struct MappedPeripheral {
    /// Name in the reference manual.
    pub name: &'static str,
    /// Address of its first register, non-secure alias.
    pub base: u32,
    /// Bytes of address space it answers for.
    pub size: u32,
    /// The peripheral.
    pub peripheral: Box<dyn Peripheral>,
}

/// Bytes of address space a peripheral usually has.
const PAGE: u32 = 0x400;

/// What a board is built with.
pub struct BoardConfig {
    /// Feeds the random number generator.
    pub entropy: rng::EntropySource,
    /// The microcontroller's own number.
    pub unique: [u8; 12],
    /// What is wired to it.
    pub targets: Vec<Attachment>,
}

/// Every peripheral of the device, by rising address.
pub fn peripheral_map(board_config: BoardConfig) -> Vec<MappedPeripheral> {
    let BoardConfig { entropy, unique, targets } = board_config;
    let mut buses = i2c::BUSES.map(|_| Vec::new());
    let mut devices = spi::BUSES.map(|_| None);
    let mut overrunning = Vec::new();
    for attachment in targets {
        match attachment {
            Attachment::I2c { bus, target, .. } => {
                if let Some(on) = usize::from(bus).checked_sub(1).and_then(|index| buses.get_mut(index)) {
                    on.push(target);
                }
            }
            Attachment::Spi { bus, device, select } => {
                let index = spi::BUSES.iter().position(|kind| kind.number == bus);
                if let Some(on) = index.and_then(|index| devices.get_mut(index)) {
                    *on = Some((device, select.is_some()));
                }
            }
            Attachment::Overrunning { port } => overrunning.push(port),
        }
    }
    let mut placed = Vec::new();
    let mut place =
        |name, base, peripheral| placed.push(MappedPeripheral { name, base, size: PAGE, peripheral });
    for timer in &tim::TIMERS {
        place(timer.name, timer.base, Box::new(tim::Tim::new(timer)));
    }
    for port in &usart::PORTS {
        let overruns = overrunning.contains(&port.number);
        place(port.name, port.base, Box::new(usart::Usart::with_overruns(port, overruns)));
    }
    for (bus, targets) in i2c::BUSES.iter().zip(buses) {
        place(bus.name, bus.base, Box::new(i2c::I2c::with_targets(bus, targets)));
    }
    for (bus, wired) in spi::BUSES.iter().zip(devices) {
        let (device, by_pin) = wired.map_or((None, false), |(device, by_pin)| (Some(device), by_pin));
        place(bus.name, bus.base, Box::new(spi::Spi::new(bus, device, by_pin)));
    }
    for port in 0..pin::PORTS {
        place(gpio::NAMES[usize::from(port)], gpio::base(port), Box::new(gpio::Gpio::new(port)));
    }
    place("UID", signature::BASE, Box::new(signature::Signature::new(unique)));
    place("FLASH", flash::BASE, Box::new(flash::Flash));
    place("CRC", crc::BASE, Box::<crc::Crc>::default());
    place("RNG", rng::BASE, Box::new(rng::Rng::new(entropy)));
    place("RCC", rcc::BASE, Box::new(rcc::Closed));
    place("EXTI", exti::BASE, Box::<exti::Exti>::default());
    let controller = Box::<dma::Dma>::default();
    placed.push(MappedPeripheral {
        name: "GPDMA1",
        base: dma::BASE,
        size: dma::SIZE,
        peripheral: controller,
    });
    placed.sort_by_key(|placed| placed.base);
    placed
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
