//! What runs on a device, and how fast and how long.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use device::clock::TimeScale;

/// Longest time `--seconds` takes: a year.
const MAX_SECONDS: f64 = 31_536_000.0;

/// What runs on the device.
#[derive(Args)]
pub(crate) struct ImageOptions {
    /// The application: an ELF file (.elf), hexadecimal records (.hex, .srec), the contents of its flash (.bin), or a
    /// bundle (.zip)
    pub(crate) image: PathBuf,
    /// Accept only a bundle signed with this key; FILE is the public key in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) signer: Option<PathBuf>,
}

/// How fast the device's time passes, and when the run ends.
#[derive(Args)]
pub(crate) struct PaceOptions {
    /// Run the device's clock N times as fast as the wall clock, 1 to 1000: its timers, its microseconds, and its time
    /// of day, which it gets from the cloud only once. The network does not get faster
    #[arg(long, value_name = "N", default_value_t = TimeScale::ONE)]
    pub(crate) time_scale: TimeScale,
    /// Stop after this many seconds of the wall clock, such as 60 or 1.5; without it, run until Ctrl-C
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub(crate) seconds: Option<Duration>,
}

/// Whether the run is a factory test.
#[derive(Args)]
pub(crate) struct FactoryTestOption {
    /// Run the application as a factory test: mvTestingComplete ends the run, with success if its status is 0, and the
    /// test's log lines are shown here instead of being sent to the cloud
    #[arg(long)]
    pub(crate) factory_test: bool,
}

/// Parses a number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds <= MAX_SECONDS {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(format!("must be more than 0 and at most {MAX_SECONDS}"))
}
