//! A fetch of configuration items and secrets (D63).

use alloc::string::String;
use alloc::vec::Vec;

use link::Violation;
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyResult};
use link::kind::to_device;

use crate::outbox::{Item, Outbox};
use crate::protocol::{LookupId, LookupKey, Notice, Value};

/// A channel for one fetch.
#[derive(Debug, Default)]
pub(crate) struct ConfigChannel {
    /// The lookup it waits for, and of which keys.
    lookup: Option<(LookupId, Vec<LookupKey>)>,
}

/// What became of a fetch, for people: names of keys, never values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// How many keys there were.
    pub keys: usize,
    /// Those that do not exist.
    pub missing: Vec<String>,
    /// Those the store could not look up.
    pub unavailable: Vec<String>,
    /// The values do not fit the application's buffer, or the link.
    pub is_too_large: bool,
}

impl Fetched {
    /// What is told of it.
    pub(crate) fn notice(self, channel: u8) -> Notice {
        let Self { keys, missing, unavailable, is_too_large } = self;
        Notice::ConfigFetch { channel, keys, missing, unavailable, is_too_large }
    }
}

impl ConfigChannel {
    /// Reads a request: the keys to look up under the name `lookup`.
    pub(crate) fn item(&mut self, body: &[u8], lookup: LookupId) -> Result<Vec<LookupKey>, Violation> {
        let fetch = ConfigFetch::decode(body)?;
        let keys: Vec<_> = fetch
            .iter()
            .map(|(place, key)| LookupKey {
                device_scope: place.device,
                secret: !place.config,
                key: key.to_vec(),
            })
            .collect();
        self.lookup = Some((lookup, keys.clone()));
        Ok(keys)
    }

    /// Whether a lookup is under way.
    pub(crate) fn is_asked(&self) -> bool {
        self.lookup.is_some()
    }

    /// Whether this channel waits for that lookup.
    pub(crate) fn waits_for(&self, lookup: LookupId) -> bool {
        self.lookup.as_ref().is_some_and(|(waited_for, _)| *waited_for == lookup)
    }

    /// Answers the request with what was found, or as too large for the ring or the link. A key without a value is one the
    /// store could not be asked about.
    pub(crate) fn looked_up(&mut self, values: &[Value], ring: u32, outbox: &mut Outbox) -> Option<Fetched> {
        let (_, keys) = self.lookup.take()?;
        let values: Vec<&Value> =
            (0..keys.len()).map(|key| values.get(key).unwrap_or(&Value::Unavailable)).collect();
        let found = response(FetchResult::Ok, &values)
            .filter(|item| item.content <= ring && item.bytes.len() <= link::MAX_ITEM as usize);
        let is_too_large = found.is_none();
        if let Some(item) = found.or_else(|| response(FetchResult::ResponseTooLarge, &[])) {
            outbox.push(item);
        }
        let names = |results: &[Value]| {
            let those = keys.iter().zip(&values).filter(|(_, value)| results.contains(value));
            those.map(|(key, _)| key.display_name()).collect()
        };
        Some(Fetched {
            keys: keys.len(),
            missing: names(&[Value::NotFound, Value::InvalidKey]),
            unavailable: names(&[Value::Unavailable]),
            is_too_large,
        })
    }
}

/// A response; `None` with a value no item can hold.
fn response(result: FetchResult, values: &[&Value]) -> Option<Item> {
    let length = |value: &&Value| u32::try_from(value.bytes().len()).unwrap_or(u32::MAX);
    let items: Vec<_> = values.iter().map(|value| (value.result(), length(value))).collect();
    let head = ConfigHead::new(result, &items)?;
    let mut bytes = [0; ConfigHead::MAX];
    let length = head.encode(&mut bytes);
    let content: Vec<&[u8]> = values.iter().map(|value| value.bytes()).collect();
    Some(Item::with_content(to_device::CONFIG_RESPONSE, &bytes[..length], &content))
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Found(bytes) => bytes,
            Self::NotFound | Self::InvalidKey | Self::Unavailable => &[],
        }
    }

    fn result(&self) -> KeyResult {
        match self {
            Self::Found(_) => KeyResult::Ok,
            // The kernel lets no invalid key through, so to the application it is one that was never set.
            Self::NotFound | Self::InvalidKey => KeyResult::NotFound,
            Self::Unavailable => KeyResult::ServerError,
        }
    }
}
