//! What waits to go to the device on one channel.
//!
//! Answers go before messages: the kernel has a place for every answer it can be owed, while a message may have to wait
//! for room in the application's ring, and must not keep an answer waiting (M12).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use link::CloudLink;
use link::SendError;

use crate::limits::KEPT_PLACES;

/// An item: its bytes, of which the last `content` take room in the application's ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The kind on the wire.
    pub kind: u8,
    /// Head and content.
    pub bytes: Vec<u8>,
    /// How many of the bytes take room.
    pub content: u32,
}

impl Item {
    /// An item that takes no room: an answer.
    pub(crate) fn answer(kind: u8, body: &[u8]) -> Self {
        Self { kind, bytes: body.to_vec(), content: 0 }
    }

    /// An item whose content takes room.
    pub(crate) fn with_content(kind: u8, head: &[u8], content: &[&[u8]]) -> Self {
        let mut bytes = head.to_vec();
        for part in content {
            bytes.extend_from_slice(part);
        }
        let content = (bytes.len() - head.len()) as u32;
        Self { kind, bytes, content }
    }

    fn begin(&self, link: &mut CloudLink, channel: u8) -> Result<(), SendError> {
        link.begin_item(channel, self.kind, self.bytes.len() as u32 - self.content, self.content)
    }
}

/// Items in waiting, and the one on its way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    answers: VecDeque<Item>,
    stored: VecDeque<Item>,
    stored_bytes: usize,
    current: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Queues an item; the device is owed few enough of each kind that the queues are bounded by their callers.
    pub(crate) fn push(&mut self, item: Item) {
        if item.content == 0 && !item.is_message() {
            self.answers.push_back(item);
        } else {
            self.stored_bytes += item.bytes.len();
            self.stored.push_back(item);
        }
    }

    /// Items that wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.stored.len()
    }

    /// Bytes of those.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.stored_bytes
    }

    /// Bytes in waiting, and those on their way.
    pub(crate) fn held(&self) -> usize {
        let answers: usize = self.answers.iter().map(|item| item.bytes.len()).sum();
        answers + self.stored_bytes + self.current.len()
    }

    /// Whether everything has gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.stored.is_empty() && self.current.is_empty()
    }

    /// Writes the next frame of the channel to `out`; false when there is none now.
    pub(crate) fn write_frame(&mut self, link: &mut CloudLink, channel: u8, out: &mut Vec<u8>) -> bool {
        if self.current.is_empty() && !self.begin_next(link, channel) {
            return false;
        }
        let Some((header, length)) = link.next_fragment(channel, self.current.len() - self.sent) else {
            self.current = Vec::new();
            return false;
        };
        out.extend_from_slice(header.as_slice());
        out.extend_from_slice(&self.current[self.sent..][..length]);
        self.sent += length;
        if self.sent == self.current.len() {
            self.current = Vec::new();
        }
        true
    }

    /// Begins the next item the device has room for.
    fn begin_next(&mut self, link: &mut CloudLink, channel: u8) -> bool {
        while let Some(item) = self.answers.front().or(self.stored.front()) {
            match item.begin(link, channel) {
                Ok(()) => {
                    let item = self.pop();
                    self.sent = 0;
                    self.current = item.map(|item| item.bytes).unwrap_or_default();
                    return true;
                }
                Err(SendError::Blocked | SendError::Busy) => return false,
                // The channel has ended, or the device no longer waits for this.
                Err(SendError::NotOpen | SendError::Invalid | SendError::OutOfOrder) => drop(self.pop()),
            }
        }
        false
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.answers.pop_front().or_else(|| {
            let item = self.stored.pop_front()?;
            self.stored_bytes -= item.bytes.len();
            Some(item)
        });
        give_back(&mut self.answers);
        give_back(&mut self.stored);
        item
    }
}

/// Gives an empty queue's memory back if it had grown, so that a burst costs nothing once it is over.
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT_PLACES {
        *queue = VecDeque::new();
    }
}

impl Item {
    /// Messages keep their order among each other even when one has no content to speak of.
    fn is_message(&self) -> bool {
        matches!(self.kind, link::kind::to_device::MESSAGE | link::kind::to_device::LOST)
    }
}

#[cfg(test)]
impl Outbox {
    /// Places its queues have, and bytes the item on its way.
    pub(crate) fn places(&self) -> usize {
        self.answers.capacity() + self.stored.capacity() + self.current.capacity()
    }
}
