//! One meaning for one file name: a topic can be followed by name from crate to crate (`mqtt.rs`), and no name means
//! two things.

use serde::Deserialize;

use super::Violation;
use super::source::Source;

/// A file name without its extension, what it means, and where it may occur.
#[derive(Deserialize)]
pub(super) struct Topic {
    stem: String,
    meaning: String,
    /// Folders or files, from the repository's root.
    paths: Vec<String>,
}

pub(super) fn check(topics: &[Topic], sources: &[Source]) -> Vec<Violation> {
    let rust = sources.iter().filter(|source| source.has_extension("rs"));
    let mut found: Vec<Violation> = rust.filter_map(|source| misplaced(topics, &source.path)).collect();
    for topic in topics {
        let unused =
            topic.paths.iter().filter(|path| !sources.iter().any(|source| topic.covers(path, &source.path)));
        found.extend(unused.map(|path| {
            Violation::new(
                super::RULES,
                None,
                format!("there is no {}.rs in {path}: remove the entry", topic.stem),
            )
        }));
    }
    found
}

impl Topic {
    fn covers(&self, allowed: &str, path: &str) -> bool {
        let is_inside =
            path.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_inside && stem(path) == Some(&self.stem)
    }
}

fn misplaced(topics: &[Topic], path: &str) -> Option<Violation> {
    let topic = topics.iter().find(|topic| stem(path) == Some(&topic.stem))?;
    if topic.paths.iter().any(|allowed| topic.covers(allowed, path)) {
        return None;
    }
    let message = format!(
        "a file {}.rs is {} ({}): name this one after its topic, or add it in {}",
        topic.stem,
        topic.meaning,
        topic.paths.join(", "),
        super::RULES
    );
    Some(Violation::new(path, None, message))
}

fn stem(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_suffix(".rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Vec<String> {
        let topic = Topic {
            stem: "port".into(),
            meaning: "the kernel's platform".into(),
            paths: vec!["crates/kernel".into(), "crates/device/src/port.rs".into()],
        };
        let source = |path: &&str| Source::new(path, "");
        check(&[topic], &paths.iter().map(source).collect::<Vec<_>>()).iter().map(Violation::shown).collect()
    }

    #[test]
    fn a_name_is_allowed_where_the_table_says_and_nowhere_else() {
        let allowed = ["crates/kernel/src/port.rs", "crates/device/src/port.rs"];
        assert!(found(&allowed).is_empty());
        assert!(found(&[&allowed[..], &["crates/relay/src/report.rs"]].concat()).is_empty());
        let violations = found(&[&allowed[..], &["crates/relay/src/port.rs"]].concat());
        assert_eq!(violations.len(), 1);
        assert!(
            violations[0].starts_with("crates/relay/src/port.rs: a file port.rs is the kernel's platform")
        );
    }

    #[test]
    fn an_entry_without_a_file_is_a_violation() {
        let violations = found(&["crates/kernel/src/port.rs"]);
        assert!(violations[0].contains("there is no port.rs in crates/device/src/port.rs"), "{violations:?}");
    }
}
