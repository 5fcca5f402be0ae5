//! The files of the tree that have text of our own.

use std::path::Path;

use crate::workspace::{read, root};

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

/// Folders without text of the project.
const SKIPPED: &[&str] = &[".git", "target"];

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

/// Reads every text file of the repository but build output.
///
/// # Errors
/// A file is not UTF-8, or cannot be read.
pub(super) fn collect() -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    walk("", &mut paths)?;
    paths.sort_unstable();
    paths.iter().map(|path| Ok(Source::new(path, read(path)?))).collect()
}

fn walk(folder: &str, paths: &mut Vec<String>) -> Result<(), String> {
    let entries = std::fs::read_dir(root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !SKIPPED.contains(&name.as_str()) {
            walk(&path, paths)?;
        } else if !is_folder && is_text(&path) {
            paths.push(path);
        }
    }
    Ok(())
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
