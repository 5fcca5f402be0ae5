//! The arguments of `openvisor demo`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{
    AccountSettingsOptions, DebuggingOptions, OutboundOptions, PaceOptions, SettingsOptions,
};

#[derive(Args)]
#[command(after_help = "\
The sample application publishes a reading each second and obeys commands. Openvisor starts a cloud and \
an MQTT broker on loopback ports, which the application may reach. It sends the commands and monitors the \
broker. Exit code 0 means that a message went from the application to the broker, and another from the \
broker to the application, which answered it.

While it runs, try:  mosquitto_sub -p PORT -t '#' -v      (the first lines show PORT)

Examples:
  openvisor demo
  openvisor demo --seconds 10 --json | jq -r .text
  openvisor demo --data ./demo        (in another terminal: openvisor devices list --data ./demo/cloud)")]
pub(crate) struct DemoArguments {
    /// Your own build of the sample application instead of the built-in one: .elf, .hex, .srec, .bin or .zip
    pub(crate) image: Option<PathBuf>,
    /// Accept only a bundle signed with this key; FILE is the public key in PEM
    #[arg(long, value_name = "FILE", requires = "image")]
    pub(crate) signer: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the cloud's data in this folder; without it, a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingsOptions,
    #[command(flatten)]
    pub(crate) account_settings: AccountSettingsOptions,
    #[command(flatten)]
    pub(crate) outbound: OutboundOptions,
    #[command(flatten)]
    pub(crate) debugging: DebuggingOptions,
}
