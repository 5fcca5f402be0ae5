//! The two ends of a copy: the databases, and what keeps clouds away from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Row as _};
use tokio::time::{Instant, sleep};

use super::{Contents, CopyError, CopySummary};
use crate::data::{DataFolder, FolderLock};
use crate::files::{FileError, PRIVATE_FILE, TEMPORARY_SUFFIX, sync_parent, write_new};
use crate::seal::Seal;
use crate::store::database::Database;
use crate::store::{SECRET_KEY_CHECK, StoreError, lease};
use crate::store_url::StoreUrl;

/// How long a lock on a database is waited for: the server may not have noticed yet that a killed cloud is gone.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Files that SQLite keeps beside a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// A data folder. As the source it is the store that the folder uses, as the target its file `cloud.db`.
    Folder(PathBuf),
    /// A database of a PostgreSQL server.
    Server(StoreUrl),
}

/// The database to copy.
pub(super) struct Source {
    pub(super) database: Database,
    pub(super) connection: AnyConnection,
    folder: Option<DataFolder>,
    _lock: Option<FolderLock>,
}

impl Source {
    pub(super) async fn open(end: &CopyEnd) -> Result<Self, CopyError> {
        let (database, folder) = match end {
            CopyEnd::Folder(path) => {
                let folder = DataFolder::open_existing(path)?;
                let url = folder.store()?;
                if url == StoreUrl::Folder {
                    folder.check_database()?;
                }
                (Database::of(&folder, &url), Some(folder))
            }
            CopyEnd::Server(url) => (Database::Postgres(url.clone()), None),
        };
        let lock = folder.as_ref().map(DataFolder::lock).transpose()?;
        let mut connection = connect(&database).await?;
        if !database.is_used(&mut connection).await? {
            return Err(CopyError::NoSource(database.name()));
        }
        // As every command of operators does.
        database.migrate_on(&mut connection).await?;
        let mut source = Self { database, connection, folder, _lock: lock };
        if let Some(folder) = source.folder.clone() {
            source.check_key(&folder).await?;
        }
        Ok(source)
    }

    /// Refuses a folder whose `secret.key` cannot open the secrets.
    async fn check_key(&mut self, folder: &DataFolder) -> Result<(), CopyError> {
        let query = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(SECRET_KEY_CHECK);
        let row = query.fetch_optional(&mut self.connection).await?;
        let Some(row) = row else { return Err(CopyError::NoSource(self.database.name())) };
        let sealed: Vec<u8> = row.try_get(0)?;
        let seal = Seal::new(folder.secret_key()?.bytes());
        if seal.open(&[SECRET_KEY_CHECK], &sealed).is_some() {
            return Ok(());
        }
        let folder = folder.path().display().to_string();
        Err(CopyError::OtherKey { database: self.database.name(), folder })
    }

    fn is_of(&self, folder: &DataFolder) -> bool {
        let canonical = |path: &Path| fs::canonicalize(path).ok();
        self.folder.as_ref().is_some_and(|own| canonical(own.path()) == canonical(folder.path()))
    }
}

/// The database to write.
pub(super) enum Target {
    /// The file in a data folder.
    File(TargetFile),
    /// A PostgreSQL database.
    Server { database: Database, connection: AnyConnection },
}

impl Target {
    pub(super) async fn open(end: &CopyEnd, source: &Source) -> Result<Self, CopyError> {
        match end {
            CopyEnd::Folder(path) => Self::open_folder(path, source).await,
            CopyEnd::Server(url) => {
                let database = Database::Postgres(url.clone());
                if matches!(&source.database, Database::Postgres(own) if own == url) {
                    return Err(CopyError::Same(database.name()));
                }
                let connection = connect(&database).await?;
                Ok(Self::Server { database, connection })
            }
        }
    }

    async fn open_folder(path: &Path, source: &Source) -> Result<Self, CopyError> {
        let folder = DataFolder::open_existing(path)?;
        let is_same_folder = source.is_of(&folder);
        if is_same_folder && source.database.file().is_some() {
            return Err(CopyError::Same(source.database.name()));
        }
        let lock = if is_same_folder { None } else { Some(folder.lock()?) };
        let mut file = TargetFile { path: folder.database(), folder, _lock: lock };
        file.check_key(source).await?;
        Ok(Self::File(file))
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Server { database, .. } => database.name(),
        }
    }

    /// What the database contains; `None` when it is empty.
    pub(super) async fn contents(&mut self) -> Result<Option<Contents>, CopyError> {
        match self {
            Self::Server { database, connection } => contents(database, connection).await,
            Self::File(file) => {
                if fs::metadata(&file.path).map_or(0, |file| file.len()) == 0 {
                    return Ok(None);
                }
                let database = Database::Sqlite(file.path.clone());
                let mut connection = database.connect_once().await?;
                let contents = contents(&database, &mut connection).await?;
                checkpoint(&mut connection).await?;
                connection.close().await?;
                Ok(contents)
            }
        }
    }
}

/// The file to write in a data folder.
pub(super) struct TargetFile {
    path: PathBuf,
    folder: DataFolder,
    _lock: Option<FolderLock>,
}

impl TargetFile {
    async fn check_key(&mut self, source: &Source) -> Result<(), CopyError> {
        // Another connection, because the source's is borrowed for the whole copy.
        let connection = source.database.connect_once().await?;
        let database = source.database.clone();
        let mut reader = Source { database, connection, folder: None, _lock: None };
        reader.check_key(&self.folder).await
    }

    /// Creates the file under its temporary name.
    pub(super) async fn create(self) -> Result<NewFile, CopyError> {
        let mut path = self.path.clone().into_os_string();
        path.push(TEMPORARY_SUFFIX);
        let path = PathBuf::from(path);
        // Left over by a copy that was killed.
        remove_with_companions(&path);
        write_new(&path, b"", PRIVATE_FILE).map_err(crate::data::DataError::File)?;
        let database = Database::Sqlite(path.clone());
        let mut connection = database.connect_once().await?;
        // The file is unused until it is complete and on the disk.
        sqlx::raw_sql("PRAGMA synchronous = OFF").execute(&mut connection).await?;
        database.run_migrations(&mut connection).await?;
        Ok(NewFile { target: self, path, database, connection })
    }
}

/// The file while it is written.
pub(super) struct NewFile {
    target: TargetFile,
    path: PathBuf,
    database: Database,
    connection: AnyConnection,
}

impl NewFile {
    pub(super) fn parts(&mut self) -> (&Database, &mut AnyConnection) {
        (&self.database, &mut self.connection)
    }

    /// Puts the file in the place of the old one, or removes it after a failure.
    pub(super) async fn finish(
        self,
        written: Result<CopySummary, CopyError>,
    ) -> Result<CopySummary, CopyError> {
        let Self { target, path, mut connection, .. } = self;
        let closed = match &written {
            Ok(_) => checkpoint(&mut connection).await,
            Err(_) => Ok(()),
        };
        let closed = closed.and(connection.close().await.map_err(CopyError::from));
        let done = match (written, closed) {
            (Ok(summary), Ok(())) => install(&path, &target.path).map(|()| summary),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        if done.is_err() {
            remove_with_companions(&path);
        }
        done
    }
}

/// Renames a complete database file. A write-ahead log beside the old one must be empty: SQLite would apply it to the
/// new one.
fn install(new: &Path, path: &Path) -> Result<(), CopyError> {
    let log = with_suffix(path, COMPANIONS[0]);
    if fs::metadata(&log).map_or(0, |log| log.len()) > 0 {
        return Err(CopyError::Busy(path.display().to_string()));
    }
    let renamed = fs::File::open(new)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(new, path))
        .and_then(|()| sync_parent(path));
    renamed.map_err(|error| crate::data::DataError::from(FileError::Io(path.to_owned(), error)))?;
    for suffix in COMPANIONS {
        let _ = fs::remove_file(with_suffix(path, suffix));
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_with_companions(path: &Path) {
    let _ = fs::remove_file(path);
    for suffix in COMPANIONS {
        let _ = fs::remove_file(with_suffix(path, suffix));
    }
}

/// Moves the write-ahead log into the database.
async fn checkpoint(connection: &mut AnyConnection) -> Result<(), CopyError> {
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await?;
    Ok(())
}

/// Connects for a copy, which may take as long as it needs, and keeps clouds away.
async fn connect(database: &Database) -> Result<AnyConnection, CopyError> {
    let mut connection = database.connect_once().await?;
    if !database.is_shared() {
        return Ok(connection);
    }
    let unlimited = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(unlimited).execute(&mut connection).await?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while !lease::try_lock(&mut connection).await? {
        if Instant::now() >= deadline {
            return Err(StoreError::InUse(database.name()).into());
        }
        sleep(LOCK_RETRY_INTERVAL).await;
    }
    Ok(connection)
}

async fn contents(
    database: &Database,
    connection: &mut AnyConnection,
) -> Result<Option<Contents>, CopyError> {
    if !database.is_used(connection).await? {
        return Ok(None);
    }
    let mut counts = [0; 3];
    let statements =
        ["SELECT COUNT(*) FROM accounts", "SELECT COUNT(*) FROM devices", "SELECT COUNT(*) FROM logs"];
    for (count, sql) in counts.iter_mut().zip(statements) {
        *count = sqlx::query(sql).fetch_one(&mut *connection).await?.try_get::<i64, _>(0)?.cast_unsigned();
    }
    let [accounts, devices, log_lines] = counts;
    let contents = Contents { accounts, devices, log_lines };
    // A cloud creates an account at its first start.
    Ok((accounts > 0).then_some(contents))
}
