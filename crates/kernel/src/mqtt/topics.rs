//! Topic aliases: a short topic is sent to the cloud once, and later publishes refer to it by number. Devices publish
//! to few topics, and a topic is often longer than its payload (D113).

use crate::limits::{MAX_ALIASED_TOPIC, TOPIC_ALIASES};
use crate::memory::{Memory, MemoryFault, Span};

/// Length of the longest `TOPIC` item: the alias and the name.
pub(crate) const MAX_ANNOUNCEMENT: usize = 1 + MAX_ALIASED_TOPIC;
/// [`MAX_ALIASED_TOPIC`] as a span's length.
const MAX_LENGTH: u32 = MAX_ALIASED_TOPIC as u32;

/// The topics of a channel that have an alias.
pub(crate) struct TopicAliases {
    names: [TopicName; TOPIC_ALIASES],
    /// Number of aliases in use, from 0 on.
    used: u8,
    /// The alias used last. It is compared first, because most applications publish to one topic many times.
    last: u8,
    /// The alias to assign next: the oldest, once all are in use.
    next: u8,
    /// How many of the aliases assigned last have not been announced to the cloud.
    unannounced: u8,
}

/// A topic that is short enough for an alias, or nothing. Aligned, so that it is compared and copied in words.
#[derive(Clone, Copy)]
#[repr(align(4))]
pub(super) struct TopicName {
    /// The bytes, and zeros after them.
    bytes: [u8; MAX_ALIASED_TOPIC],
    length: u8,
}

impl TopicName {
    /// No name: the topic gets no alias.
    pub(super) const NONE: Self = Self { bytes: [0; MAX_ALIASED_TOPIC], length: 0 };
    /// The name of an alias that is not in use. It equals no other, not even [`Self::NONE`].
    const UNUSED: Self = Self { length: u8::MAX, ..Self::NONE };

    /// Reads the name from the application's memory, unless it is too long for an alias or not worth one.
    pub(super) fn read(&mut self, memory: &dyn Memory, topic: Span) -> Result<(), MemoryFault> {
        let 2..=MAX_LENGTH = topic.length() else { return Ok(()) };
        self.length = topic.length() as u8;
        memory.read(topic.address(), &mut self.bytes[..topic.length() as usize])
    }

    fn is(&self, other: &Self) -> bool {
        if self.length != other.length {
            return false;
        }
        // Eight bytes at a time: the zeros after the names are equal.
        let count = usize::from(self.length).div_ceil(8);
        let [one, other] = [self, other].map(|name| &name.bytes.as_chunks::<8>().0[..count]);
        let differing =
            |one: &[u8; 8], other: &[u8; 8]| u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        one.iter().zip(other).fold(0, |all, (one, other)| all | differing(one, other)) == 0
    }
}

impl TopicAliases {
    pub(crate) const fn new() -> Self {
        Self { names: [TopicName::UNUSED; TOPIC_ALIASES], used: 0, last: 0, next: 0, unannounced: 0 }
    }

    /// The alias of this topic, if it has one.
    pub(super) fn find(&mut self, name: &TopicName) -> Option<u8> {
        if !self.names[usize::from(self.last) % TOPIC_ALIASES].is(name) {
            let mut used = self.names.iter().take(usize::from(self.used));
            self.last = used.position(|known| known.is(name))? as u8;
        }
        Some(self.last)
    }

    /// The alias that this topic can be assigned. One that has not been announced is not assigned again: a publish that
    /// waits in the send ring refers to it (D113).
    pub(super) fn available_for(&self, name: &TopicName) -> Option<u8> {
        (name.length != 0 && usize::from(self.unannounced) != TOPIC_ALIASES).then_some(self.next)
    }

    /// Assigns the next alias to this topic.
    pub(super) fn assign(&mut self, name: &TopicName) {
        self.names[usize::from(self.next)] = *name;
        self.used = self.used.max(self.next + 1);
        self.last = self.next;
        self.unannounced += 1;
        self.next = (self.next + 1) % TOPIC_ALIASES as u8;
    }

    /// Writes the `TOPIC` item that announces the oldest unannounced alias; returns its length.
    pub(crate) fn encode_announcement(&self, body: &mut [u8; MAX_ANNOUNCEMENT]) -> usize {
        let alias = (self.next + TOPIC_ALIASES as u8 - self.unannounced) % TOPIC_ALIASES as u8;
        let name = &self.names[usize::from(alias)];
        body[0] = alias;
        body[1..].copy_from_slice(&name.bytes);
        1 + usize::from(name.length)
    }

    /// The oldest unannounced alias has been announced.
    pub(crate) fn set_announced(&mut self) {
        self.unannounced = self.unannounced.saturating_sub(1);
    }
}
