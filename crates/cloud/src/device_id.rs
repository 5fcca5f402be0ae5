//! The id of a device.

use std::fmt;

use crate::random;

/// A device's id: `UV` and 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId([u8; Self::LENGTH]);

impl DeviceId {
    /// Characters of an id.
    pub const LENGTH: usize = 34;

    /// Reads an id; `None` unless `text` is exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        let digits = bytes.strip_prefix(b"UV")?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(bytes))
    }

    /// A new id of 128 random bits.
    pub(crate) fn random() -> Self {
        let text = format!("UV{}", random::hex_digits());
        Self::parse(&text).expect("the format of an id")
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is ASCII")
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
