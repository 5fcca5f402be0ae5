//! Joining an item that comes in pieces.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use link::Fragment;

/// The item a channel is in the middle of. The parser holds an item to its greatest length, so this is bounded.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    bytes: Vec<u8>,
}

impl Assembly {
    /// Bytes of it.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a piece; gives the whole item with its last one. An item that comes in one piece is not copied.
    pub(crate) fn take<'a>(&mut self, fragment: &Fragment<'a>) -> Option<Cow<'a, [u8]>> {
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
