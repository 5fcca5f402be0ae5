//! Where the repository's files are.

use std::path::{Path, PathBuf};

/// The repository's root, whatever directory the chore was started in.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask/ has a parent: the repository").to_path_buf()
}

/// Reads a text file of the repository.
pub fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}
