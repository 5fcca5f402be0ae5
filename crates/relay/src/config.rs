//! A fetch of configuration items and secrets. Keys are only passed on: the kernel has checked their number and length,
//! and the store answers those it does not know (D63).

use alloc::string::String;
use alloc::vec::Vec;

use link::channel::ChannelType;
use link::config::{ConfigFetch, ConfigHead, FetchResult, KeyResult};
use link::kind::{to_cloud, to_device};
use link::{Violation, violation};

use crate::context::Context;
use crate::handler::Handler;
use crate::outbox::Item;
use crate::protocol::{LookupId, LookupKey, Notice, Output, Value};

/// A channel for one fetch.
#[derive(Default)]
pub(crate) struct ConfigChannel {
    /// The lookup that is pending, and its keys.
    pending: Option<(LookupId, Vec<LookupKey>)>,
}

impl Handler for ConfigChannel {
    fn channel_type(&self) -> ChannelType {
        ChannelType::ConfigFetch
    }

    fn on_item(&mut self, kind: u8, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
        if kind != to_cloud::CONFIG_FETCH {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        self.on_fetch(&ConfigFetch::decode(body)?, cx);
        Ok(())
    }

    /// A lookup is short and cannot be cancelled; its result will find no channel.
    fn abandon(&mut self, _cx: &mut Context<'_>) {}

    fn has_pending_requests(&self) -> bool {
        self.pending.is_some()
    }
}

impl ConfigChannel {
    /// The lookup that is pending.
    pub(crate) fn lookup(&self) -> Option<LookupId> {
        self.pending.as_ref().map(|(lookup, _)| *lookup)
    }

    fn on_fetch(&mut self, fetch: &ConfigFetch<'_>, cx: &mut Context<'_>) {
        let keys: Vec<_> = fetch
            .iter()
            .map(|(place, key)| LookupKey {
                device_scope: place.device,
                secret: !place.config,
                key: key.to_vec(),
            })
            .collect();
        let lookup = cx.new_lookup();
        self.pending = Some((lookup, keys.clone()));
        cx.output(Output::Lookup { lookup, keys });
    }

    /// Responds with the values found, or that they are too large for the receive buffer or the link. A key without a
    /// value is one the store could not look up.
    pub(crate) fn on_values(&mut self, values: &[Value], cx: &mut Context<'_>) {
        let Some((_, keys)) = self.pending.take() else { return };
        let values: Vec<&Value> =
            (0..keys.len()).map(|key| values.get(key).unwrap_or(&Value::Unavailable)).collect();
        let found = response_item(FetchResult::Ok, &values)
            .filter(|item| item.content <= cx.ring && item.bytes.len() <= link::MAX_ITEM as usize);
        let is_too_large = found.is_none();
        if let Some(item) = found.or_else(|| response_item(FetchResult::ResponseTooLarge, &[])) {
            cx.outbox.push(item);
        }
        cx.notice(|channel| Notice::ConfigFetch {
            channel,
            keys: keys.len(),
            missing: names(&keys, &values, &[Value::NotFound, Value::InvalidKey]),
            unavailable: names(&keys, &values, &[Value::Unavailable]),
            is_too_large,
        });
    }
}

/// The names of the keys with one of these results.
fn names(keys: &[LookupKey], values: &[&Value], results: &[Value]) -> Vec<String> {
    let those = keys.iter().zip(values).filter(|(_, value)| results.contains(value));
    those.map(|(key, _)| key.display_name()).collect()
}

/// A response; `None` if the values are too many or too long for any item.
fn response_item(result: FetchResult, values: &[&Value]) -> Option<Item> {
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
            // The kernel rejects invalid keys itself, so to the application such a key is one that was never set.
            Self::NotFound | Self::InvalidKey => KeyResult::NotFound,
            Self::Unavailable => KeyResult::ServerError,
        }
    }
}
