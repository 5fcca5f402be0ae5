//! The arguments of `openvisor device`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    DebuggingOptions, FactoryTestOption, ImageOptions, PaceOptions, RecordingOptions, ShowOptions,
    VerdictOptions, WiringOptions,
};

#[derive(Args)]
#[command(after_help = "\
The application's log lines go to the cloud. This process writes the device's events; --until, --fail-on \
and --junit see the log lines as the application makes them.

Examples:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1

  The same, recorded; then the same run replayed without a cloud:
  openvisor device app.elf --cloud 127.0.0.1:7883 --data ./device-1 --record run.ovrec
  openvisor device app.elf --replay run.ovrec")]
pub(crate) struct DeviceArguments {
    #[command(flatten)]
    pub(crate) application: ImageOptions,
    /// The cloud's address, HOST:PORT
    #[arg(long, value_name = "ADDR", required_unless_present = "replay", conflicts_with = "replay")]
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

impl DeviceArguments {
    /// Whether something needs the lines of the application's log, which a factory test has in its own events.
    pub(super) fn reports_log(&self) -> bool {
        self.verdict.needs_lines() && !self.factory_test.factory_test
    }
}
