//! One cloud to a database: whoever runs on it holds a lock there, for as long as one connection lives.
//!
//! A PostgreSQL database can be reached from anywhere, so the lock is the server's (an advisory lock): it goes when the connection does,
//! however the cloud ends. It goes too when the server starts anew, and another cloud may then be quicker: so whoever takes the lock
//! leaves a random value, and each new connection and each commit of log lines looks whether it is still ours. With SQLite the data
//! folder's own lock keeps others out; what is watched there is that the database file is still the one that was opened.
//!
//! A cloud that does not hold its lock writes nothing and authorises nobody (D162).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::{AnyConnection, Row};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::database::Database;
use super::{Store, StoreError};
use crate::limits::DATABASE_CONNECT_TIMEOUT;
use crate::random;

/// The lock's number, the same for every cloud: `Openviso`.
const LOCK: i64 = i64::from_be_bytes(*b"Openviso");

/// How long the lock is waited for at the start: the server may not have seen yet that a killed cloud is gone.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How often it is seen whether the lock is still held.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Where the random value of whoever took the lock last is among the settings.
pub(super) const TOKEN_SETTING: &str = "tenant";

/// Whether this cloud still has its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// It has, or no cloud runs in this process.
    Held,
    /// The database cannot be asked.
    Lost,
    /// Another cloud has it, or the file was removed or replaced.
    Taken,
}

/// What a store knows of its own occupation of the database.
#[derive(Clone, Default)]
pub(super) struct LeaseStatus(Arc<LeaseInner>);

#[derive(Default)]
struct LeaseInner {
    /// The random value left, once this has occupied the database.
    token: OnceLock<[u8; 16]>,
    /// A [`LeaseState`].
    lease: AtomicU8,
}

impl LeaseStatus {
    pub(super) fn token(&self) -> Option<&[u8; 16]> {
        self.0.token.get()
    }

    pub(super) fn lease(&self) -> LeaseState {
        match self.0.lease.load(Ordering::Acquire) {
            0 => LeaseState::Held,
            1 => LeaseState::Lost,
            _ => LeaseState::Taken,
        }
    }

    fn set(&self, lease: LeaseState) {
        let number = match lease {
            LeaseState::Held => 0,
            LeaseState::Lost => 1,
            LeaseState::Taken => 2,
        };
        self.0.lease.store(number, Ordering::Release);
    }

    /// Refuses a new connection to a database another cloud has occupied since.
    pub(super) async fn check(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let Some(token) = self.token() else { return Ok(()) };
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(TOKEN_SETTING);
        let found: Vec<u8> = row.fetch_one(connection).await?.try_get(0)?;
        if found == token {
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
        let token = self.0.token.get_or_init(random::bytes);
        let query = sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        query.bind(TOKEN_SETTING).bind(&token[..]).execute(connection).await?;
        self.set(LeaseState::Held);
        Ok(true)
    }
}

/// Held while a cloud runs on a store; another may not.
pub(crate) struct StoreLease(Option<JoinHandle<()>>);

impl Drop for StoreLease {
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
    pub(crate) async fn acquire_lease(&self) -> Result<StoreLease, StoreError> {
        if let Some(path) = self.database.file() {
            let watch = FileWatch::new(path, self.lease.clone());
            return Ok(StoreLease(watch.map(|watch| tokio::spawn(watch.run()))));
        }
        let mut connection = self.database.connect_once().await?;
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        while !self.lease.take(&mut connection).await? {
            if Instant::now() >= deadline {
                return Err(StoreError::InUse(self.database.name()));
            }
            sleep(RETRY_INTERVAL).await;
        }
        let keeper = LeaseKeeper { database: self.database.clone(), lease: self.lease.clone() };
        Ok(StoreLease(Some(tokio::spawn(keeper.keep(connection)))))
    }

    /// Whether this cloud still has its database.
    pub(crate) fn lease(&self) -> LeaseState {
        self.lease.lease()
    }

    /// The same after waiting for a lock that is lost and may be held again in a moment, as when the database has ended all
    /// connections. The caller bounds the time.
    pub(super) async fn wait_for_lease(&self) -> Result<(), StoreError> {
        while self.lease() == LeaseState::Lost {
            sleep(RETRY_INTERVAL).await;
        }
        self.check_lease()
    }

    /// Refuses while this cloud does not have its database.
    pub(crate) fn check_lease(&self) -> Result<(), StoreError> {
        match (self.lease(), self.database.file()) {
            (LeaseState::Held, _) => Ok(()),
            (LeaseState::Lost, _) => Err(StoreError::Silent),
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
    /// `None` where the file cannot be looked at, which is for the database itself to say.
    fn new(path: &Path, lease: LeaseStatus) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { path: path.to_owned(), opened: (metadata.dev(), metadata.ino()), lease })
    }

    async fn run(self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let path = self.path.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || fs::metadata(path)).await else { continue };
            let is_same = found.is_ok_and(|found| (found.dev(), found.ino()) == self.opened);
            let lease = if is_same { LeaseState::Held } else { LeaseState::Taken };
            if lease != self.lease.lease() {
                if is_same {
                    tracing::info!(database = %self.path.display(), "the database file is back");
                } else {
                    tracing::error!(
                        database = %self.path.display(),
                        "the database file was removed or replaced: no device is served; stop the cloud and put the file back"
                    );
                }
                self.lease.set(lease);
            }
        }
    }
}

/// Watches the lock, and takes it again when the server has lost it by starting anew.
struct LeaseKeeper {
    database: Database,
    lease: LeaseStatus,
}

impl LeaseKeeper {
    async fn keep(self, mut connection: AnyConnection) {
        loop {
            while is_held(&mut connection).await {
                sleep(CHECK_INTERVAL).await;
            }
            self.lease.set(LeaseState::Lost);
            tracing::error!(database = %self.database.name(), "the lock on the database is lost");
            connection = self.reacquire().await;
            tracing::info!(database = %self.database.name(), "the database is back");
        }
    }

    async fn reacquire(&self) -> AnyConnection {
        loop {
            match self.try_reacquire().await {
                Ok(connection) => return connection,
                Err(error) => tracing::debug!(%error, "the database cannot be used"),
            }
            sleep(CHECK_INTERVAL / 5).await;
        }
    }

    async fn try_reacquire(&self) -> Result<AnyConnection, StoreError> {
        let mut connection = self.database.connect_once().await?;
        if self.lease.take(&mut connection).await? {
            return Ok(connection);
        }
        self.lease.set(LeaseState::Taken);
        tracing::error!(
            database = %self.database.name(),
            "another cloud has taken the database: no device is served; stop one of them"
        );
        sleep(CHECK_INTERVAL).await;
        Err(StoreError::InUse(self.database.name()))
    }
}

/// Whether this very connection holds the lock. A pooler between here and the server may have given it to another.
async fn is_held(connection: &mut AnyConnection) -> bool {
    let query = sqlx::query(
        "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
         AND CAST(classid AS BIGINT) = $1 AND CAST(objid AS BIGINT) = $2",
    );
    let asked = query.bind(LOCK >> 32).bind(LOCK & 0xFFFF_FFFF).fetch_one(connection);
    let answer = timeout(DATABASE_CONNECT_TIMEOUT, asked).await;
    answer.is_ok_and(|row| row.and_then(|row| row.try_get::<i64, _>(0)).is_ok_and(|count| count > 0))
}
