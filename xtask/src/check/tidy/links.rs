//! Relative links of Markdown pages lead to a file, and their anchors to a heading in it.

use std::path::{Path, PathBuf};

use super::Violation;
use super::source::Source;
use crate::workspace::{resolve, root};

/// The pages that list all pages of their folder: the index, and the table of contents of the book.
const INDEXES: &[&str] = &["docs/README.md", "docs/SUMMARY.md"];

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let pages = sources.iter().filter(|source| source.has_extension("md"));
    let unlisted = INDEXES.iter().flat_map(|index| unlisted(index, pages.clone()));
    pages.clone().flat_map(|page| check_page(page, sources)).chain(unlisted).collect()
}

/// Pages of `docs/` that an index does not list.
fn unlisted<'a>(index: &str, pages: impl Iterator<Item = &'a Source> + Clone) -> Vec<Violation> {
    let Some(list) = pages.clone().find(|page| page.path == index) else { return Vec::new() };
    let listed: Vec<PathBuf> = targets(&list.text).into_iter().map(|target| resolve(index, target)).collect();
    let missing = pages.filter(|page| {
        page.path.starts_with("docs/")
            && !INDEXES.contains(&page.path.as_str())
            && !listed.iter().any(|path| Path::new(&page.path) == path)
    });
    missing.map(|page| Violation::new(&page.path, None, format!("{index} does not list this page"))).collect()
}

fn check_page(page: &Source, sources: &[Source]) -> Vec<Violation> {
    let links =
        page.lines().flat_map(|(number, line)| targets(line).into_iter().map(move |link| (number, link)));
    let broken = links.filter_map(|(number, link)| {
        let message = problem(page, link, sources)?;
        Some(Violation::new(&page.path, Some(number), message))
    });
    broken.collect()
}

fn problem(page: &Source, link: &str, sources: &[Source]) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { PathBuf::from(&page.path) } else { resolve(&page.path, file) };
    if !root().join(&path).exists() {
        return Some(format!("the link {link} leads nowhere: there is no {}", path.display()));
    }
    let anchor = anchor?;
    let target = sources.iter().find(|source| Path::new(&source.path) == path)?;
    (!anchors(&target.text).iter().any(|known| known == anchor))
        .then(|| format!("the link {link} leads nowhere: {} has no heading #{anchor}", target.path))
}

/// The targets of `[text](target)` that are no addresses of the web.
fn targets(line: &str) -> Vec<&str> {
    let after = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
    let targets = after.filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains(':') && !target.is_empty() && !target.contains(' ')).collect()
}

/// What GitHub makes of headings, and explicit `<a id="…">`.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with('#') {
            anchors.push(slug(line.trim_start_matches('#').trim()));
        }
        let explicit = line.match_indices("<a id=\"").map(|(at, found)| &line[at + found.len()..]);
        anchors.extend(explicit.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_from_their_page() {
        assert_eq!(resolve("docs/spec/link.md", "../glossary.md"), Path::new("docs/glossary.md"));
        assert_eq!(resolve("README.md", "docs/spec"), Path::new("docs/spec"));
    }

    #[test]
    fn addresses_of_the_web_are_left_alone() {
        assert_eq!(targets("[a](b.md#c), [d](https://e), [f](#g)"), ["b.md#c", "#g"]);
    }

    #[test]
    fn headings_and_explicit_ids_are_anchors() {
        let text = "# How a core is driven\n## What works, and what does not\n| <a id=\"n01\"></a>N01 |\n";
        assert_eq!(anchors(text), ["how-a-core-is-driven", "what-works-and-what-does-not", "n01"]);
    }

    #[test]
    fn a_page_of_docs_is_listed_in_the_index() {
        let pages = [
            Source::new(INDEXES[0], "[a](operating.md)"),
            Source::new(INDEXES[1], ""),
            Source::new("docs/operating.md", ""),
            Source::new("docs/debugging.md", ""),
            Source::new("SECURITY.md", ""),
        ];
        let missing = unlisted(INDEXES[0], pages.iter());
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].file, "docs/debugging.md");
    }

    #[test]
    fn a_missing_file_or_heading_is_a_violation() {
        let page = |path: &str, text: &str| Source::new(path, text);
        let pages = [page("README.md", "[a](doc/absent.md)\n[b](#there)\n[c](#absent)\n# There\n")];
        let shown: Vec<String> = check(&pages).iter().map(Violation::shown).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("README.md:1: ") && shown[1].starts_with("README.md:3: "));
    }
}
