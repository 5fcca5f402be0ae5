//! Pins of the microcontroller, named as on its data sheet.

use std::fmt;
use std::str::FromStr;

/// Ports the microcontroller has: A to I.
pub const PORTS: u8 = 9;

/// Pins of a port.
pub const PINS_PER_PORT: u8 = 16;

/// A pin of the microcontroller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Its port, 0 for A.
    pub port: u8,
    /// Its number in the port.
    pub pin: u8,
}

impl Pin {
    /// Whether the microcontroller has this pin.
    pub fn exists(self) -> bool {
        self.port < PORTS && self.pin < PINS_PER_PORT
    }
}

/// A text that names no pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinError(String);

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a pin, such as PF3", self.0)
    }
}

impl std::error::Error for PinError {}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let parse = || {
            let number = text.strip_prefix(['P', 'p'])?;
            let port = number.bytes().next()?.to_ascii_uppercase().checked_sub(b'A')?;
            let pin = number[1..].parse().ok()?;
            Some(Self { port, pin }).filter(|pin| pin.exists())
        };
        parse().ok_or_else(|| PinError(text.to_owned()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}{}", char::from(b'A' + self.port), self.pin)
    }
}
