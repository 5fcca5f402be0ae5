//! What is wired to the board, and its syntax: `1:mcp9808@0x18,temperature=20..30/60s`.

use std::collections::BTreeSet;
use std::fmt;

use crate::peripherals::i2c::{self, Target};
use crate::peripherals::spi::{self, SpiDevice};
use crate::pin::{Pin, PinError};
use crate::sensors::serial_ram::{Loopback, SerialRam};
use crate::sensors::{MODELS, Model, Parts, Quantities, Source};
use crate::serial;

/// The source of a value that is set while the device runs.
const LIVE: &str = "@-";

/// Something wired to the board.
pub enum Attachment {
    /// On an I2C bus.
    I2c {
        /// Number of the bus, as in its name.
        bus: u8,
        /// What kind of thing is there; none of [`MODELS`] if the program that uses this library brought its own.
        model: Option<&'static Model>,
        /// What is there.
        target: Box<dyn Target>,
        /// Quantities that are set while it runs, in the order they were named.
        live: Vec<&'static str>,
    },
    /// On an SPI bus, alone.
    Spi {
        /// Number of the bus, as in its name.
        bus: u8,
        /// What is there.
        device: Box<dyn SpiDevice>,
        /// The pin that selects it while it is low; without one the bus's own signal does.
        select: Option<Pin>,
    },
    /// A serial port that loses what arrives while its receiver is full, as on the chip; without this it waits.
    Overrunning {
        /// Number of the port, as [`serial::port_named`] has it.
        port: u8,
    },
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I2c { bus, target, .. } => write!(f, "I2C{bus} {:#04x}", target.address()),
            Self::Spi { bus, select: None, .. } => write!(f, "SPI{bus}"),
            Self::Spi { bus, select: Some(pin), .. } => write!(f, "SPI{bus} {pin}"),
            Self::Overrunning { port } => {
                write!(f, "serial port {} with overruns", serial::port_name(*port))
            }
        }
    }
}

/// Why a wiring is invalid, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WiringError(pub String);

impl fmt::Display for WiringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WiringError {}

impl From<PinError> for WiringError {
    fn from(error: PinError) -> Self {
        Self(error.to_string())
    }
}

impl Attachment {
    /// Reads `BUS:MODEL[@ADDRESS][,NAME=SOURCE]…`; the source `@-` means that the value is set while the device runs.
    ///
    /// # Errors
    /// [`WiringError`], a text for the user: the bus, model, address, quantity or value does not exist, and which do.
    pub fn i2c(text: &str) -> Result<Self, WiringError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (bus, model) = head
            .split_once(':')
            .ok_or_else(|| WiringError(format!("{head} has no bus; expected for example 1:mcp9808@0x18")))?;
        let bus = i2c_bus(bus)?;
        let (name, address) = model.split_once('@').map_or((model, None), |(name, at)| (name, Some(at)));
        let model = model_named(name)?;
        let mut made = Parts {
            bus,
            address: address_of(model, address)?,
            quantities: Quantities::of(model),
            pins: [None; 2],
        };
        let mut live = Vec::new();
        for part in parts {
            live.extend(apply_option(model, &mut made, part)?);
        }
        Ok(Self::I2c { bus, model: Some(model), target: (model.make)(made), live })
    }

    /// Reads `BUS:23lc512[,cs=PIN]` or `BUS:loopback`.
    ///
    /// # Errors
    /// [`WiringError`], a text for the user: the bus, model or pin does not exist, and which do.
    pub fn spi(text: &str) -> Result<Self, WiringError> {
        let mut parts = text.split(',');
        let head = parts.next().unwrap_or_default();
        let (bus, model) = head.split_once(':').ok_or_else(|| {
            WiringError(format!("{head} has no bus; expected for example 1:23lc512,cs=PA4"))
        })?;
        let number = bus.parse().ok().filter(|number| spi::BUSES.iter().any(|kind| kind.number == *number));
        let bus =
            number.ok_or_else(|| WiringError(format!("{bus} is not an SPI bus; expected 1, 2 or 3")))?;
        let device: Box<dyn SpiDevice> = match model.to_ascii_lowercase().as_str() {
            "23lc512" => Box::new(SerialRam::default()),
            "loopback" => Box::new(Loopback),
            _ => return Err(WiringError(format!("unknown model {model}; expected 23lc512 or loopback"))),
        };
        let select = match parts.next().map(|part| part.split_once('=')) {
            None => None,
            Some(Some(("cs", pin))) => Some(pin.parse()?),
            Some(_) => {
                return Err(WiringError(format!("a {model} has only cs, the pin that selects it: cs=PA4")));
            }
        };
        Ok(Self::Spi { bus, device, select })
    }

    /// Reads the name of a serial port that loses what arrives while its receiver is full: 1 to 5, or lp1.
    ///
    /// # Errors
    /// [`WiringError`] for any other name.
    pub fn overrunning(text: &str) -> Result<Self, WiringError> {
        let port = serial::port_named(text);
        let port =
            port.ok_or_else(|| WiringError(format!("{text} is not a serial port; expected 1 to 5 or lp1")))?;
        Ok(Self::Overrunning { port })
    }

    /// The pin that selects it, and the bus it is on.
    pub(crate) fn select(&self) -> Option<(Pin, u32)> {
        let Self::Spi { bus, select: Some(pin), .. } = self else { return None };
        let kind = spi::BUSES.iter().find(|kind| kind.number == *bus)?;
        Some((*pin, kind.base))
    }
}

/// Checks that no two attachments are at the same address or bus.
///
/// # Errors
/// [`WiringError`] with the first place that is taken twice.
pub fn check(attachments: &[Attachment]) -> Result<(), WiringError> {
    let mut locations = BTreeSet::new();
    let duplicate = attachments.iter().map(location).find(|location| !locations.insert(location.clone()));
    duplicate.map_or(Ok(()), |location| Err(WiringError(format!("two attachments at {location}"))))
}

fn location(attachment: &Attachment) -> String {
    match attachment {
        Attachment::I2c { bus, target, .. } => format!("address {:#04x} of I2C{bus}", target.address()),
        Attachment::Spi { bus, .. } => format!("SPI{bus}"),
        Attachment::Overrunning { port } => format!("serial port {}", serial::port_name(*port)),
    }
}

fn i2c_bus(text: &str) -> Result<u8, WiringError> {
    let number = text.parse().ok().filter(|number| (1..=i2c::BUSES.len() as u8).contains(number));
    number.ok_or_else(|| WiringError(format!("{text} is not an I2C bus; expected 1 or 2")))
}

fn model_named(name: &str) -> Result<&'static Model, WiringError> {
    let found = MODELS.iter().find(|model| model.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        WiringError(format!("unknown model {name}; expected one of: {}", names.join(" ")))
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

/// Applies one `NAME=VALUE`. Returns the name of a quantity that is set while the device runs.
fn apply_option(model: &Model, made: &mut Parts, part: &str) -> Result<Option<&'static str>, WiringError> {
    let (name, value) = part
        .split_once('=')
        .ok_or_else(|| WiringError(format!("{part} is not NAME=VALUE of a {}", model.name)))?;
    if let Some(output) = model.pins.iter().position(|known| *known == name) {
        made.pins[output] = Some(value.parse()?);
        return Ok(None);
    }
    let Some((known, least, greatest, _)) = model.quantities.iter().find(|(known, ..)| *known == name) else {
        let quantities = model.quantities.iter().map(|(known, ..)| *known);
        let known: Vec<&str> = quantities.chain(model.pins.iter().copied()).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(" ") };
        return Err(WiringError(format!("a {} has no {name}; it has: {known}", model.name)));
    };
    if value == LIVE {
        return Ok(Some(known));
    }
    let source = Source::parse(value).map_err(|error| WiringError(format!("{name}: {}", error.0)))?;
    if !source.within(*least, *greatest) {
        return Err(WiringError(format!("{name}: a {} goes from {least} to {greatest}", model.name)));
    }
    made.quantities.set(name, source);
    Ok(None)
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
    fn a_serial_bus_has_one_thing_with_or_without_a_pin() {
        for (text, expected) in [("1:23lc512,cs=PA4", "SPI1 PA4"), ("3:loopback", "SPI3")] {
            assert_eq!(format!("{:?}", Attachment::spi(text).expect("a wiring")), expected);
        }
        for text in ["4:loopback", "1:flash", "1:23lc512,cs=4", "1:23lc512,pin=PA4", "loopback"] {
            assert!(Attachment::spi(text).is_err(), "{text}");
        }
    }

    #[test]
    fn two_things_at_one_address_are_refused() {
        let wired = |texts: [&str; 2]| texts.map(|text| Attachment::i2c(text).expect("a wiring"));
        assert_eq!(check(&wired(["1:mcp9808", "2:mcp9808"])), Ok(()));
        let error = check(&wired(["1:mcp9808", "1:lis3dh"])).expect_err("refused");
        assert_eq!(error.0, "two attachments at address 0x18 of I2C1");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        assert_eq!(refused("mcp9808"), "mcp9808 has no bus; expected for example 1:mcp9808@0x18");
        assert_eq!(refused("3:mcp9808"), "3 is not an I2C bus; expected 1 or 2");
        assert_eq!(refused("1:bme280"), "unknown model bme280; expected one of: mcp9808 th02 lis3dh ht16k33");
        assert_eq!(refused("1:lis3dh@0x20"), "a lis3dh cannot have address 0x20, only 0x18 0x19");
        assert_eq!(refused("1:th02,x=1"), "a th02 has no x; it has: temperature humidity");
        assert_eq!(refused("1:ht16k33,x=1"), "a ht16k33 has no x; it has: nothing");
        assert_eq!(refused("1:th02,humidity=101"), "humidity: a th02 goes from 0 to 100");
        assert_eq!(refused("1:lis3dh,int1=PZ1"), "PZ1 is not a pin, such as PF3");
        assert_eq!(refused("1:th02,warm"), "warm is not NAME=VALUE of a th02");
    }
}
