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
    lookup: Option<LookupId>,
}

impl ConfigChannel {
    /// Reads a request: the keys to look up under the name `lookup`.
    pub fn item(&mut self, body: &[u8], lookup: LookupId) -> Result<Vec<LookupKey>, Violation> {
        let fetch = ConfigFetch::decode(body)?;
        self.lookup = Some(lookup);
        let keys = fetch.iter();
        Ok(keys
            .map(|(place, key)| LookupKey { device: place.device, secret: !place.config, key: key.to_vec() })
            .collect())
    }

    /// Whether this channel waits for that lookup.
    pub fn waits_for(&self, lookup: LookupId) -> bool {
        self.lookup == Some(lookup)
    }

    /// Answers the request with what was found, or as too large for the ring.
    pub fn looked_up(&mut self, values: &[Value], ring: u32, outbox: &mut Outbox) {
        self.lookup = None;
        let total: usize = values.iter().map(|value| value.bytes().len()).sum();
        if total > ring as usize {
            return push(outbox, FetchResult::ResponseTooLarge, &[]);
        }
        push(outbox, FetchResult::Ok, values);
    }
}

fn push(outbox: &mut Outbox, result: FetchResult, values: &[Value]) {
    let items: Vec<_> = values.iter().map(|value| (value.result(), value.bytes().len() as u32)).collect();
    let Some(head) = ConfigHead::new(result, &items) else { return };
    let mut bytes = [0; ConfigHead::MAX];
    let length = head.encode(&mut bytes);
    let content: Vec<&[u8]> = values.iter().map(Value::bytes).collect();
    outbox.push(Item::with_content(to_device::CONFIG_RESPONSE, &bytes[..length], &content));
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
