//! The syntax of stimuli.

use super::{Stimulus, TAP, port_named};
use crate::machine::Input;
use crate::memory_map::CLOCK_HZ;
use crate::peripherals::usart::LINE;
use crate::pin::Pin;
use crate::wiring::WiringError;

/// Longest script, in bytes.
pub const MAX_SCRIPT: usize = 1 << 22;
/// Most stimuli of a device.
pub const MAX_STIMULI: usize = 100_000;
/// Latest time, in seconds: a year.
const LATEST: u64 = 365 * 24 * 3600;

/// Reads `PIN=LEVEL[@TIME][,LEVEL@TIME]…`.
///
/// # Errors
/// [`WiringError`], a text for the user with an example of the form.
pub fn parse_pin(text: &str) -> Result<Vec<Stimulus>, WiringError> {
    let (target, values) = text.split_once('=').ok_or_else(|| {
        WiringError(format!("{text} is not PIN=LEVEL@TIME, such as PB11=0@5s or PB11=0@5s,1@5.2s"))
    })?;
    let pin: Pin = target.parse()?;
    values
        .split(',')
        .map(|value| timed(value, |level| Ok(Input::Pin { pin, level: read_level(level)? })))
        .collect()
}

/// Reads `TARGET=VALUE[@TIME]`, where the target is a pin, `serial:PORT`, or `i2c:BUS@ADDRESS:NAME`. Without a time it
/// is the device's start.
///
/// # Errors
/// [`WiringError`], a text for the user with an example of the form. Whether the target exists is checked by
/// [`super::check`].
pub fn parse(text: &str) -> Result<Stimulus, WiringError> {
    let (target, value) = split(text)?;
    timed(value, |value| read_input(target, value))
}

/// Reads a script: a line `TIME TARGET=VALUE` for each stimulus. Empty lines, and those that begin with `#`, do not
/// count.
///
/// # Errors
/// [`WiringError`] with the number of the line.
pub fn parse_script(text: &str) -> Result<Vec<Stimulus>, WiringError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            read_line(line).map_err(|error| WiringError(format!("line {number}: {}", error.0)))
        })
        .collect()
}

fn read_line(line: &str) -> Result<Stimulus, WiringError> {
    let (time, rest) = line
        .split_once(char::is_whitespace)
        .ok_or_else(|| WiringError(format!("{line} is not TIME TARGET=VALUE, such as 5s PB11=0")))?;
    let (target, value) = split(rest.trim_start())?;
    Ok(Stimulus { at: read_time(time)?, input: read_input(target, value)? })
}

fn split(text: &str) -> Result<(&str, &str), WiringError> {
    text.split_once('=').ok_or_else(|| {
        WiringError(format!(
            "{text} is not TARGET=VALUE, such as PB11=0, serial:2=hello\\n or i2c:1@0x18:tap=z"
        ))
    })
}

/// Reads `VALUE[@TIME]`. What follows the last `@` is a time only if it starts with a digit, so that text may contain
/// `@`.
fn timed(
    text: &str,
    read: impl Fn(&str) -> Result<Input<'static>, WiringError>,
) -> Result<Stimulus, WiringError> {
    let parts =
        text.rsplit_once('@').filter(|(_, time)| time.starts_with(|first: char| first.is_ascii_digit()));
    let (value, at) = match parts {
        Some((value, time)) => (value, read_time(time)?),
        None => (text, 0),
    };
    Ok(Stimulus { at, input: read(value)? })
}

fn read_input(target: &str, value: &str) -> Result<Input<'static>, WiringError> {
    if let Some(port) = target.strip_prefix("serial:") {
        let number = port_named(port);
        let port = number
            .ok_or_else(|| WiringError(format!("{port} is not a serial port; expected 1 to 5 or lp1")))?;
        return Ok(Input::Serial { port, bytes: read_bytes(value)?.into() });
    }
    if let Some(sensor) = target.strip_prefix("i2c:") {
        return read_quantity(sensor, value);
    }
    Ok(Input::Pin { pin: target.parse()?, level: read_level(value)? })
}

fn read_level(text: &str) -> Result<bool, WiringError> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(WiringError(format!("{text} is not a level of a pin; expected 0 or 1"))),
    }
}

/// Reads the rest of `i2c:BUS@ADDRESS:NAME`, and its value.
fn read_quantity(sensor: &str, value: &str) -> Result<Input<'static>, WiringError> {
    let parts = || {
        let (location, name) = sensor.split_once(':')?;
        let (bus, address) = location.split_once('@')?;
        let address = match address.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok()?,
            None => address.parse().ok()?,
        };
        Some((bus.parse().ok()?, address, name.to_owned()))
    };
    let (bus, address, name) = parts().ok_or_else(|| {
        WiringError(format!("i2c:{sensor} is not i2c:BUS@ADDRESS:NAME, such as i2c:1@0x18:temperature"))
    })?;
    let value = if name == TAP { read_tap(value)? } else { read_number(value)? };
    Ok(Input::Quantity { bus, address, name: name.into(), value })
}

fn read_number(text: &str) -> Result<f64, WiringError> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| WiringError(format!("{text} is not a number")))
}

fn read_tap(text: &str) -> Result<f64, WiringError> {
    let (sign, axis) = text.strip_prefix('-').map_or((1.0, text), |axis| (-1.0, axis));
    let axes = [("x", 1.0), ("y", 2.0), ("z", 3.0)];
    let found = axes.iter().find(|(name, _)| *name == axis);
    let (_, number) = found.ok_or_else(|| {
        WiringError(format!("{text} is not an axis to tap; expected x, y, z, -x, -y or -z"))
    })?;
    Ok(sign * number)
}

/// Reads `5s`, `1.5s`, `200ms`, `50us` or `2m` as cycles since power-on; without a unit it is seconds.
fn read_time(text: &str) -> Result<u64, WiringError> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let cycles = || {
        let cycles_per_unit = match unit {
            "us" => u64::from(CLOCK_HZ) / 1_000_000,
            "ms" => u64::from(CLOCK_HZ) / 1000,
            "s" | "" => u64::from(CLOCK_HZ),
            "m" => 60 * u64::from(CLOCK_HZ),
            _ => return None,
        };
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        // Twelve decimals of a second are picoseconds; more would overflow.
        let scale = 10u128.pow(u32::try_from(decimals.len()).ok().filter(|digits| *digits <= 12)?);
        // In integers, so that a time is the same cycle on every host.
        let units =
            u128::from(whole.parse::<u64>().ok()?) * scale + u128::from(decimals.parse::<u64>().ok()?);
        let cycles = u64::try_from(units * u128::from(cycles_per_unit) / scale).ok()?;
        (cycles <= LATEST * u64::from(CLOCK_HZ)).then_some(cycles)
    };
    cycles().ok_or_else(|| {
        WiringError(format!(
            "{text} is not a time; expected for example 5s, 1.5s, 200ms, 50us or 2m, up to a year"
        ))
    })
}

/// Reads text with `\n`, `\r`, `\t`, `\0`, `\\` and `\xHH`.
fn read_bytes(text: &str) -> Result<Vec<u8>, WiringError> {
    let wrong =
        || WiringError(format!("{text}: after \\ come n, r, t, 0, \\ or x and two hexadecimal digits"));
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        if first != '\\' {
            bytes.extend(first.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escaped = rest.chars().next().ok_or_else(wrong)?;
        rest = &rest[escaped.len_utf8()..];
        bytes.push(match escaped {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let digits =
                    rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let digits = digits.ok_or_else(wrong)?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).map_err(|_| wrong())?
            }
            _ => return Err(wrong()),
        });
    }
    if bytes.len() > LINE {
        return Err(WiringError(format!("{} bytes for a serial port at once; at most {LINE}", bytes.len())));
    }
    Ok(bytes)
}
