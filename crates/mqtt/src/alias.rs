//! Topic aliases (MQTT 5, 3.3.2.3.4). They are valid for one connection only (MQTT-3.3.2-7).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::limits::{RECEIVED_ALIAS_BYTES, RECEIVED_ALIASES, SHORTEST_ALIASED_TOPIC};

#[derive(Debug)]
struct Entry {
    topic: Box<[u8]>,
    used: u64,
}

/// The aliases defined so far for the broker; the alias of an entry is its position plus one, so it is never 0
/// (MQTT-3.3.2-8).
#[derive(Debug, Default)]
pub(crate) struct TopicAliases {
    entries: Vec<Entry>,
    maximum: u16,
    uses: u64,
}

impl TopicAliases {
    /// Allows aliases 1 to `maximum` (MQTT-3.2.2-17); 0 means none (MQTT-3.2.2-18).
    pub(crate) fn allow(&mut self, maximum: u16) {
        self.maximum = maximum;
    }

    /// Whether an alias for `topic` is allowed and saves bytes.
    pub(crate) fn suits(&self, topic: &[u8]) -> bool {
        self.maximum > 0 && topic.len() >= SHORTEST_ALIASED_TOPIC
    }

    /// The alias the broker already knows for `topic`.
    pub(crate) fn find(&mut self, topic: &[u8]) -> Option<u16> {
        let index = self.entries.iter().position(|entry| *entry.topic == *topic)?;
        self.uses += 1;
        self.entries[index].used = self.uses;
        Some(alias_of(index))
    }

    /// Gives `topic` a new alias, or that of the topic unused for longest. Only after [`Self::suits`].
    pub(crate) fn define(&mut self, topic: &[u8]) -> u16 {
        self.uses += 1;
        let entry = Entry { topic: topic.into(), used: self.uses };
        if self.entries.len() < usize::from(self.maximum) {
            self.entries.push(entry);
            return alias_of(self.entries.len() - 1);
        }
        let index = self.least_used();
        self.entries[index] = entry;
        alias_of(index)
    }

    fn least_used(&self) -> usize {
        let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.used);
        oldest.map_or(0, |(index, _)| index)
    }
}

fn alias_of(index: usize) -> u16 {
    index as u16 + 1
}

/// The aliases a broker has defined although it was allowed none: a few are remembered, so that what it sends under
/// them is not lost (D192).
#[derive(Debug, Default)]
pub(crate) struct ReceivedAliases {
    entries: Vec<(u16, Box<str>)>,
}

impl ReceivedAliases {
    /// Defines `alias`. Beyond the limits it is not remembered.
    pub(crate) fn define(&mut self, alias: u16, topic: &str) {
        self.entries.retain(|(other, _)| *other != alias);
        let bytes: usize = self.entries.iter().map(|(_, topic)| topic.len()).sum();
        if self.entries.len() < RECEIVED_ALIASES && bytes + topic.len() <= RECEIVED_ALIAS_BYTES {
            self.entries.push((alias, topic.to_owned().into_boxed_str()));
        }
    }

    /// The topic `alias` stands for.
    pub(crate) fn find(&self, alias: u16) -> Option<&str> {
        self.entries.iter().find(|(other, _)| *other == alias).map(|(_, topic)| &**topic)
    }
}
