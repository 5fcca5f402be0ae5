//! Where the repository's files are.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// The workspace of Rust applications.
pub(crate) const RUST_SDK: &str = "sdk/rust";

/// The repository's root, whatever the current directory is.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask/ has a parent: the repository").to_path_buf()
}

/// The path, from the root, that a link of a page leads to: `../README.md` in a page of `docs` is `README.md`.
pub(crate) fn resolve(page: &str, link: &str) -> PathBuf {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Reads a text file of the repository.
pub(crate) fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// Writes a generated text file, or with `check` compares it.
///
/// # Errors
/// The file is stale; the message names the command that updates it.
pub(crate) fn write_or_check(path: &str, text: &str, check: bool) -> Result<(), String> {
    if !check {
        return std::fs::write(root().join(path), text).map_err(|error| format!("{path}: {error}"));
    }
    if read(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    Err(format!("{path} is stale: run `cargo xtask conformance`"))
}

/// The cargo that runs this program, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
