//! Results of commands on standard output.

use std::io::{self, Write};

use serde_json::Value;

use crate::output::timeline::json_text;

/// Prints the result of a command in one of the two forms. The command has had its effect already, so that a closed
/// standard output is no reason to fail.
pub(crate) fn print_result(json: bool, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
    let line = if json { json_text(&value()) } else { text() };
    let _ = print_line(&line);
}

/// Prints one line of JSON.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    print_line(&json_text(value))
}

/// Prints one line. Text from outside in it must be escaped already.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
