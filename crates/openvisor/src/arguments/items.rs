//! `openvisor configs` and `openvisor secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `openvisor configs`
#[derive(Args, Debug)]
#[command(after_help = "\
An entry belongs to one device, or with no --device to the account. An application says which of the
two it asks for; neither stands in for the other. It sees a change when it fetches the next time.

Examples:
  openvisor configs set broker-host 192.0.2.7 --data ./cloud
  openvisor configs set broker-ca @ca.hex --device kitchen --data ./cloud
  openvisor configs list --device kitchen --data ./cloud")]
pub struct Configs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ConfigsAction,
}

/// What can be done with configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigsAction {
    /// Set an entry, new or not
    #[command(after_help = "\
A key is 1 to 100 printable ASCII characters, a value at most 4096 bytes of text. Binary is written as
hexadecimal and decoded by the application.

Examples:
  openvisor configs set broker-host 192.0.2.7 --data ./cloud
  openvisor configs set greeting @@home --device kitchen --data ./cloud      (the value is @home)
  xxd -p -c0 ca.der | openvisor configs set broker-ca @/dev/stdin --data ./cloud")]
    Set(SetItem),
    /// Write an entry's value, exactly as it is
    #[command(after_help = "\
Exit code 1 says that there is no such entry.

Example:
  host=$(openvisor configs get broker-host --device kitchen --data ./cloud)")]
    Get(ItemKey),
    /// List the entries of the account or of a device
    #[command(after_help = "\
Examples:
  openvisor configs list --data ./cloud
  openvisor configs list --device kitchen --data ./cloud --json | jq -r .key")]
    List(Items),
    /// Remove an entry
    #[command(after_help = "\
Exit code 1 says that there was no such entry.

Example:
  openvisor configs remove broker-host --device kitchen --data ./cloud")]
    Remove(ItemKey),
}

/// `openvisor secrets`
#[derive(Args, Debug)]
#[command(after_help = "\
A secret is kept encrypted and goes to applications alone: no command shows it again. It belongs to one
device, or with no --device to the account; an application says which of the two it asks for.

Examples:
  openvisor secrets set password @password.txt --device kitchen --data ./cloud
  openvisor secrets list --device kitchen --data ./cloud
  openvisor secrets remove password --device kitchen --data ./cloud")]
pub struct Secrets {
    /// What to do with them.
    #[command(subcommand)]
    pub action: SecretsAction,
}

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretsAction {
    /// Set a secret, new or not
    #[command(after_help = "\
A key is 1 to 100 printable ASCII characters, a value at most 4096 bytes of text. Prefer @FILE: others on
this machine may see a command line, and shells remember it.

Examples:
  openvisor secrets set password @password.txt --device kitchen --data ./cloud
  pass show broker | openvisor secrets set password @/dev/stdin --data ./cloud")]
    Set(SetItem),
    /// Refused: a secret is never shown
    #[command(
        hide = true,
        after_help = "\
Example of what to do instead:
  openvisor secrets set password @password.txt --data ./cloud"
    )]
    Get(ItemKey),
    /// List which secrets there are, without their values
    #[command(after_help = "\
Examples:
  openvisor secrets list --data ./cloud
  openvisor secrets list --device kitchen --data ./cloud --json")]
    List(Items),
    /// Remove a secret
    #[command(after_help = "\
Exit code 1 says that there was no such secret.

Example:
  openvisor secrets remove password --device kitchen --data ./cloud")]
    Remove(ItemKey),
}

/// A key and its new value.
#[derive(Args, Debug)]
pub struct SetItem {
    /// The key
    pub key: String,
    /// The value; @FILE takes the file's text, less a last line end; one that begins with @ is written with two
    #[arg(value_name = "VALUE|@FILE", allow_hyphen_values = true)]
    pub value: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub items: Items,
}

/// A key.
#[derive(Args, Debug)]
pub struct ItemKey {
    /// The key
    pub key: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become the command's help text")]
    pub items: Items,
}

/// Where the entries are, and how to answer.
#[derive(Args, Debug)]
pub struct Items {
    /// The cloud's data folder; a cloud may be running on it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The account; without it, the first
    #[arg(long, value_name = "ID|NAME")]
    pub account: Option<String>,
    /// The device the entries belong to; without it, the account
    #[arg(long, value_name = "ID|NAME")]
    pub device: Option<String>,
    /// Answer with one JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
}
