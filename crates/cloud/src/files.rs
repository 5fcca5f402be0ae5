//! Private files, written as a whole and refused where others could read them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of a file only its owner may read.
pub(crate) const PRIVATE_FILE: u32 = 0o600;

/// Mode of a folder only its owner may enter.
pub(crate) const PRIVATE_FOLDER: u32 = 0o700;

/// Suffix of a file that is still being written.
pub(crate) const TEMPORARY_SUFFIX: &str = ".new";

/// Why a file cannot be read or written. Each message is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A private file can be read by others.
    #[error("{0} can be read by others; make it readable by its owner only (chmod 600)")]
    Exposed(PathBuf),
    /// The operating system refused.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

impl FileError {
    /// Attaches the path to an error of the operating system.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Io(path, error)
    }
}

/// Creates a folder with mode 0700 unless it exists.
pub(crate) fn create_private_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(path).map_err(FileError::io(path))
}

/// Writes a file atomically: after a crash it has either its old content or all of the new.
///
/// The content is on the disk before the name is: a rename that reached the disk first would name an empty file.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(name);
    let written = write_file(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_parent(path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(FileError::io(path))
}

fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path)?;
    // The mode given to `open` is lessened by the umask, and ignored for a file left over from an interrupted write.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a rename durable: POSIX leaves that to an fsync of the folder.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Refuses a file that its group or others have any right to.
pub(crate) fn check_private(path: &Path) -> Result<(), FileError> {
    if is_open_to_others(path)? { Err(FileError::Exposed(path.to_owned())) } else { Ok(()) }
}

/// As [`check_private`], for a file that need not exist.
pub(crate) fn check_private_if_exists(path: &Path) -> Result<(), FileError> {
    match check_private(path) {
        Err(FileError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        checked => checked,
    }
}

/// Whether group or others have any right to a file or folder.
pub(crate) fn is_open_to_others(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::io(path))?;
    Ok(metadata.mode() & 0o077 != 0)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(FileError::io(path))
}

pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::io(path))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs::write(&path, "old").expect("written");
        fs::write(folder.path().join("key.new"), "interrupted").expect("written");
        write_new(&path, b"new", PRIVATE_FILE).expect("written");
        assert_eq!(read_text(&path).expect("read"), "new");
        assert!(!is_open_to_others(&path).expect("there"), "also where the old file was");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_temporary_one() {
        let folder = tempdir().expect("a folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("made");
        let error = write_new(&path, b"new", PRIVATE_FILE).expect_err("a folder has the name");
        assert!(error.to_string().starts_with(&*path.to_string_lossy()), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_file_others_can_read_is_refused_and_a_missing_one_only_where_it_must_exist() {
        let folder = tempdir().expect("a folder");
        let path = folder.path().join("key");
        assert!(check_private_if_exists(&path).is_ok());
        assert!(matches!(check_private(&path), Err(FileError::Io(..))));
        write_new(&path, b"", 0o640).expect("written");
        assert!(matches!(check_private(&path), Err(FileError::Exposed(_))));
        assert!(matches!(check_private_if_exists(&path), Err(FileError::Exposed(_))));
    }
}
