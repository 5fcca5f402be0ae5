//! The lease: what a store knows of its exclusive lock on the database, and what each use of the database checks.
//!
//! `lease_keeper.rs` acquires the lock and watches it; this file is below the database, which checks new connections
//! and commits against the lease.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use sqlx::{AnyConnection, Row};

use super::StoreError;
use crate::random;

/// Number of the advisory lock, the same for every cloud: `Openviso`.
pub(super) const LOCK: i64 = i64::from_be_bytes(*b"Openviso");

/// Name of the setting that holds the token of the cloud that acquired the lock last. It is part of the stored format.
pub(super) const TOKEN_SETTING: &str = "tenant";

/// Whether this cloud still has its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// It has, or no cloud runs in this process.
    Held,
    /// The database cannot be reached.
    Lost,
    /// Another cloud has it, or the file was removed or replaced.
    Taken,
}

/// The lease of one store, shared by all its views and by its keeper.
#[derive(Clone, Default)]
pub(super) struct LeaseStatus(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The random value left in the database when the lock was acquired.
    token: OnceLock<[u8; 16]>,
    /// A [`LeaseState`] as a number.
    state: AtomicU8,
}

impl LeaseStatus {
    pub(super) fn token(&self) -> Option<&[u8; 16]> {
        self.0.token.get()
    }

    pub(super) fn state(&self) -> LeaseState {
        match self.0.state.load(Ordering::Acquire) {
            0 => LeaseState::Held,
            1 => LeaseState::Lost,
            _ => LeaseState::Taken,
        }
    }

    pub(super) fn set(&self, state: LeaseState) {
        let number = match state {
            LeaseState::Held => 0,
            LeaseState::Lost => 1,
            LeaseState::Taken => 2,
        };
        self.0.state.store(number, Ordering::Release);
    }

    /// Refuses a new connection to a database that another cloud has acquired in the meantime.
    pub(super) async fn check(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let Some(token) = self.token() else { return Ok(()) };
        let query = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(TOKEN_SETTING);
        let found: Vec<u8> = query.fetch_one(connection).await?.try_get(0)?;
        if found == token {
            Ok(())
        } else {
            Err(sqlx::Error::protocol("another cloud has taken the database"))
        }
    }

    /// Acquires the lock if it is free, and leaves this cloud's token in the database.
    pub(super) async fn try_acquire(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        if !try_lock(connection).await? {
            return Ok(false);
        }
        let token = self.0.token.get_or_init(random::bytes);
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        query.bind(TOKEN_SETTING).bind(&token[..]).execute(connection).await?;
        self.set(LeaseState::Held);
        Ok(true)
    }
}

/// Acquires the lock if it is free, for as long as the connection lives.
pub(super) async fn try_lock(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let query = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LOCK);
    query.fetch_one(connection).await?.try_get(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_sees_the_state_that_was_set() {
        let (lease, token) = (LeaseStatus::default(), LeaseStatus::default().token().copied());
        assert_eq!((lease.state(), token), (LeaseState::Held, None), "no cloud runs yet");
        let view = lease.clone();
        for state in [LeaseState::Lost, LeaseState::Taken, LeaseState::Held] {
            lease.set(state);
            assert_eq!(view.state(), state);
        }
    }
}
