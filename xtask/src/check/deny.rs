//! `cargo deny`, where it is installed: licences, sources, duplicates and restrictions, all of `deny.toml`.
//!
//! A fresh machine does not have it, and would compile it for minutes (`docs/decisions/0019-hand-written-parts.md`):
//! the steps *licences* and *advisories* read what matters most of the same file without it.

use std::time::Duration;

use crate::Outcome;
use crate::process::{is_on_path, run as run_program};
use crate::workspace::cargo;

const LIMIT: Duration = Duration::from_mins(5);

/// Runs it without the advisories, for which it would use the network.
pub(super) fn run() -> Outcome {
    if !is_on_path("cargo-deny") {
        println!("NOT RUN: cargo-deny is not installed (`cargo install --locked cargo-deny`)");
        return Ok(());
    }
    let arguments = ["deny", "--workspace", "--locked", "--offline", "check", "bans", "licenses", "sources"];
    run_program(cargo().args(arguments), LIMIT)
}
