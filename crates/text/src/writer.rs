//! Escaping where lines are written, for whatever made them.

use std::io::{self, Write};

use crate::{escape, escape_json};

/// What the lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text for people.
    Text,
    /// One JSON document a line.
    Json,
}

/// Writes whole lines, escaped. Each call of `write` is one record: only a line end at its very end is one, so that no
/// text inside can begin a line of its own.
#[derive(Debug)]
pub struct Escaping<W> {
    form: Form,
    to: W,
}

impl<W: Write> Escaping<W> {
    /// Writes to `to`.
    pub fn new(form: Form, to: W) -> Self {
        Self { form, to }
    }
}

impl<W: Write> Write for Escaping<W> {
    /// Takes all of `record`, or fails. Bytes that are no UTF-8 become U+FFFD.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let safe = match self.form {
            Form::Text => escape(line),
            Form::Json => escape_json(line),
        };
        // One call, so that lines of several threads do not mix.
        self.to.write_all(format!("{safe}{end}").as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Form, record: &[u8]) -> String {
        let mut to = Vec::new();
        Escaping::new(form, &mut to).write_all(record).expect("memory");
        String::from_utf8(to).expect("text")
    }

    /// Shows D205.
    #[test]
    fn a_record_is_one_line_whatever_it_holds() {
        let forged = "WARN host=\u{1b}[31m\n2026-12-01T02:17:00Z ERROR forged\u{9b}\u{202e}\n".as_bytes();
        assert_eq!(
            written(Form::Text, forged),
            "WARN host=\\u{1b}[31m\\n2026-12-01T02:17:00Z ERROR forged\\u{9b}\\u{202e}\n"
        );
        assert_eq!(
            written(Form::Json, "{\"h\":\"\u{9b}\u{e0001}\"}\n".as_bytes()),
            "{\"h\":\"\\u009b\\udb40\\udc01\"}\n"
        );
        assert_eq!(written(Form::Text, b"no end\xff"), "no end\u{fffd}");
    }
}
