//! The arguments of `openvisor accounts`.

use clap::{Args, Subcommand};

use crate::options::{CloudDataOptions, CloudFolderOptions};

#[derive(Args)]
#[command(after_help = "\
Every device belongs to one account. It sees that account's settings and secrets and no others. A data \
folder starts with one account, to which all commands apply unless --account names another.

Examples:
  openvisor accounts add plant-2 --data ./cloud
  openvisor provision --account plant-2 --data ./cloud --out ./device-7 --name press
  openvisor configs set broker-host 192.0.2.7 --account plant-2 --data ./cloud
  openvisor devices list --account plant-2 --data ./cloud")]
pub(crate) struct AccountsArguments {
    #[command(subcommand)]
    pub(crate) action: AccountsAction,
}

#[derive(Subcommand)]
pub(crate) enum AccountsAction {
    /// Create an account
    #[command(after_help = "\
Prints the new account's id.

Example:
  id=$(openvisor accounts add plant-2 --data ./cloud)")]
    Add(AddArguments),
    /// List the accounts, oldest first; the oldest is the default
    #[command(after_help = "\
Examples:
  openvisor accounts list --data ./cloud
  openvisor accounts list --data ./cloud --json | jq -r .id")]
    List(AllAccountsOptions),
    /// Rename an account
    #[command(after_help = "\
Example:
  openvisor accounts rename plant-2 plant-west --data ./cloud")]
    Rename(RenameArguments),
    /// Remove an account that has no devices, and its settings
    #[command(after_help = "\
The oldest account cannot be removed. To remove devices: openvisor devices revoke ID|NAME --forget

Example:
  openvisor accounts remove plant-2 --data ./cloud")]
    Remove(RemoveArguments),
    /// Make the auth token of an account for the management API, and show it once
    #[command(after_help = "\
The account's id is the user name and the token the password; together they may do everything in the account. \
Prefer an API key with the role that is needed: openvisor keys create

Examples:
  openvisor accounts token --data ./cloud
  openvisor accounts token --rotate --account plant-2 --data ./cloud --json | jq -r .auth_token")]
    Token(TokenArguments),
}

#[derive(Args)]
pub(crate) struct TokenArguments {
    /// Replace the token there is: the old one is refused from now on
    #[arg(long)]
    pub(crate) rotate: bool,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}

/// As [`crate::options::CloudDataOptions`], for all accounts.
#[derive(Args)]
pub(crate) struct AllAccountsOptions {
    #[command(flatten)]
    pub(crate) folder: CloudFolderOptions,
    /// Write one JSON object per line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct AddArguments {
    /// A display name; commands accept it or the id
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) cloud: AllAccountsOptions,
}

#[derive(Args)]
pub(crate) struct RenameArguments {
    /// The account
    #[arg(value_name = "ID|NAME")]
    pub(crate) account: String,
    /// Its new name
    #[arg(value_name = "NEW-NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cloud: AllAccountsOptions,
}

#[derive(Args)]
pub(crate) struct RemoveArguments {
    /// The account
    #[arg(value_name = "ID|NAME")]
    pub(crate) account: String,
    #[command(flatten)]
    pub(crate) cloud: AllAccountsOptions,
}
