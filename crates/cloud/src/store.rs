//! What the cloud stores: accounts, devices, configuration, secrets, log lines.
//!
//! Every statement is written once, for the one driver (docs/decisions/0004-cloud-libraries.md): parameters are `$1`,
//! `$2`, …; values are text, 64-bit integers or bytes. Only the schema and the connection's settings differ
//! (`database`). Every statement and every transaction goes through `pool`, which alone knows the driver's connections.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

pub use relay::{LookupKey, Value};
use sqlx::Row;

use crate::clock::wall_millis;
use crate::data::{DataError, DataFolder};
use crate::id::AccountId;
use crate::id::DeviceId;
use crate::seal::Seal;
use crate::store_url::StoreUrl;

mod accounts;
mod api_keys;
mod apps;
mod audit;
mod authorization;
mod copy;
mod database;
mod devices;
mod health;
mod items;
mod labels;
mod lease;
mod lease_keeper;
mod logging;
mod logs;
mod names;
mod pool;
mod presence;

pub use accounts::Account;
pub use api_keys::{ApiKey, NewApiKey, Role};
pub use apps::{App, NewApp};
pub use audit::{Actor, AuditRecord};
pub(crate) use authorization::{Authorization, Changes};
pub use copy::{Contents, CopyEnd, CopyError, CopyProgress, CopySummary, StoreCopy, TableSummary};
use database::{Database, within};
pub use devices::{Device, DeviceUpdate};
use health::Health;
pub use items::{ConfigItem, NewItem, Scope, SecretInfo};
pub use labels::Label;
pub(crate) use lease::LeaseState;
use lease::LeaseStatus;
pub(crate) use lease_keeper::StoreLease;
pub(crate) use logging::Logging;
pub use logs::{LogCursor, LogLine, LogRetention};
pub(crate) use logs::{LogRun, RunLines};
pub use names::{Named, StoreNames};
use pool::{Pool, Purpose};

/// Name of the setting with the sealed constant that reveals a wrong `secret.key`. It is part of the stored format.
const SECRET_KEY_CHECK: &str = "secret key check";

/// Why an operation of the store failed. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not a key: 1 to 100 printable ASCII characters (D63).
    #[error("a key is 1 to 100 printable ASCII characters")]
    InvalidKey,
    /// A value of more than 4096 bytes.
    #[error("a value is at most 4096 bytes")]
    ValueTooLong,
    /// Not a unique name: 1 to 64 printable characters that do not look like an id.
    #[error("a name is 1 to 64 bytes without control characters and not of the form of an id")]
    InvalidName,
    /// Another device has the name.
    #[error("another device has the name `{0}`")]
    NameTaken(String),
    /// There is no such device.
    #[error("there is no device `{0}`")]
    NoDevice(String),
    /// Not an account's name: 1 to 64 printable characters that do not look like an id.
    #[error("an account's name is 1 to 64 bytes without control characters and not of the form of an id")]
    InvalidAccountName,
    /// Another account has the name.
    #[error("another account has the name `{0}`")]
    AccountNameTaken(String),
    /// There is no such account.
    #[error("there is no account `{0}`")]
    NoAccount(String),
    /// Not a key's name: 1 to 64 printable characters that do not look like an id.
    #[error("an API key's name is 1 to 64 bytes without control characters and not of the form of an id")]
    InvalidKeyName,
    /// There is no such API key.
    #[error("there is no API key `{0}`")]
    NoApiKey(String),
    /// The account has as many API keys as it may.
    #[error("the account has {max} API keys, and may not have more", max = crate::limits::MAX_API_KEYS)]
    KeyLimit,
    /// There is no such application.
    #[error("there is no application `{0}`")]
    NoApp(String),
    /// Another application has the name.
    #[error("another application has the name `{0}`")]
    AppNameTaken(String),
    /// A device runs the application or is to run it.
    #[error("the application `{0}` runs on a device or is the target of one")]
    AppInUse(String),
    /// The account has as many applications as it may.
    #[error("the account has {max} applications, and may not have more", max = crate::limits::MAX_APPS)]
    AppLimit,
    /// Not a set of labels.
    #[error(
        "a device has at most 32 labels; names and values are at most 63 letters, digits, `-`, `_`, `.` and `/`"
    )]
    InvalidLabel,
    /// The account cannot be removed.
    #[error("the account cannot be removed: {0}")]
    AccountInUse(&'static str),
    /// The secrets in the database were encrypted with another key.
    #[error("{0} belongs to another data folder: its secrets were encrypted with another secret.key")]
    SecretKey(String),
    /// No connection to the database can be made now.
    #[error("cannot reach the database {database}: {why}")]
    Unreachable {
        /// The database, without its password.
        database: String,
        /// The cause.
        why: String,
    },
    /// The database refuses the connection: user, password, database name.
    #[error("the database {database} refuses: {why}")]
    Refused {
        /// The database, without its password.
        database: String,
        /// Its message.
        why: String,
    },
    /// A newer Openvisor has migrated the database to a schema this one does not know.
    #[error("{database} has schema {found} of a newer Openvisor; this one knows schema {known}")]
    Newer {
        /// The database.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema this one knows.
        known: i64,
    },
    /// Another cloud runs on the database.
    #[error("another running cloud uses the database {0}")]
    InUse(String),
    /// The data folder's devices are in another database than the given one, which is empty.
    #[error("the devices of this data folder are in {recorded}; {named} has none of them")]
    Elsewhere {
        /// The database recorded in the folder.
        recorded: String,
        /// The given database.
        named: String,
    },
    /// The database has not answered in time.
    #[error("the database does not answer")]
    TimedOut,
    /// The database file of a running cloud is no longer the one it opened.
    #[error("the database file {0} was removed or replaced while the cloud runs")]
    Replaced(String),
    /// The authorisations of devices could not be read for too long (D162).
    #[error("the database has not been readable for so long that no device may be connected")]
    AuthorizationsUnknown,
    /// Log lines are waiting because the database does not store them.
    #[error("the database does not store log lines")]
    LogsNotStored,
    /// A transaction cannot be committed because one of its statements failed.
    #[error("a statement of the transaction had failed")]
    TransactionFailed,
    /// A stored value is not in the form this cloud writes.
    #[error("the database holds a damaged {0}")]
    Damaged(&'static str),
    /// An error of the database itself.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// An error of the data folder.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl StoreError {
    /// Whether a value that must be unique exists already.
    fn is_unique_violation(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

/// The store of one data folder, restricted to the data of one account.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    seal: Seal,
    account: String,
    actor: Actor,
    database: Database,
    lease: LeaseStatus,
    /// Lines each device has logged since its log was last counted; `None` before the first count.
    logged: Arc<Mutex<Option<HashMap<DeviceId, u32>>>>,
    health: Arc<Health>,
    /// False once authorisations could not be read for too long, because a revoked device might then stay connected
    /// (D162).
    is_authorizing: Arc<AtomicBool>,
}

impl Store {
    /// Opens the store recorded in the data folder, creating or migrating the database.
    pub async fn open(folder: &DataFolder) -> Result<Self, StoreError> {
        Self::open_at(folder, None).await
    }

    /// Opens the store at `named`, which is recorded in the folder so that it need not be named again (D116).
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] when the folder's devices are not there; [`DataError::DatabaseMissing`] and
    /// [`DataError::DatabaseEmpty`] when the folder had a database and it is gone: creating a new one would hide the
    /// loss (D163).
    pub async fn open_at(folder: &DataFolder, named: Option<&StoreUrl>) -> Result<Self, StoreError> {
        let seal = Seal::new(folder.secret_key()?.bytes());
        // Only one process at a time may change the schema or turn on the write-ahead log, which SQLite does without
        // waiting for a lock. A second process must find both done.
        let _setup = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || folder.lock_for_setup())
                .await
                .expect("locking does not panic")?
        };
        let recorded = folder.store()?;
        let url = named.unwrap_or(&recorded);
        let elsewhere = || StoreError::Elsewhere { recorded: recorded.to_string(), named: url.to_string() };
        let is_moving = *url != recorded && folder.has_store()?;
        if *url == StoreUrl::Folder {
            let checked = folder.check_database();
            checked.map_err(|error| if is_moving { elsewhere() } else { error.into() })?;
        }
        let database = Database::of(folder, url);
        let lease = LeaseStatus::default();
        let pool = Pool::connect(&database, &lease).await?;
        if is_moving {
            let mut checkout = pool.checkout(Purpose::Read).await?;
            let is_used = database.is_used(checkout.connection()).await;
            if !checkout.finish(is_used)? {
                return Err(elsewhere());
            }
        }
        database.migrate(&pool).await?;
        let account =
            check_secret_key(&pool, &seal).await?.ok_or_else(|| StoreError::SecretKey(database.name()))?;
        if *url != recorded {
            folder.record_store(url)?;
        } else if let Err(error) = folder.record_store_once(url) {
            // The record only serves to detect a lost database later.
            tracing::warn!(name: "store_not_recorded", %error, "cannot record the store in the data folder");
        }
        Ok(Self {
            pool,
            seal,
            account,
            actor: Actor::cloud(),
            database,
            lease,
            logged: Arc::default(),
            health: Arc::default(),
            is_authorizing: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Id of the account whose data this view shows.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Finishes pending writes and closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The first account, created with a new database; `None` when the database was created with another `secret.key`.
///
/// A sealed constant in the database reveals a wrong key at the start, rather than when a device fetches a secret.
async fn check_secret_key(pool: &Pool, seal: &Seal) -> Result<Option<String>, StoreError> {
    for _ in 0..2 {
        let check = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(SECRET_KEY_CHECK);
        let check = pool.fetch_optional(Purpose::Authorization, check).await?;
        let account = sqlx::query("SELECT id FROM accounts ORDER BY created, id LIMIT 1");
        let account = pool.fetch_optional(Purpose::Authorization, account).await?;
        if let (Some(check), Some(account)) = (check, account) {
            let sealed: Vec<u8> = check.try_get(0)?;
            return if seal.open(&[SECRET_KEY_CHECK], &sealed).is_some() {
                Ok(account.try_get(0)?)
            } else {
                Ok(None)
            };
        }
        let sealed = seal.seal(&[SECRET_KEY_CHECK], SECRET_KEY_CHECK.as_bytes());
        create_account(pool, SECRET_KEY_CHECK, &sealed).await?;
    }
    Err(StoreError::Damaged("account"))
}

/// Creates the sealed constant and the account, unless another process does so at the same time.
async fn create_account(pool: &Pool, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
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
