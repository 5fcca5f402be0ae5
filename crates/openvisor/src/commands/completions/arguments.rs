//! The arguments of `openvisor completions`.

use clap::Args;

#[derive(Args)]
#[command(after_help = "\
The script completes commands, options and files. In bash, zsh and fish it also completes the names of \
limits, and with --data on the line or OPENVISOR_DATA set those of devices and accounts: for these it \
calls `openvisor`, which must be in PATH and only reads the data folder. Generate it again after an upgrade.

Examples:
  openvisor completions bash > ~/.local/share/bash-completion/completions/openvisor
  echo 'source <(openvisor completions zsh)' >> ~/.zshrc      (after compinit)
  openvisor completions fish > ~/.config/fish/completions/openvisor.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
