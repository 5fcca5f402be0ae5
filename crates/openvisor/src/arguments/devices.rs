//! `openvisor devices`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `openvisor devices`
#[derive(Args, Debug)]
#[command(after_help = "\
A device is named by its id or by the name it was given (openvisor provision --name).

Examples:
  openvisor devices list --data ./cloud
  openvisor devices show kitchen --data ./cloud
  openvisor devices logging kitchen off --data ./cloud
  openvisor devices revoke kitchen --data ./cloud")]
pub struct Devices {
    /// What to do with them.
    #[command(subcommand)]
    pub action: DevicesAction,
}

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub enum DevicesAction {
    /// List the devices, the oldest first
    #[command(after_help = "\
A device is `connected`, `away` (seen before), `never` seen, or `revoked`. A running cloud notes who
comes and goes each second.

Examples:
  openvisor devices list --data ./cloud
  openvisor devices list --data ./cloud --json | jq -r 'select(.connected) | .id'")]
    List(List),
    /// Show what is known of a device
    #[command(after_help = "\
Examples:
  openvisor devices show kitchen --data ./cloud
  openvisor devices show kitchen --data ./cloud --json | jq -r .image")]
    Show(Show),
    /// Want a device's log lines for a time, or no longer
    #[command(after_help = "\
A new device logs without end until this is said for the first time. On again before the time is over
begins it anew. While it is off the application is told so when it logs, and nothing is kept. A cloud
that is running tells the device within about a second.

Examples:
  openvisor devices logging kitchen on --data ./cloud              (for 24 hours)
  openvisor devices logging kitchen on --for 7d --data ./cloud
  openvisor devices logging kitchen on --for ever --data ./cloud
  openvisor devices logging kitchen off --data ./cloud")]
    Logging(Logging),
    /// Take a device's certificate from it, so that it cannot connect any more
    #[command(after_help = "\
There is no way back for the device's folder: a device that is to connect again is provisioned anew. Its
settings and log lines stay, unless --forget. A cloud that is running notices by itself and ends the
device's connection within about a second.

Examples:
  openvisor devices revoke kitchen --data ./cloud
  openvisor devices revoke kitchen --data ./cloud --yes --forget")]
    Revoke(Revoke),
}

/// `openvisor devices list`
#[derive(Args, Debug)]
pub struct List {
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The account; without it, the first
    #[arg(long, value_name = "ID|NAME")]
    pub account: Option<String>,
    /// Answer with one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}

/// `openvisor devices show`
#[derive(Args, Debug)]
pub struct Show {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub device: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: List,
}

/// `openvisor devices logging`
#[derive(Args, Debug)]
pub struct Logging {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub device: String,
    /// Whether its log lines are wanted
    #[arg(value_name = "on|off")]
    pub wanted: OnOff,
    /// For how long: 90s, 10m, 24h, 7d, or ever
    #[arg(long = "for", value_name = "TIME", default_value = "24h")]
    pub span: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: List,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Wanted
    On,
    /// Not wanted
    Off,
}

/// `openvisor devices revoke`
#[derive(Args, Debug)]
pub struct Revoke {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub device: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Remove its settings, its log lines and itself too, which makes its name free
    #[arg(long)]
    pub forget: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: List,
}
