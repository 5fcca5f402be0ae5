//! Files that pages and comments name exist, and none of them is on somebody's own machine.

use super::Violation;
use super::source::Source;

/// Endings of names that are taken for files of the repository.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".py", ".ld"];

/// Architecture decisions describe the tree as it was, and the change log what has gone.
const HISTORY: &[&str] = &["docs/decisions/", "CHANGELOG.md"];

/// A path of a home directory is of no use to anybody else.
pub(super) fn check_machine_paths(sources: &[Source]) -> Vec<Violation> {
    let found = sources.iter().flat_map(|source| {
        let lines = source.lines().filter(|(_, line)| is_machine_path(line));
        lines
            .map(|(number, _)| Violation::new(&source.path, Some(number), "a path of somebody's own machine"))
    });
    found.collect()
}

fn is_machine_path(line: &str) -> bool {
    line.contains(concat!("/home", "/")) || line.contains(concat!("/ro", "ot/"))
}

/// Pages name files in code style, comments name pages; both must exist.
pub(super) fn check_named_files(sources: &[Source]) -> Vec<Violation> {
    let tree = Tree { sources };
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| is_judged(source)) {
        for (number, line) in source.lines() {
            let messages = if source.has_extension("md") {
                tree.unknown_in_page(line)
            } else {
                tree.unknown_pages(line)
            };
            found.extend(messages.into_iter().map(|m| Violation::new(&source.path, Some(number), m)));
        }
    }
    found
}

fn is_judged(source: &Source) -> bool {
    !source.is_derived && !HISTORY.iter().any(|old| source.path.starts_with(old))
}

struct Tree<'a> {
    sources: &'a [Source],
}

impl Tree<'_> {
    /// A file may be named without the folders it is in: `kernel/src/mqtt.rs`, `mqtt.rs`. Names in parentheses behind
    /// it, as in `machine.rs` (`trap`), occur in it.
    fn unknown_in_page(&self, line: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let parts: Vec<&str> = line.split('`').collect();
        for (index, name) in
            parts.iter().enumerate().skip(1).step_by(2).filter(|(_, name)| is_file_name(name))
        {
            let files = self.files(name);
            if files.is_empty() {
                messages.push(format!("there is no file {name}"));
                continue;
            }
            let items = items_behind(&parts[index + 1..]).into_iter();
            let unknown = items.filter(|item| !files.iter().any(|file| file.text.contains(item)));
            messages.extend(unknown.map(|item| format!("{name} has no `{item}`")));
        }
        messages
    }

    fn files(&self, name: &str) -> Vec<&Source> {
        let is_meant =
            |path: &str| path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        self.sources.iter().filter(|source| is_meant(&source.path)).collect()
    }

    /// Pages and other files of `docs/` that a comment or string names.
    fn unknown_pages(&self, line: &str) -> Vec<String> {
        let names = line.match_indices("docs/").filter_map(|(at, _)| {
            let is_start =
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || ['.', '/', '-'].contains(&c));
            let rest = &line[at..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && !['/', '-', '_', '.'].contains(&c));
            is_start.then(|| rest[..end.unwrap_or(rest.len())].trim_end_matches('.'))
        });
        let named = names.filter(|name| is_file_name(name));
        named
            .filter(|name| self.files(name).is_empty())
            .map(|name| format!("there is no page {name}"))
            .collect()
    }
}

fn is_file_name(name: &str) -> bool {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ['/', '.', '_', '-'].contains(&c));
    is_plain
        && !name.starts_with(['/', '.'])
        && ENDINGS.iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

/// The identifiers of `` `file.rs` (`one`, `two`) ``: what follows the file's name, cut at the backquotes.
fn items_behind<'a>(parts: &[&'a str]) -> Vec<&'a str> {
    let mut items = Vec::new();
    let mut expected = " (";
    for pair in parts.chunks(2) {
        let [between, item] = pair else { break };
        if *between != expected || !item.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            break;
        }
        items.push(*item);
        expected = ", ";
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_page(line: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source::new(path, text);
        let sources = [
            source("crates/kernel/src/mqtt.rs", "fn answered() {}"),
            source("docs/spec/link.md", ""),
            source("deny.toml", ""),
        ];
        Tree { sources: &sources }.unknown_in_page(line)
    }

    #[test]
    fn files_are_named_from_the_root_from_crates_or_by_their_name_alone() {
        let good =
            "`crates/kernel/src/mqtt.rs`, `kernel/src/mqtt.rs`, `mqtt.rs`, `docs/spec/link.md`, `deny.toml`";
        assert!(in_page(good).is_empty());
        assert_eq!(in_page("`kernel/src/http.rs`"), ["there is no file kernel/src/http.rs"]);
        assert!(
            in_page("`cargo run`, `*.rs`, `.rs`, `/etc/x.toml`").is_empty(),
            "no files of the repository"
        );
    }

    #[test]
    fn items_in_parentheses_occur_in_the_file() {
        assert!(in_page("`kernel/src/mqtt.rs` (`answered`) finds it").is_empty());
        assert_eq!(in_page("`mqtt.rs` (`answered`, `absent`)"), ["mqtt.rs has no `absent`"]);
    }

    #[test]
    fn comments_name_pages_that_exist() {
        let sources = [Source::new("docs/spec/link.md", "")];
        let tree = Tree { sources: &sources };
        assert!(tree.unknown_pages("//! See docs/spec/link.md.").is_empty());
        assert!(
            tree.unknown_pages("include_str!(\"../../../docs/spec/absent.md\")").is_empty(),
            "the compiler checks it"
        );
        assert_eq!(
            tree.unknown_pages(concat!("// docs", "/absent.md")),
            [concat!("there is no page docs", "/absent.md")]
        );
    }

    #[test]
    fn a_home_directory_is_a_violation() {
        assert!(is_machine_path(concat!("cd /home", "/me/openvisor")));
        assert!(!is_machine_path("/homepage"));
    }
}
