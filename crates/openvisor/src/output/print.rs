//! Results of commands on standard output.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::output::event::VERSION;
use crate::output::timeline::json_text;

/// Prints the result of a command in one of the two forms. The command has had its effect already, so that a closed
/// standard output is no reason to fail.
pub(crate) fn print_result(json: bool, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
    let _ = if json { print_json(&value()) } else { print_line(&text()) };
}

/// Prints one line of JSON, with its version in front.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    let mut line = Map::from_iter([("v".to_owned(), VERSION.into())]);
    line.extend(value.as_object().cloned().unwrap_or_default());
    print_line(&json_text(&Value::Object(line)))
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
