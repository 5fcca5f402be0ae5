//! Every dependency comes from the public registry and stands under a licence that binds none of our users.
//!
//! `deny.toml` is the one list; `cargo deny check` reads the same file and does more (advisories, which need
//! the network). This step needs nothing installed, so it runs everywhere.

use crate::Outcome;
use crate::process::capture;
use crate::workspace::{cargo, read};
use serde::Deserialize;
use std::time::Duration;

const METADATA_LIMIT: Duration = Duration::from_mins(2);

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

/// Reads what cargo knows and compares.
pub fn run() -> Outcome {
    let deny: Deny = toml::from_str(&read("deny.toml")?).map_err(|error| format!("deny.toml: {error}"))?;
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--quiet"]);
    let text = capture(&mut command, METADATA_LIMIT)?.output;
    let json = text.lines().find(|line| line.starts_with('{')).unwrap_or(&text);
    let metadata: Metadata =
        serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}\n{text}"))?;
    let refused: Vec<String> =
        metadata.packages.iter().filter_map(|package| objection(package, &deny.licenses.allow)).collect();
    println!("{} packages", metadata.packages.len());
    if refused.is_empty() { Ok(()) } else { Err(refused.join("\n")) }
}

fn objection(package: &Package, allow: &[String]) -> Option<String> {
    let source = package.source.as_deref()?; // our own crates have none
    let Package { name, version, license, .. } = package;
    if !source.starts_with("registry+") {
        return Some(format!("{name} {version} comes from {source}, not from the registry"));
    }
    let license = license.as_deref().unwrap_or("none stated");
    (!is_allowed(license, allow)).then(|| format!("{name} {version} stands under {license}"))
}

/// Whether an expression such as `(MIT OR Apache-2.0) AND BSD-3-Clause` can be met with allowed licences alone.
fn is_allowed(expression: &str, allow: &[String]) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // Without precedence: each `AND` part must offer an allowed choice. That is stricter than the grammar, never laxer,
    // for the expressions crates use: `A OR B`, `A AND B`, `(A OR B) AND C`.
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| allow.iter().any(|good| good == one.trim())))
}
