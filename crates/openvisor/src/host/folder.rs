//! Data folders: the one the user names, or one that goes away with the process.

use std::path::{Path, PathBuf};

use crate::output::exit::Failure;

/// A place for data.
pub(crate) enum Folder {
    /// Named by the user, and kept.
    Kept(PathBuf),
    /// Ours, removed when dropped.
    Temporary(tempfile::TempDir),
}

impl Folder {
    /// The folder `named`, or a temporary one.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Ok(Self::Kept(path.to_owned())),
            None => temporary(),
        }
    }

    /// A place in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        match self {
            Self::Kept(path) => path.join(name),
            Self::Temporary(folder) => folder.path().join(name),
        }
    }
}

fn temporary() -> Result<Folder, Failure> {
    let made = tempfile::Builder::new().prefix("openvisor-").tempdir();
    made.map(Folder::Temporary).map_err(|error| {
        Failure::environment(format!("cannot make a temporary folder: {error}"))
            .hint("name one with --data DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_away_and_a_named_one_stays() {
        let parent = tempfile::tempdir().unwrap();
        let named = Folder::open(Some(parent.path())).unwrap();
        let temporary = Folder::open(None).unwrap();
        let gone = temporary.join("cloud");
        std::fs::create_dir(&gone).unwrap();
        drop((named, temporary));
        assert!(parent.path().exists());
        assert!(!gone.exists());
    }
}
