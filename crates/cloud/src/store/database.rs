//! The database: connections, their settings, the schema.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions as _, Connection as _, Row, SqlSafeStr};
use tokio::time::timeout;

use super::StoreError;
use super::lease::{LeaseStatus, TOKEN_SETTING};
use super::pool::{Pool, Purpose};
use crate::data::DataFolder;
use crate::limits;
use crate::store_url::StoreUrl;

/// Settings under which SQLite loses no committed transaction, even when the power fails: every commit waits for the
/// disk. The write-ahead log is copied into the database at 4000 pages rather than 1000, which needs fewer waits for
/// the disk.
const SQLITE: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384";

/// The same for PostgreSQL, whatever the server's configuration says. Keep-alives close a connection whose peer is gone
/// within half a minute, on either side, so that its locks are released.
const POSTGRES: &str = "SET synchronous_commit = on; SET statement_timeout = '30s'; SET client_min_messages = warning; \
     SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// A database to connect to.
#[derive(Clone)]
pub(super) enum Database {
    Sqlite(PathBuf),
    Postgres(StoreUrl),
}

impl Database {
    pub(super) fn of(folder: &DataFolder, url: &StoreUrl) -> Self {
        match url {
            StoreUrl::Folder => Self::Sqlite(folder.database()),
            StoreUrl::Postgres(_) => Self::Postgres(url.clone()),
        }
    }

    /// The name of the database in messages, without a password.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => url.to_string(),
        }
    }

    /// Path of the database, if it is a file.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A pool of at most `count` connections, opened on demand. Each is configured to lose nothing, and refused when
    /// another cloud has acquired the lease in the meantime.
    pub(super) fn lazy_pool(&self, lease: &LeaseStatus, count: u32) -> Result<AnyPool, StoreError> {
        let (statements, lease) = (self.settings(), lease.clone());
        let pool = AnyPoolOptions::new()
            .max_connections(count)
            .acquire_timeout(limits::DATABASE_TIMEOUT)
            .after_connect(move |connection, _| {
                let lease = lease.clone();
                Box::pin(async move {
                    sqlx::raw_sql(statements).execute(&mut *connection).await?;
                    lease.check(connection).await
                })
            });
        Ok(pool.connect_lazy_with(self.options()?))
    }

    /// Begins a transaction that will write. SQLite acquires the write lock here, where it can wait for it; in the
    /// middle of a transaction that has read, it would fail at once.
    pub(super) fn begin_statement(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        }
    }

    /// Commits a transaction, or fails. `token` is the lease's, in a running cloud.
    ///
    /// SQLite's `COMMIT` fails outside a transaction. PostgreSQL's does not: it answers a failed transaction with a
    /// rollback and no error. So another statement precedes it in the same message, which fails in a failed transaction
    /// and prevents the `COMMIT`. It also fails, by a division by zero, when another cloud has taken the database.
    pub(super) fn commit_statement(&self, token: Option<&[u8; 16]>) -> String {
        match (self, token) {
            (Self::Sqlite(_), _) => "COMMIT".to_owned(),
            (Self::Postgres(_), None) => "SELECT 1; COMMIT".to_owned(),
            (Self::Postgres(_), Some(token)) => format!(
                "SELECT 1 / COUNT(*) FROM settings WHERE name = '{}' AND value = decode('{}', 'hex'); COMMIT",
                TOKEN_SETTING,
                hexadecimal(token)
            ),
        }
    }

    /// Whether the disk, the memory or the file is at fault, rather than the statement.
    pub(super) fn is_storage_failure(&self, error: &sqlx::Error) -> bool {
        /// Primary result codes: NOMEM, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB. Extended ones have them in their lowest
        /// byte.
        const SQLITE: [i32; 6] = [7, 10, 11, 13, 14, 26];
        /// Disk full, out of memory, I/O error, damaged data, damaged index.
        const POSTGRES: [&str; 5] = ["53100", "53200", "58030", "XX001", "XX002"];
        let code = match error {
            sqlx::Error::Database(error) => error.code(),
            sqlx::Error::WorkerCrashed => return true,
            _ => return false,
        };
        let code = code.as_deref().unwrap_or_default();
        match self {
            Self::Sqlite(_) => code.parse::<i32>().is_ok_and(|code| SQLITE.contains(&(code & 0xFF))),
            Self::Postgres(_) => POSTGRES.contains(&code),
        }
    }

    /// Opens one connection outside any pool.
    ///
    /// # Errors
    /// The cause, within [`limits::DATABASE_CONNECT_TIMEOUT`].
    pub(super) async fn connect_once(&self) -> Result<AnyConnection, StoreError> {
        let options = self.options()?;
        let connecting = async {
            let mut connection = AnyConnection::connect_with(&options).await?;
            sqlx::raw_sql(self.settings()).execute(&mut connection).await?;
            // SQLite does not read the file before the first statement.
            sqlx::query(self.first_statement()).execute(&mut connection).await?;
            Ok(connection)
        };
        match timeout(limits::DATABASE_CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| self.connect_error(error)),
            Err(_) => {
                Err(StoreError::Unreachable { database: self.name(), why: "it does not answer".to_owned() })
            }
        }
    }

    /// Opens a connection that only reads and waits for no one.
    pub(super) async fn connect_to_read(&self) -> Result<AnyConnection, StoreError> {
        let (url, settings) = match self {
            Self::Sqlite(path) => (sqlite_url(path, "ro"), "PRAGMA busy_timeout = 100"),
            Self::Postgres(url) => {
                (url.for_driver(), "SET default_transaction_read_only = on; SET lock_timeout = '100ms'")
            }
        };
        let mut connection = AnyConnection::connect_with(&any_options(&url)?).await?;
        sqlx::raw_sql(settings).execute(&mut connection).await?;
        Ok(connection)
    }

    fn settings(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        }
    }

    fn first_statement(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master",
            Self::Postgres(_) => "SELECT 1",
        }
    }

    fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        any_options(&match self {
            Self::Sqlite(path) => sqlite_url(path, "rw"),
            Self::Postgres(url) => url.for_driver(),
        })
    }

    /// Why a connection could not be opened, in terms of what the operator can change.
    fn connect_error(&self, error: sqlx::Error) -> StoreError {
        let database = self.name();
        match error {
            _ if !self.is_shared() => StoreError::Database(error),
            sqlx::Error::Io(error) => StoreError::Unreachable { database, why: error.to_string() },
            sqlx::Error::Tls(error) => StoreError::Unreachable {
                database,
                why: format!(
                    "TLS: {error}; name its authority with ?sslrootcert=FILE, or allow plain text with ?sslmode=prefer"
                ),
            },
            sqlx::Error::PoolTimedOut => {
                StoreError::Unreachable { database, why: "no connection is free".to_owned() }
            }
            sqlx::Error::Database(error) => match error.code().as_deref() {
                // Starting up, shutting down, too many connections.
                Some("57P03" | "57P01" | "53300") => {
                    StoreError::Unreachable { database, why: error.message().to_owned() }
                }
                _ => StoreError::Refused { database, why: error.message().to_owned() },
            },
            error => StoreError::Database(error),
        }
    }

    /// Migrates the schema to the newest version.
    pub(super) async fn migrate(&self, pool: &Pool) -> Result<(), StoreError> {
        let mut checkout = pool.checkout(Purpose::Write).await?;
        self.migrate_on(checkout.connection()).await?;
        checkout.finish(Ok(()))
    }

    /// As [`Database::migrate`], on a connection outside a transaction.
    pub(super) async fn migrate_on(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        // An up-to-date schema needs no lock, which another process that starts might hold.
        if self.is_up_to_date(connection, &self.migrator()).await {
            return Ok(());
        }
        self.run_migrations(connection).await
    }

    /// Applies the migrations that are missing; in a transaction of the driver's, as part of it.
    pub(super) async fn run_migrations(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let migrator = self.migrator();
        let known = migrator.iter().map(|step| step.version).max().unwrap_or(0);
        migrator.run(connection).await.map_err(|error| match error {
            MigrateError::VersionMissing(found) if found > known => {
                StoreError::Newer { database: self.name(), found, known }
            }
            error => StoreError::Migration(error),
        })
    }

    async fn is_up_to_date(&self, connection: &mut AnyConnection, migrator: &Migrator) -> bool {
        let applied = connection.list_applied_migrations(&migrator.table_name).await.unwrap_or_default();
        let wanted = migrator.iter().map(|step| (step.version, &*step.checksum));
        applied.iter().map(|step| (step.version, &*step.checksum)).eq(wanted)
    }

    fn migrator(&self) -> Migrator {
        let steps: &[(i64, &'static str, &'static str)] = match self {
            Self::Sqlite(_) => &[
                (1, "first", include_str!("../../migrations/sqlite/1_first.sql")),
                (2, "presence", include_str!("../../migrations/sqlite/2_presence.sql")),
                (3, "configuration bytes", include_str!("../../migrations/sqlite/3_configuration_bytes.sql")),
                (4, "accounts", include_str!("../../migrations/sqlite/4_accounts.sql")),
                (5, "api", include_str!("../../migrations/sqlite/5_api.sql")),
            ],
            Self::Postgres(_) => &[
                (1, "first", include_str!("../../migrations/postgres/1_first.sql")),
                (2, "accounts", include_str!("../../migrations/postgres/2_accounts.sql")),
                (3, "api", include_str!("../../migrations/postgres/3_api.sql")),
            ],
        };
        let step = |&(version, name, sql): &(i64, &'static str, &'static str)| {
            Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
        };
        Migrator::with_migrations(steps.iter().map(step).collect())
    }

    /// Whether a cloud has ever used the database.
    pub(super) async fn is_used(&self, connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'settings'",
            Self::Postgres(_) => "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('settings')",
        };
        let count: i64 = sqlx::query(sql).fetch_one(connection).await?.try_get(0)?;
        Ok(count > 0)
    }
}

/// What a copy needs (`copy.rs`).
impl Database {
    /// Begins a transaction that reads one state of the database. SQLite's has it from its first read on.
    pub(super) fn snapshot_statement(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// The part of an `INSERT` that allows to choose a row's number.
    pub(super) fn overriding_clause(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => "OVERRIDING SYSTEM VALUE ",
        }
    }

    /// The greatest number a row of a table has had, also if that row was removed since.
    pub(super) async fn last_number(
        &self,
        connection: &mut AnyConnection,
        table: &str,
    ) -> Result<i64, sqlx::Error> {
        let sql = match self {
            Self::Sqlite(_) => format!("SELECT seq FROM sqlite_sequence WHERE name = '{table}'"),
            Self::Postgres(_) => format!(
                "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {table}_number_seq"
            ),
        };
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_optional(connection).await?;
        row.map_or(Ok(0), |row| row.try_get(0))
    }

    /// Makes the next row's number greater than `last`. On PostgreSQL it is undone with its transaction, which `setval`
    /// would not be.
    pub(super) async fn set_last_number(
        &self,
        connection: &mut AnyConnection,
        table: &str,
        last: i64,
    ) -> Result<(), sqlx::Error> {
        let sql = match self {
            Self::Sqlite(_) => format!(
                "DELETE FROM sqlite_sequence WHERE name = '{table}'; \
                 INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {last})"
            ),
            Self::Postgres(_) => {
                format!("ALTER TABLE {table} ALTER COLUMN number RESTART WITH {}", last + 1)
            }
        };
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

fn any_options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    sqlx::any::install_default_drivers();
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

/// The URL of a SQLite file, with every special byte percent-encoded, and how it is opened: never created. A missing
/// file is an error rather than a new, empty store, which would lose all devices without a word (D163).
fn sqlite_url(database: &Path, mode: &str) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut url = String::from("sqlite:");
    for &byte in database.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => url.push(byte as char),
            _ => write!(url, "%{byte:02X}").expect("writing to a string"),
        }
    }
    url + "?mode=" + mode
}

/// Bounds an operation of the store by [`limits::DATABASE_TIMEOUT`], and a second more so that the pool reports its own
/// timeout first.
pub(super) async fn within<T>(
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limits::DATABASE_TIMEOUT + Duration::from_secs(1), operation)
        .await
        .unwrap_or(Err(StoreError::TimedOut))
}
