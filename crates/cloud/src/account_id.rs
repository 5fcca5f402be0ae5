//! The id of an account.

use std::fmt;

use crate::random;

/// An account's id: `AC` and 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId([u8; Self::LENGTH]);

impl AccountId {
    /// Characters of an id.
    pub const LENGTH: usize = 34;

    /// Reads an id; `None` unless `text` is exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        let digits = bytes.strip_prefix(b"AC")?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(bytes))
    }

    /// A new id of 128 random bits.
    pub(crate) fn random() -> Self {
        let text = format!("AC{}", random::hex_digits());
        Self::parse(&text).expect("the format of an id")
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id is ASCII")
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_letters_and_digits_and_nothing_else() {
        let id = AccountId::random();
        assert_eq!(AccountId::parse(id.as_str()), Some(id));
        let text = format!("AC{}", "0123456789abcdef".repeat(2));
        assert!(AccountId::parse(&text).is_some());
        for wrong in
            ["", "AC", &text[1..], &text.replace('a', "A"), &text.replace("AC", "UV"), &(text.clone() + "0")]
        {
            assert_eq!(AccountId::parse(wrong), None, "{wrong}");
        }
    }
}
