//! Options that make a run repeatable.

use std::path::PathBuf;

use clap::Args;

/// What `openvisor device` offers to run the same thing twice.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Repeating")]
pub struct Repeating {
    /// Take all chance from SEED, any text, rather than from the system: handles, back-off and the random number
    /// generator are the same in each run with it, and can be guessed
    #[arg(long, value_name = "SEED")]
    pub deterministic: Option<String>,
    /// Write what reaches the device to FILE, each with its guest cycle, for --replay. FILE, of mode 0600, then holds what
    /// came from the cloud in plain text: messages, configuration and secrets
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gdb", "gdb_wait"])]
    pub record: Option<PathBuf>,
    /// Run a recording of this image again, without a cloud and as fast as it goes, and say whether everything was as
    /// recorded; exit code 4 if not. What is wired to the device is to be named as it was
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["cloud", "data", "seconds", "deterministic", "record", "gdb", "gdb_wait"])]
    pub replay: Option<PathBuf>,
}
