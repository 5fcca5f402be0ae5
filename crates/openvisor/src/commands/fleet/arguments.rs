//! The arguments of `openvisor fleet`.

use std::path::PathBuf;

use clap::Args;

use crate::options::{AccountSettingsOptions, AllowOption, OutboundOptions, PaceOptions, SettingsOptions};

/// Most devices in one process.
const MAX_DEVICES: u32 = 10_000;

/// Most devices started per second.
const MAX_RAMP: u32 = 10_000;

#[derive(Args)]
#[command(after_help = "\
Each device has its own identity, stores, memory and processor; they share the image's flash. Without \
--cloud, a cloud with new devices is started in this process; it lets applications reach this machine's \
loopback addresses. --config and the like apply to each device, and may contain {number} or {device-id}, \
which stand for the device's. A summary is shown once a second: updated in place on a terminal, one line \
elsewhere.

Publishes, messages and log lines are counted as the applications make them: calls that returned OKAY. \
Exit code 0 means that every device connected at least once and that no application was stopped by a \
fault; otherwise the last lines name the devices.

Examples:
  openvisor fleet app.elf --count 100 --seconds 30 \\
      --config broker-host=127.0.0.1 --config broker-port=1883 --config client-id=device-{number}
  openvisor fleet app.elf --count 100 --data ./fleet      (keeps the devices for the next run)
  openvisor fleet app.elf --count 20 --json |
      jq 'select(.event == \"fleet_progress\").publishes_per_second'

  With a cloud elsewhere and the identities in the folders of ./devices:
  openvisor fleet app.elf --count 20 --cloud 192.0.2.7:7883 --identities ./devices

  With a cloud on this machine, creating the identities that are missing in ./devices:
  openvisor fleet app.elf --count 20 --cloud 127.0.0.1:7883 --identities ./devices --provision ./cloud")]
#[command(mut_arg("seconds", |seconds| seconds.visible_alias("duration")))]
pub(crate) struct FleetArguments {
    /// The application: an ELF file (.elf), hexadecimal records (.hex, .srec), the contents of its flash (.bin), or a
    /// bundle (.zip)
    pub(crate) image: PathBuf,
    /// Number of devices
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEVICES)))]
    pub(crate) count: u32,
    /// Connect to the cloud at HOST:PORT; without it, a cloud is started in this process
    #[arg(long, value_name = "ADDR", requires = "identities", conflicts_with_all = ["data", "resolve", "authorities", "allow"])]
    pub(crate) cloud: Option<String>,
    /// Folder with one folder per device, as created by `openvisor provision`
    #[arg(long, value_name = "DIR", requires = "cloud")]
    pub(crate) identities: Option<PathBuf>,
    /// Create the identities that are missing, in the cloud with this data folder
    #[arg(long, value_name = "DIR", requires = "identities")]
    pub(crate) provision: Option<PathBuf>,
    /// Keep the cloud's data and the devices' identities in this folder, so that the next run has the same devices;
    /// without it, a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingsOptions,
    #[command(flatten)]
    pub(crate) account_settings: AccountSettingsOptions,
    #[command(flatten)]
    pub(crate) outbound: OutboundOptions,
    #[command(flatten)]
    pub(crate) allow: AllowOption,
    /// Start at most this many devices per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RAMP)))]
    pub(crate) ramp: u32,
    #[command(flatten)]
    pub(crate) pace: PaceOptions,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
