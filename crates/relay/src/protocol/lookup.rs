//! Look-ups of configuration items and secrets.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Names a lookup of one relay. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupId(pub u32);

/// An item a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupKey {
    /// Of the device itself, else of its account.
    pub device_scope: bool,
    /// A secret, else a configuration item.
    pub secret: bool,
    /// Its key as the device sent it, not yet checked.
    pub key: Vec<u8>,
}

/// Most bytes of a key that are shown, as many as a valid key has: the rest of a longer one helps no reader (D63).
const MAX_SHOWN_KEY: usize = 100;

impl LookupKey {
    /// The key for timelines, with its scope and kind: these are easily confused.
    pub(crate) fn display_name(&self) -> String {
        let key = String::from_utf8_lossy(self.key.get(..MAX_SHOWN_KEY).unwrap_or(&self.key));
        match (self.device_scope, self.secret) {
            (true, false) => format!("{key} (device config)"),
            (true, true) => format!("{key} (device secret)"),
            (false, false) => format!("{key} (account config)"),
            (false, true) => format!("{key} (account secret)"),
        }
    }
}

/// What was found under a [`LookupKey`].
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// This value.
    Found(Vec<u8>),
    /// There is no such item.
    NotFound,
    /// No item can have such a key.
    InvalidKey,
    /// The store is not available.
    Unavailable,
}

impl fmt::Debug for Value {
    /// Omits the value: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(value) => f.debug_tuple("Found").field(&super::Omitted(value.len())).finish(),
            Self::NotFound => f.write_str("NotFound"),
            Self::InvalidKey => f.write_str("InvalidKey"),
            Self::Unavailable => f.write_str("Unavailable"),
        }
    }
}
