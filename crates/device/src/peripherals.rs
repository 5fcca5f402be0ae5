//! The microcontroller's peripherals, one file a kind, and the map of their addresses.
//!
//! To add one: write a file with a type that implements [`Peripheral`], and give it a line in [`peripheral_map`].
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

use armv8m::Cycles;

use crate::events::BoardEvent;
use crate::pin::{self, Pin};

/// A peripheral's registers and what they do.
///
/// Time is the processor's cycle count; a peripheral never counts cycles, it computes from the count it is given.
pub trait Peripheral: Send {
    /// Reads the word at `offset`, a multiple of four.
    fn read(&mut self, offset: u32, context: &mut Context<'_>) -> u32;

    /// Writes to the word at `offset`, a multiple of four.
    fn write(&mut self, offset: u32, write: RegisterWrite, context: &mut Context<'_>);

    /// Whether reading the word at `offset` has no effect and gives the same value until something is written, arrives
    /// from outside, or [`Peripheral::take_change`] says so: a loop that only waits for it need then not run.
    fn is_steady(&self, _offset: u32) -> bool {
        false
    }

    /// Whether reading the word at `offset` changes something: it takes a character out of a register, for example.
    fn has_read_effect(&self, _offset: u32) -> bool {
        false
    }

    /// Sets the level of each of the peripheral's interrupt lines.
    fn interrupts(&self, _lines: &mut Lines) {}

    /// Sets which of its requests for direct memory access are active.
    fn requests(&self, _requests: &mut Requests) {}

    /// This peripheral as the DMA controller, if it is that one.
    fn dma(&mut self) -> Option<&mut dma::Dma> {
        None
    }

    /// Lets time pass up to the context's now.
    fn advance(&mut self, _context: &mut Context<'_>) {}

    /// Its clock is stopped from `now` on, as in the stop modes, or runs again. It was advanced to `now`.
    fn stop_clock(&mut self, _stopped: bool, _now: Cycles) {}

    /// Whether a register that [`Peripheral::is_steady`] has changed by time alone since the last call.
    fn take_change(&mut self) -> bool {
        false
    }

    /// The cycle at which an interrupt line of this peripheral, or what reads as steady, next changes by itself.
    fn next_event(&self) -> Option<Cycles> {
        None
    }

    /// A signal arrives at cycle `now`, to which this was advanced. Returns whether it was accepted.
    fn signal(&mut self, _signal: &BoardSignal<'_>, _now: Cycles) -> bool {
        false
    }

    /// Back to the state after reset.
    fn reset(&mut self, context: &mut Context<'_>);
}

/// What an access needs besides the register: the time, and where its effects go.
pub struct Context<'a> {
    /// The processor's cycle count.
    pub now: Cycles,
    /// Bytes of the access: 1, 2 or 4.
    pub bytes: u32,
    /// What leaves the board, in order.
    pub events: &'a mut Vec<BoardEvent>,
    /// Pins that an attachment drives, with their new levels, in order.
    pub driven: &'a mut Vec<(Pin, bool)>,
}

/// A write to part or all of a register: only the bits in `mask` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterWrite {
    /// The written bytes, at their position in the word.
    pub value: u32,
    /// Ones at the written bytes.
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

    /// The bits written as one; for registers where a one acts and a zero does not.
    pub const fn ones(self) -> u32 {
        self.value & self.mask
    }

    /// The bits written as zero; for registers where a zero acts and a one does not.
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
        // Only of lines that differ: every system call asks, and mostly there is none.
        let mut changed = self.0 ^ other.0;
        std::iter::from_fn(move || {
            let line = (changed != 0).then(|| changed.trailing_zeros() as u16)?;
            changed &= changed - 1;
            Some((line, self.level(line)))
        })
    }
}

/// Requests for direct memory access, by their numbers in GPDMA1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests(u128);

impl Requests {
    /// Raises request `number` if `level` is set.
    pub fn set(&mut self, number: u8, level: bool) {
        self.0 |= u128::from(level) << number;
    }

    /// The requests active in either.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether request `number` is active.
    pub fn has(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// Something that reaches a peripheral from outside of it: from the board or through its pins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BoardSignal<'a> {
    /// The other end of a serial port sends bytes.
    Serial(&'a [u8]),
    /// The kernel clock of a serial port, by which it times its bits, has this frequency.
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
        /// It rose; otherwise it fell.
        rising: bool,
    },
    /// The chip select of what is wired to a serial bus changes.
    Select {
        /// It is selected; otherwise no longer.
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

/// A peripheral with its position in the address space.
pub struct MappedPeripheral {
    /// Name in the reference manual.
    pub name: &'static str,
    /// Address of its first register, non-secure alias.
    pub base: u32,
    /// Bytes of address space it responds to.
    pub size: u32,
    /// The peripheral.
    pub peripheral: Box<dyn Peripheral>,
}

/// A peripheral that only the secure side of the microcontroller reaches, which is the kernel: a direct access of the
/// application reads zero and writes nothing, as on the chip. (The kernel has calls that peek and poke at some of
/// them.)
struct SecureOnly;

impl Peripheral for SecureOnly {
    fn read(&mut self, _offset: u32, _context: &mut Context<'_>) -> u32 {
        0
    }

    fn write(&mut self, _offset: u32, _write: RegisterWrite, _context: &mut Context<'_>) {}

    fn reset(&mut self, _context: &mut Context<'_>) {}
}

/// Bytes of address space a peripheral usually has.
const PAGE: u32 = 0x400;

/// What the peripherals are made with: what differs from board to board.
pub struct PeripheralConfig {
    /// Feeds the random number generator.
    pub entropy: rng::EntropySource,
    /// The microcontroller's own number.
    pub unique: [u8; 12],
    /// What is wired to each I2C bus, in the order of [`i2c::BUSES`].
    pub i2c: [Vec<Box<dyn i2c::Target>>; i2c::BUSES.len()],
    /// What is wired to each SPI bus, in the order of [`spi::BUSES`], and whether a pin selects it.
    pub spi: [Option<(Box<dyn spi::SpiDevice>, bool)>; spi::BUSES.len()],
    /// Numbers of the serial ports that lose what arrives while their receiver is full.
    pub overrunning: Vec<u8>,
}

impl PeripheralConfig {
    /// Peripherals with nothing wired to them.
    pub fn new(entropy: rng::EntropySource, unique: [u8; 12]) -> Self {
        Self {
            entropy,
            unique,
            i2c: i2c::BUSES.map(|_| Vec::new()),
            spi: spi::BUSES.map(|_| None),
            overrunning: Vec::new(),
        }
    }
}

/// Every peripheral of the device, by rising address.
pub fn peripheral_map(config: PeripheralConfig) -> Vec<MappedPeripheral> {
    let PeripheralConfig { entropy, unique, i2c: targets, spi: devices, overrunning } = config;
    let mut mapped = Vec::new();
    let mut map =
        |name, base, peripheral| mapped.push(MappedPeripheral { name, base, size: PAGE, peripheral });
    for timer in &tim::TIMERS {
        map(timer.name, timer.base, Box::new(tim::Tim::new(timer)));
    }
    for port in &usart::PORTS {
        let overruns = overrunning.contains(&port.number);
        map(port.name, port.base, Box::new(usart::Usart::with_overruns(port, overruns)));
    }
    for (bus, targets) in i2c::BUSES.iter().zip(targets) {
        map(bus.name, bus.base, Box::new(i2c::I2c::with_targets(bus, targets)));
    }
    for (bus, wired) in spi::BUSES.iter().zip(devices) {
        let (device, by_pin) = wired.map_or((None, false), |(device, by_pin)| (Some(device), by_pin));
        map(bus.name, bus.base, Box::new(spi::Spi::new(bus, device, by_pin)));
    }
    for port in 0..pin::PORTS {
        map(gpio::NAMES[usize::from(port)], gpio::base(port), Box::new(gpio::Gpio::new(port)));
    }
    map("UID", signature::BASE, Box::new(signature::Signature::new(unique)));
    map("FLASH", flash::BASE, Box::new(SecureOnly));
    map("CRC", crc::BASE, Box::<crc::Crc>::default());
    map("RNG", rng::BASE, Box::new(rng::Rng::new(entropy)));
    map("RCC", rcc::BASE, Box::new(SecureOnly));
    map("EXTI", exti::BASE, Box::<exti::Exti>::default());
    let controller = Box::<dma::Dma>::default();
    mapped.push(MappedPeripheral {
        name: "GPDMA1",
        base: dma::BASE,
        size: dma::SIZE,
        peripheral: controller,
    });
    mapped.sort_by_key(|mapped| mapped.base);
    mapped
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
