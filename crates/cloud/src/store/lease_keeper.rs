//! At most one cloud runs on a database: it holds an exclusive lock there for as long as one connection lives.
//!
//! A PostgreSQL database can be reached from anywhere, so the lock is an advisory lock of the server: it is released
//! with the connection, however the cloud ends. It is also released when the server restarts, and another cloud may
//! then be faster. So each cloud leaves a random token when it acquires the lock, and every new connection and every
//! commit of log lines checks that the token is still its own. With SQLite the lock of the data folder keeps other
//! clouds out; what is watched there is that the database file is still the one that was opened.
//!
//! A cloud that does not hold its lock writes nothing and authorises no device, because another one may already serve
//! them (D162).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AnyConnection, Row};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::database::Database;
use super::lease::{LOCK, LeaseState, LeaseStatus};
use super::{Store, StoreError};
use crate::limits::DATABASE_CONNECT_TIMEOUT;

/// How long the lock is waited for at the start: the server may not have noticed yet that a killed cloud is gone.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How often it is checked that the lock is still held.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The exclusive use of a store by one running cloud, until it is dropped.
pub(crate) struct StoreLease(Option<JoinHandle<()>>);

impl Drop for StoreLease {
    fn drop(&mut self) {
        if let Some(keeper) = &self.0 {
            keeper.abort();
        }
    }
}

impl Store {
    /// Makes this the only cloud on the store, for as long as the lease is kept.
    ///
    /// # Errors
    /// [`StoreError::InUse`]; the database cannot be reached.
    pub(crate) async fn acquire_lease(&self) -> Result<StoreLease, StoreError> {
        if let Some(path) = self.database.file() {
            let watch = FileWatch::new(path, self.lease.clone());
            return Ok(StoreLease(watch.map(|watch| tokio::spawn(watch.run()))));
        }
        let mut connection = self.database.connect_once().await?;
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        while !self.lease.try_acquire(&mut connection).await? {
            if Instant::now() >= deadline {
                return Err(StoreError::InUse(self.database.name()));
            }
            sleep(RETRY_INTERVAL).await;
        }
        let keeper = LeaseKeeper { database: self.database.clone(), lease: self.lease.clone() };
        Ok(StoreLease(Some(tokio::spawn(keeper.run(connection)))))
    }

    /// Whether this cloud still has its database.
    pub(crate) fn lease_state(&self) -> LeaseState {
        self.lease.state()
    }

    /// As [`Store::check_lease`], after waiting for a lock that is lost and may be acquired again in a moment, for
    /// example when the database has closed all connections. The caller bounds the time.
    pub(super) async fn wait_for_lease(&self) -> Result<(), StoreError> {
        while self.lease_state() == LeaseState::Lost {
            sleep(RETRY_INTERVAL).await;
        }
        self.check_lease()
    }

    /// Refuses while this cloud does not have its database.
    pub(crate) fn check_lease(&self) -> Result<(), StoreError> {
        match (self.lease_state(), self.database.file()) {
            (LeaseState::Held, _) => Ok(()),
            (LeaseState::Lost, _) => Err(StoreError::TimedOut),
            (LeaseState::Taken, None) => Err(StoreError::InUse(self.database.name())),
            (LeaseState::Taken, Some(_)) => Err(StoreError::Replaced(self.database.name())),
        }
    }
}

/// Watches that a database file is the one that was opened.
struct FileWatch {
    path: PathBuf,
    /// Device and inode.
    opened: (u64, u64),
    lease: LeaseStatus,
}

impl FileWatch {
    /// `None` where the file cannot be inspected; opening the database reports why.
    fn new(path: &Path, lease: LeaseStatus) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { path: path.to_owned(), opened: (metadata.dev(), metadata.ino()), lease })
    }

    async fn run(self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let path = self.path.clone();
            // A file system that hangs must not block a worker of the runtime.
            let Ok(found) = tokio::task::spawn_blocking(move || fs::metadata(path)).await else { continue };
            let is_same = found.is_ok_and(|found| (found.dev(), found.ino()) == self.opened);
            let state = if is_same { LeaseState::Held } else { LeaseState::Taken };
            if state != self.lease.state() {
                self.report(is_same);
                self.lease.set(state);
            }
        }
    }

    fn report(&self, is_same: bool) {
        let database = self.path.display();
        if is_same {
            tracing::info!(name: "database_restored", %database, "the database file is available again");
        } else {
            tracing::error!(
                name: "database_removed",
                %database,
                "the database file was removed or replaced: no device is served; stop the cloud and put the file back"
            );
        }
    }
}

/// Watches the lock, and acquires it again after the server has released it by restarting.
struct LeaseKeeper {
    database: Database,
    lease: LeaseStatus,
}

impl LeaseKeeper {
    async fn run(self, mut connection: AnyConnection) {
        loop {
            while is_held(&mut connection).await {
                sleep(CHECK_INTERVAL).await;
            }
            self.lease.set(LeaseState::Lost);
            tracing::error!(name: "lock_lost", database = %self.database.name(), "the lock on the database is lost");
            connection = self.reacquire().await;
            tracing::info!(name: "lock_regained", database = %self.database.name(), "the lock on the database is held again");
        }
    }

    async fn reacquire(&self) -> AnyConnection {
        loop {
            match self.try_reacquire().await {
                Ok(connection) => return connection,
                Err(error) => {
                    tracing::debug!(name: "database_unusable", %error, "the database cannot be used");
                }
            }
            sleep(CHECK_INTERVAL / 5).await;
        }
    }

    async fn try_reacquire(&self) -> Result<AnyConnection, StoreError> {
        let mut connection = self.database.connect_once().await?;
        if self.lease.try_acquire(&mut connection).await? {
            return Ok(connection);
        }
        self.lease.set(LeaseState::Taken);
        tracing::error!(
            name: "lock_taken",
            database = %self.database.name(),
            "another cloud has taken the database: no device is served; stop one of them"
        );
        sleep(CHECK_INTERVAL).await;
        Err(StoreError::InUse(self.database.name()))
    }
}

/// Whether this very connection holds the lock: a pooler between the cloud and the server may have given it to another
/// one.
async fn is_held(connection: &mut AnyConnection) -> bool {
    let query = sqlx::query(
        "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
         AND CAST(classid AS BIGINT) = $1 AND CAST(objid AS BIGINT) = $2",
    );
    let rows = query.bind(LOCK >> 32).bind(LOCK & 0xFFFF_FFFF).fetch_one(connection);
    let row = timeout(DATABASE_CONNECT_TIMEOUT, rows).await;
    row.is_ok_and(|row| row.and_then(|row| row.try_get::<i64, _>(0)).is_ok_and(|count| count > 0))
}
