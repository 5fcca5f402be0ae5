//! Which cloud's data an operator's command works on, and how it prints.

use std::path::PathBuf;

use clap::Args;

use super::StoreUrlOption;

/// Which cloud: the same options for every command that works on one. `operate::management::target` chooses, because it
/// depends on whether a value is an option or a variable.
#[derive(Args)]
pub(crate) struct CloudFolderOptions {
    /// The cloud's data folder, on its machine; a cloud may be running on it. Also taken from the variable
    /// OPENVISOR_DATA
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Instead, the URL of a cloud's management API; with the key in the variable OPENVISOR_KEY or of `openvisor
    /// login`. Also taken from the variable OPENVISOR_URL
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Instead, a cloud that `openvisor login` stored. Also taken from the variable OPENVISOR_PROFILE; without any of
    /// these, the selected one
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
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
