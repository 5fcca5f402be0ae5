//! `openvisor accounts`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `openvisor accounts`
#[derive(Args, Debug)]
#[command(after_help = "\
Every device belongs to one account. It sees that account's settings and secrets and nothing of another.
A data folder has one account to begin with; every command means it unless --account names another.

Examples:
  openvisor accounts add plant-2 --data ./cloud
  openvisor provision --account plant-2 --data ./cloud --out ./device-7 --name press
  openvisor configs set broker-host 192.0.2.7 --account plant-2 --data ./cloud
  openvisor devices list --account plant-2 --data ./cloud")]
pub struct Accounts {
    /// What to do with them.
    #[command(subcommand)]
    pub action: AccountsAction,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsAction {
    /// Make an account
    #[command(after_help = "\
Writes the new account's id.

Example:
  id=$(openvisor accounts add plant-2 --data ./cloud)")]
    Add(AddAccount),
    /// List the accounts, the oldest first: that is the one meant where none is named
    #[command(after_help = "\
Examples:
  openvisor accounts list --data ./cloud
  openvisor accounts list --data ./cloud --json | jq -r .id")]
    List(ListAccounts),
    /// Give an account another name
    #[command(after_help = "\
Example:
  openvisor accounts rename plant-2 plant-west --data ./cloud")]
    Rename(RenameAccount),
    /// Remove an account that has no devices, with its settings
    #[command(after_help = "\
The first account stays. Devices go with: openvisor devices revoke ID|NAME --forget

Example:
  openvisor accounts remove plant-2 --data ./cloud")]
    Remove(RemoveAccount),
}

/// `openvisor accounts list`
#[derive(Args, Debug)]
pub struct ListAccounts {
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Answer with one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}

/// `openvisor accounts add`
#[derive(Args, Debug)]
pub struct AddAccount {
    /// A name for people; commands take it or the id
    pub name: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: ListAccounts,
}

/// `openvisor accounts rename`
#[derive(Args, Debug)]
pub struct RenameAccount {
    /// The account
    #[arg(value_name = "ID|NAME")]
    pub account: String,
    /// Its new name
    #[arg(value_name = "NEW-NAME")]
    pub name: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: ListAccounts,
}

/// `openvisor accounts remove`
#[derive(Args, Debug)]
pub struct RemoveAccount {
    /// The account
    #[arg(value_name = "ID|NAME")]
    pub account: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub list: ListAccounts,
}
