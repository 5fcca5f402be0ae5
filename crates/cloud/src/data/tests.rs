use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::tempdir;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn refusal(path: &Path) -> String {
    DataFolder::open(path).expect_err("refused").to_string()
}

#[test]
fn a_new_folder_is_made_complete_and_private() {
    let parent = tempdir().expect("a folder");
    let path = parent.path().join("deep/data");
    let folder = DataFolder::open(&path).expect("made");
    assert_eq!(fs::read_to_string(path.join("VERSION")).expect("there"), "1\n");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("authority.key")), 0o600);
    assert_eq!(mode(&path.join("secret.key")), 0o600);
    assert_eq!(mode(&path.join("cloud.db")), 0o600);
    assert!(folder.authority().is_ok());
    assert!(folder.secret_key().is_ok());
}

#[test]
fn opening_again_keeps_the_keys() {
    let parent = tempdir().expect("a folder");
    let first = DataFolder::open(parent.path()).expect("made");
    let again = DataFolder::open(parent.path()).expect("opened");
    let pem = |folder: &DataFolder| folder.authority().expect("an authority").certificate_pem().to_owned();
    assert_eq!(pem(&first), pem(&again));
    assert_eq!(first.secret_key().expect("a key"), again.secret_key().expect("a key"));
}

#[test]
fn a_folder_of_another_format_is_refused_in_one_line() {
    let parent = tempdir().expect("a folder");
    DataFolder::open(parent.path()).expect("made");
    fs::write(parent.path().join("VERSION"), "2\nmore").expect("written");
    let message = refusal(parent.path());
    assert_eq!(
        message,
        format!("{} has data format 2\\nmore, this cloud reads format 1", parent.path().display())
    );
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_left_alone() {
    let parent = tempdir().expect("a folder");
    fs::write(parent.path().join("letter.txt"), "dear").expect("written");
    assert!(refusal(parent.path()).contains("is not empty and not a cloud's data folder"));
    assert_eq!(fs::read_dir(parent.path()).expect("there").count(), 1);
}

#[test]
fn an_interrupted_making_is_finished() {
    let parent = tempdir().expect("a folder");
    write_new(&parent.path().join("authority.key"), b"half", 0o600).expect("written");
    fs::write(parent.path().join("authority.pem.new"), "half").expect("written");
    let folder = DataFolder::open(parent.path()).expect("made");
    assert!(folder.authority().is_ok());
}

#[test]
fn two_clouds_never_share_a_folder() {
    let parent = tempdir().expect("a folder");
    let folder = DataFolder::open(parent.path()).expect("made");
    let held = folder.lock().expect("free");
    let message =
        DataFolder::open(parent.path()).expect("opening is free").lock().expect_err("held").to_string();
    assert_eq!(message, format!("{} is in use by another running cloud", parent.path().display()));
    drop(held);
    assert!(folder.lock().is_ok());
}

#[test]
fn a_missing_exposed_or_foreign_key_is_refused() {
    let parent = tempdir().expect("a folder");
    let folder = DataFolder::open(parent.path()).expect("made");
    let key = parent.path().join("authority.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("set");
    assert!(matches!(folder.authority(), Err(DataError::File(FileError::Exposed(_)))));
    write_new(&key, Authority::generate().key_pem().as_bytes(), 0o600).expect("written");
    assert!(matches!(folder.authority(), Err(DataError::Authority(_, AuthorityError::Mismatch))));
    fs::remove_file(parent.path().join("secret.key")).expect("removed");
    assert!(matches!(folder.secret_key(), Err(DataError::File(..))));
    write_new(&parent.path().join("secret.key"), b"short", 0o600).expect("written");
    assert!(matches!(folder.secret_key(), Err(DataError::Damaged(..))));
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let parent = tempdir().expect("a folder");
    let path = parent.path().join("file");
    fs::write(&path, "").expect("written");
    assert!(matches!(DataFolder::open(&path), Err(DataError::File(..))));
}

#[test]
fn opening_an_existing_folder_creates_none_and_shows_whether_a_cloud_runs() {
    let directory = tempdir().expect("a folder");
    let path = directory.path().join("cloud");
    assert!(matches!(DataFolder::open_existing(&path), Err(DataError::Missing(_))));
    assert!(!path.exists());
    DataFolder::open(&path).expect("made");
    let folder = DataFolder::open_existing(&path).expect("there");
    assert!(!folder.is_in_use().expect("asked"));
    let lock = folder.lock().expect("free");
    assert!(folder.is_in_use().expect("asked"));
    drop(lock);
    assert!(!folder.is_in_use().expect("asked"));
}

/// Shows D163.
#[test]
fn removing_the_lock_file_lets_no_second_cloud_in() {
    let parent = tempdir().expect("a folder");
    let folder = DataFolder::open(parent.path()).expect("made");
    let held = folder.lock().expect("free");
    fs::remove_file(parent.path().join("lock")).expect("removed");
    assert!(matches!(folder.lock(), Err(DataError::InUse(_))));
    assert!(folder.is_in_use().expect("asked"));
    drop(held);
    assert!(!folder.is_in_use().expect("asked"));
    assert!(folder.lock().is_ok());
}

/// Shows D163.
#[test]
fn a_folder_or_a_file_that_others_may_use_is_refused() {
    let parent = tempdir().expect("a folder");
    DataFolder::open(parent.path()).expect("made");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    for mode in [0o755, 0o777, 0o701, 0o720] {
        set(parent.path(), mode);
        let message = refusal(parent.path());
        assert!(message.ends_with("is open to others; make it its owner's only (chmod 700)"), "{message}");
        assert!(matches!(DataFolder::open_existing(parent.path()), Err(DataError::ExposedFolder(_))));
    }
    set(parent.path(), 0o700);
    for name in ["authority.key", "secret.key", "cloud.db"] {
        let file = parent.path().join(name);
        set(&file, 0o644);
        let message = refusal(parent.path());
        assert!(
            message.ends_with("can be read by others; make it readable by its owner only (chmod 600)"),
            "{message}"
        );
        set(&file, 0o600);
    }
    assert!(DataFolder::open(parent.path()).is_ok());
}

/// Shows D163.
#[test]
fn an_empty_folder_of_any_mode_becomes_a_private_one() {
    let parent = tempdir().expect("a folder");
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).expect("set");
    DataFolder::open(parent.path()).expect("made");
    assert_eq!(mode(parent.path()), 0o700);
    for entry in fs::read_dir(parent.path()).expect("there") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// A backup that was put back without its `VERSION`.
///
/// Shows D163.
#[test]
fn a_folder_with_a_database_and_no_version_is_refused_and_left_alone() {
    let parent = tempdir().expect("a folder");
    let folder = DataFolder::open(parent.path()).expect("made");
    let key = folder.secret_key().expect("a key");
    fs::write(parent.path().join("cloud.db"), "devices").expect("written");
    fs::remove_file(parent.path().join("VERSION")).expect("removed");
    let message = refusal(parent.path());
    assert!(
        message.ends_with("has a database but no VERSION: a part of a data folder is missing"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(parent.path().join("cloud.db")).expect("there"), "devices");
    assert_eq!(folder.secret_key().expect("a key"), key);
}

/// Shows D163.
#[test]
fn the_keys_of_an_interrupted_making_are_kept_when_they_are_whole() {
    let parent = tempdir().expect("a folder");
    let folder = DataFolder::open(parent.path()).expect("made");
    let key = folder.secret_key().expect("a key");
    fs::remove_file(parent.path().join("VERSION")).expect("removed");
    DataFolder::open(parent.path()).expect("made");
    assert_eq!(folder.secret_key().expect("a key"), key);
}
