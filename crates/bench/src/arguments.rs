//! The command line.

use crate::scale::{FULL, QUICK, Scale};

/// What is said about wrong arguments.
pub const USAGE: &str = "usage: cargo xtask bench [--quick] [--json] [--idle]";

/// How the figures are wanted.
pub struct Arguments {
    /// How much is measured.
    pub scale: &'static Scale,
    /// For machines.
    pub json: bool,
    /// Only idle devices are measured.
    pub idle_only: bool,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Anything unknown is refused with [`USAGE`].
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { scale: &FULL, json: false, idle_only: false };
    for argument in arguments {
        match argument.as_str() {
            "--quick" => parsed.scale = &QUICK,
            "--idle" => parsed.idle_only = true,
            "--json" => parsed.json = true,
            other => return Err(format!("{other}: unknown\n{USAGE}")),
        }
    }
    Ok(parsed)
}
