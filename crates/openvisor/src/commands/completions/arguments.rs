//! The arguments of `openvisor completions`.

use clap::Args;

#[derive(Args)]
#[command(after_help = "\
Examples:
  openvisor completions bash > ~/.local/share/bash-completion/completions/openvisor
  openvisor completions zsh > ~/.zfunc/_openvisor      (with ~/.zfunc in fpath, before compinit)
  openvisor completions fish > ~/.config/fish/completions/openvisor.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
