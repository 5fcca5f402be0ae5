//! Questions before what cannot be undone.

use std::io::{self, IsTerminal, Write};

use crate::output::exit::Failure;

/// Asks `question`, which needs a terminal. `what` names the action, `refused` says that it was not done.
///
/// # Errors
/// There is no terminal; the answer is not yes.
pub(crate) fn confirm(what: &str, question: &str, refused: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let message = format!("{what} needs a confirmation, and standard input is not a terminal");
        return Err(Failure::bad_input(message).hint("add --yes"));
    }
    let mut answer = String::new();
    let answered =
        write!(anstream::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    match answered {
        Ok(_) if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) => Ok(()),
        _ => Err(Failure::failed(refused)),
    }
}
