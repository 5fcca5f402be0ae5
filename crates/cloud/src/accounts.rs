//! What the sessions of one account share: its view of the store, and its limits, which hold for all its devices
//! together (D122).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::time::Instant;

use crate::id::AccountId;
use crate::limits::Limits;
use crate::lock::lock;
use crate::memory_limit::MemoryPool;
use crate::quota::Quota;
use crate::rate::Bucket;
use crate::store::Store;

/// An account with connected devices.
pub(crate) struct Account {
    /// Its view of the store.
    pub(crate) store: Store,
    /// Connected devices.
    pub(crate) devices: Quota,
    /// Connections to brokers and servers, open or being opened.
    pub(crate) outbound: Quota,
    /// Bytes from its devices.
    pub(crate) received: SharedBucket,
    /// Bytes to its devices.
    pub(crate) sent: SharedBucket,
    /// Requests of its devices.
    pub(crate) requests: SharedBucket,
    /// Connects, HTTP requests and fetches its devices start.
    pub(crate) starts: SharedBucket,
    /// Memory in use for its devices, bounded so that one account cannot leave the others without (D183).
    pub(crate) memory: MemoryPool,
    /// Whether its devices may reach brokers by TLS only: without TLS a password crosses the network as plain text
    /// (D42, M46).
    pub(crate) require_tls: bool,
}

/// A rate limit that many sessions share.
pub(crate) struct SharedBucket(Mutex<Bucket>);

/// The accounts with connected devices.
pub(crate) struct Accounts {
    store: Arc<Store>,
    limits: Limits,
    /// Connections to brokers and servers for all accounts.
    outbound: Quota,
    /// Accounts whose devices may reach brokers by TLS only.
    require_tls: Vec<AccountId>,
    active: Mutex<HashMap<AccountId, Weak<Account>>>,
}

impl Accounts {
    pub(crate) fn new(store: Arc<Store>, limits: Limits, require_tls: Vec<AccountId>) -> Self {
        let outbound = Quota::new(limits.outbound_connections);
        Self { store, limits, outbound, require_tls, active: Mutex::default() }
    }

    /// The account with this id. It is shared as long as a session uses it.
    pub(crate) fn get(&self, id: AccountId) -> Arc<Account> {
        let mut active = lock(&self.active);
        if let Some(account) = active.get(&id).and_then(Weak::upgrade) {
            return account;
        }
        active.retain(|_, account| account.strong_count() > 0);
        let require_tls = self.require_tls.contains(&id);
        let store = self.store.of_account(id);
        let account = Arc::new(Account::new(store, &self.limits, &self.outbound, require_tls));
        active.insert(id, Arc::downgrade(&account));
        account
    }
}

impl Account {
    fn new(store: Store, limits: &Limits, outbound: &Quota, require_tls: bool) -> Self {
        Self {
            store,
            devices: Quota::new(limits.connections_per_account),
            outbound: outbound.child(limits.outbound_connections_per_account),
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
