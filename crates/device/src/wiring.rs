//! What is wired to the board, as people write it: `1:mcp9808@0x18,temperature=20..30/60s`.

use std::fmt;
use std::str::FromStr;

use crate::peripherals::gpio;
use crate::peripherals::i2c::{self, Target};
use crate::sensors::{MODELS, Model, Parts, Quantities, Source};

/// Something wired to the board.
pub enum Attachment {
    /// On an I2C bus.
    I2c {
        /// Number of the bus, as in its name.
        bus: u8,
        /// What is there.
        target: Box<dyn Target>,
    },
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attachment::I2c { bus, target } => write!(f, "I2C{bus} {:#04x}", target.address()),
        }
    }
}

/// A pin of the microcontroller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Its port, 0 for A.
    pub port: u8,
    /// Its number in the port.
    pub pin: u8,
}

impl FromStr for Pin {
    type Err = WiringError;

    fn from_str(text: &str) -> Result<Pin, WiringError> {
        let parse = || {
            let number = text.strip_prefix(['P', 'p'])?;
            let port = number.bytes().next()?.to_ascii_uppercase().checked_sub(b'A')?;
            let pin = number[1..].parse().ok()?;
            (port < gpio::PORTS && pin < 16).then_some(Pin { port, pin })
        };
        parse().ok_or_else(|| WiringError(format!("{text} is no pin, such as PF3")))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}{}", char::from(b'A' + self.port), self.pin)
    }
}

/// Why a wiring is none, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringError(pub String);

impl fmt::Display for WiringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WiringError {}

impl Attachment {
    /// Reads `BUS:MODEL[@ADDRESS][,NAME=SOURCE]…`.
    pub fn i2c(text: &str) -> Result<Attachment, WiringError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (bus, model) = head
            .split_once(':')
            .ok_or_else(|| WiringError(format!("{head} has no bus: write for example 1:mcp9808@0x18")))?;
        let bus = i2c_bus(bus)?;
        let (name, address) = model.split_once('@').map_or((model, None), |(name, at)| (name, Some(at)));
        let model = model_named(name)?;
        let mut made =
            Parts { bus, address: address_of(model, address)?, quantities: Quantities::of(model), pin: None };
        for part in parts {
            settle(model, &mut made, part)?;
        }
        Ok(Attachment::I2c { bus, target: (model.make)(made) })
    }
}

fn i2c_bus(text: &str) -> Result<u8, WiringError> {
    let number = text.parse().ok().filter(|number| (1..=i2c::BUSES.len() as u8).contains(number));
    number.ok_or_else(|| WiringError(format!("{text} is no I2C bus: there are 1 and 2")))
}

fn model_named(name: &str) -> Result<&'static Model, WiringError> {
    let found = MODELS.iter().find(|model| model.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        WiringError(format!("nothing is called {name}; there are: {}", names.join(" ")))
    })
}

fn address_of(model: &Model, text: Option<&str>) -> Result<u8, WiringError> {
    let Some(text) = text else { return Ok(model.addresses[0]) };
    let address = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    address.filter(|address| model.addresses.contains(address)).ok_or_else(|| {
        let addresses: Vec<String> = model.addresses.iter().map(|at| format!("{at:#04x}")).collect();
        WiringError(format!("a {} cannot have address {text}, only {}", model.name, addresses.join(" ")))
    })
}

fn settle(model: &Model, made: &mut Parts, part: &str) -> Result<(), WiringError> {
    let (name, value) = part
        .split_once('=')
        .ok_or_else(|| WiringError(format!("{part} is no NAME=VALUE of a {}", model.name)))?;
    if model.pins.contains(&name) {
        made.pin = Some(value.parse()?);
        return Ok(());
    }
    let Some((_, least, greatest, _)) = model.quantities.iter().find(|(known, ..)| *known == name) else {
        let quantities = model.quantities.iter().map(|(known, ..)| *known);
        let known: Vec<&str> = quantities.chain(model.pins.iter().copied()).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(" ") };
        return Err(WiringError(format!("a {} has no {name}; there is: {known}", model.name)));
    };
    let source = Source::parse(value).map_err(|error| WiringError(format!("{name}: {}", error.0)))?;
    if !source.within(*least, *greatest) {
        return Err(WiringError(format!("{name}: a {} goes from {least} to {greatest}", model.name)));
    }
    made.quantities.set(name, source);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Attachment::i2c(text).expect_err("refused").0
    }

    #[test]
    fn a_wiring_names_bus_model_and_address() {
        for (text, expected) in [
            ("1:mcp9808", "I2C1 0x18"),
            ("2:MCP9808@0x1f,temperature=-10", "I2C2 0x1f"),
            ("1:ht16k33@113", "I2C1 0x71"),
            ("2:lis3dh,x=-1..1/0.5s,int1=pf3", "I2C2 0x18"),
        ] {
            assert_eq!(format!("{:?}", Attachment::i2c(text).expect("a wiring")), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        assert_eq!(refused("mcp9808"), "mcp9808 has no bus: write for example 1:mcp9808@0x18");
        assert_eq!(refused("3:mcp9808"), "3 is no I2C bus: there are 1 and 2");
        assert_eq!(refused("1:bme280"), "nothing is called bme280; there are: mcp9808 th02 lis3dh ht16k33");
        assert_eq!(refused("1:lis3dh@0x20"), "a lis3dh cannot have address 0x20, only 0x18 0x19");
        assert_eq!(refused("1:th02,x=1"), "a th02 has no x; there is: temperature humidity");
        assert_eq!(refused("1:ht16k33,x=1"), "a ht16k33 has no x; there is: nothing");
        assert_eq!(refused("1:th02,humidity=101"), "humidity: a th02 goes from 0 to 100");
        assert_eq!(refused("1:lis3dh,int1=PZ1"), "PZ1 is no pin, such as PF3");
        assert_eq!(refused("1:th02,warm"), "warm is no NAME=VALUE of a th02");
    }
}
