//! The command line.

use std::path::PathBuf;

use crate::scale::{FULL, QUICK, Scale};

/// Printed for invalid arguments.
pub(crate) const USAGE: &str = "\
usage: cargo xtask bench [--quick] [--json] [--only GROUP]... [--idle] | --coremark ELF
groups: processor, publishing, crowd, misbehaving, idle-devices, fleet, logs, trace; --idle is --only idle-devices";

/// The groups of measurements.
pub(crate) const GROUPS: [&str; 8] =
    ["processor", "publishing", "crowd", "misbehaving", IDLE, "fleet", "logs", "trace"];

/// The group of idle devices.
pub(crate) const IDLE: &str = "idle-devices";

/// The command line.
pub(crate) struct Arguments {
    /// How much is measured.
    pub scale: &'static Scale,
    /// Print JSON.
    pub json: bool,
    /// The selected groups; empty for all.
    pub only: Vec<String>,
    /// Measure only this CoreMark image.
    pub coremark: Option<PathBuf>,
}

impl Arguments {
    /// Whether a group is selected.
    pub(crate) fn includes(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == group)
    }
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Anything unknown is refused with [`USAGE`].
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { scale: &FULL, json: false, only: Vec::new(), coremark: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => parsed.scale = &QUICK,
            "--only" => match arguments.next() {
                Some(group) if GROUPS.contains(&group.as_str()) => parsed.only.push(group),
                other => return Err(format!("--only {}: no such group\n{USAGE}", other.unwrap_or_default())),
            },
            "--idle" => parsed.only.push(IDLE.to_owned()),
            "--coremark" => {
                let path = arguments.next().ok_or_else(|| format!("--coremark needs a file\n{USAGE}"))?;
                parsed.coremark = Some(path.into());
            }
            "--json" => parsed.json = true,
            other => return Err(format!("unknown argument {other}\n{USAGE}")),
        }
    }
    Ok(parsed)
}
