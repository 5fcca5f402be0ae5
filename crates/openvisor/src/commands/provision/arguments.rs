//! The arguments of `openvisor provision`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{CloudDataOptions, SettingsOptions};

#[derive(Args)]
#[command(after_help = "\
The device's folder contains its private key; keep it private.

Examples:
  openvisor provision --data ./cloud --out ./device-1
  openvisor provision --data ./cloud --out ./device-2 --name kitchen \\
      --config broker-host=192.0.2.7 --config broker-port=1883
  openvisor provision --data ./cloud --out ./devices --name sensor --count 20 --json")]
pub(crate) struct ProvisionArguments {
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
    /// The device's folder; created here, and given to `openvisor device --data`. With --count, the parent of the
    /// devices' folders
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A display name; commands accept it or the id. With --count, a number is added to it
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Create N devices in DIR/device-0001, DIR/device-0002 and so on, or DIR/NAME-0001 with --name. Those whose folder
    /// exists already are left out, so that the command can be repeated after a failure
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) count: Option<u32>,
    #[command(flatten)]
    pub(crate) settings: SettingsOptions,
}
