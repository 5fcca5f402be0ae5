//! The pages of the book in one folder, with the paths that they have in the repository, so that links hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{self, read, root};

/// The table of contents, in Markdown; its links are relative to its own folder.
const SUMMARY: &str = "docs/SUMMARY.md";
/// Where mdBook reads.
const FOLDER: &str = "target/book/source";

/// Copies the pages of the table of contents and the files that they link to; answers the number of pages.
///
/// # Errors
/// A page that does not exist, or a file that cannot be written.
pub(super) fn collect() -> Result<usize, String> {
    let folder = root().join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{FOLDER}: {error}"))?;
    }
    let summary = read(SUMMARY)?;
    let pages: BTreeSet<PathBuf> = targets(&summary).iter().map(|target| resolve(SUMMARY, target)).collect();
    write(Path::new("SUMMARY.md"), &with_links(&summary, |target| Some(shown(&resolve(SUMMARY, target)))))?;
    for page in &pages {
        let text = read(&shown(page))?;
        write(page, &with_links(&text, |target| kept(page, target, &pages)))?;
        for file in targets(&text).iter().filter_map(|target| file(page, target)) {
            fs::create_dir_all(folder.join(&file).parent().unwrap_or(&folder))
                .map_err(|error| error.to_string())?;
            fs::copy(root().join(&file), folder.join(&file)).map_err(|error| error.to_string())?;
        }
    }
    Ok(pages.len())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let path = root().join(FOLDER).join(path);
    let folder = path.parent().ok_or("a page is in a folder")?;
    fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(|error| error.to_string())
}

/// A link that leads somewhere in the book: to a page, an address of the web, or a file that is copied. Others, to
/// folders and sources of the repository, become plain text.
fn kept(page: &Path, target: &str, pages: &BTreeSet<PathBuf>) -> Option<String> {
    let path = resolve(&shown(page), target);
    let leads = target.contains(':')
        || target.starts_with('#')
        || pages.contains(&path)
        || file(page, target).is_some();
    leads.then(|| target.to_owned())
}

/// A file of the repository that is neither a page nor a source in Rust.
fn file(page: &Path, target: &str) -> Option<PathBuf> {
    let path = resolve(&shown(page), target);
    let is_copied = path.extension().is_some_and(|extension| extension != "md" && extension != "rs");
    (!target.contains(':') && is_copied && root().join(&path).is_file()).then_some(path)
}

/// The targets of `[text](target)`.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    with_links(text, |target| {
        targets.push(target.to_owned());
        None
    });
    targets
}

/// Replaces the target of each link; `None` leaves the link's text alone.
fn with_links(text: &str, mut replace: impl FnMut(&str) -> Option<String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let end = rest[at..].find(')').map(|end| at + end);
        let begin = opening(&rest[..at]);
        let (Some(end), Some(begin)) = (end, begin) else {
            result.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        let words = &rest[begin + 1..at];
        result.push_str(&rest[..begin]);
        match replace(&rest[at + 2..end]) {
            Some(target) => result.extend(["[", words, "](", &target, ")"]),
            None => result.push_str(words),
        }
        rest = &rest[end + 1..];
    }
    result + rest
}

/// Where the bracket is opened that the text's end closes.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, character) in text.char_indices().rev() {
        match character {
            ']' => depth += 1,
            '[' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The path from the repository's root that a target leads to, without its anchor.
fn resolve(page: &str, target: &str) -> PathBuf {
    let file = target.split('#').next().unwrap_or_default();
    if file.is_empty() { PathBuf::from(page) } else { workspace::resolve(page, file) }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_replaced_and_their_words_kept() {
        let text = "see [`ci.md`](docs/ci.md#exit-codes), [sdk](sdk) and `[x]` (no link)";
        let replaced = with_links(text, |target| target.starts_with("docs").then(|| "a.md".to_owned()));
        assert_eq!(replaced, "see [`ci.md`](a.md), sdk and `[x]` (no link)");
        assert_eq!(targets(text), ["docs/ci.md#exit-codes", "sdk"]);
    }

    #[test]
    fn what_the_book_does_not_have_is_no_link() {
        let pages = BTreeSet::from([PathBuf::from("docs/ci.md")]);
        let kept = |target| kept(Path::new("docs/rust.md"), target, &pages);
        for good in ["ci.md#exit-codes", "https://docs.rs", "#here", "../action.yml"] {
            assert_eq!(kept(good), Some(good.to_owned()));
        }
        for absent in ["../crates/kernel", "../crates/kernel/src/lib.rs", "spec", "../absent.toml"] {
            assert_eq!(kept(absent), None, "{absent}");
        }
    }
}
