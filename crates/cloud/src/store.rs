//! What the cloud remembers: devices, configuration, secrets, log lines.
//!
//! Every statement is written once, for the one driver (docs/decisions/0004-cloud-libraries.md): parameters are `$1`, `$2`, …;
//! values are text, 64-bit integers or bytes. Only the schema and the connection's settings differ (`database`). Every statement
//! and every transaction goes through `pool`, which alone knows the driver's connections.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use sqlx::Row;

use crate::account_id::AccountId;
use crate::clock::wall_millis;
use crate::data;
use crate::device_id::DeviceId;
use crate::seal::Seal;

mod accounts;
mod authorization;
mod database;
mod devices;
mod health;
mod items;
mod lease;
mod logging;
mod logs;
mod pool;
mod presence;
mod url;

pub use accounts::Account;
pub(crate) use authorization::{Authorization, Changes};
use database::{Database, within};
pub use devices::Device;
use health::Health;
pub use items::{ConfigItem, ItemKey, NewItem, Scope, SecretInfo, Value};
use lease::LeaseStatus;
pub(crate) use lease::{LeaseState, StoreLease};
pub(crate) use logging::Logging;
pub use logs::{LogCursor, LogLine, LogRetention};
pub(crate) use logs::{LogRun, RunLines};
use pool::{Pool, Purpose};
pub use url::{StoreUrl, StoreUrlError};

/// Why the store could not do it. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not a key: 1 to 100 printable ASCII characters (D63).
    #[error("a key is 1 to 100 printable ASCII characters")]
    Key,
    /// A value over 4096 bytes.
    #[error("a value is at most 4096 bytes")]
    Value,
    /// Not a unique name: 1 to 64 printable characters that do not look like an id.
    #[error("a name is 1 to 64 bytes without control characters and not of the form of an id")]
    Name,
    /// Another device has the name.
    #[error("another device has the name `{0}`")]
    NameTaken(String),
    /// There is no such device.
    #[error("there is no device `{0}`")]
    NoDevice(String),
    /// Not an account's name: 1 to 64 printable characters that do not look like an id.
    #[error("an account's name is 1 to 64 bytes without control characters and not of the form of an id")]
    AccountName,
    /// Another account has the name.
    #[error("another account has the name `{0}`")]
    AccountNameTaken(String),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    NoAccount(String),
    /// The account cannot be removed.
    #[error("the account cannot be removed: {0}")]
    AccountInUse(&'static str),
    /// The secrets in the database were sealed with another key.
    #[error("{0} belongs to another data folder: its secrets were sealed with another secret.key")]
    SecretKey(String),
    /// There is no way to the database now.
    #[error("cannot reach the database {database}: {why}")]
    Unreachable {
        /// Which, without its password.
        database: String,
        /// What stands in the way.
        why: String,
    },
    /// The database does not let us in: user, password, its name.
    #[error("the database {database} refuses: {why}")]
    Refused {
        /// Which, without its password.
        database: String,
        /// What it says.
        why: String,
    },
    /// A newer Openvisor has brought the database to a version this one does not know.
    #[error("{database} has schema {found} of a newer Openvisor; this one knows schema {known}")]
    Newer {
        /// Which.
        database: String,
        /// Its version.
        found: i64,
        /// The newest this one knows.
        known: i64,
    },
    /// Another cloud runs on the database.
    #[error("another running cloud uses the database {0}")]
    InUse(String),
    /// The data folder's devices are in another database than the one named, which is empty.
    #[error("the devices of this data folder are in {kept}; {named} has none of them")]
    Elsewhere {
        /// The database the folder remembers.
        kept: String,
        /// The one that was named.
        named: String,
    },
    /// The database has not answered in time.
    #[error("the database does not answer")]
    Silent,
    /// The file of a running cloud is not the one it opened any more.
    #[error("the database file {0} was removed or replaced while the cloud runs")]
    Replaced(String),
    /// Whether devices may be connected could not be read for too long.
    #[error("the database has not been readable for so long that no device may be connected")]
    Unauthorized,
    /// Log lines wait that the database does not store.
    #[error("the database does not store log lines")]
    NotStoring,
    /// A transaction was to be committed although a statement of it had failed.
    #[error("a statement of the transaction had failed")]
    Unfinished,
    /// A stored value is not what this cloud writes.
    #[error("the database holds a damaged {0}")]
    Damaged(&'static str),
    /// The database's own error.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("bringing the database up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The data folder's error.
    #[error(transparent)]
    Data(#[from] data::DataError),
}

impl StoreError {
    /// Whether a value was there already that may be there once.
    fn is_unique_violation(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

/// The store of one data folder, as one account sees it.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    seal: Seal,
    account: String,
    database: Database,
    lease: LeaseStatus,
    /// Lines of each device since they were counted; `None` until they were once.
    logged: Arc<Mutex<Option<HashMap<DeviceId, u32>>>>,
    health: Arc<Health>,
    /// Whether devices may be connected: false while that could not be read for too long (D162).
    authorizes: Arc<AtomicBool>,
}

impl Store {
    /// Opens the store the data folder remembers, making the database or bringing it up to date.
    pub async fn open(folder: &data::DataFolder) -> Result<Self, StoreError> {
        Self::open_at(folder, None).await
    }

    /// The same with the store at `named`, which the folder remembers from now on (D116).
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] when the folder's devices are not there; [`data::DataError::DatabaseMissing`] and
    /// [`data::DataError::DatabaseEmpty`] when the folder had a database and has none now (D163).
    pub async fn open_at(folder: &data::DataFolder, named: Option<&StoreUrl>) -> Result<Self, StoreError> {
        let seal = Seal::new(&*folder.secret_key()?);
        // Only one at a time may change the schema, or turn on the write-ahead log, for which SQLite does not wait its turn; a second
        // opener must find both done.
        let _setup = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || folder.lock_for_setup()).await.expect("taking a lock")?
        };
        let kept = folder.store()?;
        let url = named.unwrap_or(&kept);
        let elsewhere = || StoreError::Elsewhere { kept: kept.to_string(), named: url.to_string() };
        let is_moving = *url != kept && folder.has_store()?;
        if *url == StoreUrl::Folder {
            let checked = folder.check_database();
            checked.map_err(|error| if is_moving { elsewhere() } else { error.into() })?;
        }
        let database = Database::of(folder, url);
        let lease = LeaseStatus::default();
        let pool = Pool::connect(&database, &lease).await?;
        if is_moving && !database.is_used(&pool).await? {
            return Err(elsewhere());
        }
        database.migrate(&pool).await?;
        let account = settle(&pool, &seal).await?.ok_or_else(|| StoreError::SecretKey(database.name()))?;
        if *url != kept {
            folder.remember_store(url)?;
        } else if let Err(error) = folder.mark_store(url) {
            // It only serves to notice a loss later.
            tracing::warn!(%error, "the data folder cannot note which store it has");
        }
        Ok(Self {
            pool,
            seal,
            account,
            database,
            lease,
            logged: Arc::default(),
            health: Arc::default(),
            authorizes: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Id of the account whose view this is: the first, unless it was asked for as another's.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Waits for what is being written and lets the database go.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The account, made when the database is new; `None` when the database was made with another `secret.key`.
///
/// A sealed text in the database shows that at the start, and not when a device asks for a secret.
async fn settle(pool: &Pool, seal: &Seal) -> Result<Option<String>, StoreError> {
    const NAME: &str = "secret key check";
    for _ in 0..2 {
        let check = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(NAME);
        let check = pool.fetch_optional(Purpose::Authorization, check).await?;
        let account = sqlx::query("SELECT id FROM accounts ORDER BY created, id LIMIT 1");
        let account = pool.fetch_optional(Purpose::Authorization, account).await?;
        if let (Some(check), Some(account)) = (check, account) {
            let sealed: Vec<u8> = check.try_get(0)?;
            return if seal.open(&[NAME], &sealed).is_some() { Ok(account.try_get(0)?) } else { Ok(None) };
        }
        make_account(pool, NAME, &seal.seal(&[NAME], NAME.as_bytes())).await?;
    }
    Err(StoreError::Damaged("account"))
}

/// Makes sealed text and account; of two that do it at once one does.
async fn make_account(pool: &Pool, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let check =
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    transaction.execute(check.bind(name).bind(sealed)).await?;
    let account = sqlx::query(
        "INSERT INTO accounts (id, created) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM accounts)",
    );
    transaction.execute(account.bind(AccountId::random().as_str()).bind(wall_millis())).await?;
    transaction.commit().await
}

#[cfg(test)]
pub(crate) mod tests;
