//! Operations a session waits for: configuration fetches, HTTP exchanges.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

type Operation<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Running operations, each with the id the core gave it and the bytes reserved for its result.
pub(super) struct Pending<K, T>(Vec<(K, usize, Operation<T>)>);

impl<K, T> Default for Pending<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + PartialEq, T> Pending<K, T> {
    pub(super) fn push(
        &mut self,
        id: K,
        reserved: usize,
        operation: impl Future<Output = T> + Send + 'static,
    ) {
        self.0.push((id, reserved, Box::pin(operation)));
    }

    /// Bytes reserved for all of them.
    pub(super) fn memory_reserved(&self) -> usize {
        self.0.iter().map(|(_, reserved, _)| reserved).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops an operation.
    pub(super) fn cancel(&mut self, id: K) {
        self.0.retain(|(of, ..)| *of != id);
    }

    /// A finished operation, if there is one.
    pub(super) fn poll_finished(&mut self, context: &mut Context<'_>) -> Option<(K, T)> {
        for index in 0..self.0.len() {
            let (id, _, operation) = &mut self.0[index];
            if let Poll::Ready(outcome) = operation.as_mut().poll(context) {
                let id = *id;
                drop(self.0.swap_remove(index));
                return Some((id, outcome));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use super::*;

    #[test]
    fn operations_finish_in_any_order_and_a_cancelled_one_never_does() {
        let mut operations = Pending::default();
        operations.push(1, 100, pending());
        operations.push(2, 20, ready("two"));
        operations.push(3, 3, ready("three"));
        assert_eq!(operations.memory_reserved(), 123);
        operations.cancel(3);
        let context = &mut Context::from_waker(Waker::noop());
        assert_eq!(operations.poll_finished(context), Some((2, "two")));
        assert_eq!(operations.poll_finished(context), None);
        assert_eq!((operations.memory_reserved(), operations.is_empty()), (100, false));
        operations.cancel(1);
        assert!(operations.is_empty());
    }
}
