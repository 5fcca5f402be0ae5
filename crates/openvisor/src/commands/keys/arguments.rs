//! The arguments of `openvisor keys`.

use clap::{Args, Subcommand, ValueEnum};

use crate::options::CloudDataOptions;

#[derive(Args)]
#[command(after_help = "\
An API key belongs to one account and can see and change that account only. Its id (SK...) is the user \
name and its secret the password of HTTP Basic authentication; the id is no secret and appears in the \
cloud's log and in `openvisor audit`.

Examples:
  openvisor keys create --role deploy --name ci --expires 90d --data ./cloud
  openvisor keys list --data ./cloud
  openvisor keys revoke SK0123... --data ./cloud")]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Subcommand)]
pub(crate) enum KeysAction {
    /// Create an API key and show its secret, once
    #[command(after_help = "\
Roles:
  owner      everything in the account
  deploy     applications, targets, logging, and reading
  read       reading
  provision  enrolling at most --devices devices

Example:
  openvisor keys create --role deploy --name ci --expires 90d --data ./cloud --json | jq -r .secret")]
    Create(CreateArguments),
    /// List the valid API keys, oldest first
    List(ListArguments),
    /// Revoke an API key: it is refused at once, and what it still reads ends within a second
    Revoke(RevokeArguments),
}

/// A role, as `--role` takes it.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleName {
    Owner,
    Deploy,
    Read,
    Provision,
}

impl RoleName {
    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Deploy => "deploy",
            Self::Read => "read",
            Self::Provision => "provision",
        }
    }
}

#[derive(Args)]
pub(crate) struct CreateArguments {
    /// What the key may do
    #[arg(long, value_name = "ROLE", default_value = "read")]
    pub(crate) role: RoleName,
    /// What to call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// When it ends, counted from now, such as 24h or 90d; without it, never
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<String>,
    /// With --role provision: how many devices it may enrol
    #[arg(long, value_name = "N", required_if_eq("role", "provision"))]
    pub(crate) devices: Option<u32>,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

#[derive(Args)]
pub(crate) struct ListArguments {
    /// Also list revoked keys
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

#[derive(Args)]
pub(crate) struct RevokeArguments {
    /// The key's id
    #[arg(value_name = "SK...")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}
