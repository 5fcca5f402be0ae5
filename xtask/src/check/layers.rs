//! Which crate may depend on which: the table in ARCHITECTURE.md, held against `cargo metadata`.
//!
//! A dependency that the table does not list is a finding, so a core crate cannot gain one by accident.
//! Dev-dependencies are free: a test may use whatever it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::Outcome;
use crate::process::capture;
use crate::workspace::{cargo, read};

const METADATA_LIMIT: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `"dev"`, `"build"`, or nothing for an ordinary one.
    kind: Option<String>,
}

/// What the table allows a crate.
#[derive(Debug, PartialEq, Eq)]
enum Allowed {
    /// These workspace crates and no others.
    Only(BTreeSet<String>),
    /// Any workspace crate: the programs at the top.
    Any,
}

/// Compares the table with what cargo knows.
pub(super) fn run() -> Outcome {
    let table = parse_table(&read("ARCHITECTURE.md")?);
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--quiet"]);
    let text = capture(&mut command, METADATA_LIMIT)?.output;
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or(&text);
    let metadata: Metadata =
        serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}\n{text}"))?;
    let findings = compare(&metadata.packages, &table);
    println!("{} crates", metadata.packages.len());
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

fn compare(packages: &[Package], table: &BTreeMap<String, Allowed>) -> Vec<String> {
    let workspace: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(allowed) = table.get(name) else {
            findings.push(format!("ARCHITECTURE.md: the crate table has no row for {name}"));
            continue;
        };
        let Allowed::Only(allowed) = allowed else { continue };
        let ordinary = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
        let ours =
            ordinary.map(|dependency| dependency.name.as_str()).filter(|name| workspace.contains(name));
        let extra: BTreeSet<&str> = ours.filter(|name| !allowed.contains(*name)).collect();
        findings.extend(
            extra
                .iter()
                .map(|other| format!("{name} depends on {other}, which ARCHITECTURE.md does not allow")),
        );
    }
    findings
}

/// The rows ``| [`name`](crates/name) | … | may depend on |``.
fn parse_table(text: &str) -> BTreeMap<String, Allowed> {
    text.lines().filter_map(parse_row).collect()
}

fn parse_row(line: &str) -> Option<(String, Allowed)> {
    let rest = line.strip_prefix("| [`")?;
    let (name, _) = rest.split_once('`')?;
    let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").collect();
    let last = cells.last()?;
    let named: BTreeSet<String> = last.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let is_restricted = !named.is_empty()
        || ["nothing", "no workspace crate"].iter().any(|none| last.trim_start().starts_with(none));
    Some((name.to_owned(), if is_restricted { Allowed::Only(named) } else { Allowed::Any }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| crate | what it is | may depend on |
|---|---|---|
| [`abi`](crates/abi) | the interface | nothing |
| [`text`](crates/text) | escaping | no workspace crate |
| [`relay`](crates/relay) | the core | `link`, `mqtt` |
| [`openvisor`](crates/openvisor) | the program | all of the above |
";

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |&(name, kind): &(&str, Option<&str>)| Dependency {
            name: name.into(),
            kind: kind.map(Into::into),
        };
        Package { name: name.into(), dependencies: dependencies.iter().map(dependency).collect() }
    }

    #[test]
    fn a_dependency_that_the_table_does_not_list_is_a_finding() {
        let packages = [
            package("abi", &[("serde", None)]),
            package("relay", &[("mqtt", None), ("abi", None), ("openvisor", Some("dev"))]),
            package("mqtt", &[]),
            package("openvisor", &[("abi", None)]),
        ];
        let findings = compare(&packages, &parse_table(TABLE));
        assert_eq!(
            findings,
            [
                "relay depends on abi, which ARCHITECTURE.md does not allow",
                "ARCHITECTURE.md: the crate table has no row for mqtt",
            ]
        );
    }

    #[test]
    fn a_row_without_names_allows_nothing_or_everything_as_it_says() {
        let table = parse_table(TABLE);
        assert_eq!(table["abi"], Allowed::Only(BTreeSet::new()));
        assert_eq!(table["text"], Allowed::Only(BTreeSet::new()));
        assert_eq!(table["openvisor"], Allowed::Any);
        assert_eq!(table.len(), 4);
    }
}
