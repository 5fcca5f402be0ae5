//! What waits to be sent to the device on one channel.
//!
//! Responses are sent before everything else: the kernel has a slot for each response it can expect, while a message
//! may have to wait for room in the application's receive buffer, and no response may wait behind it (M12).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use link::kind::to_device;
use link::{CloudLink, SendError};

use crate::limits::RETAINED_CAPACITY;

/// An item: its bytes, of which the last `content` take room in the application's receive buffer.
pub(crate) struct Item {
    /// The kind on the wire.
    pub kind: u8,
    /// Head and content.
    pub bytes: Vec<u8>,
    /// How many of the bytes take room: the last ones.
    pub content: u32,
}

impl Item {
    /// An item that takes no room: a response.
    pub(crate) fn response(kind: u8, body: &[u8]) -> Self {
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

/// Queued items, and the one being sent.
#[derive(Default)]
pub(crate) struct Outbox {
    responses: VecDeque<Item>,
    /// Items that take room, and messages without content, which must not overtake others.
    messages: VecDeque<Item>,
    message_bytes: usize,
    current: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Queues an item. The queues are bounded by what the device can request, and by what is accepted from brokers.
    pub(crate) fn push(&mut self, item: Item) {
        if item.content == 0 && !item.is_message() {
            self.responses.push_back(item);
        } else {
            self.message_bytes += item.bytes.len();
            self.messages.push_back(item);
        }
    }

    /// Items queued behind the responses.
    pub(crate) fn queued_items(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of those.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Bytes queued and being sent.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let responses: usize = self.responses.iter().map(|item| item.bytes.len()).sum();
        responses + self.message_bytes + self.current.len()
    }

    /// Whether everything has been sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.responses.is_empty() && self.messages.is_empty() && self.current.is_empty()
    }

    /// Appends the next frame of the channel to `out`, if one can be sent now.
    pub(crate) fn write_frame(&mut self, link: &mut CloudLink, channel: u8, out: &mut Vec<u8>) {
        if self.current.is_empty() && !self.begin_next(link, channel) {
            return;
        }
        let Some((header, length)) = link.next_fragment(channel, self.current.len() - self.sent) else {
            // The channel has ended.
            self.current = Vec::new();
            return;
        };
        out.extend_from_slice(header.as_slice());
        out.extend_from_slice(&self.current[self.sent..][..length]);
        self.sent += length;
        if self.sent == self.current.len() {
            self.current = Vec::new();
        }
    }

    /// Begins the next item that can be sent.
    fn begin_next(&mut self, link: &mut CloudLink, channel: u8) -> bool {
        while let Some(item) = self.responses.front().or(self.messages.front()) {
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
        let item = self.responses.pop_front().or_else(|| {
            let item = self.messages.pop_front()?;
            self.message_bytes -= item.bytes.len();
            Some(item)
        });
        shrink_if_empty(&mut self.responses);
        shrink_if_empty(&mut self.messages);
        item
    }
}

/// Frees the memory of an empty queue that had grown, so that a burst costs nothing once it is over.
pub(crate) fn shrink_if_empty<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > RETAINED_CAPACITY {
        *queue = VecDeque::new();
    }
}

impl Item {
    /// Messages keep their order among each other even if one has no content.
    fn is_message(&self) -> bool {
        matches!(self.kind, to_device::MESSAGE | to_device::LOST)
    }
}

#[cfg(test)]
impl Outbox {
    /// Capacity of its queues and of the item being sent.
    pub(crate) fn capacity(&self) -> usize {
        self.responses.capacity() + self.messages.capacity() + self.current.capacity()
    }
}
