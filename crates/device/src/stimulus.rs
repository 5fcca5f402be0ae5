//! Inputs that reach a device at given times: pins, bytes for serial ports, and what sensors measure, as options and
//! scripts write them: `PB11=0@5s`, or a script with lines `5s PB11=0`.

mod schedule;
mod text;

use armv8m::Cycles;
pub use schedule::Schedule;
pub use text::{MAX_SCRIPT, MAX_STIMULI, parse, parse_pin, parse_script};

use crate::machine::Input;
use crate::sensors::lis3dh::TAP;
use crate::serial::{port_name, port_named};
use crate::wiring::{Attachment, WiringError};

/// One input of a device, and when it arrives.
#[derive(Debug, Clone, PartialEq)]
pub struct Stimulus {
    /// When, in cycles of the processor since power-on.
    pub at: Cycles,
    /// What arrives: for a pin, a serial port or a sensor.
    pub input: Input<'static>,
}

/// Where an input arrives, as it is written in front of `=`.
pub fn target(input: &Input<'_>) -> String {
    match input {
        Input::Pin { pin, .. } => pin.to_string(),
        Input::Serial { port, .. } => format!("serial:{}", port_name(*port)),
        Input::Quantity { bus, address, name, .. } => format!("i2c:{bus}@{address:#04x}:{name}"),
        other => format!("{other:?}"),
    }
}

/// Looks whether what is wired to a board can take all of `stimuli`.
///
/// # Errors
/// [`WiringError`] for the first that names a sensor or quantity that is not there, or a value out of its range.
pub fn check(stimuli: &[Stimulus], attachments: &[Attachment]) -> Result<(), WiringError> {
    stimuli.iter().try_for_each(|stimulus| check_one(&stimulus.input, attachments))
}

fn check_one(input: &Input<'_>, attachments: &[Attachment]) -> Result<(), WiringError> {
    let Input::Quantity { bus, address, name, value } = input else { return Ok(()) };
    let target = target(input);
    let found = attachments.iter().find_map(|attachment| match attachment {
        Attachment::I2c { bus: on, model, target: on_bus, .. }
            if on == bus && on_bus.address() == *address =>
        {
            Some(model)
        }
        _ => None,
    });
    let model = found.ok_or_else(|| {
        WiringError(format!(
            "{target}: nothing is wired to address {address:#04x} of I2C{bus}; add it by --i2c"
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
        return Err(WiringError(format!("{target}: a {} has no {name}; it has: {names}", model.name)));
    };
    if (*least..=*greatest).contains(value) {
        return Ok(());
    }
    Err(WiringError(format!("{target}: a {} goes from {least} to {greatest}", model.name)))
}

#[cfg(test)]
mod tests;
