//! What the sessions of one account share: its view of the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::account_id::AccountId;
use crate::store::Store;

/// An account with devices connected.
pub(crate) struct Account {
    /// The store as this account sees it.
    pub(crate) store: Store,
}

/// The accounts that have devices connected.
pub(crate) struct Accounts {
    store: Arc<Store>,
    present: Mutex<HashMap<AccountId, Weak<Account>>>,
}

impl Accounts {
    pub(crate) fn new(store: Arc<Store>) -> Accounts {
        Accounts { store, present: Mutex::default() }
    }

    /// What the sessions of this account share, as long as one of them has it.
    pub(crate) fn of(&self, id: AccountId) -> Arc<Account> {
        let mut present = self.present.lock().expect("nothing panics while it is held");
        if let Some(account) = present.get(&id).and_then(Weak::upgrade) {
            return account;
        }
        present.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Account { store: self.store.of_account(id) });
        present.insert(id, Arc::downgrade(&account));
        account
    }
}
