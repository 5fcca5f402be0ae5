//! `openvisor fleet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use device::clock::TimeScale;

use super::{AccountSettings, Relayed, Settings, seconds};

/// Most devices in one process.
pub(super) const MAX_DEVICES: u32 = 10_000;

/// Most devices started in a second.
const MAX_RAMP: u32 = 10_000;

/// `openvisor fleet`
#[derive(Args, Debug)]
#[command(after_help = "\
Each device has an identity, stores, memory and a processor of its own; they share the image's flash.
Without --cloud a cloud is started in this process, with new devices; it lets applications reach this
machine's loopback addresses. --config and its like fill the stores of each of them, and may name the
device by {number} or {device-id}. Once a second a summary is shown: drawn anew on a terminal, a line elsewhere.

Publishes, messages and log lines are counted as the applications make them: calls that answered OKAY.
Exit code 0 means that every device connected at some time and that no application was stopped by a
fault; otherwise the last lines name the devices.

Examples:
  openvisor fleet app.elf --count 100 --seconds 30 \
      --config broker-host=127.0.0.1 --config client-id=device-{number}
  openvisor fleet app.elf --count 100 --data ./fleet      (the same devices again the next time)
  openvisor fleet app.elf --count 20 --json | jq .publishes_per_second

  Against a cloud elsewhere, with the identities in the folders of ./devices:
  openvisor fleet app.elf --count 20 --cloud 192.0.2.7:7883 --identities ./devices

  Against a cloud on this machine, making the identities that ./devices lacks:
  openvisor fleet app.elf --count 20 --cloud 127.0.0.1:7883 --identities ./devices --provision ./cloud")]
pub struct Fleet {
    /// The application: an ELF file (.elf), hexadecimal records (.hex, .srec), the bytes of its flash (.bin), or a bundle of it (.zip)
    pub image: PathBuf,
    /// How many devices
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEVICES)))]
    pub count: u32,
    /// Connect to the cloud at HOST:PORT; without it, one is started here
    #[arg(long, value_name = "ADDR", requires = "identities", conflicts_with_all = ["data", "resolve", "authorities", "allow"])]
    pub cloud: Option<String>,
    /// The devices' folders, one in each folder of DIR, as `openvisor provision` makes them
    #[arg(long, value_name = "DIR", requires = "cloud")]
    pub identities: Option<PathBuf>,
    /// Make the identities that are missing, in the cloud whose data folder this is
    #[arg(long, value_name = "DIR", requires = "identities")]
    pub provision: Option<PathBuf>,
    /// Keep the cloud's data and the devices' identities in this folder, so that the next run has the same devices; without
    /// it, a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub settings: Settings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub account_settings: AccountSettings,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub relayed: Relayed,
    /// Let the applications reach these addresses too, such as 192.168.0.0/16 (repeatable)
    #[arg(long, value_name = "RANGE")]
    pub allow: Vec<String>,
    /// Start at most so many devices a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_RAMP)))]
    pub ramp: u32,
    /// Let the device's time go N times as fast as the clock on the wall, 1 to 1000: its timers, its microseconds, and its
    /// time of day, which it is told by the cloud only once. Networks do not get faster by it
    #[arg(long, value_name = "N", default_value_t = TimeScale::ONE)]
    pub time_scale: TimeScale,
    /// End after this many seconds; without it, at Ctrl-C
    #[arg(long, visible_alias = "duration", value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Write one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}
