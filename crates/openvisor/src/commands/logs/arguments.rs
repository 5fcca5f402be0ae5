//! The arguments of `openvisor logs`.

use clap::{Args, Subcommand};

use crate::options::CloudDataOptions;

#[derive(Args)]
#[command(after_help = "\
Examples:
  openvisor logs stream kitchen --data ./cloud
  openvisor logs stream kitchen --data ./cloud --since 2h --no-follow")]
pub(crate) struct LogsArguments {
    #[command(subcommand)]
    pub(crate) action: LogsAction,
}

#[derive(Subcommand)]
pub(crate) enum LogsAction {
    /// Show the log lines of a device or of all, and follow as new ones arrive
    #[command(after_help = "\
Lines are shown once the cloud has stored them, with the time at which the cloud received them and the \
device's own: seconds since its start, as mvGetMicroseconds counts them (clock_us with --json). Lines \
logged while the device was offline arrive together, and only the device's time distinguishes them. A device \
numbers its lines; where numbers are missing, lines were lost, and a note says so. While a device's logging is \
off, standard error says so (with --json, the event `logging_switched` on standard output). Ends at Ctrl-C with \
success, and with a failure when the device is revoked or removed.

Examples:
  openvisor logs stream kitchen --data ./cloud
  openvisor logs stream --all --data ./cloud
  openvisor logs stream kitchen --data ./cloud --last 0                  (only new lines)
  openvisor logs stream kitchen --data ./cloud --since 2026-11-20T09:00:00Z --no-follow
  openvisor logs stream kitchen --data ./cloud --json | jq -r 'select(.event == \"app_log\").text'")]
    Stream(StreamArguments),
}

#[derive(Args)]
pub(crate) struct StreamArguments {
    /// The device
    #[arg(value_name = "ID|NAME", required_unless_present = "all")]
    pub(crate) device: Option<String>,
    /// Show the lines of all devices of the account, each with its device
    #[arg(long, conflicts_with = "device")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
    /// Start with the last N stored lines; 100 unless --since is given
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<u32>,
    /// Start at this time: an age (90s, 10m, 2h, 7d), or a date as 2026-11-20T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Stop after the stored lines
    #[arg(long)]
    pub(crate) no_follow: bool,
}
