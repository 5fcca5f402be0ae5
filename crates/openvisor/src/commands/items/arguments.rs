//! The arguments of `openvisor configs` and `openvisor secrets`.

use clap::{Args, Subcommand};

use crate::options::CloudDataOptions;

#[derive(Args)]
#[command(after_help = "\
An entry belongs to one device, or to the account if --device is not given. An application says which of \
the two it fetches; there is no fallback from one to the other. It sees a change at its next fetch.

Examples:
  openvisor configs set broker-host 192.0.2.7 --data ./cloud
  openvisor configs set broker-ca @ca.hex --device kitchen --data ./cloud
  openvisor configs list --device kitchen --data ./cloud")]
pub(crate) struct ConfigsArguments {
    #[command(subcommand)]
    pub(crate) action: ConfigsAction,
}

#[derive(Subcommand)]
pub(crate) enum ConfigsAction {
    /// Add or change an entry
    #[command(after_help = "\
A key is 1 to 100 printable ASCII characters, a value at most 4096 bytes of text. Write binary data as \
hexadecimal and decode it in the application.

Examples:
  openvisor configs set broker-host 192.0.2.7 --data ./cloud
  openvisor configs set broker-host=192.0.2.7 broker-port=8883 --device kitchen --data ./cloud
  openvisor configs set user @@home --device kitchen --data ./cloud      (the value is @home)
  xxd -p -c0 ca.der | openvisor configs set broker-ca @/dev/stdin --data ./cloud")]
    Set(SetArguments),
    /// Set many entries, of the account and of devices, from JSON lines
    #[command(after_help = "\
Each line is an object as `configs list --json` writes it: key, value, and device (id or name; null or \
absent: the account's). Other fields are ignored. --device sets every line for that device instead, for \
example to copy the entries of another. All lines are set together or, after an error in any, none.

Examples:
  openvisor configs import settings.jsonl --data ./cloud
  openvisor configs list --device kitchen --data ./cloud --json |
      openvisor configs import - --device pantry --data ./cloud")]
    Import(ImportArguments),
    /// Print an entry's value, exactly as stored
    #[command(after_help = "\
Exit code 1 means that there is no such entry.

Example:
  host=$(openvisor configs get broker-host --device kitchen --data ./cloud)")]
    Get(KeyArguments),
    /// List the entries of the account or of a device
    #[command(after_help = "\
Examples:
  openvisor configs list --data ./cloud
  openvisor configs list --device kitchen --data ./cloud --json | jq -r .key")]
    List(ScopeOptions),
    /// Remove an entry
    #[command(after_help = "\
Exit code 1 means that there was no such entry.

Example:
  openvisor configs remove broker-host --device kitchen --data ./cloud")]
    Remove(KeyArguments),
}

#[derive(Args)]
#[command(after_help = "\
A secret is stored encrypted, and only applications get it: no command shows it. It belongs to one device, \
or to the account if --device is not given; an application says which of the two it fetches.

Examples:
  openvisor secrets set password @password.txt --device kitchen --data ./cloud
  openvisor secrets list --device kitchen --data ./cloud
  openvisor secrets remove password --device kitchen --data ./cloud")]
pub(crate) struct SecretsArguments {
    #[command(subcommand)]
    pub(crate) action: SecretsAction,
}

#[derive(Subcommand)]
pub(crate) enum SecretsAction {
    /// Add or change a secret
    #[command(after_help = "\
A key is 1 to 100 printable ASCII characters, a value at most 4096 bytes of text. Prefer @FILE: other users \
of this machine can see the command line, and shells store it in their history.

Examples:
  openvisor secrets set password @password.txt --device kitchen --data ./cloud
  pass show broker | openvisor secrets set password @/dev/stdin --data ./cloud")]
    Set(SetArguments),
    /// Refused: a secret is never shown
    #[command(
        hide = true,
        after_help = "\
Example of what to do instead:
  openvisor secrets set password @password.txt --data ./cloud"
    )]
    Get(KeyArguments),
    /// List the secrets, without their values
    #[command(after_help = "\
Examples:
  openvisor secrets list --data ./cloud
  openvisor secrets list --device kitchen --data ./cloud --json")]
    List(ScopeOptions),
    /// Remove a secret
    #[command(after_help = "\
Exit code 1 means that there was no such secret.

Example:
  openvisor secrets remove password --device kitchen --data ./cloud")]
    Remove(KeyArguments),
}

#[derive(Args)]
pub(crate) struct SetArguments {
    /// One entry as KEY VALUE, or any number as KEY=VALUE, which are set together or not at all
    #[arg(value_name = "KEY|KEY=VALUE")]
    pub(crate) first: String,
    /// The value, or the next entry. The value @FILE reads it from a file, without its final newline, and @@ stands for
    /// a leading @
    #[arg(value_name = "VALUE|@FILE", allow_hyphen_values = true)]
    pub(crate) second: Option<String>,
    /// More entries
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) more: Vec<String>,
    #[command(flatten)]
    pub(crate) scope: ScopeOptions,
}

#[derive(Args)]
pub(crate) struct ImportArguments {
    /// The file with one JSON object per line; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: std::path::PathBuf,
    #[command(flatten)]
    pub(crate) scope: ScopeOptions,
}

#[derive(Args)]
pub(crate) struct KeyArguments {
    /// The key
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) scope: ScopeOptions,
}

/// Whose entries.
#[derive(Args)]
pub(crate) struct ScopeOptions {
    /// The device that the entries belong to; without it, the account
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) device: Option<String>,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}
