//! Texts in a script that have a form of their own: durations, patterns, inputs, levels of pins.

use std::fmt;
use std::time::Duration;

use device::events::Picture;
use device::pin::Pin;
use device::stimulus::{self, Stimulus};
use device::wiring::Attachment;
use regex_lite::Regex;
use serde::Deserialize;

/// Longest duration in a script: a day of device time.
const MAX_DURATION: Duration = Duration::from_hours(24);

/// A duration, such as `2s`, `250ms`, `10us` or `1.5m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let end = text.find(|character: char| character.is_ascii_alphabetic())?;
            let number: f64 = text[..end].parse().ok()?;
            let factor = match &text[end..] {
                "us" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            Duration::try_from_secs_f64(number * factor).ok().filter(|duration| *duration <= MAX_DURATION)
        };
        let duration = parse().ok_or_else(|| {
            format!("{text:?} is not a duration; expected a number and us, ms, s, m or h, such as \"2s\", at most 24 h")
        })?;
        // Whole microseconds: what the device's clock counts.
        Ok(Self(Duration::from_micros(duration.as_micros() as u64)))
    }
}

/// A regular expression that is searched for in a text.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| format!("/{text}/ is not a regular expression: {error}"))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}

/// An input of the device, as `openvisor run --input` takes it, without a time: the step has one.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct InputText {
    text: String,
    stimulus: Stimulus,
}

impl InputText {
    /// Looks whether what is wired to the board takes it.
    pub(crate) fn check(&self, attachments: &[Attachment]) -> Result<(), String> {
        stimulus::check(std::slice::from_ref(&self.stimulus), attachments).map_err(|error| error.0)
    }

    /// Whether a device that is switched off loses it.
    pub(crate) fn needs_power(&self) -> bool {
        matches!(self.stimulus.input, device::Input::Serial { .. })
    }

    pub(crate) fn input(&self) -> device::Input<'static> {
        self.stimulus.input.clone()
    }
}

impl TryFrom<String> for InputText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stimulus = stimulus::parse(&text).map_err(|error| error.0)?;
        if stimulus.at > 0 {
            return Err(format!("{text}: the time of an input is that of its step; use at or wait"));
        }
        Ok(Self { text, stimulus })
    }
}

impl fmt::Display for InputText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A level of a pin, such as `PA5=1`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PinLevel {
    pub(crate) pin: Pin,
    pub(crate) level: bool,
}

impl TryFrom<String> for PinLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (pin, level) = text.split_once('=')?;
            let level = match level {
                "0" => false,
                "1" => true,
                _ => return None,
            };
            Some(Self { pin: pin.parse().ok()?, level })
        };
        parse().ok_or_else(|| format!("{text:?} is not PIN=LEVEL, such as \"PA5=1\""))
    }
}

impl fmt::Display for PinLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pin, u8::from(self.level))
    }
}

/// A serial port, such as `2` or `lp1`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PortText")]
pub(crate) struct SerialPort(pub(crate) u8);

/// A port as a number or as a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum PortText {
    Number(u8),
    Name(String),
}

impl TryFrom<PortText> for SerialPort {
    type Error = String;

    fn try_from(text: PortText) -> Result<Self, String> {
        let name = match text {
            PortText::Number(number) => number.to_string(),
            PortText::Name(name) => name,
        };
        let port = device::serial::port_named(&name).map(Self);
        port.ok_or_else(|| format!("{name:?} is not a serial port; there are 1 to 5 and \"lp1\""))
    }
}

impl fmt::Display for SerialPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&device::serial::port_name(self.0))
    }
}

/// Where a display is, such as `1@0x70`: its I2C bus and its address there.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DisplayAt {
    pub(crate) bus: u8,
    pub(crate) address: u8,
}

impl TryFrom<String> for DisplayAt {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (bus, address) = text.split_once('@')?;
            let address = u8::from_str_radix(address.strip_prefix("0x")?, 16).ok()?;
            Some(Self { bus: bus.parse().ok()?, address })
        };
        parse().ok_or_else(|| format!("{text:?} is not BUS@ADDRESS, such as \"1@0x70\""))
    }
}

impl fmt::Display for DisplayAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:#04x}", self.bus, self.address)
    }
}

/// What a matrix of 8 by 8 shows: a text for each row, `#` for what is lit and `.` for what is not.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct Rows([u8; 8]);

impl Rows {
    pub(crate) fn is_shown_by(self, picture: &Picture) -> bool {
        self.0.iter().enumerate().all(|(row, lit)| picture.rows[2 * row] == *lit)
    }
}

impl TryFrom<Vec<String>> for Rows {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let row = |text: &String| {
            let is_valid = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'#' | b'.'));
            let bits = text.bytes().enumerate().map(|(column, byte)| u8::from(byte == b'#') << column);
            is_valid.then(|| bits.sum())
        };
        let rows: Option<Vec<u8>> = texts.iter().map(row).collect();
        let rows = rows.and_then(|rows| rows.try_into().ok()).map(Self);
        rows.ok_or_else(|| "rows are 8 texts of 8 characters, # for what is lit and . for what is not".into())
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(row, lit)| {
            let dots: String = (0..8).map(|column| if lit >> column & 1 == 1 { '#' } else { '.' }).collect();
            write!(f, "{}{dots}", if row == 0 { "" } else { "/" })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_microseconds_and_at_most_a_day() {
        let span = |text: &str| Span::try_from(text.to_owned()).map(|span| span.0.as_micros());
        assert_eq!(span("2s"), Ok(2_000_000));
        assert_eq!(span("1.5ms"), Ok(1500));
        assert_eq!(span("24h"), Ok(86_400_000_000));
        for wrong in ["2", "s", "-1s", "25h", "1 week", "NaNs", ""] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_input_has_no_time_of_its_own() {
        let input = |text: &str| InputText::try_from(text.to_owned()).map(|input| input.to_string());
        assert_eq!(input("PC13=0"), Ok("PC13=0".to_owned()));
        assert!(input("PC13=0@5s").is_err_and(|error| error.contains("use at or wait")));
    }
}
