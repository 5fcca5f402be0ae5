//! Every dependency comes from the public registry, has a licence that deny.toml allows, and is used only by the crates
//! that may use it.
//!
//! `deny.toml` is the one list; `cargo deny check` reads the same file and more of it (the step *deny*). This step
//! needs nothing installed, so it runs everywhere.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::Outcome;
use crate::process::capture;
use crate::workspace::{RUST_SDK, cargo, read, root};

const METADATA_LIMIT: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// What one package depends on, by id.
#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

/// A crate that only the crates named as wrappers may depend on.
#[derive(Deserialize)]
struct Ban {
    /// `name` or `name@version`.
    #[serde(rename = "crate")]
    specification: String,
    #[serde(default)]
    wrappers: Vec<String>,
}

/// Reads what cargo knows and compares.
pub(super) fn run() -> Outcome {
    let deny: Deny = toml::from_str(&read("deny.toml")?).map_err(|error| format!("deny.toml: {error}"))?;
    let metadata = metadata_of(&root())?;
    let applications = metadata_of(&root().join(RUST_SDK))?;
    let packages = metadata.packages.iter().chain(&applications.packages);
    let mut violations: Vec<String> =
        packages.filter_map(|package| violation(package, &deny.licenses.allow)).collect();
    violations.extend(deny.bans.deny.iter().flat_map(|ban| misuses(&metadata, ban)));
    println!("{} packages, {} for applications", metadata.packages.len(), applications.packages.len());
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

/// What cargo knows of the workspace in a folder.
fn metadata_of(folder: &Path) -> Result<Metadata, String> {
    let mut command = cargo();
    command.current_dir(folder).args(["metadata", "--format-version", "1", "--locked", "--quiet"]);
    let text = capture(&mut command, METADATA_LIMIT)?.output;
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or(&text);
    serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}\n{text}"))
}

fn violation(package: &Package, allow: &[String]) -> Option<String> {
    let source = package.source.as_deref()?; // workspace crates have none
    let Package { name, version, license, .. } = package;
    if !source.starts_with("registry+") {
        return Some(format!("{name} {version} comes from {source}, not from the registry"));
    }
    let license = license.as_deref().unwrap_or("none stated");
    (!is_allowed(license, allow)).then(|| format!("{name} {version} has the licence {license}"))
}

/// Whether an expression such as `(MIT OR Apache-2.0) AND BSD-3-Clause` can be met with allowed licences alone.
fn is_allowed(expression: &str, allow: &[String]) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // Without precedence: each `AND` part must offer an allowed choice. That is stricter than the grammar, never laxer,
    // for the expressions crates use: `A OR B`, `A AND B`, `(A OR B) AND C`.
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| allow.iter().any(|good| good == one.trim())))
}

/// Who depends on a banned crate without being allowed to.
fn misuses(metadata: &Metadata, ban: &Ban) -> Vec<String> {
    let (name, version) = ban.specification.split_once('@').unwrap_or((&ban.specification, ""));
    let is_banned = |package: &&Package| package.name == name && package.version.starts_with(version);
    let names: HashMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let banned: Vec<&Package> = metadata.packages.iter().filter(is_banned).collect();
    if banned.is_empty() {
        return vec![format!("{} is restricted in deny.toml and no longer used", ban.specification)];
    }
    let dependents = metadata
        .resolve
        .nodes
        .iter()
        .filter(|node| banned.iter().any(|package| node.dependencies.contains(&package.id)));
    let others = dependents.filter_map(|node| names.get(node.id.as_str()).copied());
    let others = others.filter(|user| !ban.wrappers.iter().any(|wrapper| wrapper == user));
    others.map(|user| format!("{user} depends on {}, which deny.toml restricts", ban.specification)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_expression_needs_an_allowed_choice_in_each_part() {
        let allow = ["MIT".to_owned(), "BSD-3-Clause".to_owned()];
        for good in ["MIT", "MIT OR Apache-2.0", "(GPL-3.0 OR MIT) AND BSD-3-Clause", "MIT/Apache-2.0"] {
            assert!(is_allowed(good, &allow), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "none stated", ""] {
            assert!(!is_allowed(bad, &allow), "{bad}");
        }
    }

    #[test]
    fn a_restricted_crate_may_only_be_used_by_its_wrappers() {
        let text = r#"{ "packages": [
            { "id": "a", "name": "product", "version": "1.0.0" },
            { "id": "b", "name": "bench", "version": "1.0.0" },
            { "id": "c", "name": "old", "version": "0.5.1" },
            { "id": "d", "name": "old", "version": "0.6.0" } ],
          "resolve": { "nodes": [
            { "id": "a", "dependencies": ["d"] }, { "id": "b", "dependencies": ["c"] } ] } }"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        let ban = |specification: &str, wrapper: &str| Ban {
            specification: specification.into(),
            wrappers: vec![wrapper.into()],
        };
        assert!(misuses(&metadata, &ban("old@0.5", "bench")).is_empty());
        assert_eq!(misuses(&metadata, &ban("old@0.5", "product")).len(), 1);
        assert_eq!(
            misuses(&metadata, &ban("old", "bench")),
            ["product depends on old, which deny.toml restricts"]
        );
        assert_eq!(misuses(&metadata, &ban("gone", "bench")).len(), 1, "an entry that no longer holds");
    }
}
