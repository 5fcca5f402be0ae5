//! The arguments of `openvisor provision`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{SettingsOptions, StoreUrlOption};

#[derive(Args)]
#[command(after_help = "\
The device's folder contains its private key; keep it private.

Examples:
  openvisor provision --data ./cloud --out ./device-1
  openvisor provision --data ./cloud --out ./device-2 --name kitchen \\
      --config broker-host=192.0.2.7 --config broker-port=1883")]
pub(crate) struct ProvisionArguments {
    /// The cloud's data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The cloud's PostgreSQL database, if the data folder does not remember it yet; as for `openvisor cloud`
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<StoreUrlOption>,
    /// The device's folder; created here, and given to `openvisor device --data`
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A display name; commands accept it or the id
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The account that owns the device; defaults to the oldest one
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) account: Option<String>,
    #[command(flatten)]
    pub(crate) settings: SettingsOptions,
}
