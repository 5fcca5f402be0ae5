//! A writer that escapes every line.

use std::io::{self, Write};

use crate::{escape, escape_json};

/// The format of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Plain text.
    Text,
    /// One JSON document per line.
    Json,
}

/// Escapes lines and writes them to `W`. Each call of `write` is one line; a line end is only written if it is the last
/// byte, so that text inside cannot begin another line.
#[derive(Debug)]
pub struct EscapingWriter<W> {
    format: LineFormat,
    output: W,
}

impl<W: Write> EscapingWriter<W> {
    /// A writer to `output`.
    pub fn new(format: LineFormat, output: W) -> Self {
        Self { format, output }
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    /// Writes all of `record` or fails. Bytes that are not UTF-8 become U+FFFD.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let safe = match self.format {
            LineFormat::Text => escape(line),
            LineFormat::Json => escape_json(line),
        };
        // One call, so that lines of several threads do not mix.
        self.output.write_all(format!("{safe}{end}").as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LineFormat, record: &[u8]) -> String {
        let mut output = Vec::new();
        EscapingWriter::new(format, &mut output).write_all(record).expect("memory");
        String::from_utf8(output).expect("text")
    }

    /// Shows D205.
    #[test]
    fn a_record_is_one_line_whatever_it_contains() {
        let forged = "WARN host=\u{1b}[31m\n2026-12-01T02:17:00Z ERROR forged\u{9b}\u{202e}\n".as_bytes();
        assert_eq!(
            written(LineFormat::Text, forged),
            "WARN host=\\u{1b}[31m\\n2026-12-01T02:17:00Z ERROR forged\\u{9b}\\u{202e}\n"
        );
        assert_eq!(
            written(LineFormat::Json, "{\"h\":\"\u{9b}\u{e0001}\"}\n".as_bytes()),
            "{\"h\":\"\\u009b\\udb40\\udc01\"}\n"
        );
        assert_eq!(written(LineFormat::Text, b"no end\xff"), "no end\u{fffd}");
    }
}
