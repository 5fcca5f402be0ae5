//! What the sessions of one account share: its view of the store, and its bounds (D122).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::time::Instant;

use crate::account_id::AccountId;
use crate::limits::Limits;
use crate::lock::lock;
use crate::memory_limit::MemoryPool;
use crate::rate::Bucket;
use crate::store::Store;

/// An account with devices connected.
pub(crate) struct Account {
    /// The store as this account sees it.
    pub(crate) store: Store,
    /// Devices that are connected.
    pub(crate) devices: Quota,
    /// Connections to brokers and servers, made or being made.
    pub(crate) outbound: Quota,
    /// Bytes from its devices.
    pub(crate) received: SharedBucket,
    /// Bytes to its devices.
    pub(crate) sent: SharedBucket,
    /// What its devices ask for.
    pub(crate) requests: SharedBucket,
    /// Connects, HTTP requests and fetches of its devices.
    pub(crate) starts: SharedBucket,
    /// What its devices hold (D183).
    pub(crate) memory: MemoryPool,
    /// Whether its devices may connect to brokers over TLS only (D42).
    pub(crate) require_tls: bool,
}

/// A rate many sessions are held to together.
pub(crate) struct SharedBucket(Mutex<Bucket>);

/// How many there are of something, and may be.
#[derive(Clone)]
pub(crate) struct Quota {
    held: Arc<AtomicUsize>,
    most: usize,
    /// What counts them too, with those of others.
    parent: Option<Box<Self>>,
}

/// One of those a [`Quota`] counts, until it is dropped.
pub(crate) struct Permit {
    held: Arc<AtomicUsize>,
    _of_whole: Option<Box<Self>>,
}

/// The accounts that have devices connected.
pub(crate) struct Accounts {
    store: Arc<Store>,
    limits: Limits,
    /// Connections to brokers and servers for all accounts.
    outbound: Quota,
    /// The accounts whose devices may connect to brokers over TLS only.
    require_tls: Vec<AccountId>,
    present: Mutex<HashMap<AccountId, Weak<Account>>>,
}

impl Accounts {
    pub(crate) fn new(store: Arc<Store>, limits: Limits, require_tls: Vec<AccountId>) -> Self {
        let outbound = Quota::new(limits.outbound_connections);
        Self { store, limits, outbound, require_tls, present: Mutex::default() }
    }

    /// What the sessions of this account share, as long as one of them has it.
    pub(crate) fn of(&self, id: AccountId) -> Arc<Account> {
        let mut present = lock(&self.present);
        if let Some(account) = present.get(&id).and_then(Weak::upgrade) {
            return account;
        }
        present.retain(|_, account| account.strong_count() > 0);
        let require_tls = self.require_tls.contains(&id);
        let store = self.store.of_account(id);
        let account = Arc::new(Account::new(store, &self.limits, &self.outbound, require_tls));
        present.insert(id, Arc::downgrade(&account));
        account
    }
}

impl Account {
    fn new(store: Store, limits: &Limits, outbound: &Quota, require_tls: bool) -> Self {
        Self {
            store,
            devices: Quota::new(limits.connections_per_account),
            outbound: outbound.subquota(limits.outbound_connections_per_account),
            received: SharedBucket::new(limits.link_bytes_a_second_per_account),
            sent: SharedBucket::new(limits.link_bytes_a_second_per_account),
            requests: SharedBucket::new(limits.requests_a_second_per_account),
            starts: SharedBucket::new(limits.channels_a_second_per_account),
            memory: MemoryPool::new(limits.memory_per_account),
            require_tls,
        }
    }
}

impl SharedBucket {
    fn new(rate: u32) -> Self {
        Self(Mutex::new(Bucket::new(rate, Instant::now())))
    }

    /// As [`Bucket::take`].
    pub(crate) fn take(&self, count: u64, now: Instant) -> Option<Instant> {
        lock(&self.0).take(count, now)
    }
}

impl Quota {
    fn new(most: usize) -> Self {
        Self { held: Arc::default(), most, parent: None }
    }

    /// A tally of `most` that also counts in this one.
    fn subquota(&self, most: usize) -> Self {
        Self { parent: Some(Box::new(self.clone())), ..Self::new(most) }
    }

    /// How many there are.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// One more; `None` when there are as many as may be.
    pub(crate) fn take(&self) -> Option<Permit> {
        let more = |held| (held < self.most).then_some(held + 1);
        let of_whole = match &self.parent {
            Some(parent) => Some(Box::new(parent.take()?)),
            None => None,
        };
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { held: self.held.clone(), _of_whole: of_whole })
    }

    /// One more, whether or not there may be.
    pub(crate) fn force(&self) -> Permit {
        self.held.fetch_add(1, Ordering::Relaxed);
        let of_whole = self.parent.as_ref().map(|parent| Box::new(parent.force()));
        Permit { held: self.held.clone(), _of_whole: of_whole }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D122.
    #[test]
    fn a_share_given_back_can_be_taken_again() {
        let tally = Quota::new(2);
        let (first, second) = (tally.take(), tally.take());
        assert!(first.is_some() && second.is_some() && tally.take().is_none());
        drop(first);
        let third = tally.take();
        assert!(third.is_some() && tally.take().is_none());
        let forced = tally.force();
        drop(third);
        assert!(tally.take().is_none(), "the forced one counts");
        drop(forced);
        assert!(tally.take().is_some());
    }

    /// Shows D175: what all accounts have is bounded, and one account's part of it.
    #[test]
    fn a_part_counts_in_the_whole() {
        let parent = Quota::new(3);
        let (first, second) = (parent.subquota(2), parent.subquota(2));
        let shares = [first.take(), first.take(), second.take()];
        assert!(shares.iter().all(Option::is_some));
        assert!(
            first.take().is_none() && second.take().is_none(),
            "one has its part, the other finds nothing left"
        );
        drop(shares);
        let again = [second.take(), second.take(), first.take()];
        assert!(again.iter().all(Option::is_some), "a failed attempt keeps nothing");
    }
}
