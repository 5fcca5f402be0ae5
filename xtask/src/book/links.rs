//! Links of the built book lead to a file of it, and their anchors to an element with this id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::resolve;

/// What a page offers and what it refers to.
struct Page {
    ids: BTreeSet<String>,
    /// Links, images, styles and scripts.
    targets: Vec<String>,
}

/// Follows every link that stays in the book; answers how many there are.
///
/// # Errors
/// Those that lead nowhere, each with its page.
pub(super) fn check(book: &Path) -> Result<usize, String> {
    let mut pages = BTreeMap::new();
    read(book, book, &mut pages)?;
    let links =
        || pages.iter().flat_map(|(path, page)| page.targets.iter().map(move |target| (path, target)));
    let broken: Vec<String> =
        links().filter_map(|(path, target)| problem(book, &pages, path, target)).collect();
    if broken.is_empty() { Ok(links().count()) } else { Err(broken.join("\n")) }
}

/// Reads the pages of a folder and its subfolders, by their path in the book.
fn read(book: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, Page>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            read(book, &path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            pages.insert(path.strip_prefix(book).unwrap_or(&path).to_path_buf(), page(&text));
        }
    }
    Ok(())
}

fn page(html: &str) -> Page {
    let ids = attributes(html, "id").map(str::to_owned).collect();
    let targets = attributes(html, "href").chain(attributes(html, "src"));
    let inside = targets.filter(|target| !target.contains(':') && !target.starts_with("//"));
    Page { ids, targets: inside.map(unescaped).collect() }
}

/// The values of an attribute in the tags of a page. Text between tags has `&lt;` where it has `<`.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let pattern = format!(" {name}=\"");
    let tags = html.split('<').skip(1).filter_map(|tag| tag.split('>').next());
    tags.filter_map(move |tag| tag.split(&pattern).nth(1)?.split('"').next())
}

fn unescaped(target: &str) -> String {
    target.replace("&amp;", "&").replace("%20", " ")
}

fn problem(book: &Path, pages: &BTreeMap<PathBuf, Page>, path: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = file.split('?').next().unwrap_or_default();
    let leads_to = if file.is_empty() { path.to_path_buf() } else { resolve(&path.to_string_lossy(), file) };
    if !book.join(&leads_to).is_file() {
        return Some(format!("{}: {target}: there is no {}", path.display(), leads_to.display()));
    }
    let ids = pages.get(&leads_to).map(|page| &page.ids)?;
    (!anchor.is_empty() && !ids.contains(anchor))
        .then(|| format!("{}: {target}: {} has no #{anchor}", path.display(), leads_to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_targets_are_read_from_tags_only() {
        let page =
            page("<h2 id=\"a\"><a class=\"x\" href=\"b.html#c\">b</a></h2> id=\"no\" &lt;i id=\"no\">");
        assert_eq!(page.ids, BTreeSet::from(["a".to_owned()]));
        assert_eq!(page.targets, ["b.html#c"]);
    }

    #[test]
    fn missing_files_and_anchors_are_named() {
        let book = std::env::temp_dir().join(format!("xtask-book-{}", std::process::id()));
        fs::create_dir_all(book.join("docs")).unwrap();
        let page = "<p id=\"top\"><a href=\"#top\"><a href=\"../index.html#absent\"><a href=\"no.html\">";
        fs::write(book.join("docs/a.html"), page).unwrap();
        fs::write(book.join("index.html"), "<a href=\"https://example.com\"><a href=\"docs/a.html#top\">")
            .unwrap();
        let broken = check(&book);
        fs::remove_dir_all(&book).unwrap();
        let expected = "docs/a.html: ../index.html#absent: index.html has no #absent\n\
                        docs/a.html: no.html: there is no docs/no.html";
        assert_eq!(broken, Err(expected.to_owned()));
    }
}
