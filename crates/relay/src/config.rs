//! A fetch of configuration items and secrets (D63).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use link::Violation;
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyResult};
use link::kind::to_device;

use crate::outbox::{Item, Outbox};
use crate::port::{LookupId, LookupKey, Notice, Value};

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
    /// Those the stores do not have.
    pub missing: Vec<String>,
    /// Those the stores could not be asked about.
    pub failed: Vec<String>,
    /// The values do not fit the application's buffer, or the link.
    pub is_too_large: bool,
}

impl Fetched {
    /// What is told of it.
    pub(crate) fn notice(self, channel: u8) -> Notice {
        let Self { keys, missing, failed, is_too_large } = self;
        Notice::ConfigFetch { channel, keys, missing, failed, is_too_large }
    }
}

impl ConfigChannel {
    /// Reads a request: the keys to look up under the name `lookup`.
    pub(crate) fn item(&mut self, body: &[u8], lookup: LookupId) -> Result<Vec<LookupKey>, Violation> {
        let fetch = ConfigFetch::decode(body)?;
        let keys: Vec<_> = fetch
            .iter()
            .map(|(place, key)| LookupKey { device: place.device, secret: !place.config, key: key.to_vec() })
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
            (0..keys.len()).map(|key| values.get(key).unwrap_or(&Value::Failed)).collect();
        let found = response(FetchResult::Ok, &values)
            .filter(|item| item.content <= ring && item.bytes.len() <= link::MAX_ITEM as usize);
        let is_too_large = found.is_none();
        if let Some(item) = found.or_else(|| response(FetchResult::ResponseTooLarge, &[])) {
            outbox.push(item);
        }
        let named = |wanted: &Value| {
            let those = keys.iter().zip(&values).filter(|(_, value)| **value == wanted);
            those.map(|(key, _)| key.name()).collect()
        };
        Some(Fetched {
            keys: keys.len(),
            missing: named(&Value::NotFound),
            failed: named(&Value::Failed),
            is_too_large,
        })
    }
}

/// Most bytes of a key that are shown: as many as a key may have (D63).
const SHOWN_KEY: usize = 100;

impl LookupKey {
    /// The key as people name it, with the store it was looked for in unless that is the device's configuration.
    fn name(&self) -> String {
        let key = String::from_utf8_lossy(self.key.get(..SHOWN_KEY).unwrap_or(&self.key));
        match (self.device, self.secret) {
            (true, false) => format!("{key}"),
            (true, true) => format!("{key} (secret)"),
            (false, false) => format!("{key} (account)"),
            (false, true) => format!("{key} (account secret)"),
        }
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
            Self::NotFound | Self::Failed => &[],
        }
    }

    fn result(&self) -> KeyResult {
        match self {
            Self::Found(_) => KeyResult::Ok,
            Self::NotFound => KeyResult::NotFound,
            Self::Failed => KeyResult::ServerError,
        }
    }
}
