//! The data folder: everything a cloud keeps, in one place that can be copied away while the cloud is stopped.
//!
//! | file | content |
//! |---|---|
//! | `VERSION` | the number of this format; written last when the folder is created, so its presence says that the rest is complete |
//! | `authority.pem` | certificate of the authority that devices and cloud trust |
//! | `authority.key` | its private key |
//! | `secret.key` | the key that encrypts stored secrets, 32 bytes |
//! | `cloud.db` | the database, with its companions `cloud.db-wal` and `cloud.db-shm` |
//! | `store.url` | which store the folder uses: `sqlite` for `cloud.db`, or the URL of a PostgreSQL database, password included; written on first use |
//! | `lock` | locked by the running cloud, as is the folder itself |
//! | `setup.lock` | locked briefly while the folder or the database is created or migrated |
//!
//! The folder has mode 0700 and every file in it 0600. Anything that others could read or write is refused, because it
//! holds the keys of all devices (D163).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::files::{
    FileError, PRIVATE_FILE, PRIVATE_FOLDER, TEMPORARY_SUFFIX, check_private, check_private_if_exists,
    create_private_folder, is_open_to_others, read, read_text, write_new,
};
use crate::random;
use crate::store_url::StoreUrl;

/// Number of the format this cloud reads and writes.
pub const FORMAT: u32 = 1;

const VERSION: &str = "VERSION";
const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const SECRET_KEY: &str = "secret.key";
const DATABASE: &str = "cloud.db";
const STORE_URL: &str = "store.url";
const LOCK: &str = "lock";
const SETUP_LOCK: &str = "setup.lock";

/// Files that may exist in a folder whose creation was interrupted.
const PARTS: [&str; 6] = [AUTHORITY, AUTHORITY_KEY, SECRET_KEY, DATABASE, LOCK, SETUP_LOCK];

/// Files that must be private, beside [`STORE_URL`].
const SECRETS: [&str; 5] = [AUTHORITY_KEY, SECRET_KEY, DATABASE, "cloud.db-wal", "cloud.db-shm"];

/// How often the lock of a running cloud is tried, and the pause between two attempts.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why a data folder cannot be used. Each message is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder contains files and no `VERSION`.
    #[error("{0} is not empty and not a cloud's data folder; name an empty or new folder")]
    NotOurs(PathBuf),
    /// The folder was written by a cloud with another format.
    #[error("{folder} has data format {found}, this cloud reads format {FORMAT}")]
    OtherFormat {
        /// The folder.
        folder: PathBuf,
        /// Content of its `VERSION`.
        found: String,
    },
    /// There is no data folder.
    #[error("{0} is not a cloud's data folder")]
    Missing(PathBuf),
    /// Another cloud runs on the folder.
    #[error("{0} is in use by another running cloud")]
    InUse(PathBuf),
    /// Others may enter the folder, or write to it.
    #[error("{0} is open to others; make it its owner's only (chmod 700)")]
    ExposedFolder(PathBuf),
    /// The folder had a database, and the file is gone.
    #[error("{0} is missing; the devices of this data folder were in it")]
    DatabaseMissing(PathBuf),
    /// The folder had a database, and the file is empty.
    #[error("{0} is empty; the devices of this data folder were in it")]
    DatabaseEmpty(PathBuf),
    /// The folder has a database and no `VERSION`.
    #[error("{0} has a database but no VERSION: a part of a data folder is missing")]
    Incomplete(PathBuf),
    /// A file does not have the content it should.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, &'static str),
    /// The authority cannot be used.
    #[error("{0}: {1}")]
    Authority(PathBuf, AuthorityError),
    /// A file cannot be read or written, or others can read it.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A complete data folder of this cloud's format.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// The key that encrypts stored secrets. It is wiped from memory when it is dropped.
#[derive(PartialEq, Eq)]
pub(crate) struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

/// Held while a cloud runs on the folder, or while it is set up.
#[derive(Debug)]
pub struct FolderLock {
    _files: Vec<File>,
}

impl DataFolder {
    /// Opens the folder at `path`, creating it if it does not exist or is empty.
    ///
    /// # Errors
    /// Any [`DataError`] except [`DataError::InUse`].
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let folder = Self { path: path.to_owned() };
        create_private_folder(path)?;
        if !folder.has_version()? {
            let unused = folder.check_unused();
            // Another process may have created it in the meantime, and opened its database.
            if !folder.has_version()? {
                unused?;
            }
            let _lock = folder.lock_for_setup()?;
            folder.create_contents()?;
        }
        folder.check_version()?;
        folder.check_exposure()?;
        Ok(folder)
    }

    /// Opens the folder at `path`, which must exist.
    ///
    /// # Errors
    /// [`DataError::Missing`], and the errors of [`DataFolder::open`].
    pub fn open_existing(path: &Path) -> Result<Self, DataError> {
        let folder = Self { path: path.to_owned() };
        if !folder.has_version()? {
            return Err(DataError::Missing(path.to_owned()));
        }
        folder.check_version()?;
        folder.check_exposure()?;
        Ok(folder)
    }

    /// Locks the folder for a running cloud.
    ///
    /// The folder itself is locked too, so that removing the lock file lets no second cloud in. On file systems that
    /// cannot lock a folder (NFS) only the file counts.
    ///
    /// # Errors
    /// [`DataError::InUse`] when another cloud holds the lock.
    pub fn lock(&self) -> Result<FolderLock, DataError> {
        let files = [self.lock_file(LOCK)?, self.directory()?];
        // `is_in_use` of another process takes the same locks for a moment, which is no reason to fail.
        for _ in 0..LOCK_ATTEMPTS {
            let is_locked = self.is_locked(files[0].try_lock())? || is_folder_locked(&files[1].try_lock());
            if !is_locked {
                return Ok(FolderLock { _files: files.into() });
            }
            for file in &files {
                let _ = file.unlock();
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(DataError::InUse(self.path.clone()))
    }

    /// Whether a cloud runs on the folder now.
    pub fn is_in_use(&self) -> Result<bool, DataError> {
        let is_file_locked = self.is_locked(self.lock_file(LOCK)?.try_lock_shared())?;
        Ok(is_file_locked || is_folder_locked(&self.directory()?.try_lock_shared()))
    }

    fn directory(&self) -> Result<File, DataError> {
        Ok(File::open(&self.path).map_err(FileError::io(&self.path))?)
    }

    fn is_locked(&self, attempt: Result<(), TryLockError>) -> Result<bool, DataError> {
        match attempt {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(FileError::Io(self.path.join(LOCK), error).into()),
        }
    }

    /// Waits for the short lock under which the folder and the database are created and migrated.
    pub(crate) fn lock_for_setup(&self) -> Result<FolderLock, DataError> {
        let file = self.lock_file(SETUP_LOCK)?;
        file.lock().map_err(FileError::io(&self.path.join(SETUP_LOCK)))?;
        Ok(FolderLock { _files: vec![file] })
    }

    /// The authority stored in the folder.
    pub fn authority(&self) -> Result<Authority, DataError> {
        let key_path = self.path.join(AUTHORITY_KEY);
        check_private(&key_path)?;
        let certificate = read_text(&self.path.join(AUTHORITY))?;
        let key = Zeroizing::new(read_text(&key_path)?);
        Authority::from_pem(&certificate, &key).map_err(|error| DataError::Authority(key_path, error))
    }

    /// The key that encrypts stored secrets.
    pub(crate) fn secret_key(&self) -> Result<SecretKey, DataError> {
        let path = self.path.join(SECRET_KEY);
        check_private(&path)?;
        let bytes = Zeroizing::new(read(&path)?);
        let key = <[u8; 32]>::try_from(&bytes[..]);
        key.map(|key| SecretKey(Zeroizing::new(key)))
            .map_err(|_| DataError::Damaged(path, "it is not 32 bytes long"))
    }

    /// Path of the SQLite database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The store of this folder: the one it recorded, else the SQLite file.
    pub fn store(&self) -> Result<StoreUrl, DataError> {
        let path = self.path.join(STORE_URL);
        if !path.try_exists().map_err(FileError::io(&path))? {
            return Ok(StoreUrl::Folder);
        }
        check_private(&path)?;
        let text = read_text(&path)?;
        text.trim_end()
            .parse()
            .map_err(|_| DataError::Damaged(path, "it does not contain the URL of a store"))
    }

    /// Whether the folder's store was ever used.
    pub(crate) fn has_store(&self) -> Result<bool, DataError> {
        Ok(self.is_store_recorded()? || self.database_size()?.is_some_and(|size| size > 0))
    }

    /// Whether `store.url` records which store the folder uses.
    fn is_store_recorded(&self) -> Result<bool, DataError> {
        let path = self.path.join(STORE_URL);
        Ok(path.try_exists().map_err(FileError::io(&path))?)
    }

    /// Size of the database in bytes; `None` when the file does not exist.
    fn database_size(&self) -> Result<Option<u64>, DataError> {
        match fs::metadata(self.database()) {
            Ok(file) => Ok(Some(file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::Io(self.database(), error).into()),
        }
    }

    /// Refuses a folder whose database is gone: the file is created with the folder, and empty only until it is first
    /// opened. An empty database would look like a cloud without devices (D163).
    ///
    /// # Errors
    /// [`DataError::DatabaseMissing`], [`DataError::DatabaseEmpty`].
    pub(crate) fn check_database(&self) -> Result<(), DataError> {
        match self.database_size()? {
            None => Err(DataError::DatabaseMissing(self.database())),
            Some(0) if self.is_store_recorded()? => Err(DataError::DatabaseEmpty(self.database())),
            Some(_) => Ok(()),
        }
    }

    /// Records `url` as the folder's store. An empty `cloud.db` that was never used is removed, so that it is not
    /// mistaken for the store.
    pub(crate) fn record_store(&self, url: &StoreUrl) -> Result<(), DataError> {
        if !self.has_store()? {
            let _ = fs::remove_file(self.database());
        }
        self.write_store_url(url)
    }

    /// Records the store the folder already uses, unless that has been done.
    pub(crate) fn record_store_once(&self, url: &StoreUrl) -> Result<(), DataError> {
        if self.is_store_recorded()? {
            return Ok(());
        }
        self.write_store_url(url)
    }

    fn write_store_url(&self, url: &StoreUrl) -> Result<(), DataError> {
        let line = format!("{}\n", url.with_password());
        Ok(write_new(&self.path.join(STORE_URL), line.as_bytes(), PRIVATE_FILE)?)
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn has_version(&self) -> Result<bool, DataError> {
        let path = self.path.join(VERSION);
        Ok(path.try_exists().map_err(FileError::io(&path))?)
    }

    fn check_version(&self) -> Result<(), DataError> {
        let found = read_text(&self.path.join(VERSION))?.trim().to_owned();
        if found == FORMAT.to_string() {
            return Ok(());
        }
        Err(DataError::OtherFormat { folder: self.path.clone(), found: printable(&found) })
    }

    /// Refuses a folder with files that a cloud did not create.
    fn check_unused(&self) -> Result<(), DataError> {
        let listing = |error| FileError::Io(self.path.clone(), error);
        for entry in fs::read_dir(&self.path).map_err(listing)? {
            let name = entry.map_err(listing)?.file_name();
            let ours = name.to_str().is_some_and(|name| {
                PARTS.contains(&name) || name == VERSION || name.ends_with(TEMPORARY_SUFFIX)
            });
            if !ours {
                return Err(DataError::NotOurs(self.path.clone()));
            }
        }
        Ok(())
    }

    /// Refuses a folder that others could read or write.
    fn check_exposure(&self) -> Result<(), DataError> {
        if is_open_to_others(&self.path)? {
            return Err(DataError::ExposedFolder(self.path.clone()));
        }
        for name in SECRETS {
            check_private_if_exists(&self.path.join(name))?;
        }
        Ok(())
    }

    /// Creates the missing files, `VERSION` last. Nothing is in use before that, so damaged files of an interrupted
    /// creation are replaced.
    fn create_contents(&self) -> Result<(), DataError> {
        if self.has_version()? {
            return Ok(());
        }
        // A folder that was copied without its VERSION: its keys and devices must not be replaced.
        if self.has_store()? {
            return Err(DataError::Incomplete(self.path.clone()));
        }
        let private = fs::Permissions::from_mode(PRIVATE_FOLDER);
        fs::set_permissions(&self.path, private).map_err(FileError::io(&self.path))?;
        if !is_valid(self.authority())? {
            let authority = Authority::generate();
            write_new(&self.path.join(AUTHORITY_KEY), authority.key_pem().as_bytes(), PRIVATE_FILE)?;
            write_new(&self.path.join(AUTHORITY), authority.certificate_pem().as_bytes(), PRIVATE_FILE)?;
        }
        if !is_valid(self.secret_key())? {
            write_new(&self.path.join(SECRET_KEY), &random::bytes::<32>(), PRIVATE_FILE)?;
        }
        // SQLite gives its companion files the mode of the database, so the database is created here and not by SQLite.
        write_new(&self.database(), b"", PRIVATE_FILE)?;
        Ok(write_new(&self.path.join(VERSION), format!("{FORMAT}\n").as_bytes(), PRIVATE_FILE)?)
    }

    fn lock_file(&self, name: &str) -> Result<File, DataError> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(PRIVATE_FILE);
        Ok(options.open(&path).map_err(FileError::io(&path))?)
    }
}

/// Whether another process has locked a folder. A file system that cannot lock folders (NFS) counts as unlocked: the
/// lock file decides there.
fn is_folder_locked(attempt: &Result<(), TryLockError>) -> bool {
    matches!(attempt, Err(TryLockError::WouldBlock))
}

/// Whether a file exists and is valid. One that others could read is neither used nor replaced: the operator has to
/// look at it.
fn is_valid<T>(part: Result<T, DataError>) -> Result<bool, DataError> {
    match part {
        Ok(_) => Ok(true),
        Err(error @ DataError::File(FileError::Exposed(_))) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The first characters of an untrusted text, escaped for one line.
fn printable(text: &str) -> String {
    text::escape(&text.chars().take(16).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests;
