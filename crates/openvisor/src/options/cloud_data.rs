//! Which cloud's data an operator's command works on, and how it prints.

use std::path::PathBuf;

use clap::Args;

use super::StoreUrlOption;

/// Where a cloud's data are: the same two options for every command that works on them.
#[derive(Args)]
pub(crate) struct CloudFolderOptions {
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR", env = "OPENVISOR_DATA", hide_env_values = true)]
    pub(crate) data: PathBuf,
    /// The cloud's PostgreSQL database, if the data folder does not remember it or its password has changed; also taken
    /// from the variable OPENVISOR_STORE, as for `openvisor cloud`
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<StoreUrlOption>,
}

/// Options of all commands that work on the data of one account.
#[derive(Args)]
pub(crate) struct CloudDataOptions {
    #[command(flatten)]
    pub(crate) folder: CloudFolderOptions,
    /// The account; defaults to the oldest one
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) account: Option<String>,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
