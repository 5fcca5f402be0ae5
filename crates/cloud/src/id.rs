//! Ids: two letters that say of what, and 32 lower-case hexadecimal digits, as in the public API.

/// Defines the type of one kind of id.
macro_rules! id_type {
    ($(#[$documentation:meta])* $name:ident, $prefix:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; Self::LENGTH]);

        impl $name {
            /// Characters of an id.
            pub const LENGTH: usize = 34;

            /// Reads an id; `None` unless `text` is exactly one.
            pub fn parse(text: &str) -> Option<Self> {
                let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
                let digits = text.strip_prefix($prefix)?;
                digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(bytes))
            }

            /// Whether `text` could be taken for an id, so that no name may look like it.
            pub(crate) fn resembles(text: &str) -> bool {
                text.len() == Self::LENGTH && text.starts_with($prefix)
            }

            /// A new id of 128 random bits.
            pub(crate) fn random() -> Self {
                let text = format!(concat!($prefix, "{}"), $crate::random::hex_digits());
                Self::parse(&text).expect("the format of an id")
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("an id is ASCII")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

id_type!(
    /// An account's id: `AC` and 32 lower-case hexadecimal digits.
    AccountId,
    "AC"
);
id_type!(
    /// An API key's id: `SK` and 32 lower-case hexadecimal digits.
    ApiKeyId,
    "SK"
);
id_type!(
    /// An application's id: `KA` and 32 lower-case hexadecimal digits.
    AppId,
    "KA"
);
id_type!(
    /// A device's id: `UV` and 32 lower-case hexadecimal digits.
    DeviceId,
    "UV"
);

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
