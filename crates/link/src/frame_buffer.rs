//! Reassembles frames short enough to be stored whole.

use crate::parser::Fragment;

/// Collects the body of a frame that is never cut into fragments. `N` is the longest body of interest; what follows is
/// dropped, since [`crate::Parser`] has checked the length already and only *open* frames (link.md §2) may be longer.
#[derive(Clone, Debug)]
pub(crate) struct FrameBuffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> FrameBuffer<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Appends a run of bytes. Returns whether the frame is complete.
    pub(crate) fn push(&mut self, fragment: &Fragment<'_>) -> bool {
        if fragment.first {
            self.len = 0;
        }
        let count = fragment.bytes.len().min(N - self.len);
        self.bytes[self.len..][..count].copy_from_slice(&fragment.bytes[..count]);
        self.len += count;
        fragment.last
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
