//! The command line.

use crate::scale::{FULL, QUICK, Scale};

/// What is said about wrong arguments.
pub const USAGE: &str = "usage: cargo xtask bench [--quick] [--json] [--idle | --logs]";

/// How the figures are wanted.
pub struct Arguments {
    /// How much is measured.
    pub scale: &'static Scale,
    /// For machines.
    pub json: bool,
    /// Only this is measured.
    pub only: Option<Only>,
}

/// A group of measurements that can be had alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// What idle devices cost.
    Idle,
    /// How many log lines the cloud takes.
    Logs,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Anything unknown is refused with [`USAGE`].
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { scale: &FULL, json: false, only: None };
    for argument in arguments {
        match argument.as_str() {
            "--logs" => parsed.only = Some(Only::Logs),
            "--quick" => parsed.scale = &QUICK,
            "--idle" => parsed.only = Some(Only::Idle),
            "--json" => parsed.json = true,
            other => return Err(format!("{other}: unknown\n{USAGE}")),
        }
    }
    Ok(parsed)
}
