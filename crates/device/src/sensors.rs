//! Models of sensors and displays that can be wired to an I2C bus, and of what can be wired to an SPI bus, one file a
//! model, and the table that names those of I2C.
//!
//! To add one: write a type that implements [`Target`], and give it a row in [`MODELS`]. What a sensor measures comes
//! from a [`Source`].

pub mod ht16k33;
pub mod lis3dh;
pub mod mcp9808;
pub mod serial_ram;
mod source;
pub mod th02;

pub use source::{Source, SourceError};

use armv8m::Cycles;

use crate::memory_map::CLOCK_HZ;
use crate::peripherals::i2c::Target;
use crate::pin::Pin;

/// What one model is.
pub struct Model {
    /// Its name in a wiring.
    pub name: &'static str,
    /// Addresses it can be set to; the first is taken when none is said.
    pub addresses: &'static [u8],
    /// What it measures: name, least, greatest, and the default.
    pub quantities: &'static [(&'static str, f64, f64, f64)],
    /// Its outputs that can be wired to a pin of the microcontroller, at most two.
    pub pins: &'static [&'static str],
    /// It can be tapped.
    pub taps: bool,
    /// Makes one.
    pub make: fn(Parts) -> Box<dyn Target>,
}

/// What a model is made from.
#[derive(Debug)]
pub struct Parts {
    /// The bus it is on, as in its name.
    pub bus: u8,
    /// Its address there.
    pub address: u8,
    /// What it measures.
    pub quantities: Quantities,
    /// The pins its outputs are wired to, in the order of [`Model::pins`].
    pub pins: [Option<Pin>; 2],
}

/// Every model.
pub const MODELS: [Model; 4] = [
    Model {
        name: "mcp9808",
        addresses: &[0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F],
        quantities: &[("temperature", -40.0, 125.0, 21.0)],
        pins: &["alert"],
        taps: false,
        make: |parts| Box::new(mcp9808::Mcp9808::new(parts)),
    },
    Model {
        name: "th02",
        addresses: &[0x40],
        quantities: &[("temperature", -40.0, 85.0, 21.0), ("humidity", 0.0, 100.0, 45.0)],
        pins: &[],
        taps: false,
        make: |parts| Box::new(th02::Th02::new(parts)),
    },
    Model {
        name: "lis3dh",
        addresses: &[0x18, 0x19],
        quantities: &[("x", -16.0, 16.0, 0.0), ("y", -16.0, 16.0, 0.0), ("z", -16.0, 16.0, 1.0)],
        pins: &["int1", "int2"],
        taps: true,
        make: |parts| Box::new(lis3dh::Lis3dh::new(parts)),
    },
    Model {
        name: "ht16k33",
        addresses: &[0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77],
        quantities: &[],
        pins: &[],
        taps: false,
        make: |parts| Box::new(ht16k33::Ht16k33::new(&parts)),
    },
];

/// What a sensor measures, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantities(Vec<(&'static str, Source)>);

impl Quantities {
    /// Everything `model` measures, at its defaults.
    pub fn of(model: &Model) -> Self {
        let all = model.quantities.iter();
        Self(all.map(|(name, _, _, usual)| (*name, Source::Constant(*usual))).collect())
    }

    /// Takes `name` from `source` from now on; `false` if it is not measured here.
    pub fn set(&mut self, name: &str, source: Source) -> bool {
        let found = self.0.iter_mut().find(|(known, _)| *known == name);
        found.map(|(_, known)| *known = source).is_some()
    }

    /// The value of `name` at cycle `now`; zero if it is not measured here.
    pub fn value(&self, name: &str, now: Cycles) -> f64 {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or(0.0, |(_, source)| source.value(seconds(now)))
    }
}

/// Guest time in seconds.
fn seconds(cycles: Cycles) -> f64 {
    let hz = u64::from(CLOCK_HZ);
    f64::from((cycles / hz) as u32) + f64::from((cycles % hz) as u32) / f64::from(CLOCK_HZ)
}

/// `value` in whole steps of `step`, limited to a signed number of `bits` bits.
fn steps(value: f64, step: f64, bits: u32) -> i32 {
    let limit = 1i32 << (bits - 1);
    ((value / step).round() as i32).clamp(-limit, limit - 1)
}

/// Brings a sensor to a bench: what a driver does with its registers.
#[cfg(test)]
mod testing;
