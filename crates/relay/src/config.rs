//! A fetch of configuration items and secrets (D63).

use crate::outbox::{Item, Outbox};
use crate::port::{LookupId, LookupKey, Value};
use alloc::vec::Vec;
use link::Violation;
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyResult};
use link::kind::to_device;

/// A channel for one fetch.
#[derive(Debug, Default)]
pub struct ConfigChannel {
    /// The lookup it waits for, and of how many keys.
    lookup: Option<(LookupId, usize)>,
}

impl ConfigChannel {
    /// Reads a request: the keys to look up under the name `lookup`.
    pub fn item(&mut self, body: &[u8], lookup: LookupId) -> Result<Vec<LookupKey>, Violation> {
        let fetch = ConfigFetch::decode(body)?;
        let keys: Vec<_> = fetch
            .iter()
            .map(|(place, key)| LookupKey { device: place.device, secret: !place.config, key: key.to_vec() })
            .collect();
        self.lookup = Some((lookup, keys.len()));
        Ok(keys)
    }

    /// Whether a lookup is under way.
    pub fn is_asked(&self) -> bool {
        self.lookup.is_some()
    }

    /// Whether this channel waits for that lookup.
    pub fn waits_for(&self, lookup: LookupId) -> bool {
        self.lookup.is_some_and(|(waited_for, _)| waited_for == lookup)
    }

    /// Answers the request with what was found, or as too large for the ring or the link. A key without a value is one the
    /// store could not be asked about.
    pub fn looked_up(&mut self, values: &[Value], ring: u32, outbox: &mut Outbox) {
        let Some((_, keys)) = self.lookup.take() else { return };
        let values: Vec<&Value> = (0..keys).map(|key| values.get(key).unwrap_or(&Value::Failed)).collect();
        let found = response(FetchResult::Ok, &values)
            .filter(|item| item.content <= ring && item.bytes.len() <= link::MAX_ITEM as usize);
        if let Some(item) = found.or_else(|| response(FetchResult::ResponseTooLarge, &[])) {
            outbox.push(item);
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
