//! `openvisor logs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `openvisor logs`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  openvisor logs stream kitchen --data ./cloud
  openvisor logs stream kitchen --data ./cloud --since 2h --no-follow")]
pub struct Logs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: LogsAction,
}

/// What can be done with log lines.
#[derive(Debug, Subcommand)]
pub enum LogsAction {
    /// Show the lines a device's application has logged, and follow as more come
    #[command(after_help = "\
Lines are shown once the cloud has stored them, with the time at which the cloud received them and the
device's own: seconds since its start, as mvGetMicroseconds counts them (clock_us with --json). Lines
logged while the device is offline arrive together, and the device's time tells them apart. A device
numbers its lines; where numbers are missing, the lines between were lost, and that is shown. Ends at
Ctrl-C, which is success, and when the device is revoked or removed, which is not.

Examples:
  openvisor logs stream kitchen --data ./cloud
  openvisor logs stream kitchen --data ./cloud --last 0                  (only what comes from now on)
  openvisor logs stream kitchen --data ./cloud --since 2026-11-20T09:00:00Z --no-follow
  openvisor logs stream kitchen --data ./cloud --json | jq -r 'select(.text) | .text'")]
    Stream(Stream),
}

/// `openvisor logs stream`
#[derive(Args, Debug)]
pub struct Stream {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub device: String,
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The account; without it, the first
    #[arg(long, value_name = "ID|NAME")]
    pub account: Option<String>,
    /// Begin with the last N stored lines; 100 unless --since is given
    #[arg(long, value_name = "N")]
    pub last: Option<u32>,
    /// Begin at this time: so long ago (90s, 10m, 2h, 7d), or as 2026-11-20T09:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End after the stored lines
    #[arg(long)]
    pub no_follow: bool,
    /// Write one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}
