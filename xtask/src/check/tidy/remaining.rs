//! How many violations of a rule are still allowed in a folder: numbers that may only shrink.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Violation;
use crate::Outcome;
use crate::workspace::{read, root};

const FILE: &str = "xtask/tidy-remaining.toml";
const HEAD: &str = "# How many violations of `cargo xtask check tidy` are left, by rule and folder. The numbers may only shrink;\n\
     # `cargo xtask tidy --update` lowers them to what is there.\n";

/// Violations that are shown of one rule in one folder.
const SHOWN: usize = 20;

/// Numbers by rule, then by folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remaining(BTreeMap<String, BTreeMap<String, usize>>);

/// Violations with the names of their rules.
type Found = [(String, Violation)];

impl Remaining {
    pub(super) fn read() -> Result<Self, String> {
        toml::from_str(&read(FILE)?).map(Self).map_err(|error| format!("{FILE}: {error}"))
    }

    /// More than allowed is a violation, and so is less: else the number could grow again.
    pub(super) fn compare(&self, found: &Found) -> Vec<Violation> {
        let there = group(found);
        let mut violations = Vec::new();
        for ((rule, folder), list) in &there {
            let allowed = self.allowed(rule, folder);
            if list.len() > allowed {
                let message =
                    format!("{} of \"{rule}\" in {folder}, where {allowed} are allowed:", list.len());
                violations.push(Violation::new(FILE, None, message));
                violations
                    .extend(list.iter().take(SHOWN).map(|v| Violation::new(&v.file, v.line, &*v.message)));
            }
        }
        let lower = self.entries().filter_map(|(rule, folder, allowed)| {
            let count = there.get(&(rule, folder)).map_or(0, Vec::len);
            let message = format!(
                "{count} of \"{rule}\" in {folder}, {allowed} allowed: run `cargo xtask tidy --update`"
            );
            (count < allowed).then(|| Violation::new(FILE, None, message))
        });
        violations.extend(lower);
        violations
    }

    /// The numbers that are left, none of them higher than before.
    pub(super) fn lowered(&self, found: &Found) -> Self {
        let mut lowered = Self::default();
        for ((rule, folder), list) in group(found) {
            let count = list.len().min(self.allowed(rule, folder));
            if count > 0 {
                lowered.0.entry(rule.to_owned()).or_default().insert(folder.to_owned(), count);
            }
        }
        lowered
    }

    pub(super) fn write(&self) -> Outcome {
        std::fs::write(root().join(FILE), self.text()).map_err(|error| format!("{FILE}: {error}"))
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (rule, folders) in &self.0 {
            let _ = writeln!(text, "\n[\"{rule}\"]");
            for (folder, count) in folders {
                let _ = writeln!(text, "\"{folder}\" = {count}");
            }
        }
        text
    }

    fn allowed(&self, rule: &str, folder: &str) -> usize {
        self.0.get(rule).and_then(|folders| folders.get(folder)).copied().unwrap_or(0)
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        let rules = self.0.iter();
        rules.flat_map(|(rule, folders)| {
            folders.iter().map(move |(folder, count)| (rule.as_str(), folder.as_str(), *count))
        })
    }
}

fn group(found: &Found) -> BTreeMap<(&str, &str), Vec<&Violation>> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Violation>> = BTreeMap::new();
    for (rule, violation) in found {
        groups.entry((rule, super::source::folder(&violation.file))).or_default().push(violation);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(count: usize) -> Vec<(String, Violation)> {
        let one = |line| ("word: zounds".to_owned(), Violation::new("crates/a/b.rs", Some(line), "again"));
        (1..=count).map(one).collect()
    }

    fn allowed(count: usize) -> Remaining {
        Remaining(BTreeMap::from([("word: zounds".into(), BTreeMap::from([("crates/a".into(), count)]))]))
    }

    #[test]
    fn more_than_allowed_is_shown_with_every_line() {
        let violations = allowed(1).compare(&found(2));
        let shown: Vec<String> = violations.iter().map(Violation::shown).collect();
        assert!(shown[0].contains("2 of \"word: zounds\" in crates/a, where 1 are allowed"), "{shown:?}");
        assert_eq!(&shown[1..], ["crates/a/b.rs:1: again", "crates/a/b.rs:2: again"]);
    }

    #[test]
    fn fewer_than_allowed_asks_for_the_lower_number_and_as_many_pass() {
        assert!(allowed(3).compare(&found(2))[0].message.contains("cargo xtask tidy --update"));
        assert!(allowed(3).compare(&found(3)).is_empty());
        assert!(Remaining::default().compare(&[]).is_empty());
    }

    #[test]
    fn an_update_never_raises_a_number() {
        assert_eq!(allowed(3).lowered(&found(2)), allowed(2));
        assert_eq!(allowed(1).lowered(&found(2)), allowed(1));
        assert_eq!(Remaining::default().lowered(&found(2)), Remaining::default());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = allowed(4).text();
        assert_eq!(toml::from_str(&text).map(Remaining), Ok(allowed(4)));
    }
}
