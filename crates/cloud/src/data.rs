//! The data folder: everything a cloud keeps, in one place that can be copied away while the cloud is stopped.
//!
//! | file | content |
//! |---|---|
//! | `VERSION` | the number of this format; written last when the folder is made, so that it says the rest is there |
//! | `authority.pem` | certificate of the authority that devices and cloud trust |
//! | `authority.key` | its private key |
//! | `secret.key` | the key stored secrets are sealed with, 32 bytes |
//! | `cloud.db` | the database, with its companions `cloud.db-wal` and `cloud.db-shm` |
//! | `store.url` | which store the folder has: `sqlite` for `cloud.db`, or the URL of a PostgreSQL database, password included; written when there first was one |
//! | `lock` | locked by the running cloud, as is the folder itself |
//! | `setup.lock` | locked for the moment in which the folder or the database is made or brought up to date |
//!
//! The folder has mode 0700 and every file in it 0600. What others could read or write is refused (D163).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::random;
use crate::store::StoreUrl;

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

/// What may lie in a folder whose making was interrupted.
const PARTS: [&str; 6] = [AUTHORITY, AUTHORITY_KEY, SECRET_KEY, DATABASE, LOCK, SETUP_LOCK];

/// What others must not read, beside [`STORE_URL`].
const SECRETS: [&str; 5] = [AUTHORITY_KEY, SECRET_KEY, DATABASE, "cloud.db-wal", "cloud.db-shm"];

/// How often the lock of a running cloud is tried, and the pause between.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Mode of a file only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;

/// Mode of a folder only its owner may enter.
const PRIVATE_FOLDER: u32 = 0o700;

/// Why a data folder cannot be used. Each message is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder has files in it and no `VERSION`.
    #[error("{0} is not empty and not a cloud's data folder; name an empty or new folder")]
    NotOurs(PathBuf),
    /// The folder was written by a cloud with another format.
    #[error("{folder} has data format {found}, this cloud reads format {FORMAT}")]
    OtherFormat {
        /// The folder.
        folder: PathBuf,
        /// What its `VERSION` says.
        found: String,
    },
    /// There is no data folder.
    #[error("{0} is not a cloud's data folder")]
    Missing(PathBuf),
    /// Another cloud is running on it.
    #[error("{0} is in use by another running cloud")]
    InUse(PathBuf),
    /// A private file can be read by others.
    #[error("{0} can be read by others; make it readable by its owner only (chmod 600)")]
    Exposed(PathBuf),
    /// Others may enter the folder, or write to it.
    #[error("{0} is open to others; make it its owner's only (chmod 700)")]
    ExposedFolder(PathBuf),
    /// The folder had a database, and the file is not there.
    #[error("{0} is missing; the devices of this data folder were in it")]
    DatabaseMissing(PathBuf),
    /// The folder had a database, and the file is empty.
    #[error("{0} is empty; the devices of this data folder were in it")]
    DatabaseEmpty(PathBuf),
    /// The folder has a database and does not say of which format it is.
    #[error("{0} has a database but no VERSION: a part of a data folder is missing")]
    Incomplete(PathBuf),
    /// A file is there but not what it should be.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, &'static str),
    /// The authority cannot be used.
    #[error("{0}: {1}")]
    Authority(PathBuf, AuthorityError),
    /// The operating system refused.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

/// A data folder of this cloud's format, complete.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// Held while a cloud runs on the folder, or while it is set up.
#[derive(Debug)]
pub struct FolderLock {
    _files: Vec<File>,
}

impl DataFolder {
    /// Opens the folder at `path`, making it if there is none or it is empty.
    ///
    /// # Errors
    /// Everything of [`DataError`] but [`DataError::InUse`].
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let folder = Self { path: path.to_owned() };
        make_private_folder(path)?;
        if !folder.has_version()? {
            let unused = folder.check_unused();
            // Another process may have made it meanwhile, and opened its database.
            if !folder.has_version()? {
                unused?;
            }
            let _lock = folder.lock_for_setup()?;
            folder.make()?;
        }
        folder.check_version()?;
        folder.check_exposure()?;
        Ok(folder)
    }

    /// Opens the folder at `path`, which must be there.
    ///
    /// # Errors
    /// [`DataError::Missing`], and those of [`DataFolder::open`].
    pub fn open_existing(path: &Path) -> Result<Self, DataError> {
        let folder = Self { path: path.to_owned() };
        if !folder.has_version()? {
            return Err(DataError::Missing(path.to_owned()));
        }
        folder.check_version()?;
        folder.check_exposure()?;
        Ok(folder)
    }

    /// Takes the folder for a running cloud.
    ///
    /// The folder itself is locked beside the file, so that removing the file lets no second cloud in. File systems that cannot lock a
    /// folder (NFS) leave the file.
    ///
    /// # Errors
    /// [`DataError::InUse`] when another has it.
    pub fn lock(&self) -> Result<FolderLock, DataError> {
        let files = [self.lock_file(LOCK)?, self.directory()?];
        // Whoever only asks whether a cloud runs has the locks for a moment too.
        for _ in 0..LOCK_ATTEMPTS {
            let is_taken = self.is_taken(files[0].try_lock())? || is_folder_taken(&files[1].try_lock());
            if !is_taken {
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
        let is_file_taken = self.is_taken(self.lock_file(LOCK)?.try_lock_shared())?;
        Ok(is_file_taken || is_folder_taken(&self.directory()?.try_lock_shared()))
    }

    fn directory(&self) -> Result<File, DataError> {
        File::open(&self.path).map_err(|error| DataError::File(self.path.clone(), error))
    }

    fn is_taken(&self, attempt: Result<(), TryLockError>) -> Result<bool, DataError> {
        match attempt {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(DataError::File(self.path.join(LOCK), error)),
        }
    }

    /// Waits for the short lock under which the folder and the database are made and brought up to date.
    pub(crate) fn lock_for_setup(&self) -> Result<FolderLock, DataError> {
        let file = self.lock_file(SETUP_LOCK)?;
        file.lock().map_err(|error| DataError::File(self.path.join(SETUP_LOCK), error))?;
        Ok(FolderLock { _files: vec![file] })
    }

    /// The authority kept here.
    pub fn authority(&self) -> Result<Authority, DataError> {
        let key_path = self.path.join(AUTHORITY_KEY);
        check_private(&key_path)?;
        let certificate = read_text(&self.path.join(AUTHORITY))?;
        let key = Zeroizing::new(read_text(&key_path)?);
        Authority::from_pem(&certificate, &key).map_err(|error| DataError::Authority(key_path, error))
    }

    /// The key secrets are sealed with.
    pub(crate) fn secret_key(&self) -> Result<Zeroizing<[u8; 32]>, DataError> {
        let path = self.path.join(SECRET_KEY);
        check_private(&path)?;
        let bytes = Zeroizing::new(read(&path)?);
        let key = <[u8; 32]>::try_from(&bytes[..]);
        key.map(Zeroizing::new).map_err(|_| DataError::Damaged(path, "it is not 32 bytes long"))
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The store this folder's devices are in: the one remembered, else the file.
    pub fn store(&self) -> Result<StoreUrl, DataError> {
        let path = self.path.join(STORE_URL);
        if !path.try_exists().map_err(|error| DataError::File(path.clone(), error))? {
            return Ok(StoreUrl::Folder);
        }
        check_private(&path)?;
        let text = read_text(&path)?;
        text.trim_end().parse().map_err(|_| DataError::Damaged(path, "it holds no URL of a store"))
    }

    /// Whether anything was ever kept in the store this folder has.
    pub(crate) fn has_store(&self) -> Result<bool, DataError> {
        Ok(self.is_store_marked()? || self.database_size()?.is_some_and(|size| size > 0))
    }

    /// Whether `store.url` says which store the folder has.
    fn is_store_marked(&self) -> Result<bool, DataError> {
        let path = self.path.join(STORE_URL);
        path.try_exists().map_err(|error| DataError::File(path, error))
    }

    /// Bytes of the database; `None` when there is no such file.
    fn database_size(&self) -> Result<Option<u64>, DataError> {
        match fs::metadata(self.database()) {
            Ok(file) => Ok(Some(file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DataError::File(self.database(), error)),
        }
    }

    /// Refuses a folder whose database is gone: the file is made with the folder, and empty only until it is opened first.
    ///
    /// # Errors
    /// [`DataError::DatabaseMissing`], [`DataError::DatabaseEmpty`].
    pub(crate) fn check_database(&self) -> Result<(), DataError> {
        match self.database_size()? {
            None => Err(DataError::DatabaseMissing(self.database())),
            Some(0) if self.is_store_marked()? => Err(DataError::DatabaseEmpty(self.database())),
            Some(_) => Ok(()),
        }
    }

    /// Makes `url` the folder's store. An empty file that was never the store goes, so that nobody takes it for one.
    pub(crate) fn remember_store(&self, url: &StoreUrl) -> Result<(), DataError> {
        if !self.has_store()? {
            let _ = fs::remove_file(self.database());
        }
        write_new(&self.path.join(STORE_URL), format!("{}\n", url.with_password()).as_bytes(), PRIVATE)
    }

    /// The same for the store the folder has already, if that is not noted yet.
    pub(crate) fn mark_store(&self, url: &StoreUrl) -> Result<(), DataError> {
        if self.is_store_marked()? {
            return Ok(());
        }
        write_new(&self.path.join(STORE_URL), format!("{}\n", url.with_password()).as_bytes(), PRIVATE)
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn has_version(&self) -> Result<bool, DataError> {
        let path = self.path.join(VERSION);
        path.try_exists().map_err(|error| DataError::File(path, error))
    }

    fn check_version(&self) -> Result<(), DataError> {
        let found = read_text(&self.path.join(VERSION))?.trim().to_owned();
        if found == FORMAT.to_string() {
            return Ok(());
        }
        Err(DataError::OtherFormat { folder: self.path.clone(), found: printable(&found) })
    }

    /// Refuses a folder that holds anything a cloud did not put there.
    fn check_unused(&self) -> Result<(), DataError> {
        let listing = |error| DataError::File(self.path.clone(), error);
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

    /// Refuses what others could read or write.
    fn check_exposure(&self) -> Result<(), DataError> {
        if is_open_to_others(&self.path)? {
            return Err(DataError::ExposedFolder(self.path.clone()));
        }
        for name in SECRETS {
            check_private_if_there(&self.path.join(name))?;
        }
        Ok(())
    }

    /// Writes what is missing, `VERSION` last. Nothing is in use before that, so damaged parts of an interrupted making are replaced.
    fn make(&self) -> Result<(), DataError> {
        if self.has_version()? {
            return Ok(());
        }
        // A folder that was copied without its VERSION: what is in it must not be replaced.
        if self.has_store()? {
            return Err(DataError::Incomplete(self.path.clone()));
        }
        let own = fs::Permissions::from_mode(PRIVATE_FOLDER);
        fs::set_permissions(&self.path, own).map_err(|error| DataError::File(self.path.clone(), error))?;
        if !is_whole(self.authority())? {
            let authority = Authority::generate();
            write_new(&self.path.join(AUTHORITY_KEY), authority.key_pem().as_bytes(), PRIVATE)?;
            write_new(&self.path.join(AUTHORITY), authority.certificate_pem().as_bytes(), PRIVATE)?;
        }
        if !is_whole(self.secret_key())? {
            write_new(&self.path.join(SECRET_KEY), &random::bytes::<32>(), PRIVATE)?;
        }
        // An empty database; SQLite gives the files beside it the mode this one has.
        write_new(&self.database(), b"", PRIVATE)?;
        write_new(&self.path.join(VERSION), format!("{FORMAT}\n").as_bytes(), PRIVATE)
    }

    fn lock_file(&self, name: &str) -> Result<File, DataError> {
        let path = self.path.join(name);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(&path)
            .map_err(|error| DataError::File(path, error))
    }
}

const TEMPORARY_SUFFIX: &str = ".new";

/// Makes a folder with mode 0700 if there is none.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), DataError> {
    let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path);
    made.map_err(|error| DataError::File(path.to_owned(), error))
}

/// Whether another has the lock of a folder. One that cannot be locked is nobody's: there is the lock file.
fn is_folder_taken(attempt: &Result<(), TryLockError>) -> bool {
    matches!(attempt, Err(TryLockError::WouldBlock))
}

/// Puts a whole file in place at once, on the disk before its name is.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), DataError> {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(name);
    let written = write_file(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_parent(path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| DataError::File(path.to_owned(), error))
}

fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Whether a part of the folder is there and whole. One that others could read is neither used nor replaced.
fn is_whole<T>(part: Result<T, DataError>) -> Result<bool, DataError> {
    match part {
        Ok(_) => Ok(true),
        Err(error @ DataError::Exposed(_)) => Err(error),
        Err(_) => Ok(false),
    }
}

fn check_private(path: &Path) -> Result<(), DataError> {
    if is_open_to_others(path)? {
        return Err(DataError::Exposed(path.to_owned()));
    }
    Ok(())
}

fn check_private_if_there(path: &Path) -> Result<(), DataError> {
    match check_private(path) {
        Err(DataError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        checked => checked,
    }
}

/// Whether group or others have any right to a file or folder.
fn is_open_to_others(path: &Path) -> Result<bool, DataError> {
    let metadata = fs::metadata(path).map_err(|error| DataError::File(path.to_owned(), error))?;
    Ok(metadata.mode() & 0o077 != 0)
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| DataError::File(path.to_owned(), error))
}

fn read_text(path: &Path) -> Result<String, DataError> {
    fs::read_to_string(path).map_err(|error| DataError::File(path.to_owned(), error))
}

/// At most a few characters of a foreign text, safe for one line.
fn printable(text: &str) -> String {
    text::escape(&text.chars().take(16).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests;
