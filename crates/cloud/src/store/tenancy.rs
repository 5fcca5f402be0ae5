//! One cloud to a database: whoever runs on it holds a lock there, for as long as one connection lives.
//!
//! With SQLite the data folder's own lock says it all. A PostgreSQL database can be reached from anywhere, so the lock is the
//! server's (an advisory lock): it goes when the connection does, however the cloud ends. It goes too when the server starts anew,
//! and another cloud may then be quicker: so whoever takes the lock leaves a word, and each new connection looks whether it is ours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::{AnyConnection, Row};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::database::Database;
use super::{Store, StoreError};
use crate::chance;
use crate::limits::DATABASE_CONNECT_TIMEOUT;

/// The lock's number, the same for every cloud: `Openviso`.
const LOCK: i64 = i64::from_be_bytes(*b"Openviso");

/// How long the lock is waited for at the start: the server may not have seen yet that a killed cloud is gone.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// How often it is seen whether the lock is still held.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where the word of whoever took the lock last is among the settings.
const TENANT: &str = "tenant";

/// What a store knows of its own occupation of the database.
#[derive(Clone, Default)]
pub(super) struct Tenant(Arc<Occupation>);

#[derive(Default)]
struct Occupation {
    /// The word left, once this has occupied the database.
    word: OnceLock<[u8; 16]>,
    /// The lock was lost and is not held again.
    is_lost: AtomicBool,
}

impl Tenant {
    /// Refuses a new connection to a database another cloud has occupied since.
    pub(super) async fn check(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let Some(word) = self.0.word.get() else { return Ok(()) };
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(TENANT);
        let found: Vec<u8> = row.fetch_one(connection).await?.try_get(0)?;
        if found == word {
            Ok(())
        } else {
            Err(sqlx::Error::protocol("another cloud has taken the database"))
        }
    }

    /// Takes the lock if it is free, and says so in the database.
    async fn take(&self, connection: &mut AnyConnection) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
        if !row.try_get::<bool, _>(0)? {
            return Ok(false);
        }
        let word = self.0.word.get_or_init(chance::bytes);
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        query.bind(TENANT).bind(&word[..]).execute(connection).await?;
        self.0.is_lost.store(false, Ordering::Release);
        Ok(true)
    }
}

/// Held while a cloud runs on a store; another may not.
pub(crate) struct Tenancy(Option<JoinHandle<()>>);

impl Drop for Tenancy {
    fn drop(&mut self) {
        if let Some(keeper) = &self.0 {
            keeper.abort();
        }
    }
}

impl Store {
    /// Makes this the one cloud on the store, for as long as the answer is kept.
    ///
    /// # Errors
    /// [`StoreError::InUse`]; the database cannot be reached.
    pub(crate) async fn occupy(&self) -> Result<Tenancy, StoreError> {
        if !self.database.is_shared() {
            return Ok(Tenancy(None));
        }
        let mut connection = self.database.connect_once().await?;
        let deadline = Instant::now() + PATIENCE;
        while !self.tenant.take(&mut connection).await? {
            if Instant::now() >= deadline {
                return Err(StoreError::InUse(self.database.name()));
            }
            sleep(PAUSE).await;
        }
        let keeper = Keeper { database: self.database.clone(), tenant: self.tenant.clone() };
        Ok(Tenancy(Some(tokio::spawn(keeper.keep(connection)))))
    }

    /// Refuses while the lock is lost: another cloud may have it.
    pub(super) fn check_tenancy(&self) -> Result<(), StoreError> {
        if self.tenant.0.is_lost.load(Ordering::Acquire) {
            return Err(StoreError::Silent);
        }
        Ok(())
    }
}

/// Watches the lock, and takes it again when the server has lost it by starting anew.
struct Keeper {
    database: Database,
    tenant: Tenant,
}

impl Keeper {
    async fn keep(self, mut connection: AnyConnection) {
        loop {
            while is_alive(&mut connection).await {
                sleep(INTERVAL).await;
            }
            self.tenant.0.is_lost.store(true, Ordering::Release);
            tracing::error!(database = %self.database.name(), "the connection to the database is lost");
            connection = self.regain().await;
            tracing::info!(database = %self.database.name(), "the database is back");
        }
    }

    async fn regain(&self) -> AnyConnection {
        loop {
            match self.try_regain().await {
                Ok(connection) => return connection,
                Err(error) => tracing::debug!(%error, "the database cannot be used"),
            }
            sleep(INTERVAL / 5).await;
        }
    }

    async fn try_regain(&self) -> Result<AnyConnection, StoreError> {
        let mut connection = self.database.connect_once().await?;
        if self.tenant.take(&mut connection).await? {
            return Ok(connection);
        }
        tracing::error!(database = %self.database.name(), "another cloud has taken the database; stop one of them");
        sleep(INTERVAL).await;
        Err(StoreError::InUse(self.database.name()))
    }
}

async fn is_alive(connection: &mut AnyConnection) -> bool {
    let asked = sqlx::query("SELECT 1").execute(connection);
    timeout(DATABASE_CONNECT_TIMEOUT, asked).await.is_ok_and(|answer| answer.is_ok())
}
