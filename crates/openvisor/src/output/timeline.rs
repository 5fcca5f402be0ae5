//! What happens, as lines for people or for machines: time since the start, who, what.

use std::io;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};

use crate::output::{self, Output};

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The application, by its log lines.
    App,
    /// The virtual device: the processor and the kernel.
    Device,
    /// The connection between device and cloud.
    Link,
    /// The cloud.
    Cloud,
    /// The MQTT broker, and what is seen there.
    Broker,
    /// The demo itself, acting from outside.
    Demo,
}

impl Source {
    /// The word in the source column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Device => "device",
            Self::Link => "link",
            Self::Cloud => "cloud",
            Self::Broker => "broker",
            Self::Demo => "demo",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::App => AnsiColor::Green.on_default(),
            Self::Device => AnsiColor::Blue.on_default(),
            Self::Link => AnsiColor::Cyan.on_default(),
            Self::Cloud => AnsiColor::Magenta.on_default(),
            Self::Broker => AnsiColor::Yellow.on_default(),
            Self::Demo => Style::new().bold(),
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people. Styles are written always; the stream takes them out where no terminal reads.
    Text,
    /// One JSON object a line.
    Json,
    /// Nothing.
    Silent,
}

impl Form {
    /// The form a `--json` flag asks for.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// A place where lines go, shared by all who have something to say. Lines are queued and never waited for (D170): those that are not
/// read in time are dropped, and one line says how many.
pub(crate) struct Timeline {
    start: Instant,
    form: Form,
    out: Output,
    /// Tells the terminal's columns at the moment; none where no terminal reads.
    width: fn() -> Option<usize>,
    is_complete: bool,
}

impl Timeline {
    /// A timeline that starts now and writes to `out`, which is no terminal.
    #[cfg(test)]
    pub(crate) fn new(form: Form, out: Box<dyn io::Write + Send>) -> Self {
        Self::on(form, Output::new(out), || None)
    }

    /// On standard output.
    pub(crate) fn on_stdout(form: Form) -> Self {
        let width = || columns(terminal_size::terminal_size_of(io::stdout()));
        Self::on(form, output::stdout().clone(), width)
    }

    /// On standard error.
    pub(crate) fn on_stderr(form: Form) -> Self {
        let width = || columns(terminal_size::terminal_size_of(io::stderr()));
        Self::on(form, output::stderr().clone(), width)
    }

    fn on(form: Form, out: Output, width: fn() -> Option<usize>) -> Self {
        let start = Instant::now();
        out.set_drop_notice(Box::new(move |count| drop_notice(start.elapsed(), form, count)));
        Self { start, form, out, width, is_complete: false }
    }

    /// The same timeline with every line written: whoever adds one waits for the reader, until [`Output::stop_waiting`]. For
    /// threads that may wait.
    pub(crate) fn complete(self) -> Self {
        Self { is_complete: true, ..self }
    }

    /// Where the lines go.
    pub(crate) fn output(&self) -> &Output {
        &self.out
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds a line that programs look for, and that therefore begins with its text.
    pub(crate) fn announce(&self, text: &str) {
        match self.form {
            Form::Text => self.write(&format!("{}\n", printable(text))),
            Form::Json => self.say(Source::Device, text),
            Form::Silent => {}
        }
    }

    /// Adds several lines at one moment, or one object with `fields` under `name`. The first line is for the object only.
    pub(crate) fn report(&self, source: Source, lines: &[String], name: &str, fields: &Value) {
        match self.form {
            Form::Text => lines.iter().skip(1).for_each(|line| self.say(source, line)),
            Form::Json => self.write(&json_report(self.elapsed(), source, lines, (name, fields))),
            Form::Silent => {}
        }
    }

    /// Adds a line.
    pub(crate) fn say(&self, source: Source, text: impl AsRef<str>) {
        self.say_at(self.elapsed(), source, text);
    }

    /// Adds a line with another time than the present one, such as a guest's.
    pub(crate) fn say_at(&self, at: Duration, source: Source, text: impl AsRef<str>) {
        self.write(&match self.form {
            Form::Text => text_line(at, source, text.as_ref(), (self.width)()),
            Form::Json => json_line(at, source, text.as_ref()),
            Form::Silent => return,
        });
    }

    /// Adds the line that closes the account. In JSON it has the values it was made from beside it.
    pub(crate) fn sum_up(&self, line: &str, values: &[(&str, Value)]) {
        self.write(&match self.form {
            Form::Text => text_summary(line),
            Form::Json => json_summary(line, values),
            Form::Silent => return,
        });
    }

    /// Whether a line could not be written because nobody reads any more, as in `| head`.
    pub(crate) fn is_unread(&self) -> bool {
        self.out.has_failed()
    }

    fn write(&self, line: &str) {
        if self.is_complete {
            // Its failure is seen by `is_unread`.
            let _ = self.out.send_blocking(line.as_bytes());
        } else {
            self.out.offer(line.as_bytes());
        }
    }
}

/// Stands where lines were dropped.
fn drop_notice(at: Duration, form: Form, count: u64) -> String {
    let plural = if count == 1 { "line was" } else { "lines were" };
    let text = format!("{count} {plural} dropped here: the output was not read in time");
    match form {
        Form::Json => {
            let at_ms = at.as_millis() as u64;
            json!({ "at_ms": at_ms, "source": "output", "text": text, "dropped": count }).to_string() + "\n"
        }
        Form::Text | Form::Silent => format!("{:9.3}  output  {text}\n", at.as_secs_f64()),
    }
}

/// Columns before the text of a line.
const INDENT: usize = 19;
/// Fewest columns for the text; in a terminal that has less, lines are left to it.
const NARROWEST: usize = 20;

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

/// `text` over as many lines as a terminal of so many columns takes, all in the column of the first, parted at spaces where
/// there are any.
fn wrapped(text: &str, width: Option<usize>) -> String {
    let room = width.and_then(|width| width.checked_sub(INDENT)).filter(|room| *room >= NARROWEST);
    let Some(room) = room else { return text.to_owned() };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(room) {
        // A space may be the first thing that does not fit.
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

/// `text` escaped for one line of a terminal ([`text::escape`]).
pub(crate) fn printable(text: &str) -> String {
    text::escape(text).into_owned()
}

/// `value` as one line of JSON, in which nothing controls a terminal ([`text::escape_json`]).
pub(crate) fn json_text(value: &Value) -> String {
    text::escape_json(&value.to_string()).into_owned()
}

/// `text` and a line end, for standard output: byte for byte, or escaped where a terminal reads it. Line ends within the text
/// stay line ends.
pub(crate) fn shown_to(terminal: bool, text: &[u8]) -> Vec<u8> {
    let mut shown = if terminal {
        let text = String::from_utf8_lossy(text);
        text.split('\n').map(text::escape).collect::<Vec<_>>().join("\n").into_bytes()
    } else {
        text.to_vec()
    };
    shown.push(b'\n');
    shown
}

/// A message's payload for a line: its text if it is text, else its size and start; long ones are cut.
pub(crate) fn payload(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= SHOWN => text.to_owned(),
        Ok(text) => format!("{}… ({} bytes)", text.chars().take(SHOWN).collect::<String>(), bytes.len()),
        Err(_) => format!("{} bytes, not text", bytes.len()),
    }
}

#[cfg(test)]
mod tests;
