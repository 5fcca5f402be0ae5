//! Numbers of things that may exist at a time, counted by permits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many permits there are, and may be. Clones share the count.
#[derive(Clone)]
pub(crate) struct Quota {
    in_use: Arc<AtomicUsize>,
    limit: usize,
    /// The quota this one is a part of: each permit counts there too.
    parent: Option<Box<Self>>,
}

/// One unit of a [`Quota`], returned when dropped.
pub(crate) struct Permit {
    in_use: Arc<AtomicUsize>,
    _of_parent: Option<Box<Self>>,
}

impl Quota {
    pub(crate) fn new(limit: usize) -> Self {
        Self { in_use: Arc::default(), limit, parent: None }
    }

    /// A quota of `limit` whose permits count in this one too.
    pub(crate) fn child(&self, limit: usize) -> Self {
        Self { parent: Some(Box::new(self.clone())), ..Self::new(limit) }
    }

    /// Number of permits in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Takes a permit; `None` when the quota or its parent is used up.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        let of_parent = match &self.parent {
            Some(parent) => Some(Box::new(parent.try_acquire()?)),
            None => None,
        };
        let more = |in_use| (in_use < self.limit).then_some(in_use + 1);
        // On failure the parent's permit is dropped, and with it returned.
        self.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { in_use: self.in_use.clone(), _of_parent: of_parent })
    }

    /// Takes a permit even if the quota is used up.
    pub(crate) fn acquire_unchecked(&self) -> Permit {
        self.in_use.fetch_add(1, Ordering::Relaxed);
        let of_parent = self.parent.as_ref().map(|parent| Box::new(parent.acquire_unchecked()));
        Permit { in_use: self.in_use.clone(), _of_parent: of_parent }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D122.
    #[test]
    fn a_returned_permit_can_be_acquired_again() {
        let quota = Quota::new(2);
        let (first, second) = (quota.try_acquire(), quota.try_acquire());
        assert!(first.is_some() && second.is_some() && quota.try_acquire().is_none());
        drop(first);
        let third = quota.try_acquire();
        assert!(third.is_some() && quota.try_acquire().is_none());
        let unchecked = quota.acquire_unchecked();
        drop(third);
        assert!(quota.try_acquire().is_none(), "the unchecked one counts");
        drop(unchecked);
        assert!(quota.try_acquire().is_some());
    }

    /// Shows D175: the total of all accounts is bounded, and each account's part of it.
    #[test]
    fn a_permit_of_a_part_counts_in_the_whole() {
        let whole = Quota::new(3);
        let (first, second) = (whole.child(2), whole.child(2));
        let permits = [first.try_acquire(), first.try_acquire(), second.try_acquire()];
        assert!(permits.iter().all(Option::is_some));
        assert!(
            first.try_acquire().is_none() && second.try_acquire().is_none(),
            "one has used up its part, the other finds nothing left"
        );
        drop(permits);
        let again = [second.try_acquire(), second.try_acquire(), first.try_acquire()];
        assert!(again.iter().all(Option::is_some), "a failed attempt keeps nothing");
    }
}
