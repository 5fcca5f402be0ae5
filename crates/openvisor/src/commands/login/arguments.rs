//! The arguments of `openvisor login`, `logout` and `profiles`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args)]
#[command(after_help = "\
The key is taken from --key-file, the variable OPENVISOR_KEY, or a question on the terminal. It is checked, \
and stored with the URL in openvisor/profiles.toml in the folder XDG_CONFIG_HOME or ~/.config, which only \
you can read. From then on, commands that name no cloud work on this one.

A certificate that no public authority signed is trusted only if you confirm its fingerprint; compare it with \
that of authority.pem in the cloud's data folder. Plain http is for this machine only.

Examples:
  openvisor login https://cloud.example:7885
  openvisor login https://cloud.example:7885 --key-file key.txt --profile work
  openvisor keys list")]
pub(crate) struct LoginArguments {
    /// The URL of the cloud's management API, which the cloud prints when it starts
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Read the key, as ID:SECRET, from a file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The profile's name; defaults to the host
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Trust this certificate of the cloud or of its authority only, without a question
    #[arg(long, value_name = "SHA256:HEX")]
    pub(crate) fingerprint: Option<String>,
    /// Write a JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
The key stays valid at the cloud.

Example:
  openvisor logout")]
pub(crate) struct LogoutArguments {
    /// The profile; defaults to the selected one
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Write a JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  openvisor profiles list
  openvisor profiles use work")]
pub(crate) struct ProfilesArguments {
    #[command(subcommand)]
    pub(crate) action: ProfilesAction,
}

#[derive(Subcommand)]
pub(crate) enum ProfilesAction {
    /// List the profiles, without their secrets
    #[command(after_help = "\
Example:
  openvisor profiles list --json | jq -r 'select(.selected) | .url'")]
    List(ListArguments),
    /// Select the profile for commands that name no cloud
    #[command(after_help = "\
Example:
  openvisor profiles use work")]
    Use(NameArguments),
    /// Remove a profile and its key from this machine
    #[command(after_help = "\
Example:
  openvisor profiles remove work")]
    Remove(NameArguments),
}

#[derive(Args)]
pub(crate) struct ListArguments {
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct NameArguments {
    /// The profile
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Write a JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
