//! The files of the tree that have text of our own.

use std::path::Path;
use std::process::Command;

use crate::workspace::root;

/// One text file.
pub(super) struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    pub text: String,
    /// Made from other files that are checked, or a table of what is rejected: it exists, and its text is not judged.
    pub is_derived: bool,
}

/// Kinds of files that are checked.
const KINDS: &[&str] = &["rs", "md", "toml", "c", "h", "S", "ld", "yml", "py"];

/// Files and folders that are derived.
const DERIVED: &[&str] =
    &["docs/conformance.md", "xtask/tidy.toml", "xtask/tidy-remaining.toml", "crates/abi/src/generated"];

impl Source {
    pub(super) fn new(path: &str, text: impl Into<String>) -> Self {
        let is_derived = DERIVED.iter().any(|derived| path.starts_with(derived));
        Self { path: path.to_owned(), text: text.into(), is_derived }
    }

    pub(super) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    /// The lines, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The crate, or the folder of the root, that a file is part of: `crates/kernel`, `docs`; `.` for files of the root.
pub(super) fn folder(path: &str) -> &str {
    let depth = if path.starts_with("crates/") { 2 } else { 1 };
    path.match_indices('/').nth(depth - 1).map_or(".", |(at, _)| &path[..at])
}

/// Reads every file that Git knows or would add, so that build output and notes that are ignored are left out.
///
/// # Errors
/// Git cannot be run.
pub(super) fn collect() -> Result<Vec<Source>, String> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let output = command.output().map_err(|error| format!("git ls-files: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    let mut paths: Vec<&str> = listed.split('\0').filter(|path| is_text(path)).collect();
    paths.sort_unstable();
    // A file that is deleted but not yet committed is listed and cannot be read.
    let sources = paths.into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(Source::new(path, text))
    });
    Ok(sources.collect())
}

fn is_text(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| KINDS.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_crate_or_to_a_folder_of_the_root() {
        assert_eq!(folder("crates/kernel/src/lib.rs"), "crates/kernel");
        assert_eq!(folder("docs/spec/link.md"), "docs");
        assert_eq!(folder("README.md"), ".");
    }

    #[test]
    fn images_and_other_data_are_left_out() {
        assert!(is_text("crates/kernel/src/lib.rs") && is_text("README.md"));
        assert!(!is_text("sdk/app.elf") && !is_text("LICENSE-MIT"));
    }
}
