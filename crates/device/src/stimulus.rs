//! What reaches a device from outside at times of its own: pins, bytes for serial ports, and what sensors measure, as people
//! write them: `PB11=0@5s`, or a script with lines `5s PB11=0`.

mod schedule;
mod text;

use std::fmt;

pub use schedule::Schedule;
pub use text::{MAX_SCRIPT, MAX_STIMULI, parse, parse_pin, parse_script};

use crate::sensors::lis3dh::TAP;
use crate::serial::{port_name, port_named};
use crate::wiring::{Attachment, Pin, WiringError};

/// One thing done to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Stimulus {
    /// When, in cycles of the processor since power-on.
    pub at: u64,
    /// What is done to what.
    pub action: Action,
}

/// What is done to a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A pin is driven to a level.
    Pin {
        /// The pin.
        pin: Pin,
        /// Its level from then on.
        level: bool,
    },
    /// The other end of a serial port sends something.
    Serial {
        /// Number of the port, as [`port_named`] has it.
        port: u8,
        /// What it sends.
        bytes: Vec<u8>,
    },
    /// What a sensor measures changes, or it is tapped.
    Quantity {
        /// Number of its I2C bus.
        bus: u8,
        /// Its address there.
        address: u8,
        /// Name of the quantity.
        name: String,
        /// Its value from then on.
        value: f64,
    },
}

impl fmt::Display for Action {
    /// The target, without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { pin, .. } => write!(f, "{pin}"),
            Self::Serial { port, .. } => write!(f, "serial:{}", port_name(*port)),
            Self::Quantity { bus, address, name, .. } => write!(f, "i2c:{bus}@{address:#04x}:{name}"),
        }
    }
}

/// Looks whether what is wired to a board can take all of `stimuli`.
pub fn check(stimuli: &[Stimulus], attachments: &[Attachment]) -> Result<(), WiringError> {
    stimuli.iter().try_for_each(|stimulus| check_one(&stimulus.action, attachments))
}

fn check_one(action: &Action, attachments: &[Attachment]) -> Result<(), WiringError> {
    let Action::Quantity { bus, address, name, value } = action else { return Ok(()) };
    let found = attachments.iter().find_map(|attachment| match attachment {
        Attachment::I2c { bus: on, model, target, .. } if on == bus && target.address() == *address => {
            Some(model)
        }
        _ => None,
    });
    let model = found.ok_or_else(|| {
        WiringError(format!(
            "{action}: nothing is wired to address {address:#04x} of I2C{bus}: add it by --i2c"
        ))
    })?;
    // What a target of the caller's own measures is not known here.
    let Some(model) = model else { return Ok(()) };
    if name == TAP && model.taps {
        return Ok(());
    }
    let known = model.quantities.iter().find(|(known, ..)| known == name);
    let Some((_, least, greatest, _)) = known else {
        let taps = model.taps.then_some(TAP);
        let names: Vec<&str> = model.quantities.iter().map(|(known, ..)| *known).chain(taps).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(" ") };
        return Err(WiringError(format!("{action}: a {} has no {name}; there is: {names}", model.name)));
    };
    if (*least..=*greatest).contains(value) {
        return Ok(());
    }
    Err(WiringError(format!("{action}: a {} goes from {least} to {greatest}", model.name)))
}

#[cfg(test)]
mod tests;
