//! `--config`, `--secret` and the same for the account: what is written to the stores that applications fetch from.

use clap::Args;

/// Entries for the device's stores.
#[derive(Args)]
pub(crate) struct SettingsOptions {
    /// Set an entry of the device's configuration; @FILE reads the value from a file, without its final newline, and @@
    /// stands for a leading @ (repeatable)
    #[arg(long = "config", value_name = "KEY=VALUE|KEY=@FILE")]
    pub(crate) configs: Vec<String>,
    /// Set a secret of the device, written like --config; prefer @FILE, since other users of this machine can see the
    /// command line (repeatable)
    #[arg(long = "secret", value_name = "KEY=VALUE|KEY=@FILE")]
    pub(crate) secrets: Vec<String>,
}

/// Entries for the account's stores.
#[derive(Args)]
pub(crate) struct AccountSettingsOptions {
    /// Set an entry of the account's configuration, which applications fetch separately (repeatable)
    #[arg(long = "account-config", value_name = "KEY=VALUE|KEY=@FILE")]
    pub(crate) account_configs: Vec<String>,
    /// Set a secret of the account (repeatable)
    #[arg(long = "account-secret", value_name = "KEY=VALUE|KEY=@FILE")]
    pub(crate) account_secrets: Vec<String>,
}
