//! The folder of a run: one that the user names, or a temporary one.

use std::path::{Path, PathBuf};

use crate::output::exit::Failure;

/// Where a run keeps its data.
pub(crate) enum Folder {
    /// Named by the user, and not removed.
    Named(PathBuf),
    /// Removed when dropped.
    Temporary(tempfile::TempDir),
}

impl Folder {
    /// The folder `named`, or a temporary one.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Ok(Self::Named(path.to_owned())),
            None => temporary(),
        }
    }

    /// The path of `name` in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        match self {
            Self::Named(path) => path.join(name),
            Self::Temporary(folder) => folder.path().join(name),
        }
    }
}

fn temporary() -> Result<Folder, Failure> {
    let folder = tempfile::Builder::new().prefix("openvisor-").tempdir();
    folder.map(Folder::Temporary).map_err(|error| {
        Failure::environment(format!("cannot create a temporary folder: {error}"))
            .hint("choose a folder with --data DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_removed_and_a_named_one_is_not() {
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
