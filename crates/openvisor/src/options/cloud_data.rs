//! Which cloud's data an operator's command works on, and how it prints.

use std::path::PathBuf;

use clap::Args;

/// Options of all commands that work on a cloud's data folder.
#[derive(Args)]
pub(crate) struct CloudDataOptions {
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The account; defaults to the oldest one
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) account: Option<String>,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
