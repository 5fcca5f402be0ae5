//! The project's own rules on its text. `xtask/tidy.toml` has their tables; CONTRIBUTING.md explains them.
//!
//! Most rules allow no violation. For the words of [`words`] and the line lengths of [`lines`] the tree still has some:
//! how many is written in `xtask/tidy-remaining.toml`, a folder a line, and the numbers may only shrink.

mod citations;
mod core_crates;
mod lines;
mod links;
mod paths;
mod remaining;
mod secrets;
mod source;
mod topics;
mod words;

use serde::Deserialize;

pub(super) use core_crates::CORE;
use remaining::Remaining;
use source::Source;

use crate::workspace::read;
use crate::{Outcome, spec};

const RULES: &str = "xtask/tidy.toml";

/// The tables of `xtask/tidy.toml`.
#[derive(Deserialize)]
struct Rules {
    word: Vec<words::Word>,
    topic: Vec<topics::Topic>,
    secrets: secrets::Secrets,
}

/// A place in the tree, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    /// Counted from 1; `None`: the file as a whole.
    line: Option<usize>,
    message: String,
}

impl Violation {
    fn new(file: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: message.into() }
    }

    fn shown(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}: {}", self.file, self.message)
    }
}

/// Checks every source file and page.
pub(super) fn run() -> Outcome {
    let (rules, sources) = (rules()?, source::collect()?);
    let mut violations = always(&rules, &sources)?;
    let found = countable(&rules, &sources);
    violations.extend(Remaining::read()?.compare(&found));
    println!("{} files", sources.len());
    if violations.is_empty() { Ok(()) } else { Err(report(&violations)) }
}

/// Lowers the numbers of `xtask/tidy-remaining.toml` to what is left: `cargo xtask tidy --update`.
pub(crate) fn update() -> Outcome {
    let (rules, sources) = (rules()?, source::collect()?);
    Remaining::read()?.lowered(&countable(&rules, &sources)).write()
}

fn rules() -> Result<Rules, String> {
    toml::from_str(&read(RULES)?).map_err(|error| format!("{RULES}: {error}"))
}

/// Rules without exceptions.
fn always(rules: &Rules, sources: &[Source]) -> Result<Vec<Violation>, String> {
    let rules_of_spec = spec::requirements()?.into_iter().chain(spec::decisions()?);
    let known = rules_of_spec.map(|rule| rule.id).collect();
    let mut violations = core_crates::check();
    violations.extend(paths::check_machine_paths(sources));
    violations.extend(topics::check(&rules.topic, sources));
    violations.extend(secrets::check(&rules.secrets, sources));
    violations.extend(citations::check(&known, sources));
    violations.extend(links::check(sources));
    violations.extend(paths::check_named_files(sources));
    Ok(violations)
}

/// Rules the tree does not keep everywhere yet: each violation by the name of its rule.
fn countable(rules: &Rules, sources: &[Source]) -> Vec<(String, Violation)> {
    let mut found = words::check(&rules.word, sources);
    found.extend(lines::check(sources));
    found
}

fn report(violations: &[Violation]) -> String {
    violations.iter().map(Violation::shown).collect::<Vec<_>>().join("\n")
}
