//! The arguments of `openvisor man`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
#[command(after_help = "\
Examples:
  openvisor man ~/.local/share/man/man1 && man openvisor-cloud
  sudo openvisor man /usr/local/share/man/man1")]
pub(crate) struct ManArguments {
    /// The folder for the pages, openvisor.1, openvisor-cloud.1 and so on; created if it does not exist
    #[arg(value_name = "DIR")]
    pub(crate) out: PathBuf,
}
