//! The arguments of `openvisor device`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    DebuggingOptions, FactoryTestOption, ImageOptions, PaceOptions, ShowOptions, VerdictOptions,
    WiringOptions,
};

#[derive(Args)]
#[command(after_help = "\
The application's log lines go to the cloud, not to this process, which writes the device's events.

Examples:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1

  The same, recorded; then the same run replayed without a cloud:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1 --record run.ovrec
  openvisor device app.elf --replay run.ovrec")]
pub(crate) struct DeviceArguments {
    #[command(flatten)]
    pub(crate) application: ImageOptions,
    /// The cloud's address, HOST:PORT
    #[arg(long, value_name = "ADDR", required_unless_present = "replay")]
    pub(crate) cloud: Option<String>,
    /// The device's folder, created by `openvisor provision`
    #[arg(long, value_name = "DIR", required_unless_present = "replay")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wiring: WiringOptions,
    #[command(flatten)]
    pub(crate) show: ShowOptions,
    #[command(flatten)]
    pub(crate) factory_test: FactoryTestOption,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) verdict: VerdictOptions,
    #[command(flatten)]
    pub(crate) debugging: DebuggingOptions,
    #[command(flatten)]
    pub(crate) recording: RecordingOptions,
}

/// Running the same thing twice.
#[derive(Args)]
#[command(next_help_heading = "Record and replay")]
pub(crate) struct RecordingOptions {
    /// Draw all random numbers from SEED, any text, instead of from the system: handles, back-off and the random number
    /// generator are the same in each run, and predictable
    #[arg(long, value_name = "SEED")]
    pub(crate) deterministic: Option<String>,
    /// Record all inputs of the device in FILE, each with its guest cycle, for --replay. FILE, of mode 0600, contains
    /// what the cloud sent in plain text: messages, configuration and secrets. What a debugger does is an input, too
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Replay a recording of this image, without a cloud and as fast as possible, and check that everything happens as
    /// recorded; exit code 4 if not. The same must be attached to the device as when it was recorded
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["cloud", "data", "seconds", "deterministic", "record", "gdb", "gdb_wait"])]
    pub(crate) replay: Option<PathBuf>,
}
