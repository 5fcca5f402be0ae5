//! Joining the fragments of an item.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use link::Fragment;

/// The incomplete item of a channel. The link's parser limits the length of items, so this is bounded.
#[derive(Default)]
pub(crate) struct Reassembly {
    bytes: Vec<u8>,
}

impl Reassembly {
    /// Bytes received so far.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a fragment; returns the whole item with its last one. An item in one fragment is not copied.
    pub(crate) fn push<'a>(&mut self, fragment: &Fragment<'a>) -> Option<Cow<'a, [u8]>> {
        if fragment.first {
            self.bytes.clear();
        }
        if fragment.first && fragment.last {
            return Some(Cow::Borrowed(fragment.bytes));
        }
        self.bytes.extend_from_slice(fragment.bytes);
        fragment.last.then(|| Cow::Owned(core::mem::take(&mut self.bytes)))
    }
}
