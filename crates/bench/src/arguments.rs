//! The command line.

use std::path::PathBuf;

use crate::scale::{FULL, QUICK, Scale};

/// What is said about wrong arguments.
pub const USAGE: &str = "usage: cargo xtask bench [--quick] [--json] [--idle] | --coremark ELF";

/// How the figures are wanted.
pub struct Arguments {
    /// How much is measured.
    pub scale: &'static Scale,
    /// For machines.
    pub json: bool,
    /// Only idle devices are measured.
    pub idle_only: bool,
    /// Only this image of CoreMark is.
    pub coremark: Option<PathBuf>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Anything unknown is refused with [`USAGE`].
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { scale: &FULL, json: false, idle_only: false, coremark: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => parsed.scale = &QUICK,
            "--idle" => parsed.idle_only = true,
            "--coremark" => {
                let path = arguments.next().ok_or_else(|| format!("--coremark wants a file\n{USAGE}"))?;
                parsed.coremark = Some(path.into());
            }
            "--json" => parsed.json = true,
            other => return Err(format!("{other}: unknown\n{USAGE}")),
        }
    }
    Ok(parsed)
}
