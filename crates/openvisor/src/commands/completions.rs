//! `openvisor completions`: completion scripts for shells. `scripts.rs` adds to the generated scripts a call of this
//! program, for values that only a data folder knows; `place.rs` finds what is completed, `values.rs` the candidates.

mod arguments;
mod place;
mod scripts;
mod values;

use std::io::Write;

use clap::CommandFactory as _;

use super::Arguments;
use crate::output::exit::Failure;
pub(super) use arguments::CompletionsArguments;
use place::Place;

/// Set by the scripts to the name of their shell. The words of the command line follow `--`.
const VARIABLE: &str = "OPENVISOR_COMPLETE";

/// Set to the index of the word at the cursor, if that is not the last one.
const INDEX_VARIABLE: &str = "OPENVISOR_COMPLETE_WORD";

/// Writes the script to standard output.
pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let script = scripts::generate(arguments.shell);
    std::io::stdout()
        .write_all(script.as_bytes())
        .map_err(|error| Failure::failed(format!("cannot write the completions: {error}")))
}

/// Prints candidates for a word of a command line, if a script has called this program for that, and returns whether it
/// has.
///
/// An error is silent: a message would appear in the middle of the user's line.
pub fn complete_for_shell() -> bool {
    let Some(shell) = std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty()) else { return false };
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = Arguments::command();
    command.build();
    let index = std::env::var(INDEX_VARIABLE).ok().and_then(|index| index.parse::<usize>().ok());
    let end = index.map_or(words.len(), |index| words.len().min(index.saturating_add(1)));
    if let Some(place) = Place::find(&command, &words[..end]) {
        let lines: String = values::candidates(&place, &values::Words(&words))
            .iter()
            .map(|candidate| candidate.line(&shell, place.prefix) + "\n")
            .collect();
        let _ = std::io::stdout().write_all(lines.as_bytes());
    }
    true
}
