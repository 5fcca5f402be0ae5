//! Running the same thing twice.

use std::path::PathBuf;

use clap::Args;

/// Recording and replay.
#[derive(Args, Default)]
#[command(next_help_heading = "Record and replay")]
pub(crate) struct RecordingOptions {
    /// Draw all random numbers from SEED, any text, instead of from the system: handles, back-off and the random number
    /// generator are the same in each run, and predictable. When the network answers is not: for an identical run use
    /// --replay
    #[arg(long, value_name = "SEED")]
    pub(crate) deterministic: Option<String>,
    /// Record all inputs of the device in FILE, each with its guest cycle, for --replay. FILE, of mode 0600, contains
    /// what the cloud sent in plain text: messages, configuration and secrets. What a debugger does is an input, too
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Replay a recording of this image, without a cloud and as fast as possible, and check that everything happens as
    /// recorded; exit code 4 if not. The same must be attached to the device as when it was recorded. With --gdb it
    /// waits for a debugger, which can stop, step and look, and cannot change the run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "seconds", "deterministic", "record"])]
    pub(crate) replay: Option<PathBuf>,
}
