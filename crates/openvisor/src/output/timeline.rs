//! The timeline: events as lines of text or JSON, each with the time since the start, a source and a text.

use std::io;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};

use crate::output::{self, OutputQueue};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The application: its log lines.
    App,
    /// The virtual device: the processor and the kernel.
    Device,
    /// The connection between device and cloud.
    Link,
    /// The cloud.
    Cloud,
    /// The MQTT broker and the messages at it.
    Broker,
    /// The demo, which acts from outside.
    Demo,
    /// A test script, which does.
    Script,
}

impl Source {
    /// Its name in the source column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Device => "device",
            Self::Link => "link",
            Self::Cloud => "cloud",
            Self::Broker => "broker",
            Self::Demo => "demo",
            Self::Script => "script",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::App => AnsiColor::Green.on_default(),
            Self::Device => AnsiColor::Blue.on_default(),
            Self::Link => AnsiColor::Cyan.on_default(),
            Self::Cloud => AnsiColor::Magenta.on_default(),
            Self::Broker => AnsiColor::Yellow.on_default(),
            Self::Demo | Self::Script => Style::new().bold(),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text with styles, which the stream removes unless it is a terminal.
    Text,
    /// One JSON object per line.
    Json,
    /// Errors only.
    Silent,
}

impl Format {
    /// The format that the flag `--json` selects.
    pub(crate) fn from_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Writes lines to a stream. They are queued, because tasks and devices must not wait for a slow reader (D170): lines
/// that are not read in time are dropped, and one line reports how many.
pub(crate) struct Timeline {
    start: Instant,
    form: Format,
    out: OutputQueue,
    /// The terminal's present width in columns; `None` if the stream is not a terminal.
    width: fn() -> Option<usize>,
    is_lossless: bool,
}

impl Timeline {
    /// A timeline that starts now and writes to `out`, which is not a terminal.
    #[cfg(test)]
    pub(crate) fn new(form: Format, out: Box<dyn io::Write + Send>) -> Self {
        Self::on(form, OutputQueue::new(out), || None)
    }

    /// On standard output.
    pub(crate) fn on_stdout(form: Format) -> Self {
        let width = || columns(terminal_size::terminal_size_of(io::stdout()));
        Self::on(form, output::stdout().clone(), width)
    }

    /// On standard error.
    pub(crate) fn on_stderr(form: Format) -> Self {
        let width = || columns(terminal_size::terminal_size_of(io::stderr()));
        Self::on(form, output::stderr().clone(), width)
    }

    fn on(form: Format, out: OutputQueue, width: fn() -> Option<usize>) -> Self {
        let start = Instant::now();
        out.set_drop_notice(Box::new(move |count| drop_notice(start.elapsed(), form, count)));
        Self { start, form, out, width, is_lossless: false }
    }

    /// The same timeline without drops: adding a line blocks until there is room, or until
    /// [`OutputQueue::stop_waiting`].
    pub(crate) fn lossless(self) -> Self {
        Self { is_lossless: true, ..self }
    }

    /// The queue of the stream.
    pub(crate) fn output(&self) -> &OutputQueue {
        &self.out
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds a line without time and source, for programs that match its start.
    pub(crate) fn announce(&self, text: &str) {
        match self.form {
            Format::Text => self.write(&format!("{}\n", printable(text))),
            Format::Json => self.add(Source::Device, text),
            Format::Silent => {}
        }
    }

    /// Adds several lines about an error, or one JSON object with `fields` under `name`. The first line is for the
    /// object only.
    pub(crate) fn add_report(
        &self,
        at: Duration,
        source: Source,
        lines: &[String],
        name: &str,
        fields: &Value,
    ) {
        match self.form {
            Format::Text => lines.iter().skip(1).for_each(|line| self.add_at(at, source, line)),
            Format::Json => self.write(&json_report(at, source, lines, (name, fields))),
            Format::Silent => lines.iter().skip(1).for_each(|line| self.add_error_at(at, source, line)),
        }
    }

    /// Adds a line that is written even where events are not.
    pub(crate) fn add_error(&self, source: Source, text: impl AsRef<str>) {
        self.add_error_at(self.elapsed(), source, text);
    }

    /// The same with a given time, such as guest time.
    pub(crate) fn add_error_at(&self, at: Duration, source: Source, text: impl AsRef<str>) {
        match self.form {
            Format::Text | Format::Json => self.add_at(at, source, text),
            Format::Silent => {
                self.write(&text_line(at, source, text.as_ref(), (self.width)()));
            }
        }
    }

    /// Adds a line.
    pub(crate) fn add(&self, source: Source, text: impl AsRef<str>) {
        self.add_at(self.elapsed(), source, text);
    }

    /// Adds a line with a given time, such as guest time.
    pub(crate) fn add_at(&self, at: Duration, source: Source, text: impl AsRef<str>) {
        self.write(&match self.form {
            Format::Text => text_line(at, source, text.as_ref(), (self.width)()),
            Format::Json => json_line(at, source, text.as_ref()),
            Format::Silent => return,
        });
    }

    /// Adds the last line. In JSON it comes with the values it is made from.
    pub(crate) fn add_summary(&self, line: &str, values: &[(&str, Value)]) {
        self.write(&match self.form {
            Format::Text => text_summary(line),
            Format::Json => json_summary(line, values),
            Format::Silent => return,
        });
    }

    /// Whether a write has failed, because the reader is gone as in `| head`.
    pub(crate) fn has_failed(&self) -> bool {
        self.out.has_failed()
    }

    fn write(&self, line: &str) {
        if self.is_lossless {
            // `has_failed` reports a failure.
            let _ = self.out.send_blocking(line.as_bytes());
        } else {
            self.out.offer(line.as_bytes());
        }
    }
}

/// The line in place of dropped ones.
fn drop_notice(at: Duration, form: Format, count: u64) -> String {
    let plural = if count == 1 { "line was" } else { "lines were" };
    let text = format!("{count} {plural} dropped: the output was not read in time");
    match form {
        Format::Json => {
            let at_ms = at.as_millis() as u64;
            json!({ "at_ms": at_ms, "source": "output", "text": text, "dropped": count }).to_string() + "\n"
        }
        Format::Text | Format::Silent => format!("{:9.3}  output  {text}\n", at.as_secs_f64()),
    }
}

/// Width of time and source, before the text.
const INDENT: usize = 19;
/// Narrowest text column; a terminal with less room wraps lines itself.
const MIN_TEXT_WIDTH: usize = 20;

fn columns(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(width, _)| usize::from(width.0))
}

fn text_line(at: Duration, source: Source, text: &str, width: Option<usize>) -> String {
    let dim = Style::new().dimmed();
    let style = source.style();
    let name = source.name();
    let seconds = at.as_secs_f64();
    let text = wrapped(&printable(text), width);
    format!("{dim}{seconds:9.3}{dim:#}  {style}{name:<6}{style:#}  {text}\n")
}

/// `text`, wrapped at spaces to a terminal of this width and indented below its first line.
fn wrapped(text: &str, width: Option<usize>) -> String {
    let room = width.and_then(|width| width.checked_sub(INDENT)).filter(|room| *room >= MIN_TEXT_WIDTH);
    let Some(room) = room else { return text.to_owned() };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(room) {
        // The first character that does not fit may be a space.
        let next = end + rest[end..].chars().next().map_or(0, char::len_utf8);
        let (line, remaining) = match rest[..next].rfind(' ') {
            Some(space) if space > 0 => (&rest[..space], &rest[space + 1..]),
            _ => rest.split_at(end),
        };
        lines.push(line);
        rest = remaining;
    }
    lines.push(rest);
    lines.join(&format!("\n{:INDENT$}", ""))
}

fn json_line(at: Duration, source: Source, text: &str) -> String {
    let at_ms = at.as_millis() as u64;
    json_text(&json!({ "at_ms": at_ms, "source": source.name(), "text": text })) + "\n"
}

fn json_report(at: Duration, source: Source, lines: &[String], (name, fields): (&str, &Value)) -> String {
    let text = lines.first().map_or("", String::as_str);
    let at_ms = at.as_millis() as u64;
    json_text(&json!({ "at_ms": at_ms, "source": source.name(), "text": text, name: fields })) + "\n"
}

fn text_summary(line: &str) -> String {
    let bold = Style::new().bold();
    format!("\n{bold}{}{bold:#}\n", printable(line))
}

fn json_summary(line: &str, values: &[(&str, Value)]) -> String {
    let values: Map<_, _> =
        values.iter().map(|(name, value)| (name.replace(' ', "_"), value.clone())).collect();
    json_text(&json!({ "summary": line, "values": values })) + "\n"
}

/// `text` escaped for one line of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text::escape(text).into_owned()
}

/// `value` as one line of JSON without characters that control a terminal.
pub(crate) fn json_text(value: &Value) -> String {
    text::escape_json(&value.to_string()).into_owned()
}

/// `text` and a newline for standard output: escaped but for its newlines on a terminal, byte for byte elsewhere.
pub(crate) fn stdout_line(terminal: bool, text: &[u8]) -> Vec<u8> {
    let mut shown = if terminal {
        let text = String::from_utf8_lossy(text);
        text.split('\n').map(text::escape).collect::<Vec<_>>().join("\n").into_bytes()
    } else {
        text.to_vec()
    };
    shown.push(b'\n');
    shown
}

/// A message's payload for a line: its text, cut if it is long, or its size if it is not text.
pub(crate) fn payload_text(bytes: &[u8]) -> String {
    const MAX_CHARS: usize = 120;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= MAX_CHARS => text.to_owned(),
        Ok(text) => format!("{}… ({} bytes)", text.chars().take(MAX_CHARS).collect::<String>(), bytes.len()),
        Err(_) => format!("{} bytes, not text", bytes.len()),
    }
}

#[cfg(test)]
mod tests;
