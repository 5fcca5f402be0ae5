//! The timeline: events as lines of text or JSON, each with the time since the start, a source and a text.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

use crate::output::event::{Event, VERSION};
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
    /// A fleet of devices.
    Fleet,
    /// A test script, which acts from outside.
    Script,
    /// The output itself, and its program.
    Output,
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
            Self::Fleet => "fleet",
            Self::Script => "script",
            Self::Output => "output",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::App => AnsiColor::Green.on_default(),
            Self::Device => AnsiColor::Blue.on_default(),
            Self::Link => AnsiColor::Cyan.on_default(),
            Self::Cloud => AnsiColor::Magenta.on_default(),
            Self::Broker => AnsiColor::Yellow.on_default(),
            Self::Demo | Self::Fleet | Self::Script | Self::Output => Style::new().bold(),
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
/// that are not read in time are dropped, and one line reports how many. Clones share the stream and the start.
#[derive(Clone)]
pub(crate) struct Timeline {
    start: Instant,
    form: Format,
    out: OutputQueue,
    /// The terminal's present width in columns; `None` if the stream is not a terminal.
    width: fn() -> Option<usize>,
    is_lossless: bool,
    /// The time of the last event that had a time of its own.
    given: Arc<Mutex<Option<Duration>>>,
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
        Self { start, form, out, width, is_lossless: false, given: Arc::default() }
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

    /// Adds an event.
    pub(crate) fn add(&self, event: &Event) {
        self.write_event(self.elapsed(), None, event);
    }

    /// Adds an event with a given time, such as guest time.
    pub(crate) fn add_at(&self, at: Duration, event: &Event) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        self.write_event(at, None, event);
    }

    /// Adds an event of one of several devices.
    pub(crate) fn add_of(&self, device: &str, event: &Event) {
        self.write_event(self.elapsed(), Some(device), event);
    }

    /// Adds an event that other lines of the text already say.
    pub(crate) fn add_to_json(&self, event: &Event) {
        if self.form == Format::Json {
            self.add(event);
        }
    }

    /// The same with a given time.
    pub(crate) fn add_at_to_json(&self, at: Duration, event: &Event) {
        if self.form == Format::Json {
            self.add_at(at, event);
        }
    }

    /// Adds the last line of a run, for programs: at the time of the line before it if that had a time of its own.
    pub(crate) fn add_end(&self, event: &Event) {
        if self.form == Format::Json {
            let given = *self.given.lock().unwrap_or_else(PoisonError::into_inner);
            self.write_event(given.unwrap_or_else(|| self.elapsed()), None, event);
        }
    }

    fn write_event(&self, at: Duration, device: Option<&str>, event: &Event) {
        match self.form {
            Format::Text => self.write(&self.text(at, device, event)),
            Format::Json => self.write(&json_line(Some(at), device, event)),
            Format::Silent if event.is_error() => self.write(&self.text(at, device, event)),
            Format::Silent => {}
        }
    }

    fn text(&self, at: Duration, device: Option<&str>, event: &Event) -> String {
        match event {
            // Programs match the start of this line.
            Event::GdbListening { .. } => format!("{}\n", printable(&event.text())),
            Event::DemoSummary { line, .. } => text_summary(line),
            _ => {
                let width = (self.width)();
                let device = device.map(|id| format!("{}: ", short(id))).unwrap_or_default();
                let lines = event.lines();
                let line = |line: &String| text_line(at, event.source(), &format!("{device}{line}"), width);
                lines.iter().map(line).collect()
            }
        }
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
    let event = Event::OutputDropped { dropped: count };
    match form {
        Format::Json => json_line(Some(at), None, &event),
        Format::Text | Format::Silent => format!("{:9.3}  output  {}\n", at.as_secs_f64(), event.text()),
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

/// An event as one JSON object with a newline: `v`, `event`, `at_ms`, `source`, `device`, `text`, then its fields.
pub(crate) fn json_line(at: Option<Duration>, device: Option<&str>, event: &Event) -> String {
    json_text(&json_object(at, device, event)) + "\n"
}

/// The same without the newline and before it is escaped.
pub(crate) fn json_object(at: Option<Duration>, device: Option<&str>, event: &Event) -> Value {
    let fields = serde_json::to_value(event).expect("an event has nothing that JSON has not");
    let Value::Object(mut fields) = fields else { unreachable!("an event is an object") };
    let mut line = Map::new();
    line.insert("v".into(), VERSION.into());
    line.insert("event".into(), fields.shift_remove("event").unwrap_or_default());
    line.extend(at.map(|at| ("at_ms".into(), (at.as_millis() as u64).into())));
    line.insert("source".into(), event.source().name().into());
    line.extend(device.map(|id| ("device".into(), id.into())));
    line.insert("text".into(), event.text().into());
    line.extend(fields);
    Value::Object(line)
}

fn text_summary(line: &str) -> String {
    let bold = Style::new().bold();
    format!("\n{bold}{}{bold:#}\n", printable(line))
}

/// The start of an id, which is enough to distinguish devices.
fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
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
