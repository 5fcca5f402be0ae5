//! One fetch of configuration items and secrets (link.md §5).

use crate::bytes::{Reader, Writer, count_element, decode_head, require_elements};
use crate::http::item_length;
use crate::limits::{CONFIG_KEYS, MAX_ITEM};
use crate::violation::{self, Violation};

/// How a fetch ended; the codes are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// There is a result for each key.
    Ok,
    /// The values do not fit the ring.
    ResponseTooLarge,
}

impl FetchResult {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::ResponseTooLarge => 1,
        }
    }

    /// The result with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::Ok),
            1 => Ok(Self::ResponseTooLarge),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// The result for one key; the codes are the public header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyResult {
    /// There is a value.
    Ok,
    /// There is no such key.
    NotFound,
    /// The store could not be read.
    ServerError,
}

impl KeyResult {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotFound => 1,
            Self::ServerError => 2,
        }
    }

    /// The result with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::Ok),
            1 => Ok(Self::NotFound),
            2 => Ok(Self::ServerError),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// Which store a key is looked up in: the byte before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLocation {
    /// The device's own, else the account's.
    pub device: bool,
    /// A configuration item, else a secret.
    pub config: bool,
}

impl KeyLocation {
    const DEVICE: u8 = 0x01;
    const CONFIG: u8 = 0x02;

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        (self.device as u8 * Self::DEVICE) | (self.config as u8 * Self::CONFIG)
    }

    /// The location with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        if code & !(Self::DEVICE | Self::CONFIG) != 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self { device: code & Self::DEVICE != 0, config: code & Self::CONFIG != 0 })
    }
}

/// A whole `CONFIG_FETCH`, as the cloud reads it. The device writes, for each key, the location's byte and a `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigFetch<'a> {
    encoded: &'a [u8],
}

impl<'a> ConfigFetch<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let mut count = 0;
        while !reader.is_empty() {
            count = count_element(count, CONFIG_KEYS)?;
            KeyLocation::from_code(reader.u8()?)?;
            reader.str()?;
        }
        require_elements(count)?;
        Ok(Self { encoded: body })
    }

    /// The locations and keys in order, 1 to 32.
    pub fn iter(&self) -> impl Iterator<Item = (KeyLocation, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || {
            let location = KeyLocation::from_code(reader.u8().ok()?).ok()?;
            Some((location, reader.str().ok()?))
        })
    }
}

/// What precedes the values of a `CONFIG_RESPONSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigHead {
    /// How the fetch ended.
    pub result: FetchResult,
    items: [(KeyResult, u32); CONFIG_KEYS as usize],
    count: u8,
}

impl ConfigHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 1 + 4 * CONFIG_KEYS as usize;

    /// A head for values of these lengths, which follow it joined. `None` for more than 32.
    pub fn new(result: FetchResult, items: &[(KeyResult, u32)]) -> Option<Self> {
        let mut array = [(KeyResult::Ok, 0); CONFIG_KEYS as usize];
        array.get_mut(..items.len())?.copy_from_slice(items);
        let all_fit = items.iter().all(|&(_, length)| length <= MAX_ITEM);
        all_fit.then_some(Self { result, items: array, count: items.len() as u8 })
    }

    /// Each key's result and the bytes of its value, in the request's order.
    pub fn items(&self) -> &[(KeyResult, u32)] {
        &self.items[..usize::from(self.count)]
    }

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.result.code());
        writer.u8(self.count);
        for &(result, length) in self.items() {
            writer.u8(result.code());
            writer.varint32(length);
        }
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        decode_head(bytes, |reader| {
            let result = FetchResult::from_code(reader.u8()?)?;
            let count = reader.u8()?;
            if count > CONFIG_KEYS {
                return Err(violation::WRONG_COUNT);
            }
            let mut items = [(KeyResult::Ok, 0); CONFIG_KEYS as usize];
            for item in &mut items[..usize::from(count)] {
                *item = (KeyResult::from_code(reader.u8()?)?, item_length(reader)?);
            }
            Ok(Self { result, items, count })
        })
    }
}
