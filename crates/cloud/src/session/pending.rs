//! What a session waits for beside its connections: look-ups, HTTP exchanges.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work under way, each with the name the core gave it and the bytes that are reserved for it.
pub(super) struct Pending<K, T>(Vec<(K, usize, Work<T>)>);

impl<K: Copy + PartialEq, T> Pending<K, T> {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, name: K, reserved: usize, work: impl Future<Output = T> + Send + 'static) {
        self.0.push((name, reserved, Box::pin(work)));
    }

    /// Bytes reserved.
    pub(super) fn reserved(&self) -> usize {
        self.0.iter().map(|(_, reserved, _)| reserved).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends work, wherever it is.
    pub(super) fn cancel(&mut self, name: K) {
        self.0.retain(|(of, ..)| *of != name);
    }

    /// One that is done, if any is.
    pub(super) fn poll_done(&mut self, context: &mut Context<'_>) -> Option<(K, T)> {
        for index in 0..self.0.len() {
            let (name, _, work) = &mut self.0[index];
            if let Poll::Ready(outcome) = work.as_mut().poll(context) {
                let name = *name;
                drop(self.0.swap_remove(index));
                return Some((name, outcome));
            }
        }
        None
    }
}
