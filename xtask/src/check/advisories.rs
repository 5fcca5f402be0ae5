//! No dependency has a known vulnerability, according to a copy of the RustSec advisory database on this machine.
//!
//! The database is a Git repository that is fetched from the network, which the checks do not use. Without a copy the
//! step says that it checked nothing. `deny.toml` lists the advisories that do not apply here, each with the reason; an
//! entry that no longer matches anything is an error.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::Outcome;
use crate::workspace::{read, root};

/// Names a copy of the database, as `--advisories` does.
const VARIABLE: &str = "OPENVISOR_ADVISORIES";

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Version,
    /// Workspace crates have none.
    source: Option<String>,
}

/// The part of an advisory that is compared: TOML at the beginning of a Markdown file.
#[derive(Deserialize)]
struct Entry {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    date: String,
    /// The date of its withdrawal.
    withdrawn: Option<String>,
    /// `unmaintained`, `unsound` or `notice`; a vulnerability without.
    informational: Option<String>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Deny {
    advisories: Ignored,
}

#[derive(Deserialize)]
struct Ignored {
    ignore: Vec<Ignore>,
}

#[derive(Deserialize)]
struct Ignore {
    id: String,
}

/// The database `--advisories` names. Steps take no arguments; this one alone has an option.
static NAMED: OnceLock<PathBuf> = OnceLock::new();

/// Takes `--advisories DIR` out of the arguments.
///
/// # Errors
/// The folder is missing.
pub(super) fn take_option(arguments: &[String]) -> Result<Vec<String>, String> {
    let Some(at) = arguments.iter().position(|argument| argument == "--advisories") else {
        return Ok(arguments.to_vec());
    };
    let folder = arguments.get(at + 1).ok_or("--advisories needs a folder")?;
    let _ = NAMED.set(std::path::absolute(folder).map_err(|error| format!("{folder}: {error}"))?);
    Ok([&arguments[..at], &arguments[at + 2..]].concat())
}

/// Compares Cargo.lock with the database that `--advisories` names, or with one that cargo-audit or cargo-deny has
/// fetched.
pub(super) fn run() -> Outcome {
    let Some(database) = database(NAMED.get().map(PathBuf::as_path))? else {
        println!(
            "NOT CHECKED: there is no advisory database on this machine. Give a checkout of\n\
             https://github.com/rustsec/advisory-db with --advisories DIR or {VARIABLE}=DIR."
        );
        return Ok(());
    };
    let lock: Lock = toml::from_str(&read("Cargo.lock")?).map_err(|error| format!("Cargo.lock: {error}"))?;
    let deny: Deny = toml::from_str(&read("deny.toml")?).map_err(|error| format!("deny.toml: {error}"))?;
    let ignored: Vec<String> = deny.advisories.ignore.into_iter().map(|ignore| ignore.id).collect();
    let found = findings(&database, &lock)?;
    println!("{} packages, {}, by {}", lock.package.len(), found.newest, database.display());
    let violations = violations(&found.matches, &ignored);
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

/// The database: the one named, or one that cargo-audit or cargo-deny has fetched.
fn database(named: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or(variable) {
        let path = if path.is_absolute() { path } else { root().join(path) };
        let is_one = path.join("crates").is_dir();
        return if is_one {
            Ok(Some(path))
        } else {
            Err(format!("{}: no advisory database", path.display()))
        };
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(home) = home else { return Ok(None) };
    let mut candidates = vec![home.join("advisory-db")];
    let entries = std::fs::read_dir(home.join("advisory-dbs")).into_iter().flatten().flatten();
    candidates.extend(entries.map(|entry| entry.path()));
    Ok(candidates.into_iter().find(|folder| folder.join("crates").is_dir()))
}

/// Advisories that match a locked package.
struct Findings {
    /// Id and description.
    matches: Vec<(String, String)>,
    /// The date of the newest advisory on any of the packages.
    newest: String,
}

fn findings(database: &Path, lock: &Lock) -> Result<Findings, String> {
    let mut findings = Findings { matches: Vec::new(), newest: "no advisory on any of them".into() };
    let mut dates = Vec::new();
    for package in lock.package.iter().filter(|package| package.source.is_some()) {
        let Ok(entries) = std::fs::read_dir(database.join("crates").join(&package.name)) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let text =
                std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let entry = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            dates.push(entry.advisory.date.clone());
            if let Some(kind) = affects(&entry, &package.version) {
                let Locked { name, version, .. } = package;
                let id = entry.advisory.id;
                findings.matches.push((id.clone(), format!("{name} {version}: {id} ({kind})")));
            }
        }
    }
    if let Some(newest) = dates.into_iter().max() {
        findings.newest = format!("advisories up to {newest} on them");
    }
    Ok(findings)
}

fn parse(text: &str) -> Result<Entry, String> {
    let block = text.trim_start().strip_prefix("```toml").and_then(|rest| rest.split_once("\n```"));
    let (head, _) = block.ok_or("no TOML at its beginning")?;
    toml::from_str(head).map_err(|error| error.to_string())
}

/// What kind of advisory it is for this version, if it is one.
fn affects(entry: &Entry, version: &Version) -> Option<String> {
    let is_in = |ranges: &[VersionReq]| ranges.iter().any(|range| range.matches(version));
    let Entry { advisory, versions } = entry;
    let is_resolved = advisory.withdrawn.is_some() || is_in(&versions.patched) || is_in(&versions.unaffected);
    (!is_resolved).then(|| advisory.informational.clone().unwrap_or_else(|| "vulnerability".into()))
}

fn violations(matches: &[(String, String)], ignored: &[String]) -> Vec<String> {
    let open = matches.iter().filter(|(id, _)| !ignored.contains(id)).map(|(_, text)| text.clone());
    let idle = ignored.iter().filter(|id| !matches.iter().any(|(found, _)| found == *id));
    let idle = idle.map(|id| format!("deny.toml ignores {id}, which no package has any more"));
    open.chain(idle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVISORY: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"p\"\ndate = \"2026-01-02\"\n\
        [versions]\npatched = [\">= 1.2.0\", \"^1.1.5\"]\nunaffected = [\"< 1.0.0\"]\n```\n\n# Title\n\nText.\n";

    fn kind(text: &str, version: &str) -> Option<String> {
        affects(&parse(text).unwrap(), &version.parse().unwrap())
    }

    #[test]
    fn a_version_is_affected_unless_it_is_patched_or_older_than_the_fault() {
        assert_eq!(kind(ADVISORY, "1.1.4").as_deref(), Some("vulnerability"));
        for fine in ["0.9.0", "1.1.5", "1.2.0", "2.0.0"] {
            assert_eq!(kind(ADVISORY, fine), None, "{fine}");
        }
        let unmaintained = ADVISORY.replace("[versions]\n", "informational = \"unmaintained\"\n[versions]\n");
        assert_eq!(kind(&unmaintained, "1.0.0").as_deref(), Some("unmaintained"));
        let withdrawn = ADVISORY.replace("[versions]\n", "withdrawn = \"2026-02-03\"\n[versions]\n");
        assert_eq!(kind(&withdrawn, "1.0.0"), None);
        assert!(parse("# No TOML").is_err());
    }

    #[test]
    fn the_database_is_searched_by_package_and_workspace_crates_are_left_out() {
        let folder = std::env::temp_dir().join(format!("advisories-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("crates/p")).unwrap();
        std::fs::write(folder.join("crates/p/RUSTSEC-2026-0001.md"), ADVISORY).unwrap();
        let lock = |source: &str| -> Lock {
            toml::from_str(&format!("[[package]]\nname = \"p\"\nversion = \"1.0.0\"\n{source}")).unwrap()
        };
        let found = findings(&folder, &lock("source = \"registry+x\"")).unwrap();
        assert_eq!(found.matches[0].1, "p 1.0.0: RUSTSEC-2026-0001 (vulnerability)");
        assert!(findings(&folder, &lock("")).unwrap().matches.is_empty());
        assert_eq!(database(Some(&folder)), Ok(Some(folder.clone())));
        assert!(database(Some(&folder.join("crates"))).is_err(), "a folder that is none is an error");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_ignored_passes_and_an_entry_that_no_longer_applies_does_not() {
        let matches = [("A".to_owned(), "p: A".to_owned()), ("B".to_owned(), "q: B".to_owned())];
        let ignored = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert!(violations(&matches, &ignored(&["A", "B"])).is_empty());
        assert_eq!(violations(&matches, &ignored(&["A"])), ["q: B"]);
        assert_eq!(violations(&matches, &ignored(&["A", "B", "C"])).len(), 1);
    }
}
