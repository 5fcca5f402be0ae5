//! A limit of what a server may send, whatever its form in HTTP (D182).
//!
//! hyper limits the head and this crate the body, but interim responses, zeros before a chunk's length and chunks of
//! one byte each are neither, and a server could send them without end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::tap::Tap;

/// The number of bytes that may still be read. Reading more is an error. Clones share it.
#[derive(Clone)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Whether it is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Tap for Budget {
    fn before_read(&mut self) -> io::Result<()> {
        if self.is_spent() {
            return Err(io::Error::other("the server sends more than the response may take"));
        }
        Ok(())
    }

    fn on_read(&mut self, bytes: &[u8]) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes.len()), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D182.
    #[test]
    fn the_read_that_uses_it_up_succeeds_and_the_next_one_fails() {
        let budget = Budget::new(5);
        let mut tap = budget.clone();
        tap.on_read(b"abcd");
        assert!(!budget.is_spent() && tap.before_read().is_ok());
        tap.on_read(b"efgh");
        assert!(budget.is_spent() && tap.before_read().is_err());
    }
}
