//! The arguments of `openvisor devices`.

use clap::{Args, Subcommand, ValueEnum};

use crate::options::CloudDataOptions;

#[derive(Args)]
#[command(after_help = "\
A device is identified by its id or by its name (openvisor provision --name).

Examples:
  openvisor devices list --data ./cloud
  openvisor devices show kitchen --data ./cloud
  openvisor devices logging kitchen off --data ./cloud
  openvisor devices revoke kitchen --data ./cloud")]
pub(crate) struct DevicesArguments {
    #[command(subcommand)]
    pub(crate) action: DevicesAction,
}

#[derive(Subcommand)]
pub(crate) enum DevicesAction {
    /// List the devices, oldest first
    #[command(after_help = "\
A device is `connected`, `away` (was connected before), `never` connected, or `revoked`. A running cloud \
updates this each second.

Examples:
  openvisor devices list --data ./cloud
  openvisor devices list --data ./cloud --all-accounts
  openvisor devices list --data ./cloud --json | jq -r 'select(.connected) | .id'")]
    List(ListArguments),
    /// Show the details of a device
    #[command(after_help = "\
Examples:
  openvisor devices show kitchen --data ./cloud
  openvisor devices show kitchen --data ./cloud --json | jq -r .image")]
    Show(ShowArguments),
    /// Rename a device
    #[command(after_help = "\
The id stays the same, and so does the device's folder.

Example:
  openvisor devices rename kitchen pantry --data ./cloud")]
    Rename(RenameArguments),
    /// Turn a device's log lines on for a time, or off
    #[command(after_help = "\
A new device logs without end until this command is used for the first time. `on` again before the time \
has passed restarts it. While logging is off, the application gets a status that says so, and its lines \
are discarded. A running cloud informs the device within about a second.

Examples:
  openvisor devices logging kitchen on --data ./cloud              (for 24 hours)
  openvisor devices logging kitchen on --for 7d --data ./cloud
  openvisor devices logging kitchen on --for ever --data ./cloud
  openvisor devices logging kitchen off --data ./cloud")]
    Logging(LoggingArguments),
    /// Revoke a device's certificate, so that it can no longer connect
    #[command(after_help = "\
This cannot be undone: to connect again, the device has to be provisioned again. Its settings and log \
lines are kept, unless --forget is given. A running cloud ends the device's connection within about a \
second.

Examples:
  openvisor devices revoke kitchen --data ./cloud
  openvisor devices revoke kitchen --data ./cloud --yes --forget")]
    Revoke(RevokeArguments),
}

#[derive(Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
    /// List the devices of all accounts, with the account of each
    #[arg(long, conflicts_with = "account")]
    pub(crate) all_accounts: bool,
}

#[derive(Args)]
pub(crate) struct RenameArguments {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub(crate) device: String,
    /// Its new name
    #[arg(value_name = "NEW-NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

#[derive(Args)]
pub(crate) struct ShowArguments {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

#[derive(Args)]
pub(crate) struct LoggingArguments {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub(crate) device: String,
    /// Whether its log lines are stored
    #[arg(value_name = "on|off")]
    pub(crate) switch: Switch,
    /// How long they are stored: 90s, 10m, 24h, 7d, or ever
    #[arg(long = "for", value_name = "TIME", default_value = "24h")]
    pub(crate) duration: String,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Store them
    On,
    /// Discard them
    Off,
}

#[derive(Args)]
pub(crate) struct RevokeArguments {
    /// The device
    #[arg(value_name = "ID|NAME")]
    pub(crate) device: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Also delete the device, its settings and its log lines, which frees its name
    #[arg(long)]
    pub(crate) forget: bool,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}
