//! What the cloud remembers: devices, configuration, secrets, log lines.
//!
//! Every statement is written once, for the one driver (docs/decisions/0004-cloud-libraries.md): parameters are `$1`, `$2`, …;
//! values are text, 64-bit integers or bytes.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Row, SqlSafeStr};

use crate::account_id::AccountId;
use crate::clock::wall_millis;
use crate::data;
use crate::limits;
use crate::seal::Seal;

mod accounts;
mod devices;
mod health;
mod items;
mod logging;
mod logs;
mod presence;

pub use accounts::Account;
pub use devices::Device;
pub use items::{Config, Scope, Secret, Value, Wanted};
pub(crate) use logging::Logging;
pub use logs::{LogLine, LogPlace, LogRetention};

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
    #[error("secret.key does not belong to this database")]
    SecretKey,
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

/// The store of one data folder, as one account sees it.
pub struct Store {
    pool: AnyPool,
    seal: Seal,
    account: String,
}

impl Store {
    /// Opens the store of a data folder, making the database or bringing it up to date.
    pub async fn open(folder: &data::DataFolder) -> Result<Store, StoreError> {
        let seal = Seal::new(&folder.secret_key()?);
        // Only one at a time may change the schema, or turn on the write-ahead log, for which SQLite does not wait its turn; a second
        // opener must find both done.
        let setup = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || folder.lock_for_setup()).await.expect("taking a lock")?
        };
        let pool = connect(&folder.database()).await?;
        migrator().run(&pool).await?;
        check_secret_key(&pool, &seal).await?;
        let account = default_account(&pool).await?;
        drop(setup);
        Ok(Store { pool, seal, account })
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

/// A pool of connections, each set to lose nothing once a transaction has ended.
async fn connect(database: &Path) -> Result<AnyPool, StoreError> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new()
        .max_connections(limits::DATABASE_CONNECTIONS)
        .acquire_timeout(Duration::from_secs(30))
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .connect(&url(database))
        .await?;
    Ok(pool)
}

async fn set_up(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    for pragma in [
        "PRAGMA busy_timeout = 10000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ] {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The database's address, with every byte that could mean something else in it written out.
fn url(database: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut url = String::from("sqlite:");
    for &byte in database.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(byte as char),
            _ => write!(url, "%{byte:02X}").expect("writing to a string"),
        }
    }
    url + "?mode=rwc"
}

fn migrator() -> Migrator {
    let steps = [
        (1, "first", include_str!("../migrations/sqlite/1_first.sql")),
        (2, "presence", include_str!("../migrations/sqlite/2_presence.sql")),
        (4, "accounts", include_str!("../migrations/sqlite/4_accounts.sql")),
    ];
    let step = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(steps.into_iter().map(step).collect())
}

/// Keeps a sealed word in the database, so that a wrong `secret.key` is noticed at the start and not when a device asks.
async fn check_secret_key(pool: &AnyPool, seal: &Seal) -> Result<(), StoreError> {
    const NAME: &str = "secret key check";
    let row =
        sqlx::query("SELECT value FROM settings WHERE name = $1").bind(NAME).fetch_optional(pool).await?;
    if let Some(row) = row {
        let sealed: Vec<u8> = row.try_get(0)?;
        return seal.open(&[NAME], &sealed).map(|_| ()).ok_or(StoreError::SecretKey);
    }
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2)")
        .bind(NAME)
        .bind(seal.seal(&[NAME], NAME.as_bytes()))
        .execute(pool)
        .await?;
    Ok(())
}

async fn default_account(pool: &AnyPool) -> Result<String, StoreError> {
    let row =
        sqlx::query("SELECT id FROM accounts ORDER BY created, id LIMIT 1").fetch_optional(pool).await?;
    if let Some(row) = row {
        return Ok(row.try_get(0)?);
    }
    let id = AccountId::random().as_str().to_owned();
    sqlx::query("INSERT INTO accounts (id, created) VALUES ($1, $2)")
        .bind(id.clone())
        .bind(wall_millis())
        .execute(pool)
        .await?;
    Ok(id)
}

#[cfg(test)]
mod tests;
